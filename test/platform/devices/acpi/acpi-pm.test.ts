import test from 'ava';
import fc from 'fast-check';
import { AcpiPm } from '../../../../src/platform/devices/acpi/acpi-pm.js';
import { ManualClock } from '../manual-clock.js';
import { assertSaveLoad } from '../save-load.js';

const STATUS = 0;
const ENABLE = 2;
const CONTROL = 4;
const TIMER = 8;

function rig(clock = new ManualClock(), smm = false) {
  const log: unknown[] = [];
  const device = new AcpiPm({
    clock,
    sci: (level) => log.push(['sci', level]),
    poweroff: () => log.push('poweroff'),
    suspend: () => log.push('suspend'),
    wake: () => log.push('wake'),
    smi: () => log.push('smi'),
    mapPm: (base) => log.push(['pm', base]),
    smm,
  });
  return { device, clock, log, pm: device.pm, gpe: device.gpe, apm: device.apm };
}

test('the PM block is decoded where the base register says, while enabled', (t) => {
  const { device, log } = rig();
  device.setPmBase();
  t.deepEqual(log.splice(0), [['pm', 0x600]]);
  device.configWrite(0x40, 4, 0xb001);
  device.configWrite(0x80, 1, 0);
  t.deepEqual(log, [
    ['pm', 0xb000],
    ['pm', undefined],
  ]);
});

test('the timer counts 3.579545 MHz in 24 bits, exactly', (t) => {
  const { clock, pm } = rig();
  clock.advance(1_000_000_000);
  t.is(pm.portRead(TIMER, 4), 3579545);
  clock.advance(279);
  t.is(pm.portRead(TIMER, 4), 3579545);
  clock.advance(1);
  t.is(pm.portRead(TIMER, 4), 3579546);
  clock.advance(86_400_000_000_000);
  const ticks = (86_401_000_000_280n * 3579545n) / 1_000_000_000n;
  t.is(pm.portRead(TIMER, 4), Number(ticks & 0xffffffn));
  t.is(pm.portRead(TIMER, 1), Number(ticks & 0xffn));
});

test('the timer status bit is set from the start and then every 2^23 ticks, with an SCI if enabled', (t) => {
  const { clock, pm, log } = rig();
  t.is(pm.portRead(STATUS, 2), 1);
  pm.portWrite(STATUS, 2, 1);
  t.is(pm.portRead(STATUS, 2), 0);
  pm.portWrite(ENABLE, 2, 1);
  const half = Number((0x800000n * 1_000_000_000n) / 3579545n);
  clock.advance(half - 1);
  t.deepEqual(log, []);
  clock.advance(1);
  t.deepEqual(log.splice(0), [['sci', true]]);
  t.is(pm.portRead(STATUS, 2), 1);
  clock.advance(1000);
  pm.portWrite(STATUS, 2, 1);
  t.deepEqual(log.splice(0), [['sci', false]]);
  clock.advance(half);
  t.deepEqual(log, [['sci', true]]);
});

test('the power button sets its status bit and raises the SCI, if enabled', (t) => {
  const { device, pm, log } = rig();
  device.powerButton();
  t.is(pm.portRead(STATUS, 2) & 0x100, 0);
  pm.portWrite(ENABLE, 2, 0x100);
  device.powerButton();
  t.is(pm.portRead(STATUS, 2) & 0x100, 0x100);
  pm.portWrite(STATUS, 2, 0x100);
  t.deepEqual(log, [
    ['sci', true],
    ['sci', false],
  ]);
});

test('sleep type 0 with sleep enable is power-off, without it is not', (t) => {
  const { pm, log } = rig();
  pm.portWrite(CONTROL, 2, 0x0001);
  t.deepEqual(log, []);
  pm.portWrite(CONTROL, 2, 0x2001);
  t.deepEqual(log, ['poweroff']);
  t.is(pm.portRead(CONTROL, 2), 1, 'sleep enable reads 0');
});

test('sleep type 2, S4, is power-off, too; other types do nothing', (t) => {
  const { pm, log } = rig();
  pm.portWrite(CONTROL, 2, 0x2000 | (2 << 10));
  pm.portWrite(CONTROL, 2, 0x2000 | (5 << 10));
  t.deepEqual(log, ['poweroff']);
});

for (const [cause, status] of [
  ['rtc', 0x8400],
  ['timer', 0x8001],
  ['user', 0x8100],
] as const) {
  test(`sleep type 1, S3, suspends until a wake-up by the ${cause} resets the machine, which says why`, (t) => {
    const { device, pm, log } = rig();
    device.wake(cause);
    t.deepEqual(log, [], 'a machine that runs does not wake up');
    pm.portWrite(CONTROL, 2, 0x2000 | (1 << 10));
    device.wake(cause);
    device.wake(cause);
    t.deepEqual(log, ['suspend', 'wake']);
    device.reset();
    t.is(pm.portRead(STATUS, 2) | 1, status | 1, 'the timer bit comes by itself');
    device.reset();
    t.is(pm.portRead(STATUS, 2) & ~1, 0);
  });
}

