// The layout of a region's blocks: every block lies in it once, and edges go where the emitted code can branch plainly.

import test from 'ava';
import fc from 'fast-check';
import { flatten, headOf, layOut, type Part } from '../../../src/cpu/jit/loops.js';

const graph = fc
  .integer({ min: 1, max: 12 })
  .chain((n) =>
    fc.array(fc.array(fc.integer({ min: 0, max: n - 1 }), { maxLength: 2 }), { minLength: n, maxLength: n }),
  );

/** The heads of the loops that each block is in, by block. */
function headsOf(parts: readonly Part[], around: readonly number[] = []): Map<number, readonly number[]> {
  const found = new Map<number, readonly number[]>();
  for (const part of parts) {
    if (typeof part === 'number') found.set(part, around);
    else {
      const inside = [...around, part.head];
      found.set(part.head, inside);
      for (const [block, heads] of headsOf(part.body, inside)) found.set(block, heads);
    }
  }
  return found;
}

test('every block lies in it once', (t) => {
  fc.assert(
    fc.property(graph, (successors) => {
      const order = flatten(layOut(successors));
      t.deepEqual(
        order.toSorted((a, b) => a - b),
        successors.map((_, n) => n),
      );
    }),
  );
});

test('an edge goes forward, or to the head of a loop around it', (t) => {
  fc.assert(
    fc.property(graph, (successors) => {
      const parts = layOut(successors);
      const order = flatten(parts);
      const heads = headsOf(parts);
      for (const [from, all] of successors.entries())
        for (const to of all)
          t.true(order.indexOf(to) > order.indexOf(from) || heads.get(from)!.includes(to), `${from} → ${to}`);
    }),
  );
});

test('a loop is entered by the block to which most edges lead', (t) => {
  // 0 → 2; 1 → 2 → 3 → 1: the condition of a loop at its end, as compilers put it.
  const [first, loop] = layOut([[2], [2], [3], [1]]);
  t.is(first, 0);
  t.is(headOf(loop!), 2);
  t.deepEqual(flatten([loop!]), [2, 3, 1]);
});

test('loops lie in loops', (t) => {
  t.deepEqual(layOut([[1], [2], [2, 3], [1, 4], []]), [0, { head: 1, body: [{ head: 2, body: [] }, 3] }, 4]);
});

test('blocks without edges keep their order', (t) => {
  t.deepEqual(layOut([[], [], []]), [0, 1, 2]);
});
