import test from 'ava';
import fc from 'fast-check';
import { MASK_SIZE, ObservedMemory } from '../../src/cpu/observed.js';

/** A read or write of some bytes of page 5. */
const access = fc.record({
  write: fc.boolean(),
  offset: fc.integer({ min: 0, max: 4095 }),
  length: fc.integer({ min: 1, max: 16 }),
});

const bits = (mask: Uint8Array): number[] =>
  [...new Uint8Array(MASK_SIZE * 8)].map((_, i) => (mask[i >> 3]! >> (i & 7)) & 1);

test('a byte is observed exactly when it was read before it was overwritten', (t) => {
  fc.assert(
    fc.property(fc.array(access, { maxLength: 200 }), (accesses) => {
      const memory = new ObservedMemory(() => {});
      t.deepEqual([...memory.add(5 * 4096 + 100, 50)], [5]);
      const written = new Uint8Array(4096);
      const seen = new Uint8Array(4096);
      for (const { write, offset, length: wanted } of accesses) {
        const length = Math.min(wanted, 4096 - offset);
        if (write) memory.write(5, offset, length);
        else memory.read(5, offset, length);
        for (let i = offset; i < offset + length; i++) {
          if (write) written[i] = 1;
          else if (!written[i]) seen[i] = 1;
        }
      }
      t.deepEqual(bits(memory.observedIn(5)!), [...seen]);
      t.deepEqual(
        bits(memory.unknownIn(5)!),
        [...seen].map((s, i) => (s || written[i] ? 0 : 1)),
      );
    }),
  );
});

test('a page that is overwritten as a whole is known without having been observed', (t) => {
  const whole: number[] = [];
  const memory = new ObservedMemory((page) => whole.push(page));
  t.deepEqual([...memory.add(4096, 4096)], [1]);
  t.false(memory.isPageKnown(1));
  for (let at = 0; at < 4096; at += 8) memory.write(1, at, 8);
  t.deepEqual(whole, [1]);
  t.true(memory.isPageKnown(1));
  t.true(memory.observedIn(1)!.every((byte) => byte === 0));
});

test('a page that is read again and again is taken whole, but for what was overwritten', (t) => {
  const whole: number[] = [];
  const memory = new ObservedMemory((page) => whole.push(page));
  t.deepEqual([...memory.add(0, 1)], [0]);
  memory.write(0, 80, 8);
  for (let i = 0; i < 10_000 && whole.length === 0; i++) memory.read(0, 8, 4);
  t.deepEqual(whole, [0]);
  t.deepEqual(
    bits(memory.observedIn(0)!),
    Array.from({ length: 4096 }, (_, i) => (i >= 80 && i < 88 ? 0 : 1)),
  );
});

test('pages that no loader filled are known and need no storing beyond what was loaded', (t) => {
  const memory = new ObservedMemory(() => {});
  t.true(memory.isPageKnown(7));
  t.is(memory.unknownIn(7), undefined);
});
