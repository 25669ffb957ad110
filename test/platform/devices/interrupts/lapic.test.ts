import test from 'ava';
import fc from 'fast-check';
import { Lapic, MSR_APIC_BASE, MSR_TSC_DEADLINE } from '../../../../src/platform/devices/interrupts/lapic.js';
import { ManualClock } from '../manual-clock.js';
import { assertSaveLoad } from '../save-load.js';

const ID = 0x20;
const TPR = 0x80;
const PPR = 0xa0;
const EOI = 0xb0;
const LDR = 0xd0;
const DFR = 0xe0;
const SVR = 0xf0;
const ISR = 0x100;
const IRR = 0x200;
const ESR = 0x280;
const ICR_LOW = 0x300;
const ICR_HIGH = 0x310;
const LVT_TIMER = 0x320;
const LVT_LINT0 = 0x350;
const LVT_LINT1 = 0x360;
const INITIAL_COUNT = 0x380;
const CURRENT_COUNT = 0x390;
const DIVIDE = 0x3e0;

function rig(clock = new ManualClock()) {
  const log: unknown[] = [];
  const device = new Lapic({
    clock,
    // 2 GHz
    tsc: { now: () => BigInt(clock.now()) * 2n, timeOf: (tsc) => Number(tsc + 1n) / 2 },
    intr: (level) => log.push(['intr', level]),
    nmi: () => log.push('nmi'),
    eoi: (vector) => log.push(['eoi', vector]),
    init: () => log.push('init'),
  });
  const read = (offset: number) => device.mmioRead(offset, 4);
  const write = (offset: number, value: number) => device.mmioWrite(offset, 4, value);
  return { device, clock, log, read, write };
}

const fixed = (vector: number, level = false) => ({ destination: 0, logical: false, mode: 0, vector, level });

test('after reset it identifies itself as QEMU does and delivers nothing', (t) => {
  const { device, read, log } = rig();
  t.is(read(0x30), 0x00050014);
  t.is(read(ID), 0);
  t.is(read(SVR), 0xff);
  t.is(read(DFR), 0xffffffff);
  for (let lvt = LVT_TIMER; lvt <= 0x370; lvt += 0x10) t.is(read(lvt), 0x10000);
  t.is(device.msrRead(MSR_APIC_BASE), 0xfee00900n);
  device.deliver(fixed(0x40));
  t.false(device.hasInterrupt());
  t.deepEqual(log, []);
});

test('an interrupt goes through IRR and ISR and is ended by EOI', (t) => {
  const { device, read, write, log } = rig();
  write(SVR, 0x1ff);
  device.deliver(fixed(0x41));
  t.is(read(IRR + 0x20), 2);
  t.deepEqual(log, [['intr', true]]);
  t.is(device.acknowledge(), 0x41);
  t.is(read(IRR + 0x20), 0);
  t.is(read(ISR + 0x20), 2);
  t.is(read(PPR), 0x40);
  write(EOI, 0);
  t.is(read(ISR + 0x20), 0);
  t.deepEqual(log, [
    ['intr', true],
    ['intr', false],
  ]);
});

test('an interrupt of the same priority class waits for the end of the first', (t) => {
  const { device, write } = rig();
  write(SVR, 0x1ff);
  device.deliver(fixed(0x41));
  device.acknowledge();
  device.deliver(fixed(0x4f));
  t.false(device.hasInterrupt());
  device.deliver(fixed(0x51));
  t.is(device.acknowledge(), 0x51);
  write(EOI, 0);
  t.false(device.hasInterrupt());
  write(EOI, 0);
  t.is(device.acknowledge(), 0x4f);
});

test('the task priority holds interrupts back, whether set by MMIO or as CR8', (t) => {
  const { device, write, read } = rig();
  write(SVR, 0x1ff);
  write(TPR, 0x50);
  device.deliver(fixed(0x5f));
  t.false(device.hasInterrupt());
  t.is(read(PPR), 0x50);
  device.tpr = 0x40;
  t.true(device.hasInterrupt());
});

test('an acknowledge that comes too late gets the spurious vector and sets no ISR bit', (t) => {
  const { device, write, read } = rig();
  write(SVR, 0x1ef);
  device.deliver(fixed(0x41));
  write(TPR, 0xf0);
  t.is(device.acknowledge(), 0xef);
  for (let i = 0; i < 8; i++) t.is(read(ISR + 16 * i), 0);
});

test('the end of a level interrupt is broadcast, that of an edge interrupt is not', (t) => {
  const { device, write, log } = rig();
  write(SVR, 0x1ff);
  for (const level of [true, false]) {
    device.deliver(fixed(0x60, level));
    device.acknowledge();
    write(EOI, 0);
  }
  t.deepEqual(
    log.filter((entry) => Array.isArray(entry) && entry[0] === 'eoi'),
    [['eoi', 0x60]],
  );
});

