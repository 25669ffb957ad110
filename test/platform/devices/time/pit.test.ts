import test from 'ava';
import fc from 'fast-check';
import { Pit } from '../../../../src/platform/devices/time/pit.js';
import { timeOfTick } from '../../../../src/platform/time-scale.js';
import { assertSurvivesSaveAndLoad, Rig } from '../../rig.js';

const tick = (count: number): number => timeOfTick(count, 1_193_182);

function bench() {
  const rig = new Rig();
  const pit = new Pit(rig.clock, rig.line('irq0'));
  /** Control word and count of both bytes. */
  const program = (channel: number, mode: number, count: number, bcd = 0): void => {
    pit.portWrite(3, 1, (channel << 6) | 0x30 | (mode << 1) | bcd);
    pit.portWrite(channel, 1, count & 0xff);
    pit.portWrite(channel, 1, count >>> 8);
  };
  const count = (channel: number): number => {
    pit.portWrite(3, 1, channel << 6);
    return pit.portRead(channel, 1) | (pit.portRead(channel, 1) << 8);
  };
  const status = (channel: number): number => {
    pit.portWrite(3, 1, 0xe0 | (2 << channel));
    return pit.portRead(channel, 1);
  };
  /** Times of the rising edges of IRQ 0 within `ns`. */
  const rises = (ns: number): number[] => {
    const times: number[] = [];
    const end = rig.cycle + ns;
    let level = rig.levels.irq0 ?? false;
    rig.takeLog();
    for (let next = rig.clock.nextEvent(); next <= end; next = rig.clock.nextEvent()) {
      rig.cycle = Math.max(rig.cycle, next);
      rig.clock.runDue(rig.cycle);
      for (const entry of rig.takeLog()) {
        if (entry === 'irq0 1' && !level) times.push(rig.cycle);
        level = entry === 'irq0 1';
      }
    }
    rig.cycle = end;
    return times;
  };
  return { rig, pit, program, count, status, rises };
}

test('mode 0 counts down and raises its output once, at zero', (t) => {
  const { rig, pit, program, count, rises } = bench();
  program(0, 0, 100);
  rig.advance(tick(40));
  t.is(count(0), 60);
  t.false(pit.output(0));
  t.deepEqual(rises(tick(1000)), [tick(100)]);
  t.true(pit.output(0));
});

test('mode 0 goes on counting past zero', (t) => {
  const { rig, program, count } = bench();
  program(2, 0, 10);
  rig.advance(tick(11));
  t.is(count(2), 0xffff);
});

test('mode 2 interrupts every count ticks without drift', (t) => {
  const { program, rises } = bench();
  program(0, 2, 1193);
  const times = rises(10_000_000);
  t.deepEqual(
    times,
    times.map((_, index) => tick(1193 * (index + 1))),
  );
  t.is(times.length, 10);
});

test('mode 2 counts from the initial count down to one', (t) => {
  const { rig, program, count } = bench();
  program(2, 2, 5);
  const seen: number[] = [];
  for (let i = 0; i < 7; i++) {
    seen.push(count(2));
    rig.cycle = tick(i + 1);
  }
  t.deepEqual(seen, [5, 4, 3, 2, 1, 5, 4]);
});

test('mode 3 is a square wave that counts by two', (t) => {
  const { rig, pit, program, count } = bench();
  program(2, 3, 8);
  const seen: [number, boolean][] = [];
  for (let i = 0; i < 8; i++) {
    seen.push([count(2), pit.output(2)]);
    rig.cycle = tick(i + 1);
  }
  t.deepEqual(
    seen.map(([value]) => value),
    [8, 6, 4, 2, 8, 6, 4, 2],
  );
  t.deepEqual(
    seen.map(([, output]) => output),
    [true, true, true, true, false, false, false, false],
  );
});

test('mode 3 interrupts once a period', (t) => {
  const { rig, program, rises } = bench();
  program(0, 3, 0);
  rig.takeLog();
  t.deepEqual(rises(200_000_000), [tick(65536), tick(2 * 65536), tick(3 * 65536)]);
});

test('mode 4 strobes once when the count is over', (t) => {
  const { rig, pit, program, rises } = bench();
  program(0, 4, 50);
  t.deepEqual(rises(tick(50)), [tick(50)]);
  t.true(pit.output(0));
  rig.advance(tick(2));
  t.false(pit.output(0));
  t.deepEqual(rises(tick(100_000)), []);
});

test('mode 1 is a one-shot that the gate triggers', (t) => {
  const { rig, pit, program } = bench();
  program(2, 1, 20);
  rig.advance(tick(30));
  t.true(!pit.output(2));
  pit.setGate(2, true);
  t.true(pit.output(2));
  rig.advance(tick(21));
  t.false(pit.output(2));
});

test('mode 5 strobes a count after the gate rises', (t) => {
  const { rig, pit, program } = bench();
  program(2, 5, 20);
  rig.advance(tick(5));
  pit.setGate(2, true);
  const start = rig.cycle;
  rig.cycle = start + tick(20);
  t.true(pit.output(2));
  rig.cycle = start + tick(22);
  t.false(pit.output(2));
});

