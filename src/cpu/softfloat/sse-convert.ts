// SSE conversions of one element (SDM vol. 2 CVT*): between the formats, from integers, and to integers. Packed and
// MMX forms are the same on each element. A value that no integer of the width holds, infinities and NaNs give the
// integer indefinite (only the top bit set) and IE; in-range inexact results raise PE. Denormal operands raise DE
// only between formats.

import { stopsOnDenormal } from './arithmetic.js';
import { type FloatContext, IE, PE, TOWARD_ZERO } from './context.js';
import { F32, F64, type FloatFormat, INFINITY, indefinite, QUIET, SIGNALING, ZERO, zeroOf } from './format.js';
import { round, roundToInteger } from './round.js';
import { unpackElement } from './sse-arithmetic.js';

/** CVTSI2SS, CVTDQ2PS, CVTPI2PS and their doubles: a signed integer of 32 or 64 bits. */
export function sseFromInteger<T>(format: FloatFormat<T>, context: FloatContext, value: bigint): T {
  if (value === 0n) return zeroOf(format, 0);
  return value < 0n ? round(format, context, 1, 0, -value) : round(format, context, 0, 0, value);
}

/**
 * CVTSS2SI, CVTTSS2SI and relatives.
 * @param width bits of the integer.
 * @param truncate the CVTT forms.
 * @returns the two's complement pattern as an unsigned integer.
 */
export function sseToInteger<T>(
  format: FloatFormat<T>,
  context: FloatContext,
  a: T,
  width: 32 | 64,
  truncate: boolean,
): bigint {
  const indefinite = 1n << BigInt(width - 1);
  const x = unpackElement(format, context, a);
  if (x.kind === ZERO) return 0n;
  if (x.kind >= INFINITY || x.exponent > 64) {
    context.flags |= IE;
    return indefinite;
  }
  const rounding = truncate ? TOWARD_ZERO : context.rounding;
  const { magnitude, inexact } = roundToInteger(context, x.sign, x.exponent, x.significand, rounding);
  if (magnitude > indefinite || (magnitude === indefinite && !x.sign)) {
    context.flags |= IE;
    return indefinite;
  }
  if (inexact) context.flags |= PE;
  return BigInt.asUintN(width, x.sign ? -magnitude : magnitude);
}

function convert<S, T>(from: FloatFormat<S>, to: FloatFormat<T>, context: FloatContext, a: S): T {
  const x = unpackElement(from, context, a);
  if (x.kind >= QUIET) {
    if (x.kind === SIGNALING) context.flags |= IE;
    return to.nan(x.sign, x.significand);
  }
  if (stopsOnDenormal(context, x)) return indefinite(to);
  if (x.kind === ZERO) return zeroOf(to, x.sign);
  if (x.kind === INFINITY) return to.infinity(x.sign);
  return round(to, context, x.sign, x.exponent, x.significand);
}

/** CVTSS2SD, CVTPS2PD. */
export function sseSingleToDouble(context: FloatContext, a: number): bigint {
  return convert(F32, F64, context, a);
}

/** CVTSD2SS, CVTPD2PS. */
export function sseDoubleToSingle(context: FloatContext, a: bigint): number {
  return convert(F64, F32, context, a);
}
