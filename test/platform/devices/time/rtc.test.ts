import test from 'ava';
import fc from 'fast-check';
import { parseIsoTime } from '../../../../src/platform/calendar.js';
import { Rtc } from '../../../../src/platform/devices/time/rtc.js';
import { nextAlarm } from '../../../../src/platform/devices/time/rtc-alarm.js';
import { storeBoardSetup } from '../../../../src/platform/devices/time/rtc-board.js';
import { assertSurvivesSaveAndLoad, Rig } from '../../rig.js';

const SECOND = 1_000_000_000;
const A = 0x0a;
const B = 0x0b;
const C = 0x0c;

function bench(start = '2020-01-01T00:00:00Z') {
  const rig = new Rig();
  const rtc = new Rtc(rig.clock, rig.line('irq8'), parseIsoTime(start));
  const read = (index: number): number => {
    rtc.portWrite(0, 1, index);
    return rtc.portRead(1, 1);
  };
  const write = (index: number, value: number): void => {
    rtc.portWrite(0, 1, index);
    rtc.portWrite(1, 1, value);
  };
  /** Century, year, month, day, weekday, hours, minutes, seconds, in hex. */
  const date = (): string =>
    [0x32, 9, 8, 7, 6, 4, 2, 0].map((index) => read(index).toString(16).padStart(2, '0')).join(' ');
  return { rig, rtc, read, write, date };
}

test('the clock starts at the given time, in BCD and 24 hours', (t) => {
  const { read, date } = bench('2019-12-31T23:59:58Z');
  t.is(date(), '20 19 12 31 03 23 59 58');
  t.deepEqual([A, B, C, 0x0d].map(read), [0x26, 0x02, 0x00, 0x80]);
});

test('the clock advances with virtual time across a year', (t) => {
  const { rig, date } = bench('2019-12-31T23:59:58Z');
  rig.advance(2 * SECOND);
  t.is(date(), '20 20 01 01 04 00 00 00');
});

test('binary and 12-hour formats are those of register B', (t) => {
  const { read, write, date } = bench('2020-06-15T13:45:00Z');
  write(B, 0x00);
  t.is(read(4), 0x81);
  write(B, 0x04);
  t.is(date(), '14 14 06 0f 02 81 2d 00');
  write(B, 0x06);
  t.is(read(4), 13);
});

test('midnight and noon are 12 in 12-hour format', (t) => {
  const midnight = bench('2020-01-01T00:30:00Z');
  midnight.write(B, 0);
  t.is(midnight.read(4), 0x12);
  const noon = bench('2020-01-01T12:30:00Z');
  noon.write(B, 0);
  t.is(noon.read(4), 0x92);
});

test('the index port reads as 0xff and keeps the NMI mask', (t) => {
  const { rtc } = bench();
  rtc.portWrite(0, 1, 0x8d);
  t.is(rtc.portRead(0, 1), 0xff);
  t.is(rtc.portRead(1, 1), 0x80);
  t.true(rtc.nmiMasked);
});

test('the century has an alias at 0x37', (t) => {
  const { read, write } = bench();
  t.is(read(0x37), 0x20);
  write(0x37, 0x21);
  t.is(read(0x32), 0x21);
});

test('CMOS RAM keeps what is written, registers C and D do not', (t) => {
  const { read, write } = bench();
  for (const index of [0x0e, 0x40, 0x7f, C, 0x0d]) write(index, 0x5a);
  t.deepEqual([0x0e, 0x40, 0x7f, C, 0x0d].map(read), [0x5a, 0x5a, 0x5a, 0x00, 0x80]);
});

test('SET stops the registers, and clearing it starts the clock from them', (t) => {
  const { rig, write, date } = bench();
  write(B, 0x82);
  rig.advance(5 * SECOND);
  t.is(date(), '20 20 01 01 04 00 00 00');
  for (const [index, value] of [
    [0x32, 0x19],
    [9, 0x99],
    [8, 0x12],
    [7, 0x31],
    [4, 0x23],
    [2, 0x59],
    [0, 0x59],
  ] as const)
    write(index, value);
  write(B, 0x02);
  rig.advance(SECOND);
  t.is(date(), '20 00 01 01 07 00 00 00');
});

test('writing a date register sets the running clock', (t) => {
  const { rig, write, date } = bench();
  write(2, 0x30);
  rig.advance(61 * SECOND);
  t.is(date(), '20 20 01 01 04 00 31 01');
});

test('the divider chain in reset stops the clock; the first update comes half a second after release', (t) => {
  const { rig, read, write } = bench();
  write(A, 0x66);
  rig.advance(10 * SECOND);
  t.is(read(0), 0x00);
  write(A, 0x26);
  rig.advance(SECOND / 2 - 1);
  t.is(read(0), 0x00);
  rig.advance(1);
  t.is(read(0), 0x01);
});

test('UIP is up in the last 244 microseconds of a second', (t) => {
  const { rig, read } = bench();
  rig.advance(SECOND - 244_141);
  t.is(read(A), 0x26);
  rig.advance(1);
  t.is(read(A), 0xa6);
  rig.advance(244_140);
  t.is(read(A), 0x26);
  t.is(read(0), 0x01);
});

test('UIP that was seen falls at the update', (t) => {
  const { rig, read } = bench();
  rig.advance(SECOND - 1);
  t.is(read(A), 0xa6);
  rig.advance(1);
  t.is(read(A), 0x26);
});

