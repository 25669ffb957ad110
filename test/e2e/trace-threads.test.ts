// Packing and unpacking on worker threads, which only the built program has.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import test from 'ava';
import { decodeChunkHeader, encodeChunk } from '../../src/trace/chunks.js';
import { MemoryPress } from '../../src/trace/memory-press.js';
import { unpackAll } from '../../src/trace/unpack-pool.js';

const worker = (name: string) => new URL(`../../dist/src/trace/${name}.js`, import.meta.url);

const inputs = [300_000, 500_000, 200_000, 1000].map((length) => {
  const words = randomBytes(64);
  return Uint8Array.from({ length }, (_, i) => words[(i * 7 + (i >> 6)) & 63]!);
});

test('payloads that threads share out are those that one thread makes', (t) => {
  t.true(existsSync(worker('unpack-worker')), 'npm run build');
  const jobs = inputs.map((input) => {
    const { header, stored } = encodeChunk('MEMO', input);
    return { header: decodeChunkHeader(header) as Exclude<ReturnType<typeof decodeChunkHeader>, string>, stored };
  });
  jobs[1]!.stored = jobs[1]!.stored.subarray(0, jobs[1]!.stored.length - 20);
  const results = unpackAll(jobs, worker('unpack-worker'));
  inputs.forEach((input, i) => {
    t.is(results[i] && Buffer.from(input).equals(results[i]), i === 1 ? undefined : true);
  });
});

test('memory that a thread packs is what this thread makes of it', (t) => {
  t.true(existsSync(worker('press-worker')), 'npm run build');
  const mask = new Uint8Array(512).fill(0xff);
  const jobs = inputs.map((input, n) =>
    Array.from({ length: Math.floor(input.length / 4096) }, (_, i) => ({
      address: n * 0x10_0000 + i * 4096,
      bytes: input.subarray(i * 4096, (i + 1) * 4096),
      mask,
    })),
  );
  const presses = [undefined, worker('press-worker'), new URL('file:///nowhere.js')].map((m) => new MemoryPress(m));
  for (const press of presses) for (const job of jobs) press.addPages(job);
  const [alone, together, without] = presses.map((press) =>
    press.finish().map(({ codec, stored }) => ({ codec, stored: Buffer.from(stored).toString('hex') })),
  );
  t.deepEqual(together, alone);
  t.deepEqual(without, alone);
});
