// Chunks of memory in the container: which coder they get, and what a reader makes of them.

import { join } from 'node:path';
import test from 'ava';
import { decodeChunkHeader, decodePayload, encodeChunk } from '../../src/trace/chunks.js';
import { TraceReader } from '../../src/trace/reader.js';
import { unpackAll } from '../../src/trace/unpack-pool.js';
import { withDirectory, writeTrace } from './sample-trace.js';

/** Bytes of `bits` bits that look like chance. */
function noise(length: number, seed: number, bits = 5): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> (32 - bits)) + 1;
  });
}
const raw = noise(600_000, 0);

const codecOf = (...args: Parameters<typeof encodeChunk>): number => encodeChunk(...args).header[4]!;

test('only memory that is neither small nor packed already goes through LZMA', (t) => {
  t.is(codecOf('MEMO', raw), 4);
  t.is(codecOf('EVTS', raw), 2);
  t.is(codecOf('MEMO', raw.subarray(0, 500_000)), 2);
  t.is(codecOf('MEMO', noise(600_000, 0, 8)), 0);
});

test('a packed chunk is read back, and a claim that its data does not keep refused', (t) => {
  const { header, stored } = encodeChunk('MEMO', raw);
  const decoded = decodeChunkHeader(header);
  if (typeof decoded === 'string') return t.fail(decoded);
  t.is(decoded.codec, 4);
  t.true(Buffer.from(raw).equals(decodePayload(decoded, stored)));
  t.throws(() => decodePayload({ ...decoded, rawLength: raw.length * 10 }, stored));
  t.throws(() => decodePayload({ ...decoded, rawLength: raw.length - 1 }, stored));
  t.throws(() => decodePayload(decoded, stored.subarray(0, stored.length - 10)));
  t.throws(() => decodePayload({ ...decoded, codec: 3 }, stored), { message: 'compression 3 is unknown' });
  return undefined;
});

test('payloads unpacked together are those unpacked alone, and a damaged one is told', (t) => {
  const jobs = [raw, raw.subarray(1000), raw.subarray(2000)].map((bytes) => {
    const { header, stored } = encodeChunk('MEMO', bytes);
    const decoded = decodeChunkHeader(header);
    if (typeof decoded === 'string') throw new Error(decoded);
    return { header: decoded, stored };
  });
  jobs[1]!.stored = jobs[1]!.stored.subarray(0, 1000);
  t.deepEqual(
    unpackAll(jobs).map((bytes) => bytes?.length),
    [raw.length, undefined, raw.length - 2000],
  );
});

test('memory that was packed comes back from the file, and its chunks are in the root', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'packed.vmr');
    const memory = [0x10_0000, 0x80_0000].map((address, n) => ({
      address,
      data: noise(600_000, n),
    }));
    const root = writeTrace(path, [], {}, { memory });
    const reader = TraceReader.open(path);
    t.deepEqual(
      reader.chunks.filter(({ type }) => type === 'MEMO').map(({ codec }) => codec),
      [4, 4],
    );
    t.is(reader.root(), root);
    const pieces = [...reader.memory()];
    t.is(pieces.length, memory.length);
    for (const [i, { address, data }] of memory.entries()) {
      t.is(pieces[i]!.address, address);
      t.true(Buffer.from(data).equals(pieces[i]!.data));
    }
    reader.close();
  });
});
