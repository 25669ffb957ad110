// RCPPS/RCPSS and RSQRTPS/RSQRTSS on one f32 element (SDM vol. 2; relative error at most 1.5·2^-12). Intel's
// processors look the answer up by the top bits of the fraction, and their tables follow a rule: the argument is
// taken at the middle of its interval, 1.f1…f11 followed by a 1 (RSQRT: ten bits and the exponent's parity), and the
// exact result is rounded to nearest at the twelfth bit. The rule was guessed from the first entries and then checked
// against all 2048 + 2048 entries that Bochs carries for Intel's parts; an AMD part (family 26) answers differently.
//
// No exceptions, MXCSR is not read: denormal operands always count as zero, tiny results are zero.

/** RCPSS: approximately 1 / a. */
export function reciprocal(a: number): number {
  const sign = (a & 0x80000000) >>> 0;
  const exponent = (a >>> 23) & 0xff;
  const fraction = a & 0x7fffff;
  if (exponent === 0) return (sign | 0x7f800000) >>> 0;
  if (exponent === 0xff) return fraction === 0 ? sign : (a | 0x400000) >>> 0;
  const result = 253 - exponent;
  if (result <= 0) return sign;
  // 2 / m to 12 bits after the point, where m = middle / 4096: always below 2 and above 1.
  const middle = 4097 + 2 * (fraction >>> 12);
  const rounded = Math.floor((0x4000000 + middle) / (2 * middle));
  return (sign | (result << 23) | ((rounded - 4096) << 11)) >>> 0;
}

/** RSQRTSS: approximately 1 / √a. */
export function reciprocalSquareRoot(a: number): number {
  const sign = (a & 0x80000000) >>> 0;
  const exponent = (a >>> 23) & 0xff;
  const fraction = a & 0x7fffff;
  if (exponent === 0) return (sign | 0x7f800000) >>> 0;
  if (exponent === 0xff && fraction !== 0) return (a | 0x400000) >>> 0;
  if (sign) return 0xffc00000;
  if (exponent === 0xff) return 0;
  // 2 / √m to 13 bits after the point, where m = middle / 2048, doubled for odd powers of two; then rounded.
  const middle = (2049 + 2 * (fraction >>> 13)) * (exponent & 1 ? 1 : 2);
  const rounded = Math.floor((Math.floor(Math.sqrt(Math.floor(2 ** 39 / middle))) + 1) / 2);
  return (((126 - ((exponent - 127) >> 1)) << 23) | ((rounded - 4096) << 11)) >>> 0;
}
