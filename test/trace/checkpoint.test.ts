// Checkpoints as payloads: what went in comes out, and made-up ones are refused.

import test from 'ava';
import { decodeCheckpoint, decodePages, encodeCheckpoint } from '../../src/trace/checkpoint.js';
import { encodeCanonical } from '../../src/trace/codec.js';

const state = {
  cycle: 2 ** 33,
  event: 77,
  processor: Uint8Array.of(1, 2, 3),
  tracked: Uint8Array.of(4, 5),
  handoff: [
    [0x100_0000n, 'pvh'],
    [0xffff_ffff_8010_1001n, 'any'],
  ] as const,
};
const payloadsOf = (...of: Parameters<typeof encodeCheckpoint>) =>
  [...encodeCheckpoint(...of)].map((one) => one.payload);
const pages = Array.from({ length: 5000 }, (_, n) => ({
  number: n * 3,
  bytes: n % 7 === 0 ? undefined : new Uint8Array(4096).fill(n),
}));

test('state and pages come back, the pages in chunks before the state', (t) => {
  const payloads = payloadsOf(state, pages);
  t.is(payloads.length, 4);
  const { processor, tracked, ...rest } = decodeCheckpoint(payloads.at(-1)!);
  t.deepEqual(rest, {
    cycle: state.cycle,
    event: state.event,
    handoff: state.handoff.map((one) => [...one]),
    pageChunks: 3,
  });
  t.deepEqual([Uint8Array.from(processor), Uint8Array.from(tracked)], [state.processor, state.tracked]);
  const found = new Map(
    payloads.slice(0, -1).flatMap((payload) => decodePages(payload).map(({ number, bytes }) => [number, bytes])),
  );
  t.is(found.size, pages.length);
  for (const { number, bytes } of pages) {
    t.true(bytes ? Buffer.from(bytes).equals(found.get(number)!) : found.get(number) === undefined);
  }
});

test('what was decoded comes back', (t) => {
  const decoded = { modes: [[64, 15, 0, 0xffff_ffff] as const], pages: Uint8Array.of(6), stop: 7 };
  const found = decodeCheckpoint(payloadsOf({ ...state, decoded }, []).at(-1)!).decoded!;
  t.deepEqual({ ...found, pages: Uint8Array.from(found.pages) }, decoded);
  for (const wrong of [{ modes: [[64, 15]] }, { modes: [['64', 0, 0, 0]] }, { pages: 1 }, { stop: -1 }]) {
    const bad = { ...state, decoded: { ...decoded, ...wrong } } as never;
    t.throws(() => decodeCheckpoint(payloadsOf(bad, []).at(-1)!), { message: /modes|pages|stop/ });
  }
});

test('what is not a checkpoint is refused', (t) => {
  const whole = { data: new Uint8Array(4096), numbers: new Uint8Array(4), zeros: new Uint8Array(0) };
  t.is(decodePages(encodeCanonical(whole)).length, 1);
  for (const wrong of [{ data: new Uint8Array(1) }, { numbers: new Uint8Array(8) }, { zeros: new Uint8Array(3) }]) {
    t.throws(() => decodePages(encodeCanonical({ ...whole, ...wrong })), { message: /not whole/ });
  }
  for (const wrong of [{ cycle: -1 }, { processor: 3 }, { handoff: [[1, 2]] }, { pageChunks: 100_000 }]) {
    t.throws(() => decodeCheckpoint(encodeCanonical({ ...state, pageChunks: 0, ...wrong } as never)));
  }
});
