// x87 loads and stores with conversion (SDM vol. 2 FLD, FILD, FBLD, FST, FIST, FISTTP, FBSTP). m80 moves raise
// nothing and need no function here. A store returns undefined when an unmasked exception keeps memory unwritten
// (SDM vol. 1 8.5.4–5: OE and UE of a store to memory leave the operand in the register).

import { DE, type FloatContext, IE, OE, PE, type Rounding, UE } from './context.js';
import {
  F32,
  F64,
  F80,
  FINITE,
  type FloatFormat,
  INFINITY,
  indefinite,
  QUIET,
  SIGNALING,
  UNSUPPORTED,
  Unpacked,
  ZERO,
  zeroOf,
} from './format.js';
import { round, roundToInteger } from './round.js';

/**
 * FLD m32fp, FLD m64fp: DE for a denormal, IE for a signaling NaN, which is quieted. The value itself is exact.
 * An unmasked DE does not keep the value from being pushed (seen on hardware), only an unmasked IE does.
 * @returns undefined when nothing is to be pushed.
 */
export function fld(context: FloatContext, operand: Unpacked): F80 | undefined {
  if (operand.kind >= QUIET) {
    if (operand.kind === SIGNALING && context.raise(IE)) return undefined;
    return F80.nan(operand.sign, operand.significand);
  }
  if (operand.denormal) context.flags |= DE;
  return extend(operand);
}

/** FILD: exact for 16, 32 and 64 bits. Also any other zero, infinity or exactly representable operand. */
export function extend(operand: Unpacked): F80 {
  if (operand.kind === ZERO) return zeroOf(F80, operand.sign);
  if (operand.kind === INFINITY) return F80.infinity(operand.sign);
  let significand = operand.significand;
  let exponent = operand.exponent + 63;
  while (significand >> 32n === 0n) {
    significand <<= 32n;
    exponent -= 32;
  }
  const shift = Math.clz32(Number(significand >> 32n));
  return F80.finite(operand.sign, exponent - shift, significand << BigInt(shift));
}

function store<T>(format: FloatFormat<T>, context: FloatContext, value: F80): T | undefined {
  const x = F80.unpack(value);
  const earlier = context.flags;
  let result: T;
  if (x.kind === UNSUPPORTED) {
    context.flags |= IE;
    result = indefinite(format);
  } else if (x.kind >= QUIET) {
    if (x.kind === SIGNALING) context.flags |= IE;
    result = format.nan(x.sign, x.significand);
  } else if (x.kind === ZERO) {
    return zeroOf(format, x.sign);
  } else if (x.kind === INFINITY) {
    return format.infinity(x.sign);
  } else {
    result = round(format, context, x.sign, x.exponent, x.significand);
  }
  if ((context.flags & ~context.masks & (IE | OE | UE)) === 0) return result;
  // Nothing was stored, so nothing was inexact.
  context.flags &= ~PE | earlier;
  return undefined;
}

/** FST m32fp. */
export function fst32(context: FloatContext, value: F80): number | undefined {
  return store(F32, context, value);
}

/** FST m64fp. */
export function fst64(context: FloatContext, value: F80): bigint | undefined {
  return store(F64, context, value);
}

/**
 * FIST, FISTP; FISTTP with rounding TOWARD_ZERO.
 * @param width bits of the integer: 16, 32 or 64.
 * @returns the two's complement pattern, unsigned; the integer indefinite when IE is masked.
 */
export function fist(
  context: FloatContext,
  value: F80,
  width: 16 | 32 | 64,
  rounding: Rounding = context.rounding,
): bigint | undefined {
  const limit = 1n << BigInt(width - 1);
  const integer = toInteger(context, value, rounding, limit, limit - 1n);
  if (integer === undefined) return context.masks & IE ? limit : undefined;
  return BigInt.asUintN(width, integer.sign ? -integer.magnitude : integer.magnitude);
}

/** Round to an integer of at least −lowest and at most highest; IE and undefined when there is none. */
function toInteger(
  context: FloatContext,
  value: F80,
  rounding: Rounding,
  lowest: bigint,
  highest: bigint,
): { sign: number; magnitude: bigint } | undefined {
  const x = F80.unpack(value);
  if (x.kind === ZERO) return { sign: x.sign, magnitude: 0n };
  if (x.kind >= INFINITY || x.exponent > 0) {
    context.flags |= IE;
    return undefined;
  }
  const { magnitude, inexact } = roundToInteger(context, x.sign, x.exponent, x.significand, rounding);
  if (magnitude > (x.sign ? lowest : highest)) {
    context.roundedUp = false;
    context.flags |= IE;
    return undefined;
  }
  if (inexact) context.flags |= PE;
  return { sign: x.sign, magnitude };
}

const BCD_LIMIT = 10n ** 18n - 1n;
const BCD_INDEFINITE = 0xffffc000000000000000n;

/** FBLD: 80 bits of packed decimal, 18 digits and a sign. Digits above 9 count with their value, as hardware does. */
export function fbld(bcd: bigint): F80 {
  let magnitude = 0n;
  for (let shift = 68n; shift >= 0n; shift -= 4n) magnitude = magnitude * 10n + ((bcd >> shift) & 15n);
  const sign = Number((bcd >> 79n) & 1n);
  return extend(new Unpacked(magnitude === 0n ? ZERO : FINITE, sign, 0, magnitude, false));
}

/** FBSTP: the 80-bit packed decimal; the packed indefinite when IE is masked and 18 digits do not hold the value. */
export function fbstp(context: FloatContext, value: F80): bigint | undefined {
  const integer = toInteger(context, value, context.rounding, BCD_LIMIT, BCD_LIMIT);
  if (integer === undefined) return context.masks & IE ? BCD_INDEFINITE : undefined;
  const digits = BigInt(`0x${integer.magnitude.toString(10)}`);
  return integer.sign ? digits | (1n << 79n) : digits;
}
