// SSE scalar arithmetic on one element (SDM vol. 1 11.5, vol. 2 ADDSS … DPPS): the packed forms are the same
// operation on each element, then one FloatContext.settleSimd(). f32 elements are u32 numbers (format F32), f64
// elements u64 bigints (format F64).
//
// NaN results (SDM vol. 1 table 4-7): the first operand if it is a NaN, else the second, quieted.
// Invariant: with an unmasked exception the value returned is not to be delivered.

import {
  add as addFinite,
  divide as divideFinite,
  multiply as multiplyFinite,
  squareRoot as squareRootFinite,
  stopsOnDenormal,
} from './arithmetic.js';
import { type FloatContext, IE, PE, type Rounding } from './context.js';
import {
  type FloatFormat,
  INFINITY,
  isNan,
  NEGATIVE_ZERO,
  POSITIVE_ZERO,
  QUIET,
  SIGNALING,
  type Unpacked,
  ZERO,
  zeroOf,
} from './format.js';
import { round, roundToInteger } from './round.js';

/** Unpack an element, with DAZ applied. */
export function unpackElement<T>(format: FloatFormat<T>, context: FloatContext, bits: T): Unpacked {
  const operand = format.unpack(bits);
  if (operand.denormal && context.denormalsAreZero) return operand.sign ? NEGATIVE_ZERO : POSITIVE_ZERO;
  return operand;
}

/** The answer when at least one operand is a NaN. */
function propagate<T>(format: FloatFormat<T>, context: FloatContext, a: Unpacked, b: Unpacked): T {
  if (a.kind === SIGNALING || b.kind === SIGNALING) context.flags |= IE;
  const chosen = isNan(a) ? a : b;
  return format.nan(chosen.sign, chosen.significand);
}

/** ADDSS, ADDSD: a + b, `a` being the destination operand. */
export function sseAdd<T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T): T {
  const x = unpackElement(format, context, a);
  const y = unpackElement(format, context, b);
  if (x.kind >= QUIET || y.kind >= QUIET) return propagate(format, context, x, y);
  return addFinite(format, context, x, y, 0, format.precision);
}

/** SUBSS, SUBSD: a − b. */
export function sseSubtract<T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T): T {
  const x = unpackElement(format, context, a);
  const y = unpackElement(format, context, b);
  if (x.kind >= QUIET || y.kind >= QUIET) return propagate(format, context, x, y);
  return addFinite(format, context, x, y, 1, format.precision);
}

/** MULSS, MULSD. */
export function sseMultiply<T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T): T {
  const x = unpackElement(format, context, a);
  const y = unpackElement(format, context, b);
  if (x.kind >= QUIET || y.kind >= QUIET) return propagate(format, context, x, y);
  return multiplyFinite(format, context, x, y, format.precision);
}

/** DIVSS, DIVSD: a / b. */
export function sseDivide<T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T): T {
  const x = unpackElement(format, context, a);
  const y = unpackElement(format, context, b);
  if (x.kind >= QUIET || y.kind >= QUIET) return propagate(format, context, x, y);
  return divideFinite(format, context, x, y, format.precision);
}

/** SQRTSS, SQRTSD of the source operand. */
export function sseSquareRoot<T>(format: FloatFormat<T>, context: FloatContext, a: T): T {
  const x = unpackElement(format, context, a);
  if (x.kind >= QUIET) return propagate(format, context, x, x);
  return squareRootFinite(format, context, x, format.precision);
}

/** MINSS, MINSD: `b`, the source operand, unless a < b; so for NaNs and for two zeros too. */
export function sseMinimum<T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T): T {
  return select(format, context, a, b, -1);
}

/** MAXSS, MAXSD: `b`, the source operand, unless a > b; so for NaNs and for two zeros too. */
export function sseMaximum<T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T): T {
  return select(format, context, a, b, 1);
}

function select<T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T, wanted: Relation): T {
  const relation = sseCompare(format, context, a, b, true);
  const chosen = relation === wanted ? a : b;
  // A denormal that counts as zero is delivered as zero.
  const operand = unpackElement(format, context, chosen);
  return operand.kind === ZERO ? zeroOf(format, operand.sign) : chosen;
}

/** Less, equal, greater, unordered. */
export type Relation = -1 | 0 | 1 | 2;

/** Compare two operands that are not NaN. */
export function relationOf(a: Unpacked, b: Unpacked): Relation {
  if (a.kind === ZERO && b.kind === ZERO) return 0;
  if (a.kind === ZERO) return b.sign ? 1 : -1;
  if (b.kind === ZERO || a.sign !== b.sign) return a.sign ? -1 : 1;
  const magnitude = compareMagnitudes(a, b);
  return (a.sign ? 0 - magnitude : magnitude) as Relation;
}

