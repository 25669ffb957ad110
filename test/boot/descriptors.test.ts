// Descriptors for an entry: the table and the registers loaded from it say the same.

import test from 'ava';
import { buildGdt, CODE32, flat, TSS } from '../../src/boot/descriptors.js';

test('a base of 32 bits is spread over its descriptor, a wider one has no room there', (t) => {
  const task = { selector: 0x10, base: 0xfedc_ba98n, limit: 0x67, attributes: TSS };
  const view = new DataView(buildGdt([flat(8, CODE32), task]).buffer);
  t.is(view.getBigUint64(8, true), 0x00cf_9b00_0000_ffffn);
  t.is(view.getBigUint64(0x10, true), 0xfe00_8bdc_ba98_0067n);
  t.throws(() => buildGdt([{ ...task, base: 0x1_0000_0000n }]), { instanceOf: RangeError, message: /0x100000000/ });
});
