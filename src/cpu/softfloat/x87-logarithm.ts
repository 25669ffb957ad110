// F2XM1, FYL2X and FYL2XP1 (SDM vol. 2), correctly rounded by RC; precision control does not apply. Results are exact
// only where a power of two makes them rational, and those cases are taken apart first; PE is raised even then, as
// hardware does for every finite argument but zero.

import { invalid, stopsOnDenormal } from './arithmetic.js';
import { type FloatContext, PE, UE, ZE } from './context.js';
import { areaTangentRatio, exponentialRatio, FRACTION, INVERSE_LN2, LN2 } from './elementary.js';
import { F80, FINITE, INFINITY, type Unpacked, ZERO, zeroOf } from './format.js';
import { bitLength, round } from './round.js';
import { INDEFINITE, nanResult, needsNanRule } from './x87-operand.js';

const F = BigInt(FRACTION);

/** F2XM1: 2^a − 1 for −1 ≤ a ≤ 1. Outside, where the manual leaves the result undefined, ST(0) keeps its value. */
export function f2xm1(context: FloatContext, a: Unpacked): F80 {
  if (needsNanRule(a)) return nanResult(context, a);
  if (a.kind === ZERO) return zeroOf(F80, a.sign);
  if (a.kind === INFINITY) {
    return a.sign ? { significand: 1n << 63n, signExponent: 0xbfff } : F80.infinity(0);
  }
  if (stopsOnDenormal(context, a)) return INDEFINITE;
  context.flags |= PE;
  const top = a.exponent + bitLength(a.significand) - 1;
  if (top >= 0) {
    const one = top === 0 && a.significand === 1n << BigInt(bitLength(a.significand) - 1);
    if (one && a.sign) return { significand: 1n << 63n, signExponent: 0xbffe };
    return round(F80, context, a.sign, a.exponent, a.significand);
  }
  // 2^a − 1 = a·ln 2 · (e^z − 1)/z with z = a·ln 2.
  const product = a.significand * LN2;
  const z = product >> BigInt(-a.exponent);
  const ratio = exponentialRatio(a.sign ? -z : z);
  return round(F80, context, a.sign, a.exponent - 2 * FRACTION - 1, ((product * ratio) << 1n) | 1n);
}

/** log2 of a positive dyadic number: (−1)^sign · significand · 2^exponent, cut off unless exact. */
interface Logarithm {
  readonly sign: number;
  readonly significand: bigint;
  readonly exponent: number;
  readonly exact: boolean;
}

function log2(significand: bigint, exponent: number): Logarithm {
  // The mantissa between √½ and √2: significand / 2^length, or twice that.
  const length = bitLength(significand);
  let whole = exponent + length;
  let unit = 1n << BigInt(length);
  if ((significand * significand) << 1n < unit * unit) {
    unit >>= 1n;
    whole--;
  }
  const difference = significand - unit;
  if (difference === 0n) {
    return { sign: whole < 0 ? 1 : 0, significand: BigInt(Math.abs(whole)), exponent: 0, exact: true };
  }
  // ln m = 2 artanh((m − 1) / (m + 1)).
  const negative = difference < 0n;
  const numerator = negative ? -difference : difference;
  const denominator = significand + unit;
  const shift = FRACTION + bitLength(denominator) - bitLength(numerator);
  const quotient = (numerator << BigInt(shift)) / denominator;
  const series = areaTangentRatio(quotient >> BigInt(shift - FRACTION));
  const product = quotient * series * INVERSE_LN2;
  const scale = 1 - shift - 2 * FRACTION;
  if (whole === 0) return { sign: negative ? 1 : 0, significand: product, exponent: scale, exact: false };
  const part = product >> BigInt(-scale - FRACTION);
  const sum = (BigInt(whole) << F) + (negative ? -part : part);
  return sum < 0n
    ? { sign: 1, significand: -sum, exponent: -FRACTION, exact: false }
    : { sign: 0, significand: sum, exponent: -FRACTION, exact: false };
}

