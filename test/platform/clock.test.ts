import test from 'ava';
import fc from 'fast-check';
import { VirtualClock } from '../../src/platform/clock.js';

test('time is the cycle count times the length of a cycle', (t) => {
  let cycle = 0;
  const clock = new VirtualClock(() => cycle, 4);
  cycle = 25;
  t.is(clock.now(), 100);
});

test('a length of a cycle that is no positive integer is refused', (t) => {
  t.throws(() => new VirtualClock(() => 0, 0.5), { instanceOf: RangeError });
});

test('a deadline between two cycles is due at the later one', (t) => {
  const clock = new VirtualClock(() => 0, 4);
  clock.timer('a', () => {}).set(9);
  t.is(clock.nextEvent(), 3);
});

test('without an armed timer there is no next event', (t) => {
  const clock = new VirtualClock(() => 0, 4);
  const timer = clock.timer('a', () => {});
  timer.set(5);
  timer.cancel();
  t.is(clock.nextEvent(), Number.POSITIVE_INFINITY);
});

test('timers fire by deadline and, when simultaneous, in creation order', (t) => {
  const clock = new VirtualClock(() => 0, 1);
  const fired: string[] = [];
  const [a, b, c] = ['a', 'b', 'c'].map((name) => clock.timer(name, () => fired.push(name)));
  c!.set(7);
  b!.set(7);
  a!.set(8);
  clock.runDue(8);
  t.deepEqual(fired, ['b', 'c', 'a']);
});

test('inside a callback it is the cycle that the clock was advanced to', (t) => {
  const clock = new VirtualClock(() => 0, 4);
  const seen: number[] = [];
  clock.timer('a', () => seen.push(clock.now())).set(10);
  clock.runDue(5);
  t.deepEqual(seen, [20]);
});

test('a timer that a callback arms for the past fires in the same advance', (t) => {
  const clock = new VirtualClock(() => 0, 1);
  let left = 3;
  const timer = clock.timer('a', () => {
    if (--left > 0) timer.set(clock.now() - 1);
  });
  timer.set(1);
  clock.runDue(10);
  t.is(left, 0);
});

test('a timer fires once per arming', (t) => {
  const clock = new VirtualClock(() => 0, 1);
  let count = 0;
  const timer = clock.timer('a', () => count++);
  timer.set(1);
  clock.runDue(1);
  clock.runDue(100);
  t.is(count, 1);
  t.is(timer.deadline, Number.POSITIVE_INFINITY);
});

test('two timers cannot have one name', (t) => {
  const clock = new VirtualClock(() => 0, 1);
  clock.timer('a', () => {});
  t.throws(() => clock.timer('a', () => {}));
});

test('the listener hears arming, cancelling and expiry', (t) => {
  const clock = new VirtualClock(() => 0, 1);
  const timer = clock.timer('a', () => {});
  const heard: [string, string, number][] = [];
  clock.setListener({
    timerArmed: (name, deadline) => heard.push(['armed', name, deadline]),
    timerFired: (name, deadline) => heard.push(['fired', name, deadline]),
  });
  timer.set(3);
  timer.cancel();
  timer.set(Number.POSITIVE_INFINITY);
  timer.set(4);
  clock.runDue(9);
  t.deepEqual(heard, [
    ['armed', 'a', 3],
    ['armed', 'a', Number.POSITIVE_INFINITY],
    ['armed', 'a', 4],
    ['fired', 'a', 4],
  ]);
});

test('a state with a timer that the machine lacks is refused', (t) => {
  t.throws(() => new VirtualClock(() => 0, 1).load({ stranger: 5 }), { message: /stranger/ });
});

test('deadlines survive saving and loading into a fresh clock', (t) => {
  const build = () => {
    const clock = new VirtualClock(() => 0, 1);
    const fired: string[] = [];
    const timers = ['a', 'b', 'c', 'd'].map((name) => clock.timer(name, () => fired.push(name)));
    return { clock, fired, timers };
  };
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20)), { minLength: 4, maxLength: 4 }), fc.nat(20), (deadlines, first) => {
      const original = build();
      deadlines.forEach((deadline, index) => {
        if (deadline !== null) original.timers[index]!.set(deadline);
      });
      original.clock.runDue(first);
      original.fired.length = 0;
      const copy = build();
      copy.timers[0]!.set(1);
      copy.clock.load(structuredClone(original.clock.save()));
      t.is(copy.clock.nextEvent(), original.clock.nextEvent());
      copy.clock.runDue(30);
      original.clock.runDue(30);
      t.deepEqual(copy.fired, original.fired);
    }),
  );
});
