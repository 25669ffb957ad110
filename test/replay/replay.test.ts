import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { Divergence } from '../../src/replay/divergence.js';
import { TraceReader } from '../../src/trace/reader.js';
import { withDirectory, writeTrace } from '../trace/sample-trace.js';
import type { Op } from './fake-machine.js';
import { recordFake, replayFake, replayFakeLive } from './fake-runs.js';

const everything: Op[] = [
  { do: 'milestone', name: 'entry' },
  { do: 'out', port: 0x92, value: 2 },
  { do: 'in', port: 0x60 },
  { do: 'out', port: 0x3f8, value: 'acc' },
  { do: 'ins', port: 0x61, count: 300 },
  { do: 'outs', port: 0x402, data: Buffer.from('hello') },
  { do: 'mmio-read', address: 0xfee0_0030 },
  { do: 'mmio-write', address: 0xfee0_00b0, value: 0 },
  { do: 'msr-read', index: 0x1b },
  { do: 'msr-write', index: 0x6e0, value: 0xffff_ffff_ffffn },
  { do: 'out', port: 0xb0, value: 1 },
  { do: 'load', address: 0x2001 },
  { do: 'out', port: 0xb1, value: 1 },
  { do: 'out', port: 0xb2, value: 200 },
  { do: 'out', port: 0xb2, value: 16 },
  { do: 'out', port: 0xb3, value: 1 },
  { do: 'nop' },
  { do: 'nop' },
  { do: 'nop' },
  { do: 'load', address: 0x2002 },
  { do: 'out', port: 0x40, value: 3 },
  { do: 'nop' },
  { do: 'nop' },
  { do: 'nop' },
  { do: 'nop' },
  { do: 'sti' },
  { do: 'in', port: 0x60 },
  { do: 'out', port: 0x40, value: 77 },
  { do: 'hlt' },
  { do: 'out', port: 0x3f8, value: 'acc' },
  { do: 'out', port: 0xf4, value: 5 },
  { do: 'nop' },
];

test('a sealed replay reaches the state that was recorded, without the devices', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    const recorded = recordFake(path, everything);
    const replayed = replayFake(path, everything);
    t.is(replayed.divergence, undefined);
    t.deepEqual(replayed.end, { reason: 'debug-exit', code: 5 });
    t.deepEqual(recorded.end, replayed.end);
    t.deepEqual(replayed.cpu.state(), recorded.cpu.state());
    t.deepEqual(replayed.cpu.memory.bytes, recorded.cpu.memory.bytes);
    t.is(replayed.cpu.cycle, recorded.cpu.cycle);
    t.deepEqual(replayed.cpu.vectors, [0x20, 0x20]);
  });
});

test('every kind of event that the machine can make is in the recording', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    recordFake(path, everything);
    const reader = TraceReader.open(path);
    const kinds = new Set([...reader.events()].map(({ kind }) => kind));
    reader.close();
    t.is(kinds.size, 18, [...kinds].join(' '));
    t.false(kinds.has('input'));
  });
});

test('two recordings of one boot are the same file', (t) => {
  withDirectory((directory) => {
    const a = recordFake(join(directory, 'a'), everything);
    const b = recordFake(join(directory, 'b'), everything);
    t.is(a.root, b.root);
  });
});

const anyOp: fc.Arbitrary<Op> = fc.oneof(
  fc.constantFrom(...everything.filter((op) => op.do !== 'hlt')),
  fc.record({
    do: fc.constant('out' as const),
    port: fc.constantFrom(0x40, 0xb0, 0xb1, 0xb2, 0x92),
    value: fc.nat(60),
  }),
  fc.constantFrom<Op>({ do: 'sti' }, { do: 'cli' }, { do: 'hlt' }, { do: 'nop' }, { do: 'in', port: 0x60 }),
);

test('any program replays, sealed and live, without divergence', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    fc.assert(
      fc.property(fc.array(anyOp, { maxLength: 60 }), (program) => {
        const recorded = recordFake(path, program);
        const replayed = replayFake(path, program);
        t.is(replayed.divergence, undefined, replayed.divergence?.summary);
        t.deepEqual(replayed.cpu.state(), recorded.cpu.state());
        t.is(replayed.cpu.cycle, recorded.cpu.cycle);
        t.is(replayFakeLive(path, program), undefined);
      }),
      { numRuns: 40 },
    );
  });
});

/** Record `everything`, replay it with one operation changed. */
function divergeAt(index: number, op: Op): Divergence | undefined {
  return withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    recordFake(path, everything);
    return replayFake(path, [...everything.slice(0, index), op, ...everything.slice(index + 1)]).divergence;
  });
}