test('a rising gate restarts mode 2', (t) => {
  const { rig, pit, program, count } = bench();
  program(2, 2, 100);
  rig.advance(tick(30));
  pit.setGate(2, true);
  t.is(count(2), 100);
});

test('a count of zero is 65,536, in BCD 10,000', (t) => {
  const { rig, program, count, rises } = bench();
  program(2, 0, 0);
  rig.advance(tick(1));
  t.is(count(2), 0xffff);
  program(0, 2, 0, 1);
  t.is(rises(tick(25_000)).length, 2);
});

test('BCD counts are read back in BCD', (t) => {
  const { rig, program, count } = bench();
  program(2, 0, 0x1234, 1);
  rig.advance(tick(35));
  t.is(count(2), 0x1199);
});

test('a latched count stays until it is read, and a second latch is ignored', (t) => {
  const { rig, pit, program } = bench();
  program(2, 0, 0x1234);
  pit.portWrite(3, 1, 0x80);
  rig.advance(tick(100));
  pit.portWrite(3, 1, 0x80);
  t.is(pit.portRead(2, 1), 0x34);
  t.is(pit.portRead(2, 1), 0x12);
  t.is(pit.portRead(2, 1) | (pit.portRead(2, 1) << 8), 0x1234 - 100);
});

test('a read-back command latches status and count of several channels', (t) => {
  const { pit, program } = bench();
  program(0, 2, 0x4321);
  program(2, 3, 0x0010);
  pit.portWrite(3, 1, 0xc0 | 0x02 | 0x08);
  t.deepEqual([pit.portRead(0, 1), pit.portRead(0, 1), pit.portRead(0, 1)], [0x34, 0x21, 0x43]);
  t.deepEqual([pit.portRead(2, 1), pit.portRead(2, 1), pit.portRead(2, 1)], [0xb6, 0x10, 0x00]);
});

test('status shows output, access and mode', (t) => {
  const { rig, program, status } = bench();
  program(2, 0, 3, 1);
  t.is(status(2), 0x31);
  rig.advance(tick(3));
  t.is(status(2), 0xb1);
});

test('single-byte access modes load and read one byte', (t) => {
  const { pit } = bench();
  pit.portWrite(3, 1, 0x94); // channel 2, low byte, mode 2
  pit.portWrite(2, 1, 0x20);
  t.is(pit.portRead(2, 1), 0x20);
  t.is(pit.portRead(2, 1), 0x20);
  pit.portWrite(3, 1, 0xa4); // high byte
  pit.portWrite(2, 1, 0x20);
  t.is(pit.portRead(2, 1), 0x20);
});

test('the control register reads as zero', (t) => {
  t.is(bench().pit.portRead(3, 1), 0);
});

test('with its interrupt taken away the channel counts on silently', (t) => {
  const { rig, pit, program, rises, count } = bench();
  program(0, 2, 100);
  pit.setIrqEnabled(false);
  t.deepEqual(rises(tick(450)), []);
  t.is(count(0), 50);
  pit.setIrqEnabled(true);
  rig.takeLog();
  t.is(rises(tick(100)).length, 1);
});

test('after reset channel 0 interrupts at half a period, as in QEMU, and then every 55 ms', (t) => {
  t.deepEqual(bench().rises(120_000_000), [tick(32768) - 1, tick(65536), tick(2 * 65536)]);
});

test('a mode written while IRQ 0 is high takes over when the old mode would have lowered it', (t) => {
  const { rig, pit, program } = bench();
  program(0, 3, 1000);
  t.true(rig.levels.irq0);
  pit.portWrite(3, 1, 0x34);
  rig.advance(tick(500) - 1);
  t.true(rig.levels.irq0);
  rig.advance(1);
  t.false(rig.levels.irq0);
});

test('a count of one neither hangs nor floods', (t) => {
  for (const mode of [2, 3]) {
    const { program, rises } = bench();
    program(0, mode, 1);
    t.true(rises(tick(1000)).length <= 1);
  }
});

test('interrupts come at the output’s rises and nowhere else', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(0, 2, 3, 4), fc.integer({ min: 2, max: 300 }), (mode, count) => {
      const { rig, pit, program, rises } = bench();
      program(0, mode, count);
      const expected: number[] = [];
      let before = pit.output(0);
      for (let at = 1; at <= 1000; at++) {
        rig.cycle = tick(at);
        const now = pit.output(0);
        if (now && !before) expected.push(tick(at));
        before = now;
      }
      rig.cycle = 0;
      t.deepEqual(rises(tick(1000)), expected);
    }),
    { numRuns: 40 },
  );
});

test('a saved PIT cannot be told from the original', (t) => {
  const build = () => {
    const rig = new Rig();
    const device = new Pit(rig.clock, rig.line('irq0'));
    return {
      rig,
      device,
      ports: [0, 1, 2, 3].map((offset) => [device, offset] as const),
      other: (what: number, value: number) => {
        if (what < 8) device.setIrqEnabled((value & 3) !== 0);
        else device.setGate(2, (value & 1) !== 0);
      },
    };
  };
  // Control words with long periods, so that a second of time is not a flood of interrupts.
  t.notThrows(() => assertSurvivesSaveAndLoad(build, [0x34, 0x36, 0x30, 0xb0, 0xb6, 0xe2, 0xc2, 0x00]));
});
