import test from 'ava';
import fc from 'fast-check';
import { FloatContext } from '../../../src/cpu/softfloat/context.js';
import { F32, F64, type FloatFormat } from '../../../src/cpu/softfloat/format.js';
import * as soft from '../../../src/cpu/softfloat/sse-arithmetic.js';
import { SimdMachine } from './simd-machine.js';

const m = new SimdMachine();
const context = new FloatContext();

/**
 * Singles and doubles: exponents all over or near 1, significands random, short (exact results) or such that make
 * ties and carries.
 */
const bitsOf = (exponentBits: number, fractionBits: number) => {
  const all = (1n << BigInt(fractionBits)) - 1n;
  const bias = (1n << BigInt(exponentBits - 1)) - 1n;
  const fraction = fc.oneof(
    fc.constantFrom(0n, 1n, all, 1n << BigInt(fractionBits - 1)),
    fc.bigInt(0n, all),
    fc.bigInt(0n, 63n).map((x) => x << BigInt(fractionBits - 6)),
    fc.bigInt(0n, 63n).map((x) => x << BigInt(Math.ceil(fractionBits / 2) - 3)),
  );
  const exponent = fc.oneof(fc.bigInt(0n, 2n * bias + 1n), fc.bigInt(bias - 4n, bias + 4n));
  return fc
    .tuple(fc.bigInt(0n, 1n), exponent, fraction)
    .map(([sign, e, f]) => (((sign << BigInt(exponentBits)) | e) << BigInt(fractionBits)) | f);
};
const single = bitsOf(8, 23);
const double = bitsOf(11, 52);
/** Usual, fresh (PE clear), other roundings, FTZ, DAZ. All exceptions masked. */
const mxcsr = fc.constantFrom(0x1fa0, 0x1fbf, 0x1f80, 0x1f80, 0x1f80, 0x1f8d, 0x3fa0, 0x5fa0, 0x7fa0, 0x9fa0, 0x1fe0);

type Binary = <T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T) => T;
const OPERATIONS: readonly [name: string, opcode: number, f: Binary][] = [
  ['ADD', 0x58, soft.sseAdd],
  ['MUL', 0x59, soft.sseMultiply],
  ['SUB', 0x5c, soft.sseSubtract],
  ['MIN', 0x5d, soft.sseMinimum],
  ['DIV', 0x5e, soft.sseDivide],
  ['MAX', 0x5f, soft.sseMaximum],
  ['SQRT', 0x51, (format, c, _a, b) => soft.sseSquareRoot(format, c, b)],
];

const lanes = (value: bigint, bits: number): bigint[] =>
  Array.from({ length: 128 / bits }, (_, i) => BigInt.asUintN(bits, value >> BigInt(i * bits)));
const vector = (elements: readonly bigint[], bits: number): bigint =>
  elements.reduce((all, x, i) => all | (x << BigInt(i * bits)), 0n);

for (const [name, opcode, f] of OPERATIONS) {
  test(`${name} in all four shapes gives the soft floats' bits and flags whatever path they take`, (t) => {
    const check = <T>(
      format: FloatFormat<T>,
      bits: number,
      prefix: number[],
      of: (x: bigint) => T,
      changed = 128 / bits,
    ) => {
      const element = bits === 32 ? single : double;
      const operand = fc.array(element, { minLength: 128 / bits, maxLength: 128 / bits });
      fc.assert(
        fc.property(operand, operand, mxcsr, (a, b, control) => {
          m.mxcsr = control;
          m.setXmm(0, vector(a, bits));
          m.setXmm(1, vector(b, bits));
          m.step([...prefix, 0x0f, opcode, 0xc1]);
          context.setMxcsr(control).clear();
          const expected = a.map((x, i) =>
            i < changed ? BigInt(f(format, context, of(x), of(b[i]!)) as bigint | number) : x,
          );
          t.deepEqual(lanes(m.xmm(0), bits), expected);
          t.is(m.mxcsr, control | context.flags);
        }),
        { numRuns: 300 },
      );
    };
    check(F32, 32, [], Number);
    check(F64, 64, [0x66], (x) => x);
    check(F32, 32, [0xf3], Number, 1);
    check(F64, 64, [0xf2], (x) => x, 1);
  });
}

test('ordinary operands take the fast path', (t) => {
  m.reset();
  m.mxcsr = 0x1fa0;
  const before = m.slowCalls;
  for (const opcode of [0x51, 0x58, 0x59, 0x5c, 0x5d, 0x5e, 0x5f])
    for (const prefix of [[], [0x66], [0xf3], [0xf2]]) {
      const wide = prefix[0] === 0x66 || prefix[0] === 0xf2;
      m.setXmm(0, wide ? 0x3ff8000000000000_4024000000000000n : 0x3fc00000_41200000_42c80000_3f000000n);
      m.setXmm(1, wide ? 0x3fd5555555555555_400921fb54442d18n : 0x3eaaaaab_40490fdb_3dcccccd_447a0000n);
      m.step([...prefix, 0x0f, opcode, 0xc1]);
    }
  // CVTTSD2SI, CVTSI2SD, CVTSS2SD, CVTDQ2PS, COMISD, CMPPS, ROUNDSD
  for (const code of ['f20f2cc1', 'f20f2ac0', 'f30f5ac1', '0f5bc1', '660f2fc1', '0fc2c102', '660f3a0bc101'])
    m.step(Buffer.from(code, 'hex'));
  t.is(m.slowCalls, before);
});

test('exact results take the fast path before the first inexact one', (t) => {
  m.reset();
  const before = m.slowCalls;
  for (const opcode of [0x51, 0x58, 0x59, 0x5c, 0x5e])
    for (const prefix of [[], [0x66], [0xf3], [0xf2]]) {
      const wide = prefix[0] === 0x66 || prefix[0] === 0xf2;
      m.setXmm(0, wide ? 0x3ff8000000000000_4024000000000000n : 0x3fc00000_41200000_42c80000_3f000000n);
      // 4.0, 0.25, 1.0, 16.0
      m.setXmm(1, wide ? 0x4010000000000000_3fd0000000000000n : 0x40800000_3e800000_3f800000_41800000n);
      m.step([...prefix, 0x0f, opcode, 0xc1]);
    }
  // CVTPD2PS, CVTSD2SS, CVTDQ2PS of 0 and small numbers, CVTSI2SS
  for (const code of ['660f5ac1', 'f20f5ac1', '660fefc9', '0f5bc1', 'f30f2ac0']) m.step(Buffer.from(code, 'hex'));
  t.is(m.slowCalls, before);
  t.is(m.mxcsr, 0x1f80);
  // 1 / 3 is not exact: PE appears, and stays.
  m.setXmm(0, 0x3f800000n);
  m.setXmm(1, 0x40400000n);
  m.step([0xf3, 0x0f, 0x5e, 0xc1]);
  t.is(m.mxcsr, 0x1fa0);
});

test('NaNs of both operands: the first is delivered, quieted, and the engine never chooses', (t) => {
  m.reset();
  m.setXmm(0, 0x7fa00001_7fc12345_3f800000_ffc00007n);
  m.setXmm(1, 0x7fc54321_3f800000_7f812345_7fc00009n);
  m.step([0x0f, 0x58, 0xc1]);
  t.is(m.xmm(0), 0x7fe00001_7fc12345_7fc12345_ffc00007n);
  t.is(m.mxcsr, 0x1f81);
});
