// The four shapes of SSE floating point: scalar and packed, single and double. A body that is written against Shape
// serves all four (sse-float.ts, sse-convert.ts).
//
// Values are carried as bits: i32, i64 or v128, so that no NaN passes through a wasm float operation unless its result
// is discarded. A test is i32 0/1 for scalars and a lane mask for vectors.

import { type Expr, f32, f64, I32, I64, i32, i64, select, type Type, V128, v128 } from '../wasm/expr.js';
import * as v from './simd-ops.js';

const { bitwise, i32x4, i64x2, f32x4, f64x2 } = v;

export type Unary = (a: Expr) => Expr;
export type Binary = (a: Expr, b: Expr) => Expr;

/** Bounds that decide whether a magnitude is ordinary, as bits. */
interface Bounds {
  /** Smallest normal number, twice that, largest finite number, infinity, all bits of a magnitude. */
  readonly normal: bigint;
  readonly twiceNormal: bigint;
  readonly largest: bigint;
  readonly infinity: bigint;
  readonly nan: bigint;
  /** Factors up to the first and products from the second on have an error term that is a number of the format. */
  readonly splittable: bigint;
  readonly productFloor: bigint;
  /** 2^⌈p/2⌉ + 1: splits a significand of p bits into halves (Veltkamp, Dekker). */
  readonly splitter: bigint;
}
const SINGLE_BOUNDS: Bounds = {
  normal: 0x0080_0000n,
  twiceNormal: 0x0100_0000n,
  largest: 0x7f7f_ffffn,
  infinity: 0x7f80_0000n,
  nan: 0x7fff_ffffn,
  splittable: 0x7880_0000n, // 2^114
  productFloor: 0x0d80_0000n, // 2^−100
  splitter: 0x4580_0800n, // 4097
};
const DOUBLE_BOUNDS: Bounds = {
  normal: 0x0010_0000_0000_0000n,
  twiceNormal: 0x0020_0000_0000_0000n,
  largest: 0x7fef_ffff_ffff_ffffn,
  infinity: 0x7ff0_0000_0000_0000n,
  nan: 0x7fff_ffff_ffff_ffffn,
  splittable: 0x7e20_0000_0000_0000n, // 2^995
  productFloor: 0x03f0_0000_0000_0000n, // 2^−960
  splitter: 0x41a0_0000_0200_0000n, // 2^27 + 1
};

export interface Shape {
  readonly name: 'ss' | 'sd' | 'ps' | 'pd';
  readonly type: Type;
  readonly bounds: Bounds;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
  readonly sqrt: Unary;
  /** The same bits in every lane. */
  readonly constant: (bits: bigint) => Expr;
  /** Sign bit cleared; flipped. */
  readonly magnitude: Unary;
  readonly negate: Unary;
  /** A test is i32 0/1 for scalars and a lane mask for vectors; tests combine with `and`, `or`. */
  readonly within: (a: Expr, low: bigint, high: bigint) => Expr;
  readonly isZero: Unary;
  /** Comparisons as floats; the operands are no NaNs. */
  readonly lt: Binary;
  readonly eq: Binary;
  readonly and: Binary;
  readonly or: Binary;
  /** A test as i32: it holds in all lanes. */
  readonly all: Unary;
  /** A test as a mask of the shape's type. */
  readonly mask: Unary;
  /** i32 0/1 to the same test in every lane. */
  readonly everywhere: Unary;
  /** `a` where the test holds, else `b`. */
  readonly choose: (test: Expr, a: Expr, b: Expr) => Expr;
  readonly roundings: readonly [nearest: Unary, down: Unary, up: Unary, truncate: Unary];
}

function scalar(name: 'ss' | 'sd'): Shape {
  const single = name === 'ss';
  const integer = single ? i32 : i64;
  const floats = single ? f32 : f64;
  const from = single ? f32.reinterpretI32 : f64.reinterpretI64;
  const bits = single ? i32.reinterpretF32 : i64.reinterpretF64;
  const constant = (x: bigint) => (single ? i32.const(Number(x)) : i64.const(x));
  const un =
    (f: Unary): Unary =>
    (a) =>
      bits(f(from(a)));
  const bin =
    (f: Binary): Binary =>
    (a, b) =>
      bits(f(from(a), from(b)));
  const test =
    (f: Binary): Binary =>
    (a, b) =>
      f(from(a), from(b));
  const bounds = single ? SINGLE_BOUNDS : DOUBLE_BOUNDS;
  return {
    name,
    type: single ? I32 : I64,
    bounds,
    add: bin(floats.add),
    sub: bin(floats.sub),
    mul: bin(floats.mul),
    div: bin(floats.div),
    sqrt: un(floats.sqrt),
    constant,
    magnitude: (a) => (integer.and as Binary)(a, constant(bounds.nan)),
    negate: (a) => (integer.xor as Binary)(a, constant(single ? 1n << 31n : 1n << 63n)),
    within: (a, low, high) => (integer.leU as Binary)((integer.sub as Binary)(a, constant(low)), constant(high - low)),
    isZero: integer.eqz,
    lt: test(floats.lt),
    eq: test(floats.eq),
    and: i32.and,
    or: i32.or,
    all: (t) => t,
    mask: (t) => (single ? i32.sub(0, t) : i64.sub(0n, i64.extendU(t))),
    everywhere: (t) => t,
    choose: (t, a, b) => select(t, a, b),
    roundings: [un(floats.nearest), un(floats.floor), un(floats.ceil), un(floats.trunc)],
  };
}

function packed(name: 'ps' | 'pd'): Shape {
  const single = name === 'ps';
  const integer = single ? i32x4 : i64x2;
  const floats = single ? f32x4 : f64x2;
  const constant = (x: bigint) => {
    const n = Number(x);
    return single ? v.dwords(n, n, n, n) : v.qwords(x, x);
  };
  const bounds = single ? SINGLE_BOUNDS : DOUBLE_BOUNDS;
  return {
    name,
    type: V128,
    bounds,
    add: floats.add,
    sub: floats.sub,
    mul: floats.mul,
    div: floats.div,
    sqrt: floats.sqrt,
    constant,
    magnitude: (a) => bitwise.and(a, constant(bounds.nan)),
    negate: (a) => bitwise.xor(a, constant(single ? 1n << 31n : 1n << 63n)),
    // Signed comparison serves: bounds are positive, and a negative operand is below them.
    within: (a, low, high) => bitwise.and(integer.geS(a, constant(low)), integer.leS(a, constant(high))),
    isZero: (a) => integer.eq(a, v128.zero()),
    lt: floats.lt,
    eq: floats.eq,
    and: bitwise.and,
    or: bitwise.or,
    all: integer.allTrue,
    mask: (t) => t,
    everywhere: (t) => i32x4.splat(i32.sub(0, t)),
    choose: (t, a, b) => bitwise.select(a, b, t),
    roundings: [floats.nearest, floats.floor, floats.ceil, floats.trunc],
  };
}

export const SS = scalar('ss');
export const SD = scalar('sd');
export const PS = packed('ps');
export const PD = packed('pd');
