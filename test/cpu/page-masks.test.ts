// Masks of a page's bytes, against loops over their bits.

import test from 'ava';
import fc from 'fast-check';
import { copyBits, firstBeside, hasBits, isBeside, isEmpty, isFull, MASK_SIZE } from '../../src/cpu/page-masks.js';

const bit = (mask: Uint8Array, at: number) => ((mask[at >> 3]! >> (at & 7)) & 1) !== 0;
/** Masks with few bits set, many, or all but few. */
const masks = fc
  .tuple(fc.constantFrom(0, 0xff), fc.array(fc.tuple(fc.nat(MASK_SIZE - 1), fc.nat(255)), { maxLength: 20 }))
  .map(([rest, bytes]) => {
    const mask = new Uint8Array(MASK_SIZE).fill(rest);
    for (const [at, byte] of bytes) mask[at] = byte;
    return mask;
  });
/** Offset and length of a range in the page. */
const ranges = fc.tuple(fc.nat(4095), fc.nat(4095)).map(([a, b]) => [Math.min(a, b), Math.max(a, b) + 1] as const);
const bits = [...new Array(4096).keys()];

test('bits beside a range are found, the first of them first', (t) => {
  fc.assert(
    fc.property(masks, ranges, (mask, [start, end]) => {
      const first = bits.find((at) => bit(mask, at) && (at < start || at >= end));
      t.is(firstBeside(mask, start, end), first === undefined ? -1 : first >> 3);
      for (const at of [start >> 3, (end - 1) >> 3, 0, MASK_SIZE - 1]) {
        const some = bits.slice(8 * at, 8 * at + 8).some((n) => bit(mask, n) && (n < start || n >= end));
        t.is(isBeside(mask, at, start, end), some);
      }
    }),
  );
});

test('bits of up to eight bytes are found', (t) => {
  fc.assert(
    fc.property(masks, fc.nat(4095), fc.integer({ min: 1, max: 8 }), (mask, offset, bytes) => {
      const within = Math.min(bytes, 4096 - offset);
      t.is(
        hasBits(mask, offset, within),
        bits.slice(offset, offset + within).some((at) => bit(mask, at)),
      );
    }),
  );
});

test('bits are copied from any bit to any other, and no others change', (t) => {
  fc.assert(
    fc.property(masks, masks, fc.nat(4095), fc.nat(4095), fc.nat(4096), (source, target, from, to, most) => {
      const length = Math.min(most, 4096 - from, 4096 - to);
      const before = target.slice();
      copyBits(source, from, target, to, length);
      t.true(
        bits.every(
          (at) => bit(target, at) === (at >= to && at < to + length ? bit(source, at - to + from) : bit(before, at)),
        ),
      );
    }),
  );
});

test('a mask is empty or full by all of its bits', (t) => {
  for (const [rest, ask] of [
    [0, isEmpty],
    [0xff, isFull],
  ] as const) {
    const mask = new Uint8Array(MASK_SIZE).fill(rest);
    t.true(ask(mask));
    for (const at of [0, 255, MASK_SIZE - 1]) {
      mask[at]! ^= 0x10;
      t.false(ask(mask));
      mask[at]! ^= 0x10;
    }
  }
});
