// What is known of loaded pages, saved and loaded: a copy cannot be told from the original.

import test from 'ava';
import fc from 'fast-check';
import { ObservedMemory } from '../../src/cpu/observed.js';
import { MASK_SIZE } from '../../src/cpu/page-masks.js';

const FIRST = 5;
const PAGES = 3;
/** Reads, writes and unseen copies; the last page is one that no loader filled. */
const step = fc.record({
  kind: fc.constantFrom('read', 'write', 'copy'),
  page: fc.integer({ min: FIRST, max: FIRST + PAGES }),
  offset: fc.nat(4095),
  length: fc.integer({ min: 1, max: 2000 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const made = (): ObservedMemory => {
  const memory = new ObservedMemory(() => {});
  for (const _ of memory.add(FIRST * 4096 + 10, PAGES * 4096 - 20));
  return memory;
};

function go(memory: ObservedMemory, steps: readonly Step[]): void {
  for (const { kind, page, offset, length: wanted } of steps) {
    const length = Math.min(wanted, 4096 - offset);
    if (kind === 'read') memory.read(page, offset, length);
    else if (kind === 'write') memory.write(page, offset, length);
    else memory.copy(FIRST * 4096 + offset, (FIRST + PAGES) * 4096 + offset, length, 4096);
  }
}

const seenOf = (memory: ObservedMemory): unknown =>
  Array.from({ length: PAGES + 1 }, (_, i) => [
    memory.isPageKnown(FIRST + i),
    memory.originOf(FIRST + i),
    [...(memory.unknownIn(FIRST + i) ?? [])],
  ]);

test('a copy goes on as the original does', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.array(step, { maxLength: 30 }), (before, after) => {
      const original = made();
      go(original, before);
      const copy = made();
      copy.load(original.save());
      t.deepEqual(seenOf(copy), seenOf(original));
      t.deepEqual(copy.save(), original.save());
      go(original, after);
      go(copy, after);
      t.deepEqual(seenOf(copy), seenOf(original));
    }),
    { numRuns: 40 },
  );
});

test('pages that were not touched take no room', (t) => {
  t.is(made().save().length, 0);
});

test('states that no memory can have are refused', (t) => {
  const saved = (page: number, kind: number, origin: number): Uint8Array => {
    const bytes = new Uint8Array(24 + MASK_SIZE).fill(0xff);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, page, true);
    view.setUint32(4, kind, true);
    view.setFloat64(8, origin, true);
    return bytes;
  };
  t.notThrows(() => made().load(saved(FIRST, 1, 0)));
  t.throws(() => made().load(saved(FIRST, 3, 0)));
  t.throws(() => made().load(saved(FIRST + 100, 1, 0)));
  t.throws(() => made().load(saved(FIRST + 100, 2, 0)));
  t.throws(() => made().load(saved(FIRST + PAGES, 2, Number.NaN)));
  t.throws(() => made().load(saved(0x10_0000, 2, 0)));
  t.throws(() => made().load(new Uint8Array(5)));
  // Bytes 0 to 99 stand for the end of a page that was loaded, the others for a page that was not.
  const across = saved(FIRST + PAGES, 2, -100);
  t.throws(() => made().load(across));
  across.fill(0, 24 + 12);
  t.notThrows(() => made().load(across));
  across[24 + 13] = 1;
  t.throws(() => made().load(across));
});
