// The three formats (SDM vol. 1 4.2.2) and the form they are unpacked to: sign, kind, and an integer significand with
// the weight of its lowest bit. f32 travels as a u32 number, f64 as a u64 bigint, f80 as significand and sign with
// exponent, the way a 16-byte x87 register slot holds it.
//
// Invariant: NaN significands are always left-aligned to f80's 64 bits (integer bit 63, quiet bit 62), so payloads
// move between formats by shifting only.

export const ZERO = 0;
export const FINITE = 1;
export const INFINITY = 2;
export const QUIET = 3;
export const SIGNALING = 4;
/** f80 only: pseudo-NaN, pseudo-infinity, unnormal (SDM vol. 1 8.2.2). */
export const UNSUPPORTED = 5;

/** A number taken apart. FINITE is (−1)^sign · significand · 2^exponent, not normalised. */
export class Unpacked {
  constructor(
    readonly kind: number,
    /** 0 or 1. */
    readonly sign: number,
    readonly exponent: number,
    readonly significand: bigint,
    /** The operand was a denormal in the format it came from (f80: pseudo-denormals too). */
    readonly denormal: boolean,
  ) {}
}

/** An 80-bit extended value: 64-bit significand with explicit integer bit, and sign (bit 15) with biased exponent. */
export interface F80 {
  readonly significand: bigint;
  readonly signExponent: number;
}

/** What the engine knows of a format whose bit patterns are held as `T`. Exponents are those of the integer bit. */
export interface FloatFormat<T> {
  readonly precision: number;
  readonly minExponent: number;
  readonly maxExponent: number;
  unpack(bits: T): Unpacked;
  /** Significand below 2^precision; without its top bit it is a denormal, and exponent must be minExponent. */
  finite(sign: number, exponent: number, significand: bigint): T;
  infinity(sign: number): T;
  /** From a NaN's left-aligned significand, quieted. */
  nan(sign: number, significand: bigint): T;
}

const INTEGER_BIT = 1n << 63n;
const QUIET_BIT = 1n << 62n;
const MASK52 = (1n << 52n) - 1n;

/** The positive zero every format unpacks to when a denormal is taken as zero. */
export const POSITIVE_ZERO = new Unpacked(ZERO, 0, 0, 0n, false);
export const NEGATIVE_ZERO = new Unpacked(ZERO, 1, 0, 0n, false);
const POSITIVE_INFINITY = new Unpacked(INFINITY, 0, 0, 0n, false);
const NEGATIVE_INFINITY = new Unpacked(INFINITY, 1, 0, 0n, false);

function zero(sign: number): Unpacked {
  return sign ? NEGATIVE_ZERO : POSITIVE_ZERO;
}

function nan(sign: number, significand: bigint): Unpacked {
  return new Unpacked(significand & QUIET_BIT ? QUIET : SIGNALING, sign, 0, significand | INTEGER_BIT, false);
}

/** Single precision; bits are a u32 number. */
export const F32: FloatFormat<number> = {
  precision: 24,
  minExponent: -126,
  maxExponent: 127,
  unpack(bits) {
    const sign = bits >>> 31;
    const exponent = (bits >>> 23) & 0xff;
    const fraction = bits & 0x7fffff;
    if (exponent === 0) {
      return fraction === 0 ? zero(sign) : new Unpacked(FINITE, sign, -149, BigInt(fraction), true);
    }
    if (exponent === 0xff) {
      if (fraction === 0) return sign ? NEGATIVE_INFINITY : POSITIVE_INFINITY;
      return nan(sign, BigInt(fraction) << 40n);
    }
    return new Unpacked(FINITE, sign, exponent - 150, BigInt(fraction | 0x800000), false);
  },
  finite(sign, exponent, significand) {
    const s = Number(significand);
    const biased = s & 0x800000 ? exponent + 127 : 0;
    return ((sign << 31) | (biased << 23) | (s & 0x7fffff)) >>> 0;
  },
  infinity: (sign) => (sign ? 0xff800000 : 0x7f800000),
  nan: (sign, significand) => ((sign << 31) | 0x7fc00000 | Number((significand >> 40n) & 0x3fffffn)) >>> 0,
};

/** Double precision; bits are a u64 bigint. */
export const F64: FloatFormat<bigint> = {
  precision: 53,
  minExponent: -1022,
  maxExponent: 1023,
  unpack(bits) {
    const high = Number(bits >> 52n);
    const sign = high >>> 11;
    const exponent = high & 0x7ff;
    const fraction = bits & MASK52;
    if (exponent === 0) return fraction === 0n ? zero(sign) : new Unpacked(FINITE, sign, -1074, fraction, true);
    if (exponent === 0x7ff) {
      if (fraction === 0n) return sign ? NEGATIVE_INFINITY : POSITIVE_INFINITY;
      return nan(sign, fraction << 11n);
    }
    return new Unpacked(FINITE, sign, exponent - 1075, fraction | (1n << 52n), false);
  },
  finite(sign, exponent, significand) {
    const biased = significand > MASK52 ? exponent + 1023 : 0;
    return (BigInt((sign << 11) | biased) << 52n) | (significand & MASK52);
  },
  infinity: (sign) => (sign ? 0xfff0000000000000n : 0x7ff0000000000000n),
  nan: (sign, significand) =>
    (sign ? 0xfff8000000000000n : 0x7ff8000000000000n) | ((significand >> 11n) & 0x7ffffffffffffn),
};

/** Double extended precision. */
export const F80: FloatFormat<F80> = {
  precision: 64,
  minExponent: -16382,
  maxExponent: 16383,
  unpack({ significand, signExponent }) {
    const sign = (signExponent >>> 15) & 1;
    const exponent = signExponent & 0x7fff;
    if (exponent === 0) {
      return significand === 0n ? zero(sign) : new Unpacked(FINITE, sign, -16445, significand, true);
    }
    if (significand < INTEGER_BIT) return new Unpacked(UNSUPPORTED, sign, 0, significand, false);
    if (exponent === 0x7fff) {
      if (significand === INTEGER_BIT) return sign ? NEGATIVE_INFINITY : POSITIVE_INFINITY;
      return nan(sign, significand);
    }
    return new Unpacked(FINITE, sign, exponent - 16446, significand, false);
  },
  finite(sign, exponent, significand) {
    return { significand, signExponent: (sign << 15) | (significand >= INTEGER_BIT ? exponent + 16383 : 0) };
  },
  infinity: (sign) => ({ significand: INTEGER_BIT, signExponent: (sign << 15) | 0x7fff }),
  nan: (sign, significand) => ({
    significand: significand | INTEGER_BIT | QUIET_BIT,
    signExponent: (sign << 15) | 0x7fff,
  }),
};

/** The zero with a given sign, in a format. */
export function zeroOf<T>(format: FloatFormat<T>, sign: number): T {
  return format.finite(sign, format.minExponent, 0n);
}

/** Real indefinite: the negative quiet NaN without payload, masked answer to an invalid operation. */
export function indefinite<T>(format: FloatFormat<T>): T {
  return format.nan(1, INTEGER_BIT | QUIET_BIT);
}

export function isNan(operand: Unpacked): boolean {
  return operand.kind === QUIET || operand.kind === SIGNALING;
}
