// Series for the x87 transcendental functions, in fixed point with FRACTION bits after the point. Each is a ratio to
// its argument's first-order term, so that results keep their relative precision however small the argument is.
// Values are truncated after every step; with 192 bits the error is far below what could change a rounding to 64.
//
// Invariant: a ratio that must differ from 1 does: where the true value is closer to 1 than the fixed point resolves,
// it is one unit below. Callers set a sticky bit below the last, so directed rounding sees the right side.

/** Bits after the point. */
export const FRACTION = 192;
const F = BigInt(FRACTION);
/** 1.0. */
export const ONE = 1n << F;

/** π, ln 2 and 1 / ln 2 with 256 bits after the point. */
const PI_256 = 0x3243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89n;
const LN2_256 = 0xb17217f7d1cf79abc9e3b39803f2f6af40f343267298b62d8a0d175b8baafa2bn;
const INVERSE_LN2_256 = 0x171547652b82fe1777d0ffda0d23a7d11d6aef551bad2b4b1164a2cd9a342648fn;

export const PI = PI_256 >> 64n;
export const HALF_PI = PI_256 >> 65n;
export const QUARTER_PI = PI_256 >> 66n;
export const LN2 = LN2_256 >> 64n;
export const INVERSE_LN2 = INVERSE_LN2_256 >> 64n;

const below = (ratio: bigint): bigint => (ratio >= ONE ? ONE - 1n : ratio);

/** sin(z) / z for |z| below 1. */
export function sineRatio(z: bigint): bigint {
  return below(alternating((z * z) >> F, 2n));
}

/** cos(z) for |z| below 1, z not zero. */
export function cosine(z: bigint): bigint {
  return below(alternating((z * z) >> F, 1n));
}

/** 1 − x/(n(n+1)) + x²/(n(n+1)(n+2)(n+3)) − … */
function alternating(x: bigint, n: bigint): bigint {
  let sum = ONE;
  let term = ONE;
  for (let k = n; term !== 0n; k += 4n) {
    term = ((term * x) >> F) / (k * (k + 1n));
    sum -= term;
    term = ((term * x) >> F) / ((k + 2n) * (k + 3n));
    sum += term;
  }
  return sum;
}

/** (e^z − 1) / z for |z| below 1. */
export function exponentialRatio(z: bigint): bigint {
  let sum = ONE;
  let term = ONE;
  for (let k = 2n; term !== 0n && term !== -1n; k++) {
    term = ((term * z) >> F) / k;
    sum += term;
  }
  return sum;
}

/** atanh(z) / z for |z| below 1/2. */
export function areaTangentRatio(z: bigint): bigint {
  const x = (z * z) >> F;
  let sum = ONE;
  let power = x;
  for (let k = 3n; power !== 0n; k += 2n) {
    sum += power / k;
    power = (power * x) >> F;
  }
  return sum;
}

/** arctan(z) / z for |z| below 1/2. */
export function arcTangentRatio(z: bigint): bigint {
  const x = (z * z) >> F;
  let sum = ONE;
  let power = x;
  for (let k = 3n; power !== 0n; k += 4n) {
    sum -= power / k;
    power = (power * x) >> F;
    sum += power / (k + 2n);
    power = (power * x) >> F;
  }
  return below(sum);
}
