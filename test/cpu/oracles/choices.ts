// A stream of random words from which cases are built, and the operand values that are worth trying.
//
// Building from words (rather than from nested arbitraries) lets any case shrink: fewer and smaller words mean plainer
// choices, for 0 always stands for the plainest one and an exhausted stream gives zeros.

export class Choices {
  private at = 0;

  constructor(private readonly words: readonly number[]) {}

  u32(): number {
    return (this.words[this.at++] ?? 0) >>> 0;
  }
  u64(): bigint {
    return BigInt(this.u32()) | (BigInt(this.u32()) << 32n);
  }
  /** 0…n − 1. */
  below(n: number): number {
    return this.u32() % n;
  }
  /** True in `percent` of all cases; the plain choice is false. */
  chance(percent: number): boolean {
    return this.below(100) >= 100 - percent;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

const INTEGERS = [
  0n,
  1n,
  2n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn,
];
export function integer(c: Choices): bigint {
  switch (c.below(4)) {
    case 0:
      return c.pick(INTEGERS);
    case 1:
      return BigInt(c.below(256));
    case 2:
      return BigInt(c.u32());
    default:
      return c.u64();
  }
}

/** Exponents that matter, as distances from the bias, all ones and zero; then fractions that matter. */
function float(c: Choices, exponentBits: number, fractionBits: number): bigint {
  const top = (1 << exponentBits) - 1;
  const bias = top >> 1;
  const exponents = [bias, 0, top, 1, top - 1, bias + 1, bias - 1, bias + fractionBits, bias + 31, bias + 63];
  const kind = c.below(4);
  const exponent =
    kind === 0 ? c.pick(exponents) : kind === 1 ? bias - 70 + c.below(140) : kind === 2 ? c.below(top + 1) : bias;
  const all = (1n << BigInt(fractionBits)) - 1n;
  const quiet = 1n << BigInt(fractionBits - 1);
  const fractions = [0n, quiet, all, 1n, quiet | 1n, quiet >> 1n, all ^ 1n, quiet - 1n];
  const fraction = c.below(2) === 0 ? c.pick(fractions) : c.u64() & all;
  const sign = BigInt(c.below(2)) << BigInt(exponentBits + fractionBits);
  return sign | (BigInt(Math.max(0, exponent) & top) << BigInt(fractionBits)) | fraction;
}
export const f32 = (c: Choices): bigint => float(c, 8, 23);
export const f64 = (c: Choices): bigint => float(c, 11, 52);

/** Significand and exponent of an 80-bit number; unsupported encodings and pseudo-denormals among them. */
export function f80(c: Choices): { significand: bigint; signExponent: number } {
  const bits = float(c, 15, 63);
  const exponent = Number(bits >> 63n) & 0x7fff;
  const proper = exponent !== 0;
  const integerBit = c.chance(4) ? !proper : proper;
  return {
    significand: (integerBit ? 1n << 63n : 0n) | (bits & 0x7fff_ffff_ffff_ffffn),
    signExponent: Number(bits >> 63n) & 0xffff,
  };
}

/** Little-endian bytes of a value. */
export function bytesOf(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return bytes;
}

/** Sixteen bytes of one kind: integers, numbers, packed decimals, or noise. */
export function operandBytes(c: Choices): Uint8Array {
  const bytes = new Uint8Array(16);
  switch (c.below(7)) {
    case 0:
      bytes.set(bytesOf(integer(c), 8));
      bytes.set(bytesOf(integer(c), 8), 8);
      break;
    case 1:
      bytes.set(bytesOf(f64(c), 8));
      bytes.set(bytesOf(f64(c), 8), 8);
      break;
    case 2:
      for (let i = 0; i < 16; i += 4) bytes.set(bytesOf(f32(c), 4), i);
      break;
    case 3: {
      const value = f80(c);
      bytes.set(bytesOf(value.significand, 8));
      bytes.set(bytesOf(BigInt(value.signExponent), 2), 8);
      break;
    }
    case 4: // packed decimal
      for (let i = 0; i < 10; i++) bytes[i] = c.below(10) * 16 + c.below(10);
      bytes[9] = c.below(2) * 128;
      break;
    case 5: // small integers in every lane
      for (let i = 0; i < 16; i += 2)
        bytes.set(bytesOf(BigInt(c.pick([0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff])), 2), i);
      break;
    default:
      bytes.set(bytesOf(c.u64(), 8));
      bytes.set(bytesOf(c.u64(), 8), 8);
  }
  return bytes;
}

/** An FXSAVE image: rounding modes, precision, unmasked exceptions, every register a number of some kind. */
export function fxImage(c: Choices): Uint8Array {
  const image = new Uint8Array(512);
  const view = new DataView(image.buffer);
  let control = 0x037f;
  if (c.chance(35)) control = 0x40 | (c.chance(30) ? c.below(64) : 63) | (c.pick([3, 2, 0]) << 8) | (c.below(4) << 10);
  view.setUint16(0, control, true);
  const depth = c.pick([2, 3, 1, 0, 4, 7, 8]);
  const top = (8 - depth + (c.chance(10) ? c.below(8) : 0)) & 7;
  let status = (top << 11) | (c.below(8) << 8) | (c.below(2) << 14);
  if (c.chance(15)) status |= c.below(64);
  if ((status & ~control & 63) !== 0) status |= 0x8080;
  view.setUint16(2, status, true);
  for (let i = 0; i < depth; i++) image[4]! |= 1 << ((top + i) & 7);
  let mxcsr = 0x1f80;
  if (c.chance(40)) mxcsr |= c.below(4) << 13;
  if (c.chance(15)) mxcsr |= (0x8000 * c.below(2)) | (0x40 * c.below(2));
  if (c.chance(15)) mxcsr = (mxcsr & ~0x1f80) | (c.below(64) << 7);
  if (c.chance(20)) mxcsr |= c.below(64);
  view.setUint32(24, mxcsr, true);
  view.setUint32(28, 0xffff, true);
  for (let i = 0; i < depth; i++) {
    const value = f80(c);
    view.setBigUint64(32 + 16 * i, value.significand, true);
    view.setUint16(40 + 16 * i, value.signExponent, true);
  }
  for (let i = 0; i < 16; i++) image.set(operandBytes(c), 160 + 16 * i);
  return image;
}
