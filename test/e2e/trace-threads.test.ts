// Packing and unpacking on worker threads, which only the built program has.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import test from 'ava';
import { decodeChunkHeader, encodeChunk } from '../../src/trace/chunks.js';
import { EventStream } from '../../src/trace/event-stream.js';
import { KINDS } from '../../src/trace/events.js';
import { Press } from '../../src/trace/press.js';
import { PressThread } from '../../src/trace/press-thread.js';
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
  const threads = [undefined, worker('press-worker'), new URL('file:///nowhere.js')].map((m) => new PressThread(m));
  const presses = threads.map((thread) => new Press(thread));
  for (const press of presses) for (const job of jobs) press.addPages(job);
  const [alone, together, without] = presses.map((press) =>
    press.finish().map(({ codec, stored }) => ({ codec, stored: Buffer.from(stored).toString('hex') })),
  );
  t.deepEqual(together, alone);
  t.deepEqual(without, alone);
  for (const thread of threads) thread.close();
});

test('events that a thread packs are the chunks that this thread makes, in order', (t) => {
  const CHUNKS = 60;
  const written = [worker('press-worker'), new URL('file:///nowhere.js')].map((module) => {
    const site = {
      cycle: 0,
      cs: 8,
      ripLow: 0,
      ripHigh: 0,
      code: () => ({ bits: 32 as const, bytes: Uint8Array.of(0xec) }),
    };
    const thread = new PressThread(module);
    const stream = new EventStream(site, thread);
    const chunks = Array.from({ length: CHUNKS }, (_, chunk) => {
      for (let event = 0; event <= chunk * 20; event++) {
        site.cycle += 1 + (event % 7);
        site.ripLow = 0x1000 + (event % (chunk + 1));
        stream.batches.append(KINDS['port-read'].id, 0x60 + (event % 5), 1, event & 255, 0, '', new Uint8Array());
        if (event % 3 === 0)
          stream.batches.append(KINDS.milestone.id, 0, 0, 0, 0, `step ${chunk % 4}`, new Uint8Array());
      }
      return stream.flush();
    });
    // No more than three are under way, however quick the recorder is.
    let behind = 0;
    for (const now of chunks) {
      behind += 1 - now.length;
      t.true(behind <= 3);
    }
    const written = [...chunks.flat(), ...stream.finish()];
    thread.close();
    return written;
  });
  const [together, alone] = written.map((chunks) =>
    chunks.map(({ raw, packed, first, baseCycle }) => ({
      raw: Buffer.from(raw).toString('base64'),
      stored: Buffer.from(packed.stored).toString('base64'),
      codec: packed.codec,
      first,
      baseCycle,
    })),
  );
  t.is(together!.length, CHUNKS);
  t.deepEqual(together, alone);
});
