// Packing and unpacking on worker threads, which only the built program has.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { setImmediate, setTimeout } from 'node:timers/promises';
import test from 'ava';
import { StateHasher } from '../../src/replay/state-hash.js';
import { decodeChunkHeader, encodeChunk } from '../../src/trace/chunks.js';
import { EventBatches } from '../../src/trace/event-batch.js';
import { EventStream } from '../../src/trace/event-stream.js';
import { KINDS } from '../../src/trace/events.js';
import { isOver, newState } from '../../src/trace/job-state.js';
import { LateHasher } from '../../src/trace/late-hash.js';
import { Press } from '../../src/trace/press.js';
import { type EventJob, pressEvents, sharedPayload } from '../../src/trace/press-jobs.js';
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

test('state hashes that come late are those that are waited for, whoever works them out', (t) => {
  const PAGES = 9000;
  const memory = new Uint8Array(PAGES * 4096);
  const masks = Array.from({ length: PAGES }, (_, n) => (n % 3 === 0 ? new Uint8Array(512) : undefined));
  let changed: number[] = [];
  const hashed = {
    pages: PAGES,
    page: (n: number, count = 1) => memory.subarray(n * 4096, (n + count) * 4096),
    changed: () => changed,
  };
  let zeros = 0;
  const isZero = (n: number) => {
    const isZero = hashed.page(n).every((byte) => byte === 0);
    if (isZero) zeros++;
    return isZero;
  };
  const known = { unknownIn: (n: number) => masks[n] };
  const reference = new StateHasher(hashed, known);
  const others = [undefined, worker('press-worker'), new URL('file:///nowhere.js')].map((module, n) => {
    const thread = new PressThread(module);
    const memory = n === 1 ? { ...hashed, isZero } : hashed;
    return { thread, late: new LateHasher(thread), hasher: new StateHasher(memory, known) };
  });
  t.true(others.every(({ late }) => late.isWorth(PAGES) && !late.isWorth(1)));
  // More pages than may be under way, then few, some of them the same ones.
  for (const step of [1, 700, 2, 5000]) {
    changed = [];
    for (let n = 0; n < PAGES; n += step) {
      changed.push(n);
      memory.set(randomBytes(64), n * 4096 + (n % 4000));
      if (n % 5 === 0) memory.fill(0, n * 4096, (n + 1) * 4096);
      masks[n]?.set(n % 2 === 0 ? new Uint8Array(512).fill(0xff) : randomBytes(512));
    }
    const cpu = randomBytes(100);
    const expected = Buffer.from(reference.hash(cpu)).toString('hex');
    const results = others.map(({ hasher, late }) => hasher.hashLater(cpu, late));
    // What is copied may change meanwhile.
    const before = memory.slice();
    memory.fill(0xee);
    for (const [i, { late }] of others.entries()) {
      late.settle();
      t.is(Buffer.from(results[i]!).toString('hex'), expected);
    }
    memory.set(before);
  }
  t.true(zeros > PAGES / 5);
  for (const { thread } of others) thread.close();
});

test('events wait for the hash that stands among them', (t) => {
  const memory = new Uint8Array(4000 * 4096).fill(7);
  const changed = Array.from({ length: 4000 }, (_, n) => n);
  const hashed = {
    pages: 4000,
    page: (n: number, count = 1) => memory.subarray(n * 4096, (n + count) * 4096),
    changed: () => changed,
  };
  const expected = new StateHasher(hashed).hash(new Uint8Array(8));
  for (const module of [worker('press-worker'), new URL('file:///nowhere.js')]) {
    const thread = new PressThread(module);
    const late = new LateHasher(thread);
    const stream = new EventStream({ cycle: 1, cs: 8, ripLow: 0, ripHigh: 0 }, thread);
    const hasher = new StateHasher(hashed);
    // The first is packed here, the second on the thread.
    for (let chunk = 0; chunk < 2; chunk++) {
      const hash = hasher.hashLater(new Uint8Array(8), late);
      stream.batches.append(KINDS['state-hash'].id, 0, 0, 0, 0, '', hash);
      stream.batches.setLate(hash);
      const chunks = [...stream.flush(), ...stream.finish()];
      t.is(chunks.length, 1);
      t.true(Buffer.from(chunks[0]!.raw).includes(Buffer.from(expected)));
    }
    thread.close();
  }
});

const ENDS = {
  'ends by itself': 'process.exit()',
  'runs out of memory': 'const all = []; for (;;) all.push(new Array(1000).fill(0))',
};
for (const [ends, how] of Object.entries(ENDS)) {
  test(`a thread that ${ends} in the middle of a job is missed by a thread that is never idle, and the job is done`, async (t) => {
    const program = `import { workerData } from 'node:worker_threads';
      let begun = false;
      workerData.port.on('message', ({ state }) => {
        if (begun) { ${how}; }
        begun = Atomics.compareExchange(state, 0, 0, 1) === 0;
      });`;
    const thread = new PressThread(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
    const job = sharedPayload('MEMO', inputs[0]!);
    const state = newState();
    const ticket = thread.submit(job, state);
    while (Atomics.load(state, 0) === 0) await setTimeout(1);
    for (let turns = 0; turns < 3; turns++) await setImmediate();
    const later = thread.submit(job);
    for (let looks = 0; looks < 1000 && thread.isThere; looks++) Atomics.wait(newState(), 0, 0, 20);
    t.false(thread.isThere);
    const alone = new PressThread(undefined).submit(job);
    for (const one of [ticket, later, alone]) one.finish();
    for (const { payload } of [ticket, later]) {
      t.deepEqual(Buffer.from(payload!.stored), Buffer.from(alone.payload!.stored));
      t.is(payload!.codec, alone.payload!.codec);
    }
    // Told of its end, it is not begun again.
    while (thread.isStarted) await setTimeout(1);
    t.false(thread.canStart);
    thread.close();
  });
}

test('a job that fails on the thread is given back and fails here, and the thread goes on', async (t) => {
  const batches = new EventBatches({ cycle: 1, cs: 8, ripLow: 0, ripHigh: 0 });
  for (let i = 0; i < 100; i++) batches.append(KINDS['port-read'].id, i, 1, i, 0, '', new Uint8Array());
  const events = batches.next();
  const expected = pressEvents(events);
  const thread = new PressThread(worker('press-worker'));
  const states = [newState(), newState()];
  // It has found the symbols when it gets to what is wrong.
  const broken: EventJob = { events: { ...events, late: [{ at: 0, hash: new Uint8Array(newState().buffer) }] } };
  const [bad, good] = [broken, { events }].map((job, i) => thread.submit(job, states[i]));
  while (!isOver(states[1]!)) await setTimeout(1);
  t.throws(() => bad!.finish(), { message: /state hash/ });
  thread.onWorkHere = () => t.fail();
  good!.finish();
  t.deepEqual(Buffer.from(good!.payload!.raw), Buffer.from(expected.raw));
  thread.close();
});

test('where no thread can be started, its jobs are done here', (t) => {
  const thread = new PressThread(new URL('http://localhost/press-worker.js'));
  const ticket = thread.submit(sharedPayload('MEMO', inputs[0]!));
  t.false(thread.isStarted || thread.canStart);
  ticket.finish();
  t.deepEqual(Buffer.from(ticket.payload!.raw), Buffer.from(inputs[0]!));
  thread.close();
});
