import test from 'ava';
import fc from 'fast-check';
import { minimize, type Reached } from '../../../src/fuzz/coverage/minimize.js';

const input = fc.record({
  tape: fc.uint32Array({ maxLength: 6 }),
  edges: fc.uint32Array({ max: 40, maxLength: 12 }),
});
const edgesOf = (inputs: readonly Reached[]) =>
  [...new Set(inputs.flatMap(({ edges }) => [...edges]))].sort((a, b) => a - b);

test('what is kept reaches all edges, and none of it can go', (t) => {
  fc.assert(
    fc.property(fc.array(input), (inputs) => {
      const kept = minimize(inputs);
      t.deepEqual(edgesOf(kept), edgesOf(inputs));
      for (const one of kept) {
        t.true(inputs.includes(one));
        t.notDeepEqual(edgesOf(kept.filter((other) => other !== one)), edgesOf(inputs));
      }
    }),
  );
});

test('the order of the inputs does not matter', (t) => {
  fc.assert(
    fc.property(
      fc
        .array(input)
        .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
      ([list, shuffled]) => {
        const plain = (inputs: readonly Reached[]) =>
          minimize(inputs)
            .map(({ tape, edges }) => `${tape} ${[...new Set(edges)].sort()}`)
            .sort();
        t.deepEqual(
          plain(list).map((text) => text.split(' ')[0]),
          plain(shuffled).map((text) => text.split(' ')[0]),
        );
      },
    ),
  );
});

test('an input that has all edges is kept alone, and of two the smaller one', (t) => {
  const made = (words: number, ...edges: number[]) => ({
    tape: new Uint32Array(words),
    edges: Uint32Array.from(edges),
  });
  const [part, large, small] = [made(1, 8, 16), made(9, 8, 16, 24), made(3, 24, 16, 8)];
  t.deepEqual(minimize([part, large, small]), [small]);
  t.deepEqual(minimize([]), []);
});