test('update-ended interrupts come every second and register C ends them', (t) => {
  const { rig, read, write } = bench();
  write(B, 0x12);
  rig.takeLog();
  rig.advance(SECOND);
  t.deepEqual(rig.takeLog(), ['irq8 1']);
  t.is(read(C), 0x90);
  t.deepEqual(rig.takeLog(), ['irq8 0']);
  t.is(read(C), 0x00);
  rig.advance(SECOND);
  t.deepEqual(rig.takeLog().slice(-1), ['irq8 1']);
});

test('periodic interrupts come at the selected rate', (t) => {
  const { rig, read, write } = bench();
  write(A, 0x26); // 1024 Hz
  write(B, 0x42);
  let count = 0;
  for (let i = 0; i < 4096; i++) {
    rig.advance(SECOND / 4096);
    if (read(C) & 0x40) count++;
  }
  t.is(count, 1024);
});

test('rate codes 1 and 2 are 256 and 128 Hz', (t) => {
  for (const [code, hertz] of [
    [1, 256],
    [2, 128],
    [3, 8192],
    [15, 2],
  ] as const) {
    const { rig, read, write } = bench();
    write(A, 0x20 | code);
    write(B, 0x42);
    let count = 0;
    const step = 30_000;
    for (let at = 0; at < SECOND; at += step) {
      rig.advance(Math.min(step, SECOND - at));
      if (read(C) & 0x40) count++;
    }
    t.is(count, hertz);
  }
});

test('the alarm interrupts at its time of day', (t) => {
  const { rig, read, write } = bench('2020-01-01T11:59:57Z');
  write(5, 0x12);
  write(3, 0x00);
  write(1, 0x00);
  write(B, 0x22);
  rig.takeLog();
  rig.advance(3 * SECOND - 1);
  t.deepEqual(rig.takeLog(), []);
  rig.advance(1);
  t.deepEqual(rig.takeLog(), ['irq8 1']);
  t.is(read(C) & 0xa0, 0xa0);
});

test('an alarm in the afternoon works in 12-hour format', (t) => {
  const { rig, write, read } = bench('2020-01-01T11:59:59Z');
  write(B, 0x20);
  write(5, 0x92);
  write(3, 0x00);
  write(1, 0x01);
  read(C);
  rig.takeLog();
  rig.advance(2 * SECOND);
  t.deepEqual(rig.takeLog(), ['irq8 1']);
});

test('enabling an interrupt whose flag is up interrupts at once', (t) => {
  const { rig, write } = bench();
  rig.advance(SECOND);
  rig.takeLog();
  write(B, 0x12);
  t.deepEqual(rig.takeLog(), ['irq8 1']);
});

test('reset disables interrupts and keeps time and RAM', (t) => {
  const { rig, rtc, read, write, date } = bench();
  write(0x40, 0x77);
  write(0x0f, 0x05);
  write(B, 0x72);
  rig.advance(3 * SECOND);
  rtc.reset();
  t.is(read(B), 0x12);
  t.is(read(C), 0x00);
  t.is(read(0x0f), 0x00);
  t.is(read(0x40), 0x77);
  t.is(date(), '20 20 01 01 04 00 00 03');
});

test('the next alarm agrees with a search of the day', (t) => {
  const field = (limit: number) => fc.oneof(fc.constant(-1), fc.nat(limit - 1));
  fc.assert(
    fc.property(field(24), field(60), field(60), fc.nat(86_399), (hour, minute, second, now) => {
      const at = (seconds: number) => ({
        hour: Math.floor(seconds / 3600) % 24,
        minute: Math.floor(seconds / 60) % 60,
        second: seconds % 60,
      });
      let expected = 1;
      const matches = (seconds: number): boolean => {
        const time = at(seconds);
        return (
          (hour === -1 || time.hour === hour) &&
          (minute === -1 || time.minute === minute) &&
          (second === -1 || time.second === second)
        );
      };
      while (!matches(now + expected)) expected++;
      t.is(nextAlarm({ hour, minute, second }, at(now)), expected);
    }),
    { numRuns: 3000 },
  );
});

test('memory sizes are in CMOS RAM as the firmware looks for them', (t) => {
  const { rtc, read } = bench();
  storeBoardSetup(rtc, 128 * 1024 * 1024);
  const word = (index: number): number => read(index) | (read(index + 1) << 8);
  t.deepEqual([0x15, 0x17, 0x30, 0x34, 0x5b].map(word), [640, 0xffff, 0xffff, 0x0700, 0]);
  t.deepEqual([0x14, 0x38, 0x3d, 0x5f].map(read), [0x06, 0x30, 0x12, 0x00]);
});

test('memory above 4 GiB is counted in units of 64 KiB', (t) => {
  const { rtc, read } = bench();
  storeBoardSetup(rtc, 6 * 1024 ** 3);
  t.is(read(0x34) | (read(0x35) << 8), (3 * 1024 ** 3 - 16 * 1024 ** 2) / 65536);
  t.is(read(0x5b) | (read(0x5c) << 8) | (read(0x5d) << 16), (3 * 1024 ** 3) / 65536);
});

test('a saved clock cannot be told from the original', (t) => {
  const build = () => {
    const { rig, rtc } = bench();
    return {
      rig,
      device: rtc,
      // Index writes are as likely as data writes, and registers more likely than RAM.
      ports: [
        [rtc, 0],
        [rtc, 1],
      ] as const,
    };
  };
  t.notThrows(() =>
    assertSurvivesSaveAndLoad(
      build,
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0x32, 0x37, 0x26, 0x42, 0x82, 0x66],
    ),
  );
});
