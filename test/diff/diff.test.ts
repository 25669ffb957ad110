import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { type DiffOptions, diffTraces } from '../../src/diff/diff.js';
import type { Explanation } from '../../src/diff/explanation.js';
import { formatExplanation } from '../../src/diff/format.js';
import type { TraceHeader } from '../../src/trace/header.js';
import { TraceReader } from '../../src/trace/reader.js';
import { SymbolTable } from '../../src/trace/symbols.js';
import { type TraceEnd, TraceWriter } from '../../src/trace/writer.js';
import { MovableSite, put, type SampleEvent, sampleEnd, sampleHeader, withDirectory } from '../trace/sample-trace.js';

interface Boot {
  events?: SampleEvent[];
  header?: Partial<TraceHeader>;
  end?: Partial<TraceEnd>;
}

function write(path: string, { events = [], header = {}, end = {} }: Boot): void {
  const site = new MovableSite();
  site.bytes = Uint8Array.of(0xee, 0x90, 0x90);
  const writer = new TraceWriter(path, { ...sampleHeader, ...header }, { tool: 't', names: [] }, site);
  for (const event of events) put(writer, site, event);
  writer.finish({ ...sampleEnd, ...end });
}

function diff(a: Boot, b: Boot, options: DiffOptions = {}): Explanation & { text: string } {
  return withDirectory((directory) => {
    const readers = [a, b].map((boot, i) => {
      write(join(directory, `${i}`), boot);
      return TraceReader.open(join(directory, `${i}`));
    });
    const report = diffTraces(readers[0]!, readers[1]!, options);
    for (const reader of readers) reader.close();
    return { ...report, text: formatExplanation({ ...report, names: ['a.vmr', 'b.vmr'] }) };
  });
}

const serial = (text: string, start = 0): SampleEvent[] =>
  [...text].map((c, i) => ({
    kind: 'port-write' as const,
    cycle: start + i * 10,
    address: 0x3f8,
    size: 1,
    value: c.charCodeAt(0),
  }));

test('a boot does not differ from itself', (t) => {
  const report = diff({ events: serial('hello') }, { events: serial('hello') });
  t.true(report.same);
  t.is(report.agreed, 6);
  t.is(report.text, 'A a.vmr\nB b.vmr\n\nNo difference in 6 events.\n');
});

test('the first other value is named with device, register, instruction and symbol', (t) => {
  const symbols = SymbolTable.of([[0xffff_ffff_80ff_fff0n, 'io_serial_out']]);
  const report = diff({ events: serial('hello'), end: { symbols } }, { events: serial('hexlo') });
  t.false(report.same);
  t.is(report.agreed, 2);
  t.deepEqual(report.first!.fields, ['value']);
  t.is(report.first!.a!.text, 'uart0 THR: port-write 0x3f8.1 = 0x6c "l"');
  t.is(report.first!.b!.text, 'uart0 THR: port-write 0x3f8.1 = 0x78 "x"');
  t.deepEqual(report.first!.siteA, {
    at: '0x10:0xffffffff81000000',
    instruction: { text: 'out dx, al', bytes: 'ee' },
    symbol: 'io_serial_out+0x10',
  });
  t.is(report.first!.before.length, 2);
  t.is(report.first!.afterA.length, 3);
  t.deepEqual([report.rest!.equal, report.rest!.changed, report.rest!.onlyA, report.rest!.onlyB], [3, 1, 0, 0]);
});

test('the traces are brought together again after events that only one has', (t) => {
  const a = serial('the quick brown fox jumps over the lazy dog');
  const extra = Array.from(
    { length: 700 },
    (_, i): SampleEvent => ({
      kind: 'mmio-read',
      cycle: 100 + i,
      address: 0xfed0_00f0,
      size: 4,
      value: i,
    }),
  );
  const b = [...a.slice(0, 10), ...extra, ...a.slice(10).map((e) => ({ ...e, cycle: e.cycle + 1000 }))];
  const report = diff({ events: a }, { events: b });
  t.is(report.agreed, 10);
  t.deepEqual(
    { ...report.rest!, registers: report.rest!.registers.map((row) => ({ ...row })) },
    {
      equal: 34,
      shifted: 1,
      changed: 0,
      onlyA: 0,
      onlyB: 700,
      moved: 0,
      resyncs: 1,
      registers: [{ device: 'hpet', register: 'main counter low', changed: 0, onlyA: 0, onlyB: 700 }],
    },
  );
});

test('one trace that ends early is a difference', (t) => {
  const report = diff({ events: serial('hello') }, { events: serial('he') });
  t.is(report.first!.a!.value, '0x6c');
  t.is(report.first!.b!.kind, 'end');
});