test('another value written is a divergence that names both values', (t) => {
  const found = divergeAt(7, { do: 'mmio-write', address: 0xfee0_00b0, value: 1 });
  t.deepEqual(found?.fields, ['value']);
  t.is(found?.expected?.kind, 'mmio-write');
  t.is(found?.actual?.value, 1);
  t.is(found?.rip, 0x1007n);
  t.is(
    found?.summary,
    'mmio-write: the trace has mmio-write 0xfee000b0.4 = 0x0, this run mmio-write 0xfee000b0.4 = 0x1',
  );
});

test('another port is a divergence that names both accesses', (t) => {
  const found = divergeAt(2, { do: 'in', port: 0x64 });
  t.is(found?.summary, 'the trace has port-read 0x60.1 = 0x8, and the guest did port-read 0x64.1 = 0x8');
});

test('a request that is left out shows at the next one', (t) => {
  const found = divergeAt(3, { do: 'nop' });
  t.is(found?.expected?.address, 0x3f8);
  t.is(found?.actual?.kind, 'port-read-string');
  t.is(found?.cycle, 40);
});

test('a request that is left out is missed even if the guest never makes another', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    const nops = Array.from({ length: 1000 }, (): Op => ({ do: 'nop' }));
    recordFake(path, [...nops, { do: 'out', port: 0x3f8, value: 1 }]);
    const found = replayFake(path, [...nops, ...nops]).divergence;
    t.is(found?.expected?.address, 0x3f8);
    t.is(found?.actual, undefined);
  });
});

test('a request with another string length is a divergence', (t) => {
  t.deepEqual(divergeAt(4, { do: 'ins', port: 0x61, count: 301 })?.fields, ['data']);
});

test('a milestone that does not come is a divergence', (t) => {
  t.is(divergeAt(0, { do: 'nop' })?.expected?.kind, 'milestone');
});

test('an interrupt that is not taken is a divergence', (t) => {
  t.is(divergeAt(25, { do: 'nop' })?.expected?.kind, 'interrupt');
});

test('a change that no request shows is found by the next state hash', (t) => {
  const found = divergeAt(11, { do: 'load', address: 0x2002 });
  t.is(found?.expected?.kind, 'state-hash');
  t.deepEqual(found?.fields, ['data']);
});

test('state hashes that come late change no report, whatever agreed or differed meanwhile', (t) => {
  const hashed = new Set<string | undefined>();
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    recordFake(path, everything);
    const others: Op[] = [{ do: 'nop' }, { do: 'load', address: 0x2002 }, { do: 'out', port: 0x80, value: 1 }];
    const changed = everything.flatMap((_, i) =>
      others.map((op) => [...everything.slice(0, i), op, ...everything.slice(i + 1)]),
    );
    for (const program of [everything, ...changed]) {
      const [now, late] = [false, true].map((late) => replayFake(path, program, late).divergence);
      t.deepEqual(plain(late), plain(now));
      hashed.add(now?.expected?.kind);
    }
  });
  t.true(hashed.has('state-hash') && hashed.has(undefined) && hashed.size > 4);
});

/** Bytes as hexadecimal digits, however they are held. */
function plain(found: Divergence | undefined): unknown {
  const event = (one: { readonly data: Uint8Array } | undefined) =>
    one && { ...one, data: Buffer.from(one.data).toString('hex') };
  return found && { ...found, expected: event(found.expected), actual: event(found.actual) };
}

test('other guest memory is found when a device reads it', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    const program: Op[] = [{ do: 'out', port: 0xb2, value: 8 }];
    recordFake(path, program);
    const reader = TraceReader.open(path);
    const events = [...reader.events()];
    reader.close();
    const bad = join(directory, 'b.vmr');
    writeTrace(
      bad,
      events.slice(0, -1).map(({ ...event }) => ({ ...event })),
    );
    const found = replayFake(bad, program).divergence;
    t.is(found?.expected?.kind, 'dma-read');
    t.deepEqual(found?.fields, ['data']);
  });
});

test('a run that ends otherwise is a divergence', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    recordFake(path, [{ do: 'nop' }, { do: 'nop' }]);
    const found = replayFake(path, [{ do: 'nop' }, { do: 'nop' }, { do: 'nop' }]).divergence;
    t.is(found?.expected?.kind, 'end');
  });
});

test('live replay notices a device that answers otherwise', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    recordFake(path, everything);
    const found = replayFakeLive(path, everything, 2);
    t.is(found?.expected?.kind, 'port-read');
    t.deepEqual(found?.fields, ['value']);
    t.is(found?.index, 3);
  });
});

test('a guest that halts with a timer still running ends at the cycle of the timer, as it did', (t) => {
  withDirectory((directory) => {
    const path = join(directory, 'a.vmr');
    const program: Op[] = [{ do: 'out', port: 0x40, value: 20 }, { do: 'hlt' }];
    t.is(recordFake(path, program).cpu.cycle, 200);
    t.is(replayFake(path, program).divergence, undefined);
  });
});
