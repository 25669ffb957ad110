import test from 'ava';
import fc from 'fast-check';
import { Hpet } from '../../../../src/platform/devices/time/hpet.js';
import { ManualClock } from '../manual-clock.js';
import { assertSaveLoad } from '../save-load.js';

const CONFIG = 0x10;
const STATUS = 0x20;
const COUNTER = 0xf0;
const timer = (n: number) => ({ config: 0x100 + 0x20 * n, comparator: 0x108 + 0x20 * n, fsb: 0x110 + 0x20 * n });
const ENABLE = 1;
const LEGACY = 2;
/** Timer configuration bits. */
const LEVEL = 0x2;
const INT = 0x4;
const PERIODIC = 0x8;
const SET = 0x40;
const MODE32 = 0x100;
const ROUTE2 = 2 << 9;

function rig(clock = new ManualClock()) {
  const log: unknown[] = [];
  const device = new Hpet({
    clock,
    irq: (gsi, level) => log.push([gsi, level]),
    pitEnabled: (level) => log.push(['pit', level]),
  });
  const read = (offset: number) => device.mmioRead(offset, 4);
  const write = (offset: number, value: number) => device.mmioWrite(offset, 4, value);
  /** Interrupts so far, which empties the log. */
  const taken = () => log.splice(0).filter((entry) => (entry as unknown[])[1] === true);
  return { device, clock, log, read, write, taken };
}

test('capabilities are those of QEMU: three 64-bit periodic timers of 10 ns at interrupt 2', (t) => {
  const { read } = rig();
  t.is(read(0), 0x8086a201);
  t.is(read(4), 10_000_000);
  for (let n = 0; n < 3; n++) {
    t.is(read(timer(n).config), 0x30);
    t.is(read(timer(n).config + 4), 4);
    t.is(read(timer(n).comparator), 0xffffffff);
    t.is(read(timer(n).comparator + 4), 0xffffffff);
  }
});

test('the counter stands until enabled, counts 10 ns ticks, and stands again', (t) => {
  const { clock, read, write } = rig();
  clock.advance(5000);
  t.is(read(COUNTER), 0);
  write(COUNTER, 7);
  write(CONFIG, ENABLE);
  clock.advance(1005);
  t.is(read(COUNTER), 107);
  write(CONFIG, 0);
  clock.advance(5000);
  t.is(read(COUNTER), 107);
  write(COUNTER, 0xfffffffe);
  write(COUNTER + 4, 1);
  write(CONFIG, ENABLE);
  clock.advance(40);
  t.is(read(COUNTER), 2);
  t.is(read(COUNTER + 4), 2);
});

test('a one-shot interrupts once at its comparator', (t) => {
  const { clock, write, taken } = rig();
  write(timer(0).config, INT | ROUTE2);
  write(timer(0).comparator, 100);
  write(timer(0).comparator + 4, 0);
  write(CONFIG, ENABLE);
  taken();
  clock.advance(999);
  t.deepEqual(taken(), []);
  clock.advance(1);
  t.deepEqual(taken(), [[2, true]]);
  clock.advance(100_000);
  t.deepEqual(taken(), []);
});

test('a periodic timer interrupts every period, with the comparator always ahead of the counter', (t) => {
  const { clock, read, write, taken } = rig();
  write(CONFIG, ENABLE);
  write(timer(0).config, INT | PERIODIC | SET | ROUTE2);
  write(timer(0).comparator, 50);
  write(timer(0).comparator, 30);
  // The upper half still holds ones from reset until it is written too.
  write(timer(0).config, INT | PERIODIC | SET | ROUTE2 | MODE32);
  write(timer(0).comparator, 50);
  write(timer(0).comparator, 30);
  taken();
  clock.advance(500);
  t.is(taken().length, 1);
  t.is(read(timer(0).comparator), 80);
  clock.advance(290);
  t.is(taken().length, 0);
  clock.advance(10);
  t.is(taken().length, 1);
  clock.advance(300);
  t.is(taken().length, 1);
});

test('a period far behind the counter is caught up in one step', (t) => {
  const { clock, read, write, taken } = rig();
  write(COUNTER, 0x7fffffff);
  write(timer(0).config, INT | PERIODIC | SET | ROUTE2 | MODE32);
  write(timer(0).comparator, 0);
  write(timer(0).config, INT | PERIODIC | ROUTE2 | MODE32);
  write(timer(0).comparator, 1);
  write(CONFIG, ENABLE);
  taken();
  clock.advance(10);
  t.is(taken().length, 1);
  t.true(read(timer(0).comparator) > 0x7fffffff);
});

