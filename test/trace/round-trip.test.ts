import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { EventBatches } from '../../src/trace/event-batch.js';
import { EventBlock } from '../../src/trace/event-block.js';
import { impliedDataLength } from '../../src/trace/event-layout.js';
import { EventPacker } from '../../src/trace/event-packer.js';
import { EMPTY, type EventKind, KIND_NAMES, KINDS, type TraceEvent } from '../../src/trace/events.js';
import { TraceReader } from '../../src/trace/reader.js';
import { TraceWriter } from '../../src/trace/writer.js';
import {
  MovableSite,
  put,
  type SampleEvent,
  sampleEnd,
  sampleHeader,
  withDirectory,
  writeTrace,
} from './sample-trace.js';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyEvent = fc
  .record({
    kind: fc.constantFrom(...KIND_NAMES),
    step: fc.integer({ min: -3, max: 2 ** 40 }),
    cs: fc.constantFrom(0, 0x10, 0x33, 0xf000),
    rip: fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.constantFrom(0xfff0n, 0xffff_ffff_8100_0123n)),
    address: fc.oneof(u32, fc.integer({ min: 0, max: 2 ** 52 - 1 })),
    size: fc.constantFrom(1, 2, 4),
    value: fc.oneof(u32, fc.maxSafeNat()),
    valueHigh: u32,
    name: fc.string(),
    data: fc.uint8Array({ maxLength: 40 }),
  })
  .map((event) => event);

/** What is left of an arbitrary event when only the fields of its kind count. */
function lawful(kind: EventKind, event: Omit<SampleEvent, 'kind' | 'cycle'>): Omit<SampleEvent, 'kind' | 'cycle'> {
  const row = KINDS[kind];
  const value = row.value === 'none' ? 0 : row.value === 'u64' ? event.value! % 2 ** 32 : event.value!;
  const data =
    row.data === 'bytes' ? event.data! : new Uint8Array(impliedDataLength(row, value)).fill(event.value! & 255);
  return {
    ...event,
    address: row.address === 'none' ? 0 : row.address === 'port' ? event.address! % 0x1_0000 : event.address!,
    size: row.size ? event.size! : 0,
    value,
    valueHigh: row.value === 'u64' ? event.valueHigh! : 0,
    name: row.name ? event.name! : '',
    data,
  };
}

test('events come back from a chunk as they went in', (t) => {
  fc.assert(
    fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 60 }), (all, split) => {
      const site = new MovableSite();
      const batches = new EventBatches(site);
      const packer = new EventPacker();
      const expected: TraceEvent[] = [];
      const payloads: Buffer[] = [];
      let cycle = 3 * all.length;
      all.forEach(({ kind, step, ...rest }, index) => {
        cycle += step;
        const { cs, rip, ...event } = lawful(kind, rest);
        Object.assign(site, { cycle, cs, ripLow: Number(rip! & 0xffff_ffffn), ripHigh: Number(rip! >> 32n) });
        batches.append(
          KINDS[kind].id,
          event.address!,
          event.size!,
          event.value!,
          event.valueHigh!,
          event.name!,
          event.data!,
        );
        expected.push({ index, kind, cycle, cs: cs!, rip: rip!, ...event } as TraceEvent);
        if (batches.batch.count === split) payloads.push(packer.pack(batches.next()));
      });
      if (batches.batch.count > 0) payloads.push(packer.pack(batches.next()));
      const blocks = payloads.map((payload) => new EventBlock(payload));
      const read = blocks.flatMap((block) => Array.from({ length: block.count }, (_, i) => block.at(i)));
      t.deepEqual(
        read.map((event) => ({ ...event, data: Uint8Array.from(event.data) })),
        expected,
      );
    }),
  );
});

test('the answer to a request is stored with the request, before the effects of answering', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    const site = new MovableSite();
    const writer = new TraceWriter(path, sampleHeader, { tool: 't', names: [] }, site);
    writer.ask(KINDS['port-read'].id, 0x1f0, 2);
    writer.event(KINDS['dma-write'].id, 0x1000, 0, 0, 0, '', Uint8Array.of(1, 2, 3));
    writer.answer(0xbeef, 0, EMPTY);
    writer.ask(KINDS['port-read-string'].id, 0x1f0, 2);
    writer.answer(0, 0, Uint8Array.of(9, 8, 7, 6));
    writer.finish(sampleEnd);
    const reader = TraceReader.open(path);
    const events = [...reader.events()];
    t.deepEqual(
      events.map(({ kind, value, data }) => [kind, value, [...data]]),
      [
        ['port-read', 0xbeef, []],
        ['dma-write', 0, [1, 2, 3]],
        ['port-read-string', 0, [9, 8, 7, 6]],
        ['end', 0, []],
      ],
    );
    reader.close();
  });
});

