// Rearrangement of lanes (SDM vol. 2: PUNPCK…, PACK…, PSHUF…, SHUFPS, PALIGNR, BLEND…, PINSR…, PEXTR…, INSERTPS).
//
// A fixed rearrangement is one i8x16.shuffle. One that an immediate chooses becomes a swizzle whose byte indices are
// computed from it: an index outside the vector selects 0, which gives shifted-in zeros for nothing. Single lanes
// are reached as bytes of the register file.

import * as L from '../layout.js';
import { type Expr, I64, i32, i64, v128 } from '../wasm/expr.js';
import { ACCESS_READ, type Body, type BodyContext } from './context.js';
import {
  enterMmx,
  immediate,
  isMmx,
  packedBinary,
  readPacked,
  requirePacked,
  requireSse,
  writeMmx,
  writePacked,
} from './simd-operands.js';
import * as v from './simd-ops.js';

const { bitwise, i8x16, i16x8, i32x4, i64x2 } = v;

// --- interleaving and packing -----------------------------------------------------------------------------

/** Byte indices that interleave lanes of `bytes` bytes of two vectors, from byte `from` on. */
function interleave(bytes: number, from: number): number[] {
  const lanes: number[] = [];
  for (let at = from; lanes.length < 16; at += bytes)
    for (const vector of [0, 16]) for (let i = 0; i < bytes; i++) lanes.push(vector + ((at + i) & 15));
  return lanes;
}
const unpackLow = (bytes: number): Body => packedBinary((a, b) => v128.shuffle(a, b, interleave(bytes, 0)));
const unpackHigh = (bytes: number): Body =>
  packedBinary((a, b, c) => v128.shuffle(a, b, interleave(bytes, isMmx(c) ? 4 : 8)));
export const punpcklbw = unpackLow(1);
export const punpcklwd = unpackLow(2);
export const punpckldq = unpackLow(4);
export const punpcklqdq = unpackLow(8);
export const punpckhbw = unpackHigh(1);
export const punpckhwd = unpackHigh(2);
export const punpckhdq = unpackHigh(4);
export const punpckhqdq = unpackHigh(8);

/** Narrow dest:source; the two MMX operands together fill one vector. */
const pack = (narrow: (a: Expr, b: Expr) => Expr): Body =>
  packedBinary((a, b, c) => {
    if (!isMmx(c)) return narrow(a, b);
    const both = c.let(v.pairOf(i64x2.extract(0, a), i64x2.extract(0, b)));
    return narrow(both, both);
  });
export const packsswb = pack(i8x16.narrowS);
export const packuswb = pack(i8x16.narrowU);
export const packssdw = pack(i16x8.narrowS);
export const packusdw = pack(i16x8.narrowU);

// --- shuffles ---------------------------------------------------------------------------------------------

/** PSHUFB: an index with its top bit set gives 0, else its low bits count. */
export const pshufb = packedBinary((a, b, c) =>
  v.swizzle(a, bitwise.and(b, i8x16.splat(i32.const(isMmx(c) ? 0x87 : 0x8f)))),
);

/** Four 2-bit selectors of an immediate, one in each 32-bit lane. */
const selectors = (imm: Expr): Expr =>
  bitwise.and(i32x4.shrU(i32x4.mul(i32x4.splat(imm), v.dwords(64, 16, 4, 1)), i32.const(6)), v.dwords(3, 3, 3, 3));
/** Byte indices that fetch, for each 32-bit lane, the dword that its selector names. */
const dwordIndices = (imm: Expr): Expr =>
  i32x4.add(i32x4.mul(selectors(imm), i32x4.splat(i32.const(0x04040404))), i32x4.splat(i32.const(0x03020100)));
/** The same for words: four indices in the low half, to which the upper half adds 8 each. */
const wordIndices = (imm: Expr): Expr =>
  i16x8.add(
    i16x8.mul(
      bitwise.and(
        i16x8.shrU(i16x8.mul(i16x8.splat(imm), v.words(64, 16, 4, 1, 64, 16, 4, 1)), i32.const(6)),
        v.words(3, 3, 3, 3, 3, 3, 3, 3),
      ),
      i16x8.splat(i32.const(0x0202)),
    ),
    v.words(0x0100, 0x0100, 0x0100, 0x0100, 0x0908, 0x0908, 0x0908, 0x0908),
  );
const FIRST_HALF = [0, 1, 2, 3, 4, 5, 6, 7];
const LOW_OF_FIRST = [...FIRST_HALF, 24, 25, 26, 27, 28, 29, 30, 31];

const shuffled =
  (f: (a: Expr, imm: Expr, c: BodyContext) => Expr): Body =>
  (c) => {
    requirePacked(c);
    const a = readPacked(c, 1);
    writePacked(c, 0, f(a, immediate(c, 2), c));
  };
export const pshufd = shuffled((a, imm) => v.swizzle(a, dwordIndices(imm)));
/** PSHUFW has only a low half; the upper one of its carrier does not matter. */
export const pshufw = shuffled((a, imm) => v.swizzle(a, wordIndices(imm)));
export const pshuflw = shuffled((a, imm) => v128.shuffle(v.swizzle(a, wordIndices(imm)), a, LOW_OF_FIRST));
export const pshufhw = shuffled((a, imm) => v128.shuffle(a, v.swizzle(a, wordIndices(imm)), LOW_OF_FIRST));