test('the PIC reaches the processor only through LINT0 in ExtINT mode, or past a disabled APIC', (t) => {
  const { device, write } = rig();
  device.setLint0(true);
  t.false(device.hasInterrupt());
  write(LVT_LINT0, 0x8700);
  t.true(device.hasInterrupt());
  t.is(device.acknowledge(), -1);
  write(LVT_LINT0, 0x18700);
  t.false(device.hasInterrupt());
  device.msrWrite(MSR_APIC_BASE, 0xfee00000n);
  t.true(device.hasInterrupt());
  t.false(device.enabled);
  device.setLint0(false);
  t.false(device.hasInterrupt());
});

test('ExtINT is acknowledged before an own interrupt', (t) => {
  const { device } = rig();
  device.applyFirmwareSetup();
  device.deliver(fixed(0xf1));
  device.setLint0(true);
  t.is(device.acknowledge(), -1);
  device.setLint0(false);
  t.is(device.acknowledge(), 0xf1);
});

test('LINT0 as a fixed level interrupt withdraws its request when it falls', (t) => {
  const { device, write, read } = rig();
  write(SVR, 0x1ff);
  write(LVT_LINT0, 0x8055);
  device.setLint0(true);
  t.is(read(IRR + 0x20), 1 << 0x15);
  device.setLint0(false);
  t.is(read(IRR + 0x20), 0);
});

test('LINT1 as set up by firmware is the NMI', (t) => {
  const { device, write, log } = rig();
  device.pulseLint1();
  t.deepEqual(log, []);
  write(LVT_LINT1, 0x8400);
  device.pulseLint1();
  t.deepEqual(log, ['nmi']);
});

test('the one-shot timer counts down at 1 GHz over the divider and fires once, one tick after zero', (t) => {
  const { device, clock, write, read } = rig();
  write(SVR, 0x1ff);
  write(DIVIDE, 0x3); // by 16
  write(LVT_TIMER, 0x30);
  write(INITIAL_COUNT, 100);
  clock.advance(16 * 40 + 15);
  t.is(read(CURRENT_COUNT), 60);
  clock.advance(16 * 60);
  t.is(read(CURRENT_COUNT), 0);
  t.false(device.hasInterrupt());
  clock.advance(16);
  t.is(device.acknowledge(), 0x30);
  write(EOI, 0);
  clock.advance(1_000_000);
  t.false(device.hasInterrupt());
});

test('the periodic timer fires every count + 1 ticks for ever', (t) => {
  const { device, clock, write } = rig();
  write(SVR, 0x1ff);
  write(DIVIDE, 0xb); // by 1
  write(LVT_TIMER, 0x20030);
  write(INITIAL_COUNT, 999);
  for (let i = 1; i <= 5; i++) {
    clock.advance(999);
    t.false(device.hasInterrupt());
    clock.advance(1);
    t.is(device.acknowledge(), 0x30);
    write(EOI, 0);
  }
});

test('a masked timer runs without interrupting and interrupts when unmasked in time', (t) => {
  const { device, clock, write, read } = rig();
  write(SVR, 0x1ff);
  write(DIVIDE, 0xb);
  write(LVT_TIMER, 0x10030);
  write(INITIAL_COUNT, 1000);
  clock.advance(500);
  t.is(read(CURRENT_COUNT), 500);
  write(LVT_TIMER, 0x30);
  clock.advance(501);
  t.true(device.hasInterrupt());
});

test('all divider settings are honoured', (t) => {
  for (const [setting, divisor] of [
    [0x0, 2],
    [0x1, 4],
    [0x2, 8],
    [0x3, 16],
    [0x8, 32],
    [0x9, 64],
    [0xa, 128],
    [0xb, 1],
  ] as const) {
    const { clock, write, read } = rig();
    write(DIVIDE, setting);
    write(LVT_TIMER, 0x10030);
    write(INITIAL_COUNT, 10_000);
    clock.advance(128 * 7);
    t.is(read(CURRENT_COUNT), 10_000 - (128 * 7) / divisor);
  }
});

test('the TSC deadline timer fires when the TSC gets there and then reads 0', (t) => {
  const { device, clock, write, read } = rig();
  write(SVR, 0x1ff);
  device.msrWrite(MSR_TSC_DEADLINE, 1000n);
  t.is(device.msrRead(MSR_TSC_DEADLINE), 0n, 'writes outside the mode are ignored');
  write(LVT_TIMER, 0x40030);
  device.msrWrite(MSR_TSC_DEADLINE, 1000n);
  write(INITIAL_COUNT, 5);
  t.is(read(CURRENT_COUNT), 0);
  clock.advance(499);
  t.false(device.hasInterrupt());
  t.is(device.msrRead(MSR_TSC_DEADLINE), 1000n);
  clock.advance(2);
  t.true(device.hasInterrupt());
  t.is(device.msrRead(MSR_TSC_DEADLINE), 0n);
});

