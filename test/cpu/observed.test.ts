import test from 'ava';
import fc from 'fast-check';
import { ObservedMemory } from '../../src/cpu/observed.js';
import { MASK_SIZE } from '../../src/cpu/page-masks.js';

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

/** Reads, writes and copies between the loaded page 5 and the pages 9 and 10; nothing leaves its page. */
const step = fc.record({
  kind: fc.constantFrom('read', 'write', 'copy', 'copy'),
  page: fc.constantFrom(5, 9, 10),
  offset: fc.integer({ min: 0, max: 300 }),
  length: fc.integer({ min: 1, max: 64 }),
  to: fc.constantFrom(5, 9, 10),
  at: fc.integer({ min: 0, max: 300 }),
});

test('what was copied unseen is observed when the copy is read, and a replay agrees all the way', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      /** What is read, and what is known of all memory at the end. */
      const run = (initial: (i: number) => number) => {
        const bytes = new Uint8Array(11 * 4096);
        for (let i = 0; i < 4096; i++) bytes[5 * 4096 + i] = initial(i);
        const memory = new ObservedMemory(() => {});
        t.deepEqual([...memory.add(5 * 4096, 4096)], [5]);
        const reads: number[][] = [];
        steps.forEach(({ kind, page, offset, length, to, at }, n) => {
          const from = page * 4096 + offset;
          const data = bytes.slice(from, from + length);
          if (kind === 'read') {
            memory.read(page, offset, length);
            reads.push([...data]);
          } else if (kind === 'write') {
            memory.write(page, offset, length);
            bytes.fill(n, from, from + length);
          } else {
            if (!memory.isUnknown(page, offset, length) || !memory.copy(from, to * 4096 + at, length, 512)) {
              memory.read(page, offset, length);
              memory.write(to, at, length);
            }
            bytes.set(data, to * 4096 + at);
          }
        });
        const known = [5, 9, 10].map((page) => {
          const unknown = memory.unknownIn(page);
          const whole = [...bytes.subarray(page * 4096, (page + 1) * 4096)];
          const hidden = unknown && bits(unknown);
          return whole.map((byte, i) => (hidden?.[i] ? 0 : byte));
        });
        return { reads, known, observed: bits(memory.observedIn(5)!) };
      };
      const recorded = run((i) => (i * 7 + (i >> 8) + 1) & 0xff);
      const replayed = run((i) => (recorded.observed[i] ? (i * 7 + (i >> 8) + 1) & 0xff : 0));
      t.deepEqual(replayed, recorded);
    }),
    { numRuns: 25 },
  );
});

test('a copy of a copy leads back to the loaded bytes', (t) => {
  const whole: number[] = [];
  const memory = new ObservedMemory((page) => whole.push(page));
  t.deepEqual([...memory.add(5 * 4096, 4096)], [5]);
  t.true(memory.copy(5 * 4096 + 100, 9 * 4096 + 8, 64, 1000));
  t.true(memory.copy(9 * 4096 + 8, 10 * 4096 + 1000, 64, 1000));
  t.true(memory.observedIn(5)!.every((byte) => byte === 0));
  memory.write(9, 8, 64);
  t.deepEqual(whole, [9], 'a page whose copied bytes are all overwritten needs no tracking');
  memory.read(10, 1003, 2);
  t.deepEqual(
    bits(memory.observedIn(5)!).flatMap((bit, i) => (bit ? [i] : [])),
    [103, 104],
  );
  memory.read(10, 1000, 64);
  t.deepEqual(whole, [9, 10]);
});

test('short copies to pages that are known are reads', (t) => {
  const memory = new ObservedMemory(() => {});
  t.deepEqual([...memory.add(5 * 4096, 4096)], [5]);
  t.false(memory.copy(5 * 4096, 9 * 4096, 8, 64));
  t.true(memory.copy(5 * 4096, 9 * 4096, 8, 512));
  t.true(memory.copy(5 * 4096 + 8, 9 * 4096 + 8, 8, 8), 'the end of a long one');
  t.false(memory.copy(5 * 4096 + 8, 9 * 4096 + 100, 8, 512), 'a page has one origin');
});