export const shufps: Body = (c) => {
  requireSse(c);
  const b = c.read(1);
  const a = c.read(0);
  const indices = c.let(dwordIndices(immediate(c, 2)));
  c.write(0, v128.shuffle(v.swizzle(a, indices), v.swizzle(b, indices), LOW_OF_FIRST));
};
export const shufpd: Body = (c) => {
  requireSse(c);
  const b = c.read(1);
  const a = c.read(0);
  const imm = immediate(c, 2);
  const half = (x: Expr, bit: Expr) => v.swizzle(x, i8x16.add(v.iota(), i8x16.splat(i32.shl(bit, 3))));
  // The wanted half of b comes to the bottom, and from there to the top.
  const low = half(a, i32.and(imm, 1));
  const high = half(b, i32.and(i32.shrU(imm, 1), 1));
  c.write(0, v128.shuffle(low, high, [...FIRST_HALF, 16, 17, 18, 19, 20, 21, 22, 23]));
};

/** PALIGNR: bytes of dest:source from byte `imm` on, zeros behind them. */
export const palignr: Body = (c) => {
  requirePacked(c);
  const b = readPacked(c, 1);
  const a = readPacked(c, 0);
  const from = i8x16.add(v.iota(), i8x16.splat(c.let(v.clamp(immediate(c, 2), 32))));
  if (isMmx(c)) {
    const both = v.pairOf(i64x2.extract(0, b), i64x2.extract(0, a));
    writePacked(c, 0, v.swizzle(both, from));
    return;
  }
  const indices = c.let(from);
  const upper = i8x16.sub(indices, i8x16.splat(i32.const(16)));
  writePacked(c, 0, bitwise.or(v.swizzle(b, indices), v.swizzle(a, upper)));
};

// --- blends -----------------------------------------------------------------------------------------------

const blend =
  (mask: (c: BodyContext) => Expr): Body =>
  (c) => {
    requireSse(c);
    const b = c.read(1);
    const a = c.read(0);
    c.write(0, bitwise.select(b, a, mask(c)));
  };
const xmm0 = () => v128.load(L.XMM);
export const pblendvb = blend(() => i8x16.shrS(xmm0(), i32.const(7)));
export const blendvps = blend(() => i32x4.shrS(xmm0(), i32.const(31)));
export const blendvpd = blend(() => i64x2.ltS(xmm0(), v128.zero()));
/** A lane is taken from the source where its bit of the immediate is set. */
const bitsOf = (splat: (imm: Expr) => Expr, eq: (a: Expr, b: Expr) => Expr, bits: () => Expr): Body =>
  blend((c) => eq(bitwise.and(splat(immediate(c, 2)), bits()), bits()));
export const pblendw = bitsOf(i16x8.splat, i16x8.eq, () => v.words(1, 2, 4, 8, 16, 32, 64, 128));
export const blendps = bitsOf(i32x4.splat, i32x4.eq, () => v.dwords(1, 2, 4, 8));
export const blendpd = bitsOf(
  (imm) => i64x2.splat(i64.extendU(imm)),
  i64x2.eq,
  () => v.qwords(1n, 2n),
);

// --- single lanes -----------------------------------------------------------------------------------------

/** Address of the lane of `bytes` bytes that the immediate names in operand `n`'s register. */
function laneAddress(c: BodyContext, n: number, bytes: number, imm: Expr): Expr {
  const lanes = (isMmx(c, n) ? 8 : 16) / bytes;
  return c.let(i32.add(c.vectorRegister(n), i32.mul(i32.and(imm, lanes - 1), bytes)));
}

/** PINSRB, PINSRW, PINSRD, PINSRQ. */
export const insert =
  (bytes: 1 | 2 | 4): Body =>
  (c) => {
    requirePacked(c);
    const value = c.read(1);
    // PINSRD and PINSRQ share an encoding.
    const size = value.type === I64 ? 8 : bytes;
    const at = laneAddress(c, 0, size, immediate(c, 2));
    if (size === 1) c.f.store8(at, value);
    else if (size === 2) c.f.store16(at, value);
    else if (size === 4) c.f.store32(at, value);
    else c.f.store64(at, value);
    if (isMmx(c)) writeMmx(c, 0, c.read(0));
  };

/** PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS: a register destination is zero-extended. */
export const extract =
  (bytes: 1 | 2 | 4): Body =>
  (c) => {
    requirePacked(c);
    const size = bytes === 4 && c.bits(0) === 64 ? 8 : bytes;
    const at = laneAddress(c, 1, size, immediate(c, 2));
    const load = size === 1 ? i32.load8U : size === 2 ? i32.load16U : size === 4 ? i32.load : i64.load;
    c.write(0, c.let(load(at)));
    if (isMmx(c, 1)) enterMmx(c);
  };

/** INSERTPS: a source element (memory: the only one) to a chosen element, then zeros where the immediate says. */
export const insertps: Body = (c) => {
  requireSse(c);
  const imm = immediate(c, 2);
  const element = c.inMemory(1)
    ? c.load(c.address(4, ACCESS_READ), 4)
    : c.let(i32.load(i32.add(c.vectorRegister(1), i32.shl(i32.shrU(imm, 6), 2))));
  c.f.store32(c.let(i32.add(c.vectorRegister(0), i32.shl(i32.and(i32.shrU(imm, 4), 3), 2))), element);
  const bits = v.dwords(1, 2, 4, 8);
  const cleared = i32x4.eq(bitwise.and(i32x4.splat(imm), bits), bits);
  c.write(0, bitwise.andNot(v128.load(c.vectorRegister(0)), cleared));
};