test('an alarm ends a suspension only with its bit in PM1 enable, once that was written', (t) => {
  const { device, pm, log } = rig();
  pm.portWrite(ENABLE, 2, 0x100);
  pm.portWrite(CONTROL, 2, 0x2000 | (1 << 10));
  device.wake('rtc');
  t.deepEqual(log, ['suspend']);
  pm.portWrite(ENABLE, 2, 0x400);
  device.wake('rtc');
  t.deepEqual(log, ['suspend', 'wake']);
});

test('without SMM the SCI is always enabled and APM commands do nothing to it', (t) => {
  const { pm, apm, device } = rig();
  t.is(device.configRead(0x5b, 1), 2);
  t.is(pm.portRead(CONTROL, 2), 1);
  apm.portWrite(0, 1, 0xf0);
  t.is(pm.portRead(CONTROL, 2), 1);
  t.is(apm.portRead(0, 1), 0xf0);
});

test('with SMM the commands 0xf1 and 0xf0 switch ACPI mode on and off', (t) => {
  const { pm, apm, device } = rig(new ManualClock(), true);
  t.is(device.configRead(0x5b, 1), 0);
  t.is(pm.portRead(CONTROL, 2), 0);
  apm.portWrite(0, 1, 0xf1);
  t.is(pm.portRead(CONTROL, 2), 1);
  apm.portWrite(0, 1, 0xf0);
  t.is(pm.portRead(CONTROL, 2), 0);
  apm.portWrite(1, 1, 0x55);
  t.is(apm.portRead(1, 1), 0x55);
});

test('with SMM other commands are SMIs, once DEVACTB says so', (t) => {
  const { apm, device, log } = rig(new ManualClock(), true);
  apm.portWrite(0, 1, 0x55);
  device.configWrite(0x5b, 1, 2);
  apm.portWrite(0, 1, 0xf1);
  apm.portWrite(1, 1, 0x55);
  t.deepEqual(log, []);
  apm.portWrite(0, 1, 0x55);
  t.deepEqual(log, ['smi']);
});

test('GPE enable is kept, status is cleared by writing ones', (t) => {
  const { gpe } = rig();
  gpe.portWrite(2, 2, 0xa55a);
  t.is(gpe.portRead(2, 2), 0xa55a);
  t.is(gpe.portRead(3, 1), 0xa5);
  gpe.portWrite(0, 2, 0xffff);
  t.is(gpe.portRead(0, 4), 0xa55a0000);
});

test('ports without a register read all ones, refused widths read 0', (t) => {
  const { pm } = rig();
  t.is(pm.portRead(0x06, 2), 0xffff);
  t.is(pm.portRead(0x0c, 4), 0xffffffff);
  t.is(pm.portRead(STATUS, 4), 0);
  t.is(pm.portRead(CONTROL, 4), 0);
});

test('a copy loaded from saved state cannot be told from the original', (t) => {
  const operation = fc.record({
    kind: fc.constantFrom('pm', 'pm', 'read', 'gpe', 'apm', 'config', 'advance', 'button', 'wake', 'reset'),
    offset: fc.constantFrom(0, 0, 2, 4, 8, 1, 12),
    size: fc.constantFrom(1 as const, 2 as const, 4 as const),
    value: fc.oneof(fc.constantFrom(0x101, 0x2001, 0x2401, 1, 0xf1, 0xf0), fc.nat({ max: 0xffffffff })),
  });
  assertSaveLoad((clock) => {
    const { device, log, pm, gpe, apm } = rig(clock, true);
    return {
      device,
      clock,
      log,
      apply: ({ kind, offset, size, value }) => {
        if (kind === 'pm') return pm.portWrite(offset, size, value);
        if (kind === 'read') return [pm.portRead(offset, size), gpe.portRead(0, 4), apm.portRead(0, 2)];
        if (kind === 'gpe') return gpe.portWrite(offset & 3, size, value);
        if (kind === 'apm') return apm.portWrite(offset & 1, size, value);
        if (kind === 'config') return device.configWrite(offset & 1 ? 0x40 : 0x80, size, value);
        if (kind === 'advance') return clock.advance(value);
        if (kind === 'wake') return device.wake(value & 1 ? 'rtc' : 'user');
        if (kind === 'reset') return device.reset();
        return device.powerButton();
      },
    };
  }, operation);
  t.pass();
});
