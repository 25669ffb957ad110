import test from 'ava';
import { reciprocal, reciprocalSquareRoot } from '../../../src/cpu/softfloat/sse-approximate.js';
import { Random } from './host-fpu.js';

const words = new Uint32Array(1);
const floats = new Float32Array(words.buffer);
const singleOf = (bits: number): number => {
  words[0] = bits;
  return floats[0]!;
};

/** The bound the manual gives for both instructions. */
const BOUND = 1.5 * 2 ** -12;

test('RCPSS and RSQRTSS keep the relative error that the manual promises', (t) => {
  const random = new Random(7);
  for (let i = 0; i < 20_000; i++) {
    const bits = (((1 + random.below(251)) << 23) | random.below(1 << 23)) >>> 0;
    const x = singleOf(bits);
    t.true(Math.abs(singleOf(reciprocal(bits)) * x - 1) <= BOUND, bits.toString(16));
    t.true(Math.abs(singleOf(reciprocalSquareRoot(bits)) * Math.sqrt(x) - 1) <= BOUND, bits.toString(16));
  }
});

test('RCPSS and RSQRTSS give the table entries of Intel processors', (t) => {
  // 1.0, 2.0, 3.0, 0.75 and the largest fraction.
  t.deepEqual(
    [0x3f800000, 0x40000000, 0x40400000, 0x3f400000, 0x3fffffff].map(reciprocal),
    [0x3f7ff000, 0x3efff000, 0x3eaaa000, 0x3faaa000, 0x3f000800],
  );
  t.deepEqual(
    [0x3f800000, 0x40000000, 0x40800000, 0x3fffffff].map(reciprocalSquareRoot),
    [0x3f7ff000, 0x3f34f800, 0x3efff000, 0x3f350800],
  );
});

test('RCPSS and RSQRTSS take denormals as zero, flush tiny results and quiet NaNs', (t) => {
  t.deepEqual(
    [0, 0x80000001, 0x7f800000, 0xff800000, 0x7f000000, 0x7f800001].map(reciprocal),
    [0x7f800000, 0xff800000, 0, 0x80000000, 0, 0x7fc00001],
  );
  t.deepEqual(
    [0, 0x80000001, 0x7f800000, 0xff800000, 0xbf800000, 0xff812345].map(reciprocalSquareRoot),
    [0x7f800000, 0xff800000, 0, 0xffc00000, 0xffc00000, 0xffc12345],
  );
});