test('header, notes and summary come back', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    const root = writeTrace(
      path,
      [
        { kind: 'milestone', cycle: 0, name: 'entry', rip: 0x10_0000n },
        { kind: 'port-write', cycle: 5_000_000_000, address: 0x3f8, size: 1, value: 65 },
      ],
      {},
      { code: 3, reason: 'debug-exit' },
    );
    t.false(existsSync(`${path}.partial`));
    const reader = TraceReader.open(path);
    t.deepEqual(reader.header, { ...sampleHeader, options: { seed: 0 }, entry: { rip: 0x10_0000 } });
    t.deepEqual(reader.notes, { tool: 'vmreplay test', names: ['vmlinux'] });
    t.deepEqual(reader.summary, {
      end: { reason: 'debug-exit', code: 3 },
      cycles: 1000,
      instructions: 900,
      state: '07'.repeat(32),
      events: 3,
      byKind: { milestone: 1, 'port-write': 1, end: 1 },
      milestones: [{ name: 'entry', cycle: 0, rip: 0x10_0000n }],
    });
    t.is(reader.root(), root);
    reader.close();
  });
});

test('the root is that of the content: notes do not change it, one value does', (t) => {
  withDirectory((directory) => {
    const record = (name: string, tool: string, value: number) => {
      const site = new MovableSite();
      const writer = new TraceWriter(join(directory, name), sampleHeader, { tool, names: [] }, site);
      put(writer, site, { kind: 'port-write', cycle: 7, address: 0x80, size: 1, value });
      return writer.finish(sampleEnd);
    };
    t.is(record('a', 'one', 1), record('b', 'two', 1));
    t.not(record('c', 'one', 1), record('d', 'one', 2));
  });
});

test('a recording longer than a chunk is read back across chunks', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'long.vmr');
    const count = 20_000;
    const events = Array.from({ length: count }, (_, i): SampleEvent => {
      const cycle = i * 12;
      return i % 3 === 0
        ? { kind: 'interrupt', cycle, address: 0xec, rip: 0xffff_ffff_8100_0000n + BigInt(i) }
        : { kind: 'port-read', cycle, address: 0x3fd, size: 1, value: i & 0x7f };
    });
    writeTrace(path, events);
    const reader = TraceReader.open(path);
    t.is(reader.chunks.filter(({ type }) => type === 'EVTS').length, 3);
    let i = 0;
    for (const event of reader.events()) {
      if (i === count) break;
      if (event.cycle !== i * 12 || event.kind !== events[i]!.kind || event.rip !== (events[i]!.rip ?? event.rip)) {
        t.fail(`event ${i} differs`);
        break;
      }
      i++;
    }
    t.is(i, count);
    // What one reader has read, another one need not read to know where it ends.
    const other = TraceReader.open(path, { verified: reader.verified(0) });
    const [one, ...more] = other.blocks(17_000);
    t.deepEqual([one?.first, more], [16_384, []]);
    other.close();
    reader.close();
  });
});

test('the code of a site is stored once and found again', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    const site = new MovableSite();
    site.bytes = Uint8Array.of(0xec);
    const writer = new TraceWriter(path, sampleHeader, { tool: 't', names: [] }, site);
    put(writer, site, { kind: 'port-read', cycle: 1, address: 0x3fd, size: 1, rip: 0x7c00n });
    put(writer, site, { kind: 'port-read', cycle: 2, address: 0x3fd, size: 1, rip: 0x7c00n });
    writer.finish(sampleEnd);
    const reader = TraceReader.open(path);
    for (const _ of reader.events());
    t.deepEqual(reader.code(0x10, 0x7c00n)?.bytes, Buffer.from([0xec]));
    t.is(reader.code(0x10, 0x7c01n), undefined);
    reader.close();
  });
});
