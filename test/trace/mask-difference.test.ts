// Differences of masks, against loops over their bits.

import test from 'ava';
import fc from 'fast-check';
import { MaskDifference } from '../../src/trace/mask-difference.js';
import { MASK_SIZE } from '../../src/trace/state-digest.js';

test('what is left of a mask is what the other does not have, and is counted', (t) => {
  const difference = new MaskDifference();
  const mask = fc.uint8Array({ minLength: MASK_SIZE, maxLength: MASK_SIZE });
  fc.assert(
    fc.property(mask, mask, (one, other) => {
      difference.mask.set(one);
      const count = difference.without(other);
      const left = one.map((byte, i) => byte & ~other[i]!);
      t.deepEqual(Uint8Array.from(difference.mask), left);
      let bits = 0;
      for (const byte of left) for (let bit = 0; bit < 8; bit++) bits += (byte >> bit) & 1;
      t.is(count, bits);
    }),
    { numRuns: 50 },
  );
});
