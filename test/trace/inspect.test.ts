import { statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { inspect, inspectionText, listEvents } from '../../src/trace/inspect.js';
import { TraceReader } from '../../src/trace/reader.js';
import { type SampleEvent, sampleHeader, withDirectory, writeTrace } from './sample-trace.js';

const events: SampleEvent[] = [
  { kind: 'milestone', cycle: 0, name: 'entry', rip: 0xffff_fff0n },
  { kind: 'port-write', cycle: 10, address: 0x3f8, size: 1, value: 72 },
  { kind: 'port-write', cycle: 20, address: 0x3f8, size: 1, value: 105 },
  { kind: 'mmio-read', cycle: 30, address: 0xfee0_0030, size: 4, value: 0x5_0014 },
];

function withTrace<T>(body: (reader: TraceReader, root: string) => T): T {
  return withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    const root = writeTrace(path, events);
    const reader = TraceReader.open(path);
    try {
      return body(reader, root);
    } finally {
      reader.close();
    }
  });
}

test('inspect gives the fields of the command-line contract, in its order, and whether the trace is sealed', (t) => {
  withTrace((reader, root) => {
    t.is(
      JSON.stringify(inspect(reader)),
      JSON.stringify({
        format: 'vmreplay-trace 2.1',
        tool: 'vmreplay test',
        machine: 'pc',
        cpu: 'baseline-1',
        timing: { name: 'boot-1', nsPerCycle: 4 },
        root,
        images: [{ role: 'kernel', name: 'vmlinux', sha256: sampleHeader.images[0]!.sha256, size: 1234 }],
        cycles: 1000,
        instructions: 900,
        end: { reason: 'poweroff', code: null },
        state: '07'.repeat(32),
        events: { total: 5, byKind: { 'port-write': 2, 'mmio-read': 1, milestone: 1, end: 1 } },
        milestones: [{ name: 'entry', cycle: 0, rip: '0xfffffff0' }],
        bytes: statSync(reader.path).size,
        sealed: true,
      }),
    );
  });
});

test('inspect for people names machine, end, root and counts', (t) => {
  withTrace((reader, root) => {
    const text = inspectionText(reader);
    for (const part of ['pc, 256 MiB', 'poweroff', root, 'port-write', 'entry at cycle 0']) t.true(text.includes(part));
  });
});

test('events are listed by cycle, kind and device', (t) => {
  withTrace((reader) => {
    const texts = (selection: Parameters<typeof listEvents>[1]) =>
      [...listEvents(reader, selection)].map(({ index }) => index);
    t.deepEqual(texts({}), [0, 1, 2, 3, 4]);
    t.deepEqual(texts({ from: 10, to: 20 }), [1, 2]);
    t.deepEqual(texts({ kinds: ['lapic'] }), [3]);
    t.deepEqual(texts({ kinds: ['port-write', 'milestone'] }), [0, 1, 2]);
  });
});

test('a listed event shows the fields of its kind and its meaning', (t) => {
  withTrace((reader) => {
    t.deepEqual([...listEvents(reader, { from: 30, to: 30 })][0], {
      index: 3,
      cycle: 30,
      cs: '0x10',
      rip: '0xffffffff81000000',
      kind: 'mmio-read',
      address: '0xfee00030',
      size: 4,
      value: '0x50014',
      device: 'lapic',
      register: 'version',
      text: 'lapic version: mmio-read 0xfee00030.4 = 0x50014',
    });
  });
});
