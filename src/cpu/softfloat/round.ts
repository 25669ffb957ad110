// Rounding an exact value to a format (SDM vol. 1 4.8.4, 4.9.1.4–6): every operation ends here. Tininess is
// detected after rounding, with an unbounded exponent. Masked underflow is flagged only when also inexact.
// x87 with overflow or underflow unmasked delivers the result with its exponent adjusted by 24576 (8.5.4, 8.5.5);
// SSE delivers none then, so what is returned does not matter.

import { DOWN, type FloatContext, NEAREST, OE, PE, type Rounding, TOWARD_ZERO, UE, UP } from './context.js';
import { F80, type FloatFormat, zeroOf } from './format.js';

const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);

/** Number of significant bits of a non-negative integer; 0 for 0. */
export function bitLength(value: bigint): number {
  float[0] = Number(value);
  const high = words[1]!;
  const exponent = high >>> 20;
  if (exponent === 0x7ff) return value.toString(16).length * 4 - Math.clz32(Number(`0x${value.toString(16)[0]}`)) + 28;
  if (exponent === 0) return 0;
  // Number() rounds, and may have carried into the next power of two.
  if ((high & 0xfffff) === 0 && words[0] === 0 && value >> BigInt(exponent - 1023) === 0n) return exponent - 1023;
  return exponent - 1022;
}

/** How rounding changed a magnitude. */
let inexact = false;
let increased = false;

/** significand / 2^drop rounded to an integer; sets `inexact` and `increased`. */
function dropBits(significand: bigint, drop: number, sign: number, rounding: Rounding): bigint {
  inexact = false;
  increased = false;
  if (drop <= 0) return significand << BigInt(-drop);
  const shift = BigInt(drop);
  const kept = significand >> shift;
  const rest = significand - (kept << shift);
  if (rest === 0n) return kept;
  inexact = true;
  if (rounding === NEAREST) {
    const half = 1n << (shift - 1n);
    increased = rest > half || (rest === half && (kept & 1n) === 1n);
  } else {
    increased = rounding === (sign ? DOWN : UP);
  }
  return increased ? kept + 1n : kept;
}

/**
 * Round (−1)^sign · significand · 2^exponent to an integer; reports through the context's `roundedUp`.
 * @returns the magnitude, and whether it differs from the operand.
 */
export function roundToInteger(
  context: FloatContext,
  sign: number,
  exponent: number,
  significand: bigint,
  rounding: Rounding,
): { magnitude: bigint; inexact: boolean } {
  // Beyond this nothing but the sticky bit is left; it keeps the shift small.
  if (exponent < -200) {
    significand = 1n;
    exponent = -200;
  }
  const magnitude = dropBits(significand, -exponent, sign, rounding);
  context.roundedUp = increased;
  return { magnitude, inexact };
}

/** The exponent adjustment of x87's unmasked overflow and underflow. */
const WRAP = 24576;

/**
 * Round (−1)^sign · significand · 2^exponent to the format, raising OE, UE and PE. The significand is positive and of
 * any length; operations that cannot be exact fold what is left over into its lowest bit.
 * @param precision significand bits of the result when precision control narrows them.
 */
export function round<T>(
  format: FloatFormat<T>,
  context: FloatContext,
  sign: number,
  exponent: number,
  significand: bigint,
  precision = format.precision,
): T {
  const rounding = context.rounding;
  const length = bitLength(significand);
  let rounded = dropBits(significand, length - precision, sign, rounding);
  let top = exponent + length - 1;
  if (rounded >> BigInt(precision)) {
    rounded >>= 1n;
    top++;
  }
  if (top < format.minExponent) return tiny(format, context, sign, exponent, significand, precision, rounded, top);
  context.roundedUp = increased;
  if (top > format.maxExponent) return overflow(format, context, sign, rounded, top, precision);
  if (inexact) context.flags |= PE;
  return format.finite(sign, top, rounded << BigInt(format.precision - precision));
}

function tiny<T>(
  format: FloatFormat<T>,
  context: FloatContext,
  sign: number,
  exponent: number,
  significand: bigint,
  precision: number,
  rounded: bigint,
  top: number,
): T {
  if (!(context.masks & UE)) {
    context.flags |= inexact ? UE | PE : UE;
    context.roundedUp = increased;
    if ((format as unknown) !== F80) return zeroOf(format, sign);
    // Only FSCALE gets below twice the range; then zero is delivered.
    if (top + WRAP < format.minExponent) {
      context.flags |= PE;
      context.roundedUp = false;
      return zeroOf(format, sign);
    }
    return format.finite(sign, top + WRAP, rounded << BigInt(format.precision - precision));
  }
  if (context.flushToZero) {
    context.flags |= UE | PE;
    return zeroOf(format, sign);
  }
  const lowest = format.minExponent - precision + 1;
  const far = lowest - exponent - bitLength(significand) > 2;
  const denormal = far
    ? dropBits(1n, 2, sign, context.rounding)
    : dropBits(significand, lowest - exponent, sign, context.rounding);
  context.roundedUp = increased;
  if (inexact) context.flags |= UE | PE;
  return format.finite(sign, format.minExponent, denormal << BigInt(format.precision - precision));
}

function overflow<T>(
  format: FloatFormat<T>,
  context: FloatContext,
  sign: number,
  rounded: bigint,
  top: number,
  precision: number,
): T {
  const widen = BigInt(format.precision - precision);
  if (!(context.masks & OE)) {
    context.flags |= inexact ? OE | PE : OE;
    if ((format as unknown) !== F80) return format.infinity(sign);
    // Only FSCALE gets above twice the range; then infinity is delivered (SDM vol. 1 8.5.4).
    if (top - WRAP > format.maxExponent) {
      context.flags |= PE;
      context.roundedUp = true;
      return format.infinity(sign);
    }
    return format.finite(sign, top - WRAP, rounded << widen);
  }
  context.flags |= OE | PE;
  const rounding = context.rounding;
  const toInfinity = rounding === NEAREST || rounding === (sign ? DOWN : UP);
  context.roundedUp = toInfinity;
  if (toInfinity && rounding !== TOWARD_ZERO) return format.infinity(sign);
  return format.finite(sign, format.maxExponent, ((1n << BigInt(precision)) - 1n) << widen);
}
