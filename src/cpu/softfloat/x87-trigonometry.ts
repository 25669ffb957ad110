// FSIN, FCOS, FSINCOS, FPTAN and FPATAN (SDM vol. 2; vol. 1 8.3.8 on the argument reduction), correctly rounded by RC.
// The reduction divides by the processor's own 66-bit π, exactly: sines of large arguments therefore differ from the
// mathematical ones as they do on hardware. Arguments of 2^63 and more are out of range and leave ST(0) alone (C2).
// Precision control does not apply.

import { invalid, stopsOnDenormal } from './arithmetic.js';
import type { FloatContext } from './context.js';
import { arcTangentRatio, cosine, FRACTION, HALF_PI, PI, QUARTER_PI, sineRatio } from './elementary.js';
import { F80, FINITE, INFINITY, type Unpacked, ZERO, zeroOf } from './format.js';
import { bitLength, round } from './round.js';
import { INDEFINITE, nanResult, needsNanRule } from './x87-operand.js';

/** π to 66 bits, in units of 2^-66 (SDM vol. 1 8.3.8: 0.C90FDAA22168C234C · 2^2). */
const REDUCTION_PI = 0xc90fdaa22168c234cn;
const REDUCTION_PI_FRACTION = 66;

/** An argument without its multiple of π/2: the rest is (−1)^sign · magnitude · 2^exponent, at most π/4. */
interface Reduced {
  readonly quadrant: number;
  readonly sign: number;
  readonly magnitude: bigint;
  readonly exponent: number;
}

function reduce(a: Unpacked): Reduced {
  // In units of 2^exponent, on which the argument and π/2 are both whole.
  const halfPiExponent = -REDUCTION_PI_FRACTION - 1;
  const exponent = Math.min(a.exponent, halfPiExponent);
  if (a.exponent + bitLength(a.significand) < 0) {
    return { quadrant: 0, sign: a.sign, magnitude: a.significand, exponent: a.exponent };
  }
  const argument = a.significand << BigInt(a.exponent - exponent);
  const halfPi = REDUCTION_PI << BigInt(halfPiExponent - exponent);
  let quotient = argument / halfPi;
  let rest = argument - quotient * halfPi;
  let sign = a.sign;
  if (rest << 1n > halfPi) {
    quotient++;
    rest = halfPi - rest;
    sign ^= 1;
  }
  const quadrant = Number(quotient & 3n);
  return { quadrant: a.sign ? -quadrant & 3 : quadrant, sign, magnitude: rest, exponent };
}

/** The rest of the reduction in the series' fixed point. */
function fixed(r: Reduced): bigint {
  const shift = r.exponent + FRACTION;
  return shift >= 0 ? r.magnitude << BigInt(shift) : r.magnitude >> BigInt(-shift);
}

/** Round an irrational value known to its last bit but cut off there. */
function roundCut(context: FloatContext, sign: number, exponent: number, significand: bigint): F80 {
  return round(F80, context, sign, exponent - 1, (significand << 1n) | 1n);
}

function sineOf(context: FloatContext, r: Reduced, shift: number): F80 {
  const quadrant = (r.quadrant + shift) & 3;
  const flip = quadrant >> 1;
  if (quadrant & 1) return roundCut(context, flip, -FRACTION, cosine(fixed(r)));
  return roundCut(context, r.sign ^ flip, r.exponent - FRACTION, r.magnitude * sineRatio(fixed(r)));
}

/** |a| is 2^63 or more: the instruction only sets C2. Infinities are invalid instead. */
export function trigonometricOutOfRange(a: Unpacked): boolean {
  return a.kind === FINITE && a.exponent + bitLength(a.significand) > 63;
}

/** FSIN of an operand in range. */
export function fsin(context: FloatContext, a: Unpacked): F80 {
  if (needsNanRule(a)) return nanResult(context, a);
  if (a.kind === INFINITY) return invalid(F80, context);
  if (a.kind === ZERO) return zeroOf(F80, a.sign);
  if (stopsOnDenormal(context, a)) return INDEFINITE;
  return sineOf(context, reduce(a), 0);
}

/** FCOS of an operand in range. */
export function fcos(context: FloatContext, a: Unpacked): F80 {
  if (needsNanRule(a)) return nanResult(context, a);
  if (a.kind === INFINITY) return invalid(F80, context);
  if (a.kind === ZERO) return ONE_80;
  if (stopsOnDenormal(context, a)) return INDEFINITE;
  return sineOf(context, reduce(a), 1);
}

