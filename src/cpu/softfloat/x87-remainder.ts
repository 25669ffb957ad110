// x87 operations that take numbers apart by powers of two and by whole quotients (SDM vol. 2 FRNDINT, FSCALE,
// FXTRACT, FPREM, FPREM1). Precision control does not reach them. When context.faultsBeforeResult() holds
// afterwards, nothing is to be written.

import { invalid, stopsOnDenormal } from './arithmetic.js';
import { type FloatContext, PE, ZE } from './context.js';
import { F80, INFINITY, type Unpacked, ZERO, zeroOf } from './format.js';
import { bitLength, round, roundToInteger } from './round.js';
import { C0, C1, C2, C3, INDEFINITE, nanResult, needsNanRule } from './x87-operand.js';

/** FRNDINT. */
export function frndint(context: FloatContext, a: Unpacked): F80 {
  if (needsNanRule(a)) return nanResult(context, a);
  if (a.kind === ZERO) return zeroOf(F80, a.sign);
  if (a.kind === INFINITY) return F80.infinity(a.sign);
  if (stopsOnDenormal(context, a)) return INDEFINITE;
  const { magnitude, inexact } = roundToInteger(context, a.sign, a.exponent, a.significand, context.rounding);
  const up = context.roundedUp;
  const result = magnitude === 0n ? zeroOf(F80, a.sign) : round(F80, context, a.sign, 0, magnitude);
  if (inexact) context.flags |= PE;
  context.roundedUp = up;
  return result;
}

/** FSCALE: a · 2^trunc(b), a being ST(0) and b ST(1). */
export function fscale(context: FloatContext, a: Unpacked, b: Unpacked): F80 {
  if (needsNanRule(a, b)) return nanResult(context, a, b);
  if (b.kind === INFINITY) {
    if (a.kind === (b.sign ? INFINITY : ZERO)) return invalid(F80, context);
    if (stopsOnDenormal(context, a)) return INDEFINITE;
    return b.sign ? zeroOf(F80, a.sign) : F80.infinity(a.sign);
  }
  if (stopsOnDenormal(context, a, b)) return INDEFINITE;
  if (a.kind === ZERO) return zeroOf(F80, a.sign);
  if (a.kind === INFINITY) return F80.infinity(a.sign);
  return round(F80, context, a.sign, a.exponent + scaleOf(b), a.significand);
}

/** The integer part, toward zero, held to a range beyond which every result overflows or underflows. */
function scaleOf(b: Unpacked): number {
  if (b.kind === ZERO) return 0;
  const magnitude =
    b.exponent + bitLength(b.significand) > 17
      ? 0x20000
      : Number(b.exponent >= 0 ? b.significand << BigInt(b.exponent) : b.significand >> BigInt(-b.exponent));
  return b.sign ? -magnitude : magnitude;
}

/** FXTRACT: ST(0) becomes the exponent, then the significand is pushed. */
export function fxtract(context: FloatContext, a: Unpacked): { exponent: F80; significand: F80 } {
  if (needsNanRule(a)) {
    const nan = nanResult(context, a);
    return { exponent: nan, significand: nan };
  }
  if (a.kind === ZERO) {
    context.raise(ZE);
    return { exponent: F80.infinity(1), significand: zeroOf(F80, a.sign) };
  }
  if (a.kind === INFINITY) return { exponent: F80.infinity(0), significand: F80.infinity(a.sign) };
  stopsOnDenormal(context, a);
  const length = bitLength(a.significand);
  const exponent = a.exponent + length - 1;
  return {
    exponent:
      exponent === 0 ? zeroOf(F80, 0) : round(F80, context, exponent < 0 ? 1 : 0, 0, BigInt(Math.abs(exponent))),
    significand: F80.finite(a.sign, 0, a.significand << BigInt(64 - length)),
  };
}

/** What FPREM and FPREM1 leave: the remainder, and C0 C1 C2 C3 (C2: reduction incomplete; else the quotient's low bits). */
export interface Remainder {
  readonly value: F80;
  readonly conditions: number;
}

/**
 * FPREM (quotient truncated) and FPREM1 (quotient rounded to nearest even), a being ST(0) and b ST(1). When the
 * exponents differ by 64 or more, one step reduces the difference by 32 to 63 and sets C2.
 */
export function fprem(context: FloatContext, a: Unpacked, b: Unpacked, nearest: boolean): Remainder {
  if (needsNanRule(a, b)) return { value: nanResult(context, a, b), conditions: 0 };
  if (a.kind === INFINITY || b.kind === ZERO) return { value: invalid(F80, context), conditions: 0 };
  if (stopsOnDenormal(context, a, b)) return { value: INDEFINITE, conditions: 0 };
  if (a.kind === ZERO) return { value: zeroOf(F80, a.sign), conditions: 0 };
  if (b.kind === INFINITY) return { value: round(F80, context, a.sign, a.exponent, a.significand), conditions: 0 };

  const difference = a.exponent + bitLength(a.significand) - b.exponent - bitLength(b.significand);
  if (difference >= 64) return partial(context, a, b, difference);

  // On a common exponent the quotient has at most 65 bits; far below the divisor it is 0, or to nearest still 0.
  if (difference < -2) return { value: round(F80, context, a.sign, a.exponent, a.significand), conditions: 0 };
  const exponent = Math.min(a.exponent, b.exponent);
  const dividend = a.significand << BigInt(a.exponent - exponent);
  const divisor = b.significand << BigInt(b.exponent - exponent);
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let sign = a.sign;
  if (nearest) {
    const twice = rest << 1n;
    if (twice > divisor || (twice === divisor && quotient & 1n)) {
      quotient++;
      rest = divisor - rest;
      sign ^= 1;
    }
  }
  const low = Number(quotient & 7n);
  const conditions = (low & 4 ? C0 : 0) | (low & 2 ? C3 : 0) | (low & 1 ? C1 : 0);
  return { value: rest === 0n ? zeroOf(F80, a.sign) : round(F80, context, sign, exponent, rest), conditions };
}

function partial(context: FloatContext, a: Unpacked, b: Unpacked, difference: number): Remainder {
  const step = (difference & 31) | 32;
  const drop = difference - step;
  const exponent = Math.min(a.exponent, b.exponent + drop);
  const dividend = a.significand << BigInt(a.exponent - exponent);
  const divisor = b.significand << BigInt(b.exponent + drop - exponent);
  const rest = dividend % divisor;
  return {
    value: rest === 0n ? zeroOf(F80, a.sign) : round(F80, context, a.sign, exponent, rest),
    conditions: C2,
  };
}
