// What holds for every kind of structure: values are what they say, breaks break, shrinking keeps the structure.

import test from 'ava';
import fc from 'fast-check';
import { either, hostile, type Structure, valid } from '../../src/fuzz/structure.js';
import { kinds } from './kinds.js';

const RUNS = 60;

for (const kind of kinds) {
  test(`${kind.name}: the same value gives the same bytes, and the same seed the same values`, (t) => {
    const drawn = () => fc.sample(either(kind), { seed: 7, numRuns: RUNS });
    const [a, b] = [drawn(), drawn()];
    for (const [i, one] of a.entries()) {
      t.deepEqual(one.encode(), one.encode());
      t.deepEqual(one.encode(), b[i]!.encode());
      t.is(String(one), String(b[i]));
    }
  });

  test(`${kind.name}: every break can be had alone, changes the bytes and stands in the value`, (t) => {
    for (const name of Object.keys(kind.breaks)) {
      const arbitrary = hostile(kind, { only: [name], most: 1 });
      for (const one of fc.sample(arbitrary, { seed: 1, numRuns: 5 })) {
        t.deepEqual(
          one.breaks.map((broken) => broken.name),
          [name],
        );
        t.notDeepEqual(one.encode(), kind.encode(one.base));
        t.true(fc.stringify(one).includes(name));
      }
    }
  });

  test(`${kind.name}: a failure shrinks to one break of a small structure`, (t) => {
    // Whatever is broken counts as a failure, so the smallest one is one break with the smallest numbers.
    const details = fc.check(
      fc.property(hostile(kind), () => false),
      { seed: 3, numRuns: 1, endOnFailure: false },
    );
    const [smallest] = details.counterexample as [Structure<unknown>];
    t.is(smallest.breaks.length, 1);
    const [drawn] = fc.sample(hostile(kind), { seed: 3, numRuns: 1 });
    t.true(smallest.encode().length <= drawn!.encode().length + 4096);
    t.notDeepEqual(smallest.encode(), kind.encode(smallest.base));
    // It is had again from seed and path alone.
    const again = fc.check(
      fc.property(hostile(kind), () => false),
      { seed: 3, path: details.counterexamplePath!, endOnFailure: true },
    );
    t.is(String((again.counterexample as [Structure<unknown>])[0]), String(smallest));
  });

  test(`${kind.name}: valid values are not broken and leave every lie out`, (t) => {
    fc.assert(
      fc.property(valid(kind), (one) => {
        t.deepEqual(one.breaks, []);
        t.is(one.value, one.base);
        t.true(one.toString().includes('valid'));
      }),
      { numRuns: RUNS },
    );
  });
}