test('another initrd is named with the offset of the first other byte', (t) => {
  const image = Uint8Array.from({ length: 9000 }, (_, i) => (i * 13 + 1) & 0xff);
  const changed = image.slice();
  changed[4321]! ^= 1;
  const boot = (data: Uint8Array, sha256: string): Boot => ({
    header: { images: [{ role: 'initrd', sha256, size: data.length, address: 0xf00_0000 }] },
    end: { memory: [{ address: 0xf00_0000, data }] },
  });
  const report = diff(boot(image, 'aa'.repeat(32)), boot(changed, 'bb'.repeat(32)));
  t.is(report.header[0]!.field, 'image initrd');
  t.deepEqual(report.memory, {
    address: `0x${(0xf00_0000 + 4321).toString(16)}`,
    a: image[4321]!,
    b: changed[4321]!,
    image: { role: 'initrd', offset: 4321 },
  });
  t.regex(report.text, /image initrd:\n {4}A sha256 a+, 9000 bytes\n {4}B sha256 b+, 9000 bytes/);
  t.regex(report.text, /initrd at offset 4321/);
});

test('another command line is shown with the place where it parts', (t) => {
  const report = diff({ header: { commandLine: 'quiet ro' } }, { header: { commandLine: 'quiet rw' } });
  t.deepEqual(report.header, [{ field: 'command line', a: 'quiet ro', b: 'quiet rw', detail: 'from character 7' }]);
});

test('another size of memory is said in MiB', (t) => {
  const report = diff({ header: { memory: 256 << 20 } }, { header: { memory: 257 << 20 } });
  t.regex(report.text, /memory: 256 MiB in A, 257 MiB in B/);
});

test('another e820 map is named by entry and field', (t) => {
  const directory = Buffer.alloc(68);
  directory.writeUInt32BE(1, 0);
  directory.writeUInt32BE(20, 4);
  directory.writeUInt16BE(0x20, 8);
  directory.write('etc/e820', 12, 'latin1');
  const events = (length: bigint): SampleEvent[] => {
    const map = Buffer.alloc(20);
    map.writeBigUInt64LE(0x10_0000n, 0);
    map.writeBigUInt64LE(length, 8);
    map.writeUInt32LE(1, 16);
    return [
      { kind: 'port-write', cycle: 1, address: 0x510, size: 2, value: 0x19 },
      { kind: 'port-read-string', cycle: 2, address: 0x511, size: 1, data: directory },
      { kind: 'port-write', cycle: 3, address: 0x510, size: 2, value: 0x20 },
      { kind: 'port-read-string', cycle: 4, address: 0x511, size: 1, data: map },
    ];
  };
  const report = diff({ events: events(0xff0_0000n) }, { events: events(0x1000_0000n) });
  t.is(report.first!.a!.register, 'etc/e820');
  t.is(
    report.first!.detail,
    'byte 10 is 0xf0 in A, 0x00 in B; ' +
      'A: e820 entry 0 length: [0x100000-0xfffffff] RAM; B: e820 entry 0 length: [0x100000-0x100fffff] RAM',
  );
});

test('a state hash that differs first is reported beside the first event', (t) => {
  const events = (state: number, value: number): SampleEvent[] => [
    { kind: 'state-hash', cycle: 5, data: new Uint8Array(32) },
    { kind: 'state-hash', cycle: 10, data: new Uint8Array(32).fill(state) },
    { kind: 'port-write', cycle: 12, address: 0x80, size: 1, value },
  ];
  const report = diff({ events: events(1, 1) }, { events: events(2, 2) });
  t.deepEqual(report.state, { index: 1, agreedAt: 5, differAt: 10 });
  t.is(report.first!.a!.device, 'post');
  const silent = diff({ events: events(1, 1) }, { events: events(2, 1) });
  t.false(silent.same);
  t.is(silent.first, null);
});

test('kinds and devices can be left out or picked', (t) => {
  const a: SampleEvent[] = [
    { kind: 'mmio-read', cycle: 1, address: 0xfed0_00f0, size: 4, value: 1 },
    { kind: 'port-write', cycle: 2, address: 0x3f8, size: 1, value: 1 },
  ];
  const b = a.map((e) => (e.kind === 'mmio-read' ? { ...e, value: 9 } : e));
  t.false(diff({ events: a }, { events: b }).same);
  t.true(diff({ events: a }, { events: b }, { ignore: ['hpet'] }).same);
  t.true(diff({ events: a }, { events: b }, { only: ['uart0'] }).same);
  t.false(diff({ events: a }, { events: b }, { only: ['mmio-read'] }).same);
});

test('a name that no event has is told, since nothing compared is nothing different', (t) => {
  const events: SampleEvent[] = [{ kind: 'port-write', cycle: 2, address: 0x3f8, size: 1, value: 1 }];
  const other: SampleEvent[] = [...events, { kind: 'mmio-read', cycle: 3, address: 0xfed0_00f0, size: 4, value: 1 }];
  const { same, notes } = diff({ events }, { events }, { only: ['uart0', 'uart'], ignore: ['timing', 'hpet'] });
  t.true(same);
  t.deepEqual(
    notes.map((note) => note.split(' ').at(-1)),
    ['uart', 'hpet'],
  );
  // One trace is enough, and events that another name leaves out count.
  t.deepEqual(diff({ events }, { events: other }, { only: ['hpet'] }).notes, []);
  t.deepEqual(diff({ events }, { events }, { ignore: ['port-write', 'uart0'] }).notes, []);
});