function timesLogarithm(context: FloatContext, y: Unpacked, log: Logarithm): F80 {
  const sign = y.sign ^ log.sign;
  if (log.significand === 0n) return zeroOf(F80, sign);
  context.flags |= PE;
  const product = y.significand * log.significand;
  const exponent = y.exponent + log.exponent;
  if (log.exact) {
    const result = round(F80, context, sign, exponent, product);
    // Counted as inexact, so a denormal is an underflow.
    if ((result.signExponent & 0x7fff) === 0) context.flags |= UE;
    return result;
  }
  return round(F80, context, sign, exponent - 1, (product << 1n) | 1n);
}

/** FYL2X: y · log2(x); y is ST(1), x is ST(0). */
export function fyl2x(context: FloatContext, y: Unpacked, x: Unpacked): F80 {
  if (needsNanRule(y, x)) return nanResult(context, y, x);
  if (x.sign && x.kind !== ZERO) return invalid(F80, context);
  if (x.kind === INFINITY) {
    if (y.kind === ZERO) return invalid(F80, context);
    if (stopsOnDenormal(context, y)) return INDEFINITE;
    return F80.infinity(y.sign);
  }
  if (x.kind === ZERO) {
    if (y.kind === ZERO) return invalid(F80, context);
    if (y.kind === FINITE && context.raise(ZE)) return INDEFINITE;
    return F80.infinity(y.sign ^ 1);
  }
  const belowOne = x.exponent + bitLength(x.significand) <= 0;
  const isOne =
    x.significand === 1n << BigInt(bitLength(x.significand) - 1) && x.exponent + bitLength(x.significand) === 1;
  if (y.kind === INFINITY) {
    if (isOne) return invalid(F80, context);
    if (stopsOnDenormal(context, x)) return INDEFINITE;
    return F80.infinity(y.sign ^ (belowOne ? 1 : 0));
  }
  if (stopsOnDenormal(context, y, x)) return INDEFINITE;
  if (y.kind === ZERO) return zeroOf(F80, y.sign ^ (belowOne ? 1 : 0));
  return timesLogarithm(context, y, log2(x.significand, x.exponent));
}

/**
 * FYL2XP1: y · log2(x + 1); y is ST(1), x is ST(0). The manual defines it for −(1 − √½) ≤ x ≤ √2 − 1; as on hardware,
 * the same formula holds for every x above −1, and below the result is x itself.
 */
export function fyl2xp1(context: FloatContext, y: Unpacked, x: Unpacked): F80 {
  if (needsNanRule(y, x)) return nanResult(context, y, x);
  if (x.kind === INFINITY) {
    if (x.sign || y.kind === ZERO) return invalid(F80, context);
    if (stopsOnDenormal(context, y)) return INDEFINITE;
    return F80.infinity(y.sign);
  }
  if (x.kind === ZERO) {
    if (y.kind === INFINITY) return invalid(F80, context);
    if (stopsOnDenormal(context, y)) return INDEFINITE;
    return zeroOf(F80, y.sign ^ x.sign);
  }
  if (stopsOnDenormal(context, y, x)) return INDEFINITE;
  if (y.kind === INFINITY) return F80.infinity(y.sign ^ x.sign);
  if (y.kind === ZERO) return zeroOf(F80, y.sign ^ x.sign);
  if (x.sign && x.exponent + bitLength(x.significand) > 0) {
    context.flags |= PE;
    return round(F80, context, 1, x.exponent, x.significand);
  }
  return timesLogarithm(context, y, log2OfSuccessor(x));
}

/** log2(1 + x) for x above −1. */
function log2OfSuccessor(x: Unpacked): Logarithm {
  // log2(1 + x) = x / ln 2 · (1 − x/2 + …): the second term is below what the fixed point resolves.
  if (x.exponent < -300)
    return { sign: x.sign, significand: x.significand * INVERSE_LN2, exponent: x.exponent - FRACTION, exact: false };
  if (x.exponent >= 0) return log2((x.significand << BigInt(x.exponent)) + 1n, 0);
  const one = 1n << BigInt(-x.exponent);
  return log2(x.sign ? one - x.significand : one + x.significand, x.exponent);
}
