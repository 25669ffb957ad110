// Checkpoints as payloads: what went in comes out, and made-up ones are refused.

import test from 'ava';
import { decodeCheckpoint, decodePages, encodeCheckpoint } from '../../src/trace/checkpoint.js';
import { decodeCanonical, encodeCanonical } from '../../src/trace/codec.js';
import { decodePageList, encodeSavedPages, SavedPages } from '../../src/trace/saved-pages.js';

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
type Pieces = Parameters<typeof encodeCheckpoint>;
const stateOf = (...of: Pieces) =>
  [...encodeCheckpoint(...of)].flatMap((one) => ('state' in one ? [one.state] : []))[0]!;
const pages = Array.from({ length: 5000 }, (_, n) => ({
  number: n * 3,
  bytes: n % 7 === 0 ? undefined : new Uint8Array(4096).fill(n),
}));

test('state and pages come back, the pages in chunks before the state', (t) => {
  const pieces = [...encodeCheckpoint(state, pages)];
  t.deepEqual(
    pieces.map((piece) => ['pages' in piece, piece.chunks]),
    [
      [true, 2],
      [true, 2],
      [true, 2],
      [false, 1],
    ],
  );
  const { processor, tracked, ...rest } = decodeCheckpoint(stateOf(state, pages));
  t.deepEqual(rest, {
    cycle: state.cycle,
    event: state.event,
    handoff: state.handoff.map((one) => [...one]),
    pageChunks: 6,
  });
  t.deepEqual([Uint8Array.from(processor), Uint8Array.from(tracked)], [state.processor, state.tracked]);
  const lists = pieces.flatMap((piece) => {
    if (!('pages' in piece)) return [];
    const { groups, list } = encodeSavedPages(piece.pages);
    const bytes = decodeCanonical(groups) as Uint8Array;
    return { list: decodePageList(list), read: (from: number, size: number) => bytes.subarray(from, from + size) };
  });
  const saved = new SavedPages(lists, 15_000);
  t.deepEqual(
    [...saved.numbers()],
    pages.map(({ number }) => number),
  );
  for (const { number, bytes } of pages) {
    t.is(saved.isZeros(number), bytes === undefined);
    if (bytes) t.true(Buffer.from(bytes).equals(saved.bytesOf(number)));
  }
  t.throws(() => new SavedPages(lists, 14_997), { message: /page 14997 is not RAM/ });
});

test('what was decoded comes back', (t) => {
  const decoded = { modes: [[64, 15, 0, 0xffff_ffff] as const], pages: Uint8Array.of(6), stop: 7 };
  const found = decodeCheckpoint(stateOf({ ...state, decoded }, [])).decoded!;
  t.deepEqual({ ...found, pages: Uint8Array.from(found.pages) }, decoded);
  for (const wrong of [{ modes: [[64, 15]] }, { modes: [['64', 0, 0, 0]] }, { pages: 1 }, { stop: -1 }]) {
    const bad = { ...state, decoded: { ...decoded, ...wrong } } as never;
    t.throws(() => decodeCheckpoint(stateOf(bad, [])), { message: /modes|pages|stop/ });
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
