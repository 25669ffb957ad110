// Add, multiply, divide and square root on unpacked operands that are not NaN, shared by SSE and x87 (SDM vol. 1
// 4.8.3, tables of the instructions). Every result is exact up to a sticky lowest bit, then rounded once.
//
// Order of exceptions (SDM vol. 1 4.9.2): invalid and division by zero, then denormal operand, then the rest. When an
// unmasked one stops the operation, the value returned is a placeholder that the caller must not deliver.

import { DE, DOWN, type FloatContext, IE, ZE } from './context.js';
import { FINITE, type FloatFormat, INFINITY, indefinite, type Unpacked, ZERO, zeroOf } from './format.js';
import { bitLength, round } from './round.js';

/** Raise IE and give the masked answer. */
export function invalid<T>(format: FloatFormat<T>, context: FloatContext): T {
  context.flags |= IE;
  return indefinite(format);
}

/** Raise DE when an operand is denormal; true when that stops the operation. */
export function stopsOnDenormal(context: FloatContext, a: Unpacked, b: Unpacked = a): boolean {
  return (a.denormal || b.denormal) && context.raise(DE);
}

/** Give back an operand in the format, rounded to the precision. */
function deliver<T>(format: FloatFormat<T>, context: FloatContext, sign: number, a: Unpacked, precision: number): T {
  if (a.kind === ZERO) return zeroOf(format, sign);
  if (a.kind === INFINITY) return format.infinity(sign);
  return round(format, context, sign, a.exponent, a.significand, precision);
}

/** a + b, or a − b when `subtract` is 1. */
export function add<T>(
  format: FloatFormat<T>,
  context: FloatContext,
  a: Unpacked,
  b: Unpacked,
  subtract: number,
  precision: number,
): T {
  const signB = b.sign ^ subtract;
  if (a.kind === INFINITY && b.kind === INFINITY && a.sign !== signB) return invalid(format, context);
  if (stopsOnDenormal(context, a, b)) return indefinite(format);
  if (a.kind === INFINITY) return format.infinity(a.sign);
  if (b.kind === INFINITY) return format.infinity(signB);
  if (b.kind === ZERO) {
    if (a.kind !== ZERO) return deliver(format, context, a.sign, a, precision);
    return zeroOf(format, a.sign === signB ? signB : context.rounding === DOWN ? 1 : 0);
  }
  if (a.kind === ZERO) return deliver(format, context, signB, b, precision);

  const distance = a.exponent - b.exponent;
  let x = a.significand;
  let y = b.significand;
  let exponent: number;
  if (distance >= 0) {
    if (distance > FAR) {
      x <<= FAR_SHIFT;
      y = 1n;
      exponent = a.exponent - Number(FAR_SHIFT);
    } else {
      x <<= BigInt(distance);
      exponent = b.exponent;
    }
  } else if (distance < -FAR) {
    y <<= FAR_SHIFT;
    x = 1n;
    exponent = b.exponent - Number(FAR_SHIFT);
  } else {
    y <<= BigInt(-distance);
    exponent = a.exponent;
  }
  if (a.sign === signB) return round(format, context, a.sign, exponent, x + y, precision);
  if (x === y) return zeroOf(format, context.rounding === DOWN ? 1 : 0);
  return x > y
    ? round(format, context, a.sign, exponent, x - y, precision)
    : round(format, context, signB, exponent, y - x, precision);
}

// Operands further apart than this meet only in the sticky bit. The nearer one is then normalised: a denormal has the
// lowest exponent there is.
const FAR = 132;
const FAR_SHIFT = 67n;

export function multiply<T>(
  format: FloatFormat<T>,
  context: FloatContext,
  a: Unpacked,
  b: Unpacked,
  precision: number,
): T {
  const sign = a.sign ^ b.sign;
  if ((a.kind === INFINITY && b.kind === ZERO) || (a.kind === ZERO && b.kind === INFINITY)) {
    return invalid(format, context);
  }
  if (stopsOnDenormal(context, a, b)) return indefinite(format);
  if (a.kind === INFINITY || b.kind === INFINITY) return format.infinity(sign);
  if (a.kind === ZERO || b.kind === ZERO) return zeroOf(format, sign);
  return round(format, context, sign, a.exponent + b.exponent, a.significand * b.significand, precision);
}

/** a / b. */
export function divide<T>(
  format: FloatFormat<T>,
  context: FloatContext,
  a: Unpacked,
  b: Unpacked,
  precision: number,
): T {
  const sign = a.sign ^ b.sign;
  if (a.kind === b.kind && a.kind !== FINITE) return invalid(format, context);
  if (b.kind === ZERO && a.kind === FINITE) {
    if (context.raise(ZE)) return indefinite(format);
    return format.infinity(sign);
  }
  if (stopsOnDenormal(context, a, b)) return indefinite(format);
  if (a.kind === INFINITY) return format.infinity(sign);
  if (a.kind === ZERO || b.kind === INFINITY) return zeroOf(format, sign);
  const shift = Math.max(0, precision + 2 - bitLength(a.significand) + bitLength(b.significand));
  const numerator = a.significand << BigInt(shift);
  const quotient = numerator / b.significand;
  const sticky = quotient * b.significand === numerator ? 0n : 1n;
  return round(format, context, sign, a.exponent - b.exponent - shift - 1, (quotient << 1n) | sticky, precision);
}

export function squareRoot<T>(format: FloatFormat<T>, context: FloatContext, a: Unpacked, precision: number): T {
  if (a.kind === ZERO) return zeroOf(format, a.sign);
  if (a.sign) return invalid(format, context);
  if (stopsOnDenormal(context, a)) return indefinite(format);
  if (a.kind === INFINITY) return format.infinity(0);
  let shift = Math.max(0, 2 * precision + 4 - bitLength(a.significand));
  if ((a.exponent - shift) & 1) shift++;
  const radicand = a.significand << BigInt(shift);
  const root = integerSquareRoot(radicand);
  const sticky = root * root === radicand ? 0n : 1n;
  return round(format, context, 0, (a.exponent - shift) / 2 - 1, (root << 1n) | sticky, precision);
}

/** Largest integer whose square is not above the value. */
export function integerSquareRoot(value: bigint): bigint {
  if (value === 0n) return 0n;
  const drop = Math.max(0, bitLength(value) - 104) & ~1;
  // 52 good bits from the host's square root (IEEE 754 demands it exact), then Newton's steps double them. The
  // start is kept above the root, from where the steps only descend.
  let root = (BigInt(Math.floor(Math.sqrt(Number(value >> BigInt(drop))))) + 2n) << BigInt(drop / 2);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