test('a recording that was cut off is compared as far as it goes', (t) => {
  withDirectory((directory) => {
    const [whole, cut] = [join(directory, 'whole'), join(directory, 'cut')];
    write(whole, { events: serial('hello') });
    const reader = TraceReader.open(whole);
    const done = reader.chunks.find(({ type }) => type === 'DONE')!;
    writeFileSync(cut, readFileSync(whole).subarray(0, done.offset));
    const partial = TraceReader.open(cut, { partial: true });
    const report = diffTraces(reader, partial);
    t.is(report.agreed, 6);
    t.is(report.first, null);
    t.is(report.cut, 'b');
    t.false(report.same);
    t.is(report.notes.length, 1);
    t.regex(formatExplanation(report), /The 6 events up to there agree, but B was cut off/);
    partial.close();
    reader.close();
  });
});

test('the report is plain JSON', (t) => {
  const { text: _, ...report } = diff({ events: serial('ab') }, { events: serial('ac') });
  t.deepEqual(JSON.parse(JSON.stringify(report)), report);
});

test('every event of both traces is counted once, whatever differs', (t) => {
  const anyEvents = fc.array(fc.tuple(fc.constantFrom(0x3f8, 0x80, 0x61), fc.nat(2), fc.nat(3)), { maxLength: 40 });
  const eventsOf = (list: [number, number, number][]): SampleEvent[] => {
    let cycle = 0;
    return list.map(([address, value, step]) => {
      cycle += step;
      return { kind: 'port-write', cycle, address, size: 1, value };
    });
  };
  fc.assert(
    fc.property(anyEvents, anyEvents, (a, b) => {
      const { agreed, rest, same } = diff({ events: eventsOf(a) }, { events: eventsOf(b) });
      const paired = agreed + (rest ? rest.equal + rest.changed + rest.moved : 0);
      t.is(paired + (rest?.onlyA ?? 0), a.length + 1);
      t.is(paired + (rest?.onlyB ?? 0), b.length + 1);
      t.is(same, JSON.stringify(eventsOf(a)) === JSON.stringify(eventsOf(b)));
    }),
  );
});

test('that a recording was cut off is no divergence, and does not make two boots the same', (t) => {
  withDirectory((directory) => {
    const [whole, cut] = [join(directory, 'whole'), join(directory, 'cut')];
    write(whole, { events: serial('hello'.repeat(4000)) });
    const reader = TraceReader.open(whole);
    const second = reader.chunks.filter(({ type }) => type === 'EVTS')[1]!;
    writeFileSync(cut, readFileSync(whole).subarray(0, second.offset + 100));
    const partial = TraceReader.open(cut, { partial: true });
    const report = diffTraces(reader, partial);
    t.like(report, { same: false, first: null, rest: null, cut: 'b', agreed: 8192 });
    t.like(diffTraces(partial, reader), { same: false, first: null, cut: 'a', agreed: 8192 });
    t.like(diffTraces(partial, partial), { same: false, first: null, cut: 'both', agreed: 8192 });
    partial.close();
    reader.close();
  });
});

test('initial memory that nobody noticed is a difference', (t) => {
  const memory = (byte: number): Boot => ({ end: { memory: [{ address: 0x1000, data: Uint8Array.of(1, byte, 3) }] } });
  const report = diff(memory(2), memory(7));
  t.false(report.same);
  t.deepEqual(report.memory, { address: '0x1001', a: 2, b: 7 });
  t.regex(report.text, /guest 0x1001, 0x02 in A, 0x07 in B/);
});

test('the state does not count for who compares something else', (t) => {
  const boot = (state: number): Boot => ({ events: serial('x'), end: { state: new Uint8Array(32).fill(state) } });
  t.false(diff(boot(1), boot(2)).same);
  t.true(diff(boot(1), boot(2), { ignore: ['state-hash'] }).same);
  t.true(diff(boot(1), boot(2), { only: ['uart0'] }).same);
});

test('another entry state is named down to the field and the byte', (t) => {
  const entry = (byte: number, address: number) => ({
    header: {
      entry: {
        processor: Uint8Array.of(0, 0, byte),
        handoff: [
          [0, 'any'],
          [address, 'any'],
        ],
        loaded: [[address, 7]],
      },
    },
  });
  const found = diff(entry(1, 64), entry(1, 128)).header;
  // Where the recorder looked is no difference.
  t.deepEqual(found, [{ field: 'entry state handoff 1 0', a: '64', b: '128' }]);
  const [processor] = diff(entry(1, 64), entry(9, 64)).header;
  t.deepEqual(processor, { field: 'entry state processor byte 2', a: '1', b: '9' });
});