function compareMagnitudes(a: Unpacked, b: Unpacked): Relation {
  if (a.kind === INFINITY || b.kind === INFINITY) return a.kind === b.kind ? 0 : a.kind === INFINITY ? 1 : -1;
  const distance = a.exponent - b.exponent;
  // A larger exponent means a normalised significand of full length, see Unpacked.
  if (distance > 64) return 1;
  if (distance < -64) return -1;
  const x = distance > 0 ? a.significand << BigInt(distance) : a.significand;
  const y = distance < 0 ? b.significand << BigInt(-distance) : b.significand;
  return x > y ? 1 : x < y ? -1 : 0;
}

/**
 * The comparison behind COMISS, UCOMISS and CMPSS. COMISS maps the relation to ZF PF CF: unordered 111, greater 000,
 * less 001, equal 100.
 * @param signaling quiet NaNs are invalid too (COMISS, CMPSS with LT LE NLT NLE).
 */
export function sseCompare<T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T, signaling: boolean): Relation {
  const x = unpackElement(format, context, a);
  const y = unpackElement(format, context, b);
  if (x.kind >= QUIET || y.kind >= QUIET) {
    if (signaling || x.kind === SIGNALING || y.kind === SIGNALING) context.flags |= IE;
    return 2;
  }
  stopsOnDenormal(context, x, y);
  return relationOf(x, y);
}

/**
 * CMPSS, CMPSD: does the predicate hold; the caller makes it a mask of ones.
 * @param predicate 0 EQ, 1 LT, 2 LE, 3 UNORD, 4 NEQ, 5 NLT, 6 NLE, 7 ORD.
 */
export function ssePredicate<T>(format: FloatFormat<T>, context: FloatContext, predicate: number, a: T, b: T): boolean {
  const kind = predicate & 3;
  const relation = sseCompare(format, context, a, b, kind === 1 || kind === 2);
  let holds: boolean;
  if (kind === 0) holds = relation === 0;
  else if (kind === 1) holds = relation === -1;
  else if (kind === 2) holds = relation <= 0;
  else holds = relation === 2;
  return holds !== (predicate & 4) > 0;
}

/**
 * ROUNDSS, ROUNDSD (SSE4.1): round to an integer in the format. Denormal operands raise no DE.
 * @param immediate bits 0–1 rounding, bit 2 use the context's rounding instead, bit 3 do not raise PE.
 */
export function sseRound<T>(format: FloatFormat<T>, context: FloatContext, a: T, immediate: number): T {
  const x = unpackElement(format, context, a);
  if (x.kind >= QUIET) return propagate(format, context, x, x);
  if (x.kind === ZERO) return zeroOf(format, x.sign);
  if (x.kind === INFINITY || x.exponent >= 0) return a;
  const rounding = immediate & 4 ? context.rounding : ((immediate & 3) as Rounding);
  const { magnitude, inexact } = roundToInteger(context, x.sign, x.exponent, x.significand, rounding);
  if (inexact && !(immediate & 8)) context.flags |= PE;
  if (magnitude === 0n) return zeroOf(format, x.sign);
  // Exact: the magnitude has at most `precision` bits, or is a power of two. So this raises nothing.
  return round(format, context, x.sign, 0, magnitude);
}

/**
 * DPPS, DPPD on one 128-bit operand pair: products of the elements selected by immediate bits 4…, others +0, summed
 * pairwise, (0+1) + (2+3). The caller writes the sum to the elements selected by bits 0…, +0 to the others.
 *
 * Products, first sums and last sum are three computations, each settled like a packed instruction of its own: the
 * first with an unmasked exception is the last one done. settleSimd() must not follow.
 * @returns undefined when #XM is due.
 */
export function sseDotProduct<T>(
  format: FloatFormat<T>,
  context: FloatContext,
  a: readonly T[],
  b: readonly T[],
  immediate: number,
): T | undefined {
  // Flags of the computations that are through; the context holds those of the current one.
  let earlier = context.flags;
  context.flags = 0;
  const stops = (): boolean => {
    const stop = context.settleSimd();
    earlier |= context.flags;
    context.flags = stop ? earlier : 0;
    return stop;
  };
  const products = a.map((element, i) =>
    immediate & (16 << i) ? sseMultiply(format, context, element, b[i]!) : zeroOf(format, 0),
  );
  if (stops()) return undefined;
  let sum = sseAdd(format, context, products[0]!, products[1]!);
  if (products.length === 4) {
    const high = sseAdd(format, context, products[2]!, products[3]!);
    if (stops()) return undefined;
    sum = sseAdd(format, context, sum, high);
  }
  if (stops()) return undefined;
  context.flags = earlier;
  return sum;
}