test('IPIs reach this processor by shorthand, by ID and by logical destination, and no other', (t) => {
  const { write, read, log } = rig();
  write(SVR, 0x1ff);
  write(LDR, 0x02000000);
  const send = (high: number, low: number) => {
    write(ICR_HIGH, high);
    write(ICR_LOW, low);
  };
  const requested = () => Array.from({ length: 8 }, (_, i) => read(IRR + 16 * i));
  send(0x01000000, 0x40); // physical 1: absent
  send(0x01000000, 0x840); // logical 1: not this one
  send(0, 0xc0040); // all but self
  t.deepEqual(requested(), new Array(8).fill(0));
  send(0x0f000000, 0x40040); // self, whatever the destination says
  send(0, 0x41); // physical 0
  send(0x03000000, 0x842); // logical mask with bit 1
  send(0xff000000, 0x43); // broadcast
  send(0, 0x80044); // all
  t.is(read(IRR + 0x20), 0x1f);
  send(0, 0x40400); // NMI
  send(0, 0x4500); // INIT
  send(0, 0xc500); // INIT, level assert
  send(0, 0x8500); // INIT de-assert: nothing
  send(0, 0x4608); // startup: nothing
  t.deepEqual(
    log.filter((entry) => !Array.isArray(entry)),
    ['nmi', 'init', 'init'],
  );
});

test('in the cluster model both cluster and member must match', (t) => {
  const { device, write } = rig();
  write(SVR, 0x1ff);
  write(DFR, 0x0fffffff);
  write(LDR, 0x21000000);
  const sent = (destination: number) => {
    device.deliver({ destination, logical: true, mode: 0, vector: 0x77, level: false });
    if (!device.hasInterrupt()) return false;
    device.acknowledge();
    write(EOI, 0);
    return true;
  };
  t.true(sent(0x23));
  t.false(sent(0x22));
  t.false(sent(0x11));
});

test('an MSI is a write beyond the register page', (t) => {
  const { device } = rig();
  device.mmioWrite(0xf0, 4, 0x1ff);
  device.mmioWrite(0x08, 4, 0x4045);
  t.is(device.acknowledge(), 0x45);
  device.deliverMsi(0xfee01000, 0x46);
  t.false(device.hasInterrupt(), 'destination 1 is absent');
});

test('reserved registers set the error status, which writes do not clear', (t) => {
  const { read, write } = rig();
  t.is(read(ESR), 0);
  t.is(read(0x40), 0);
  t.is(read(ESR), 0x80);
  write(ESR, 0);
  t.is(read(ESR), 0x80);
});

test('accesses other than aligned 4-byte ones read 0 and change nothing', (t) => {
  const { device, read } = rig();
  for (const [offset, size] of [
    [SVR, 1],
    [SVR, 2],
    [SVR + 2, 4],
  ] as const) {
    device.mmioWrite(offset, size, 0x1ff);
    t.is(device.mmioRead(offset, size), 0);
  }
  t.is(read(SVR), 0xff);
});

test('a copy loaded from saved state cannot be told from the original', (t) => {
  const offset = fc.oneof(
    fc.constantFrom(ID, TPR, PPR, EOI, LDR, DFR, SVR, ESR, ICR_LOW, ICR_HIGH, LVT_TIMER, LVT_LINT0, LVT_LINT1),
    fc.constantFrom(INITIAL_COUNT, CURRENT_COUNT, DIVIDE, 0x30),
    fc.integer({ min: 0x10, max: 0x27 }).map((n) => n * 16),
  );
  const value = fc.oneof(
    fc.constantFrom(0x1ff, 0x30, 0x20031, 0x40032, 0x8700, 0x10000, 0x40044, 0xb, 0, 5000),
    fc.nat({ max: 0xffffffff }),
  );
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), offset, value }),
    fc.record({ kind: fc.constant('read' as const), offset, value: fc.constant(0) }),
    fc.record({
      kind: fc.constantFrom('advance' as const, 'deliver' as const, 'lint0' as const, 'ack' as const, 'msr' as const),
      offset: fc.boolean().map(Number),
      value: fc.nat({ max: 3000 }),
    }),
  );
  assertSaveLoad((clock) => {
    const { device, log, read, write } = rig(clock);
    const apply = ({ kind, offset, value }: typeof operation extends fc.Arbitrary<infer T> ? T : never) => {
      switch (kind) {
        case 'write':
          // A period of a few ns would only make the test slow.
          return write(offset, offset === INITIAL_COUNT && value !== 0 ? Math.max(value, 50) : value);
        case 'read':
          return read(offset);
        case 'advance':
          return clock.advance(value);
        case 'deliver':
          return device.deliver(fixed(value & 0xff, offset === 1));
        case 'lint0':
          return device.setLint0(offset === 1);
        case 'ack':
          return device.hasInterrupt() ? device.acknowledge() : null;
        case 'msr':
          return device.msrWrite(MSR_TSC_DEADLINE, device.msrRead(MSR_TSC_DEADLINE) + BigInt(clock.now() * 2 + value));
      }
    };
    return { device, clock, log, apply };
  }, operation);
  t.pass();
});
