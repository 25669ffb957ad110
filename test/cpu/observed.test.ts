import test from 'ava';
import fc from 'fast-check';
import { LINE, ObservedMemory } from '../../src/cpu/observed.js';

/** A read or write of some bytes of page 5. */
const access = fc.record({
  write: fc.boolean(),
  offset: fc.integer({ min: 0, max: 4095 }),
  length: fc.integer({ min: 1, max: 16 }),
});

test('a line is observed exactly when one of its bytes was read before it was overwritten', (t) => {
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
      for (let line = 0; line < 4096 / LINE; line++) {
        const bytes = seen.subarray(line * LINE, (line + 1) * LINE);
        t.is(
          memory.isObserved((5 * 4096) / LINE + line),
          bytes.some((b) => b === 1),
          `line ${line}`,
        );
      }
    }),
  );
});

test('a page that is overwritten as a whole is known without having been observed', (t) => {
  const whole: number[] = [];
  const memory = new ObservedMemory((page) => whole.push(page));
  [...memory.add(4096, 4096)];
  t.false(memory.isPageKnown(1));
  for (let at = 0; at < 4096; at += 8) memory.write(1, at, 8);
  t.deepEqual(whole, [1]);
  t.true(memory.isPageKnown(1));
  t.false(memory.isObserved(4096 / LINE));
});

test('a page that is read again and again is taken whole', (t) => {
  const whole: number[] = [];
  const memory = new ObservedMemory((page) => whole.push(page));
  [...memory.add(0, 1)];
  for (let i = 0; i < 10_000 && whole.length === 0; i++) memory.read(0, 8, 4);
  t.deepEqual(whole, [0]);
  t.true(memory.isObserved(4000 / LINE));
});

test('pages that no loader filled are known and need no storing beyond what was loaded', (t) => {
  const memory = new ObservedMemory(() => {});
  t.true(memory.isPageKnown(7));
  t.true(memory.isKnown(7, 3));
});
