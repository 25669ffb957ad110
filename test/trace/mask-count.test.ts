// Bits of masks in a linear memory, against a loop over them.

import test from 'ava';
import fc from 'fast-check';
import { MaskCounter } from '../../src/trace/mask-count.js';
import { MASK_SIZE } from '../../src/trace/state-digest.js';

test('the bits of all masks in the memory are counted, however they lie', (t) => {
  const memory = new WebAssembly.Memory({ initial: 2 });
  const places = fc.array(fc.nat(0x2_0000 - MASK_SIZE), { maxLength: 40 });
  const rows = fc
    .tuple(fc.nat(0x1000), fc.nat(1000), fc.nat(40))
    .map(([from, step, count]) => Array.from({ length: count }, (_, i) => from + i * step));
  fc.assert(
    fc.property(fc.array(fc.oneof(places, rows), { maxLength: 5 }), fc.integer(), (lists, seed) => {
      const bytes = new Uint8Array(memory.buffer);
      for (let i = 0, word = seed; i < bytes.length; i++) {
        word = (Math.imul(word, 1_103_515_245) + 12_345) | 0;
        bytes[i] = word >>> 24;
      }
      const counter = new MaskCounter(memory);
      let expected = 0;
      for (const at of lists.flat()) {
        t.true(counter.add(new Uint8Array(memory.buffer, at, MASK_SIZE)));
        for (const byte of bytes.subarray(at, at + MASK_SIZE))
          for (let bit = 0; bit < 8; bit++) expected += (byte >> bit) & 1;
      }
      t.is(counter.bits(), expected);
    }),
    { numRuns: 50 },
  );
});

test('a mask elsewhere is not counted', (t) => {
  const counter = new MaskCounter(new WebAssembly.Memory({ initial: 1 }));
  t.false(counter.add(new Uint8Array(MASK_SIZE).fill(0xff)));
  t.is(counter.bits(), 0);
});
