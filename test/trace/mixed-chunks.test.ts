// Chunks of memory through the mixing coder, in the container.

import { join } from 'node:path';
import test from 'ava';
import { decodeChunkHeader, decodePayload, encodeChunk, isMixed, MAX_MIXED } from '../../src/trace/chunks.js';
import { mix } from '../../src/trace/mixing-coder.js';
import { TraceReader } from '../../src/trace/reader.js';
import { withDirectory, writeTrace } from './sample-trace.js';

/** Five bits of eight that look like chance. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed + 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 27) + 1;
  });
}
const raw = noise(600_000, 0);

test('only memory that is neither small, huge nor easy is mixed', (t) => {
  t.true(isMixed('MEMO', raw));
  t.false(isMixed('EVTS', raw));
  t.false(isMixed('MEMO', raw.subarray(0, 500_000)));
  t.false(
    isMixed(
      'MEMO',
      raw.map((byte) => (byte === 1 ? 1 : 0)),
    ),
  );
  t.false(isMixed('MEMO', new Uint8Array(MAX_MIXED + 1)));
});

test('a mixed chunk is read back, and a claim past the limit refused', (t) => {
  const { header, stored } = encodeChunk('MEMO', raw, mix(raw));
  const decoded = decodeChunkHeader(header);
  if (typeof decoded === 'string') return t.fail(decoded);
  t.is(decoded.codec, 3);
  t.deepEqual(decodePayload(decoded, stored), raw);
  t.throws(() => decodePayload({ ...decoded, rawLength: MAX_MIXED + 1 }, stored), { message: /past the limit/ });
  t.throws(() => decodePayload({ ...decoded, rawLength: raw.length * 10 }, stored), { message: /ends too early/ });
  return undefined;
});

test('memory that was mixed comes back from the file, and its chunks are in the root', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'mixed.vmr');
    const memory = [0x10_0000, 0x80_0000].map((address, n) => ({
      address,
      data: noise(600_000, n),
    }));
    const root = writeTrace(path, [], {}, { memory });
    const reader = TraceReader.open(path);
    t.deepEqual(
      reader.chunks.filter(({ type }) => type === 'MEMO').map(({ codec }) => codec),
      [3, 3],
    );
    t.is(reader.root(), root);
    t.deepEqual(
      [...reader.memory()].map(({ address, data }) => ({ address, data: Uint8Array.from(data) })),
      memory,
    );
    reader.close();
  });
});