/** FPTAN of an operand in range; the caller pushes 1.0, or the same NaN, after it. */
export function fptan(context: FloatContext, a: Unpacked): F80 {
  if (needsNanRule(a)) return nanResult(context, a);
  if (a.kind === INFINITY) return invalid(F80, context);
  if (a.kind === ZERO) return zeroOf(F80, a.sign);
  if (stopsOnDenormal(context, a)) return INDEFINITE;
  const r = reduce(a);
  const z = fixed(r);
  const sine = r.magnitude * sineRatio(z);
  const cos = cosine(z);
  if (r.quadrant & 1) {
    const shift = bitLength(sine) + FRACTION - bitLength(cos);
    return roundCut(context, r.sign ^ 1, -r.exponent - shift, (cos << BigInt(shift)) / sine);
  }
  return roundCut(context, r.sign, r.exponent - FRACTION, (sine << BigInt(FRACTION)) / cos);
}

/** 1.0, which FPTAN pushes. */
export const ONE_80: F80 = { significand: 1n << 63n, signExponent: 0x3fff };

/** FPATAN: arctan(y / x) in the quadrant of the point (x, y); y is ST(1), x is ST(0). */
export function fpatan(context: FloatContext, y: Unpacked, x: Unpacked): F80 {
  if (needsNanRule(y, x)) return nanResult(context, y, x);
  if (stopsOnDenormal(context, y, x)) return INDEFINITE;
  if (y.kind === INFINITY) {
    if (x.kind !== INFINITY) return roundCut(context, y.sign, -FRACTION, HALF_PI);
    return roundCut(context, y.sign, -FRACTION, x.sign ? PI - QUARTER_PI : QUARTER_PI);
  }
  if (y.kind === ZERO || x.kind === INFINITY) {
    return x.sign ? roundCut(context, y.sign, -FRACTION, PI) : zeroOf(F80, y.sign);
  }
  if (x.kind === ZERO) return roundCut(context, y.sign, -FRACTION, HALF_PI);

  const steep = isGreater(y, x);
  const angle = steep ? octantAngle(x, y) : octantAngle(y, x);
  if (!steep && !x.sign) return roundCut(context, y.sign, angle.exponent, angle.significand);
  const shift = angle.exponent + FRACTION;
  const small = shift >= 0 ? angle.significand << BigInt(shift) : angle.significand >> BigInt(-shift);
  const base = steep ? HALF_PI : PI;
  return roundCut(context, y.sign, -FRACTION, steep === (x.sign === 1) ? base + small : base - small - 1n);
}

function isGreater(a: Unpacked, b: Unpacked): boolean {
  const topA = a.exponent + bitLength(a.significand);
  const topB = b.exponent + bitLength(b.significand);
  if (topA !== topB) return topA > topB;
  const distance = a.exponent - b.exponent;
  return distance >= 0
    ? a.significand << BigInt(distance) > b.significand
    : a.significand > b.significand << BigInt(-distance);
}

/** arctan(n / d) for 0 < n ≤ d, as significand · 2^exponent. */
function octantAngle(n: Unpacked, d: Unpacked): { significand: bigint; exponent: number } {
  const distance = n.exponent - d.exponent;
  const near = n.exponent + bitLength(n.significand) > d.exponent + bitLength(d.significand) - 3;
  if (!near) return arcTangentOf(n.significand, d.significand, distance);
  const numerator = distance > 0 ? n.significand << BigInt(distance) : n.significand;
  const denominator = distance < 0 ? d.significand << BigInt(-distance) : d.significand;
  // Above tan(π/8) or thereabouts: arctan t = π/4 − arctan((1 − t) / (1 + t)).
  if (numerator * 5n < denominator * 2n) return arcTangentOf(numerator, denominator, 0);
  if (numerator === denominator) return { significand: QUARTER_PI, exponent: -FRACTION };
  const rest = arcTangentOf(denominator - numerator, denominator + numerator, 0);
  return { significand: QUARTER_PI - (rest.significand >> BigInt(-rest.exponent - FRACTION)), exponent: -FRACTION };
}

/** arctan(n / d · 2^scale) for a quotient below 1/2. */
function arcTangentOf(n: bigint, d: bigint, scale: number): { significand: bigint; exponent: number } {
  const shift = FRACTION + bitLength(d) - bitLength(n);
  const quotient = (n << BigInt(shift)) / d;
  const toFixed = FRACTION + scale - shift;
  const t = toFixed >= 0 ? quotient << BigInt(toFixed) : quotient >> BigInt(-toFixed);
  return { significand: quotient * arcTangentRatio(t), exponent: scale - shift - FRACTION };
}
