import { join } from 'node:path';
import test from 'ava';
import { writeLargeTrace } from '../../bench/large-traces.js';
import { type DiffOptions, diffTraces } from '../../src/diff/diff.js';
import type { Explanation } from '../../src/diff/explanation.js';
import { formatExplanation } from '../../src/diff/format.js';
import { TraceReader } from '../../src/trace/reader.js';
import { type SampleEvent, withDirectory, writeTrace } from '../trace/sample-trace.js';

function diff(a: readonly SampleEvent[], b: readonly SampleEvent[], options: DiffOptions = {}): Explanation {
  return withDirectory((directory) => {
    const readers = [a, b].map((events, i) => {
      const path = join(directory, `${i}`);
      writeTrace(path, events, {}, { state: new Uint8Array(32).fill(i) });
      return TraceReader.open(path);
    });
    const report = diffTraces(readers[0]!, readers[1]!, options);
    for (const reader of readers) reader.close();
    return report;
  });
}

const write = (cycle: number, value: number, address = 0x80): SampleEvent => ({
  kind: 'port-write',
  cycle,
  address,
  size: 1,
  value,
});
const poll = (cycle: number, value = 0x60): SampleEvent => ({
  kind: 'port-read',
  cycle,
  address: 0x3fd,
  size: 1,
  value,
});
const tick = (cycle: number): SampleEvent[] => [
  { kind: 'interrupt', cycle, address: 0x20 },
  { kind: 'port-write', cycle: cycle + 5, address: 0x20, size: 1, value: 0x20 },
];
const timing = { ignore: ['timing'] };

/** Distinct events, so that places to go on are found. */
const steps = (from: number, to: number, shift = 0): SampleEvent[] =>
  Array.from({ length: to - from }, (_, i) => write(100 * (from + i) + shift, from + i));

test('what only comes later is a difference, said in one line', (t) => {
  const report = diff(steps(0, 20), [...steps(0, 10), ...steps(10, 20, 7)]);
  t.is(report.verdict, 'retimed');
  t.false(report.same);
  t.is(report.cause!.kind, 'timing');
  t.deepEqual(report.timing, { shifts: 1, first: 7, last: 7 });
  t.regex(
    formatExplanation(report),
    /\nOnly the timing differs: .* in B at first 7 cycles later, at the end 7 cycles later/,
  );
});

test('what only comes later is none when timing is ignored, and that is one line', (t) => {
  const report = diff(steps(0, 20), [...steps(0, 10), ...steps(10, 20, 7)], timing);
  t.like(report, { verdict: 'retimed', same: true, first: null });
  t.is(formatExplanation(report).split('\n').slice(3).join('').match(/\./g)!.length, 1);
});

test('code at another address does the same', (t) => {
  const moved = steps(0, 20).map((event) => ({ ...event, rip: 0xffff_ffff_8200_0000n }));
  t.is(diff(steps(0, 20), moved).verdict, 'retimed');
  t.true(diff(steps(0, 20), moved, timing).same);
});

test('a loop that polls more often is a matter of time', (t) => {
  const a = [...steps(0, 10), poll(1000), poll(1010), ...steps(11, 20)];
  const b = [...steps(0, 10), poll(1000), poll(1010), poll(1020), poll(1030), ...steps(11, 20, 20)];
  t.true(diff(a, b, timing).same);
  t.is(diff(a, b).verdict, 'retimed');
  t.false(diff(a, [...steps(0, 10), poll(1000), poll(1010, 0x61), ...steps(11, 20)], timing).same);
});

test('an interrupt that strikes elsewhere has moved, and is a matter of time', (t) => {
  const a = [...steps(0, 10), ...tick(1000), ...steps(11, 30)];
  const b = [...steps(0, 10), ...steps(11, 20), ...tick(2001), ...steps(20, 30, 20)];
  const report = diff(a, b, timing);
  t.true(report.same);
  t.is(report.groups.filter(({ kind }) => kind === 'moved').length, 2);
  // One that never comes is none.
  t.false(diff(a, [...steps(0, 10), ...steps(11, 30)], timing).same);
});

test('a counter that is read is a matter of time, another value is not', (t) => {
  const count = (value: number): SampleEvent => ({ kind: 'port-read', cycle: 1050, address: 0x40, size: 1, value });
  t.true(
    diff([...steps(0, 10), count(3), ...steps(11, 20)], [...steps(0, 10), count(9), ...steps(11, 20)], timing).same,
  );
  const report = diff([...steps(0, 10), write(1000, 1)], [...steps(0, 10), write(1000, 2)], timing);
  t.false(report.same);
  t.is(report.first!.a!.value, '0x1');
});

test('the first difference is the first that is no matter of time', (t) => {
  const a = [...steps(0, 10), ...tick(1000), ...steps(11, 30)];
  const b = [...steps(0, 10), ...steps(11, 20), ...tick(2001), ...steps(20, 25), write(2500, 99), ...steps(26, 30)];
  const report = diff(a, b, timing);
  t.false(report.same);
  t.is(report.first!.a!.value, '0x19');
  t.is(report.first!.b!.value, '0x63');
});

test('a run of events that comes back elsewhere has moved', (t) => {
  const block = [write(0, 200), write(1, 201), write(2, 202), write(3, 203), write(4, 204)];
  const at = (cycle: number) => block.map((event) => ({ ...event, cycle: cycle + event.cycle }));
  const a = [...steps(0, 10), ...at(1000), ...steps(11, 30)];
  const b = [...steps(0, 10), ...steps(11, 20), ...at(2000), ...steps(20, 30)];
  const report = diff(a, b);
  t.is(report.verdict, 'diverged');
  t.like(report.rest, { moved: 5, onlyA: 0, onlyB: 0, changed: 0 });
  t.like(report.groups[0], { kind: 'moved', device: 'post', count: 5, timing: 0 });
});

test('a phase, a device or an item can be picked or left out', (t) => {
  const user: SampleEvent = { kind: 'milestone', cycle: 950, name: 'user-mode' };
  const a = [...steps(0, 9), user, write(1000, 1)];
  const b = [...steps(0, 9), user, write(1000, 2)];
  t.is(diff(a, b).first!.phaseA, 'user');
  t.true(diff(a, b, { only: ['kernel'] }).same);
  t.true(diff(a, b, { ignore: ['user', 'state-hash'] }).same);
  t.false(diff(a, b, { only: ['user'] }).same);
});

test('traces of many events are compared in little memory', (t) => {
  const report = withDirectory((directory) => {
    const [a, b] = [join(directory, 'a'), join(directory, 'b')];
    writeLargeTrace(a, { events: 400_000 });
    writeLargeTrace(b, { events: 400_000, changeEvery: 5000 });
    globalThis.gc?.();
    const before = process.memoryUsage();
    const [left, right] = [TraceReader.open(a), TraceReader.open(b)];
    const found = diffTraces(left, right);
    const after = process.memoryUsage();
    left.close();
    right.close();
    const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
    // All events as objects would be more than 100 MB on each side.
    t.true(grown < 100e6, `${grown} bytes`);
    return found;
  });
  t.is(report.agreed, 4999);
  t.true(report.rest!.equal > 390_000);
  t.true(report.rest!.onlyB > 20 && report.rest!.onlyB < 200);
});
