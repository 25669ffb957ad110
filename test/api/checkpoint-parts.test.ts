// A replay that begins at a checkpoint finds what the whole would have found there, also where it comes to code again
// that was decoded before: decoding counts as reading, and a page is taken whole after so many reads.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { record } from '../../src/api/record.js';
import { replayStretch } from '../../src/api/sealed-replay.js';
import type { Plain } from '../../src/platform/device.js';
import { decodeCanonical, encodeCanonical } from '../../src/trace/codec.js';
import { TraceReader } from '../../src/trace/reader.js';
import { pvhKernel } from '../boot/guest-builder.js';
import { payloadsOf, sealTrace } from '../trace/forged-trace.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-parts-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const BASE = 0x10_0000;
const le32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** Calls code of 700 instructions in a page of its own, changes it, calls it again; and once more a state hash later. */
function selfModifying(): Uint8Array {
  const code: number[] = [0xbc, ...le32(0x8_0000)]; // mov esp
  const call = () => code.push(0xe8, ...le32(0x1000 - (code.length + 5)));
  const wait = () => code.push(0xb9, ...le32(68_000_000), 0x49, 0x75, 0xfd); // mov ecx; dec ecx; jnz
  call();
  code.push(0xc6, 0x05, ...le32(BASE + 0x1000), 0x40); // mov byte [page], inc eax
  call();
  wait();
  call();
  wait();
  code.push(0xa1, ...le32(BASE + 0x1c00), 0xfa, 0xf4); // mov eax, [...]: so it is in the trace
  const image = new Uint8Array(0x2000);
  image.set(code);
  image.fill(0x90, 0x1000, 0x1000 + 700);
  image[0x1000 + 700] = 0xc3;
  // What nobody looks at before the end, unless the page is taken whole.
  image.fill(0x55, 0x1c00);
  return image;
}

test('a part that comes to code from before its checkpoint agrees with the whole', async (t) => {
  const kernel = join(directory, 'kernel');
  const output = join(directory, 'trace');
  writeFileSync(kernel, pvhKernel(selfModifying()));
  await record({ kernel, memory: 32 << 20, output, checkpointEvery: 1, maxCycles: 275_000_000 });
  const differs = async (path: string): Promise<string | undefined> => {
    const reader = TraceReader.open(path);
    const cuts = reader.checkpoints;
    t.is(cuts.length, 2);
    const { divergence } = await replayStretch(reader, {}, { from: 0, to: cuts[1] });
    reader.close();
    return divergence?.expected?.kind;
  };
  t.is(await differs(output), undefined);

  // A trace that does not say what its state hashes count as zeros has it found out.
  const silent = join(directory, 'silent');
  const all = payloadsOf(readFileSync(output));
  const kept = all.filter(({ type }) => type !== 'KNOW');
  t.true(kept.length < all.length);
  writeFileSync(silent, sealTrace(kept));
  t.is(await differs(silent), undefined);

  // As traces were before their checkpoints said what was decoded.
  const older = join(directory, 'older');
  const payloads = kept.map((payload) => {
    const { decoded, ...rest } = payload.type === 'CHKP' ? (decodeCanonical(payload.raw) as Record<string, never>) : {};
    return decoded === undefined ? payload : { ...payload, raw: encodeCanonical(rest) };
  });
  writeFileSync(older, sealTrace(payloads));
  t.is(await differs(older), 'state-hash');
});

test('a trace from before hashes went by words replays', async (t) => {
  const path = new URL('before-words.trace', import.meta.url).pathname;
  const reader = TraceReader.open(path);
  t.is((reader.header.entry as Record<string, unknown>).words, undefined);
  const { divergence, exitCode } = await replayStretch(reader, {});
  reader.close();
  t.deepEqual([divergence, exitCode], [undefined, 0]);
  // Its state hashes are others by words.
  const asWords = join(directory, 'as-words');
  const payloads = payloadsOf(readFileSync(path)).map((payload) => {
    if (payload.type !== 'HEAD') return payload;
    const head = decodeCanonical(payload.raw) as { entry: Record<string, Plain> } & Record<string, Plain>;
    return { ...payload, raw: encodeCanonical({ ...head, entry: { ...head.entry, words: 8 } }) };
  });
  writeFileSync(asWords, sealTrace(payloads));
  const other = TraceReader.open(asWords);
  t.is((await replayStretch(other, {})).divergence?.expected?.kind, 'state-hash');
  other.close();
});
