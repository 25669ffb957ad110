import test from 'ava';
import fc from 'fast-check';
import { ticksIn, timeOfTick } from '../../src/platform/time-scale.js';

const frequency = fc.constantFrom(1_193_182, 32_768, 3_579_545, 115_200);
const time = fc.integer({ min: 0, max: 2 ** 53 - 1 });

test('ticks in a time are exact up to the last representable nanosecond', (t) => {
  fc.assert(
    fc.property(time, frequency, (ns, hz) => {
      t.is(BigInt(ticksIn(ns, hz)), (BigInt(ns) * BigInt(hz)) / 1_000_000_000n);
    }),
  );
});

test('the time of a tick is the first nanosecond that counts it', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000_000 }), frequency, (tick, hz) => {
      const ns = timeOfTick(tick, hz);
      t.is(ticksIn(ns, hz), tick);
      t.is(ticksIn(ns - 1, hz), tick - 1);
    }),
  );
});