test('a level interrupt stays until its status bit is written', (t) => {
  const { clock, read, write, log } = rig();
  write(timer(1).config, INT | LEVEL | ROUTE2);
  write(timer(1).comparator, 10);
  write(timer(1).comparator + 4, 0);
  write(CONFIG, ENABLE);
  log.length = 0;
  clock.advance(100);
  t.is(read(STATUS), 2);
  t.deepEqual(log, [[2, true]]);
  write(STATUS, 1);
  t.is(read(STATUS), 2);
  write(STATUS, 2);
  t.is(read(STATUS), 0);
  t.deepEqual(log, [
    [2, true],
    [2, false],
  ]);
});

test('a 32-bit one-shot also interrupts when the lower half of the counter wraps', (t) => {
  const { clock, write, taken } = rig();
  write(COUNTER, 0xfffffff0);
  write(timer(0).config, INT | ROUTE2 | MODE32);
  write(timer(0).comparator, 0x10);
  write(CONFIG, ENABLE);
  taken();
  clock.advance(15 * 10);
  t.is(taken().length, 1);
  clock.advance(17 * 10);
  t.is(taken().length, 1);
  clock.advance(1_000_000);
  t.is(taken().length, 0);
});

test('legacy replacement takes the lines of PIT and RTC and gives them back', (t) => {
  const { device, clock, write, log } = rig();
  device.pitIrq(true);
  device.rtcIrq(true);
  t.deepEqual(log.splice(0), [
    [0, true],
    [8, true],
  ]);
  write(timer(0).config, INT);
  write(timer(0).comparator, 10);
  write(timer(0).comparator + 4, 0);
  write(CONFIG, ENABLE | LEGACY);
  t.deepEqual(log.splice(0), [
    ['pit', false],
    [0, false],
    [8, false],
  ]);
  device.pitIrq(false);
  t.deepEqual(log, []);
  clock.advance(100);
  t.deepEqual(log.splice(0), [
    [0, true],
    [0, false],
  ]);
  write(CONFIG, ENABLE);
  t.deepEqual(log, [
    [0, false],
    ['pit', true],
    [8, true],
  ]);
});

test('disabling stops the timers and lowers their lines', (t) => {
  const { clock, write, taken, read } = rig();
  write(timer(0).config, INT | LEVEL | ROUTE2);
  write(timer(0).comparator, 10);
  write(timer(0).comparator + 4, 0);
  write(CONFIG, ENABLE);
  clock.advance(100);
  t.is(read(STATUS), 1);
  write(CONFIG, 0);
  t.is(read(STATUS), 0);
  taken();
  clock.advance(1_000_000);
  t.deepEqual(taken(), []);
});

test('other widths than 4 bytes read 0 and write nothing', (t) => {
  const { device, read } = rig();
  t.is(device.mmioRead(0, 1), 0);
  t.is(device.mmioRead(0, 2), 0);
  t.is(device.mmioRead(2, 4), 0);
  device.mmioWrite(CONFIG, 1, 1);
  t.is(read(CONFIG), 0);
});

test('a copy loaded from saved state cannot be told from the original', (t) => {
  const offset = fc.constantFrom(
    ...[0, 1, 2, 3].flatMap((n) => [
      timer(n).config,
      timer(n).config + 4,
      timer(n).comparator,
      timer(n).comparator + 4,
    ]),
    ...[CONFIG, CONFIG, STATUS, COUNTER, COUNTER + 4, timer(1).fsb],
  );
  const value = fc.oneof(
    fc.nat({ max: 3 }),
    fc.constantFrom(INT | ROUTE2, INT | PERIODIC | SET | ROUTE2 | MODE32, INT | LEVEL | ROUTE2, INT | MODE32 | ROUTE2),
    fc.integer({ min: 50, max: 2000 }),
    fc.nat({ max: 0xffffffff }),
  );
  const operation = fc.record({
    kind: fc.constantFrom('write', 'write', 'read', 'advance', 'rtc', 'pit'),
    offset,
    value,
  });
  assertSaveLoad((clock) => {
    const { device, log, read, write } = rig(clock);
    return {
      device,
      clock,
      log,
      apply: ({ kind, offset, value }) => {
        if (kind === 'write') return write(offset, value);
        if (kind === 'read') return read(offset);
        if (kind === 'advance') return clock.advance(value % 2000);
        if (kind === 'rtc') return device.rtcIrq((value & 1) === 0);
        return device.pitIrq((value & 1) === 0);
      },
    };
  }, operation);
  t.pass();
});
