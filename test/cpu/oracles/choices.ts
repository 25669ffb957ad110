// A stream of random words from which cases are built, and the operand values that are worth trying.
//
// Building from words (rather than from nested arbitraries) lets any case shrink: fewer and smaller words mean plainer
// choices, for 0 always stands for the plainest one and an exhausted stream gives zeros.

export class Choices {
  private at = 0;

  constructor(private readonly words: ArrayLike<number>) {}

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

/** A binary format, with the exponents and fractions that matter. */
interface FloatFormat {
  readonly fractionBits: number;
  readonly top: number;
  readonly all: bigint;
  readonly signAt: bigint;
  readonly exponents: readonly number[];
  readonly fractions: readonly bigint[];
}

function format(exponentBits: number, fractionBits: number): FloatFormat {
  const top = (1 << exponentBits) - 1;
  const bias = top >> 1;
  const all = (1n << BigInt(fractionBits)) - 1n;
  const quiet = 1n << BigInt(fractionBits - 1);
  return {
    fractionBits,
    top,
    all,
    signAt: 1n << BigInt(exponentBits + fractionBits),
    exponents: [bias, 0, top, 1, top - 1, bias + 1, bias - 1, bias + fractionBits, bias + 31, bias + 63],
    fractions: [0n, quiet, all, 1n, quiet | 1n, quiet >> 1n, all ^ 1n, quiet - 1n],
  };
}
const [F32, F64, F80] = [format(8, 23), format(11, 52), format(15, 63)];

function float(c: Choices, { fractionBits, top, all, signAt, exponents, fractions }: FloatFormat): bigint {
  const bias = top >> 1;
  const kind = c.below(4);
  const exponent =
    kind === 0 ? c.pick(exponents) : kind === 1 ? bias - 70 + c.below(140) : kind === 2 ? c.below(top + 1) : bias;
  const fraction = c.below(2) === 0 ? c.pick(fractions) : c.u64() & all;
  const sign = c.below(2) === 0 ? 0n : signAt;
  return sign | (BigInt(Math.max(0, exponent) & top) << BigInt(fractionBits)) | fraction;
}

/** An 80-bit number at `at`; unsupported encodings and pseudo-denormals among them. */
function putF80(c: Choices, view: DataView, at: number): void {
  const bits = float(c, F80);
  const signExponent = Number(bits >> 63n) & 0xffff;
  const proper = (signExponent & 0x7fff) !== 0;
  const integerBit = c.chance(4) ? !proper : proper;
  view.setBigUint64(at, (integerBit ? 1n << 63n : 0n) | (bits & 0x7fff_ffff_ffff_ffffn), true);
  view.setUint16(at + 8, signExponent, true);
}

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

/** Little-endian bytes of a value, eight at most. */
export function bytesOf(value: bigint, length: number): Uint8Array {
  scratch.setBigUint64(0, value, true);
  return scratchBytes.slice(0, length);
}

const SMALL = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff];

/** Sixteen bytes of one kind, at `at`, where zeros are: integers, numbers, packed decimals, or noise. */
function putOperand(c: Choices, view: DataView, at: number): void {
  switch (c.below(7)) {
    case 0:
      view.setBigUint64(at, integer(c), true);
      view.setBigUint64(at + 8, integer(c), true);
      break;
    case 1:
      view.setBigUint64(at, float(c, F64), true);
      view.setBigUint64(at + 8, float(c, F64), true);
      break;
    case 2:
      for (let i = 0; i < 16; i += 4) view.setUint32(at + i, Number(float(c, F32)), true);
      break;
    case 3:
      putF80(c, view, at);
      break;
    case 4: // packed decimal
      for (let i = 0; i < 9; i++) view.setUint8(at + i, c.below(10) * 16 + c.below(10));
      view.setUint8(at + 9, c.below(2) * 128);
      break;
    case 5: // small integers in every lane
      for (let i = 0; i < 16; i += 2) view.setUint16(at + i, c.pick(SMALL), true);
      break;
    default:
      for (let i = 0; i < 16; i += 4) view.setUint32(at + i, c.u32(), true);
  }
}

export function operandBytes(c: Choices): Uint8Array {
  const bytes = new Uint8Array(16);
  putOperand(c, new DataView(bytes.buffer), 0);
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
  for (let i = 0; i < depth; i++) putF80(c, view, 32 + 16 * i);
  for (let i = 0; i < 16; i++) putOperand(c, view, 160 + 16 * i);
  return image;
}
