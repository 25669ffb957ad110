// Packed integer arithmetic, comparison and logic of MMX, SSE2, SSSE3 and SSE4 (SDM vol. 2: P…, and ANDPS…XORPD, which
// are the same operations). Everything is done in wasm SIMD, on both register files (simd-operands.ts).
//
// Shifts are here too. Moves and rearrangements are in simd-move.ts and simd-shuffle.ts.

import { type Expr, I64, i32, i64, select, v128 } from '../wasm/expr.js';
import type { Body, BodyContext } from './context.js';
import {
  enterMmx,
  immediate,
  isMmx,
  packedBinary,
  packedUnary,
  readPacked,
  requirePacked,
  writePacked,
} from './simd-operands.js';
import * as v from './simd-ops.js';

const { bitwise, i8x16, i16x8, i32x4, i64x2 } = v;

// --- lane by lane: wasm has the very operation ------------------------------------------------------------

export const pand = packedBinary(bitwise.and);
export const pandn = packedBinary((a, b) => bitwise.andNot(b, a));
export const por = packedBinary(bitwise.or);
export const pxor = packedBinary(bitwise.xor);

export const paddb = packedBinary(i8x16.add);
export const paddw = packedBinary(i16x8.add);
export const paddd = packedBinary(i32x4.add);
export const paddq = packedBinary(i64x2.add);
export const psubb = packedBinary(i8x16.sub);
export const psubw = packedBinary(i16x8.sub);
export const psubd = packedBinary(i32x4.sub);
export const psubq = packedBinary(i64x2.sub);
export const paddsb = packedBinary(i8x16.addSatS);
export const paddsw = packedBinary(i16x8.addSatS);
export const paddusb = packedBinary(i8x16.addSatU);
export const paddusw = packedBinary(i16x8.addSatU);
export const psubsb = packedBinary(i8x16.subSatS);
export const psubsw = packedBinary(i16x8.subSatS);
export const psubusb = packedBinary(i8x16.subSatU);
export const psubusw = packedBinary(i16x8.subSatU);
export const pavgb = packedBinary(i8x16.averageU);
export const pavgw = packedBinary(i16x8.averageU);

export const pcmpeqb = packedBinary(i8x16.eq);
export const pcmpeqw = packedBinary(i16x8.eq);
export const pcmpeqd = packedBinary(i32x4.eq);
export const pcmpeqq = packedBinary(i64x2.eq);
export const pcmpgtb = packedBinary(i8x16.gtS);
export const pcmpgtw = packedBinary(i16x8.gtS);
export const pcmpgtd = packedBinary(i32x4.gtS);
export const pcmpgtq = packedBinary(i64x2.gtS);

export const pminsb = packedBinary(i8x16.minS);
export const pminsw = packedBinary(i16x8.minS);
export const pminsd = packedBinary(i32x4.minS);
export const pminub = packedBinary(i8x16.minU);
export const pminuw = packedBinary(i16x8.minU);
export const pminud = packedBinary(i32x4.minU);
export const pmaxsb = packedBinary(i8x16.maxS);
export const pmaxsw = packedBinary(i16x8.maxS);
export const pmaxsd = packedBinary(i32x4.maxS);
export const pmaxub = packedBinary(i8x16.maxU);
export const pmaxuw = packedBinary(i16x8.maxU);
export const pmaxud = packedBinary(i32x4.maxU);

export const pabsb = packedUnary(i8x16.abs);
export const pabsw = packedUnary(i16x8.abs);
export const pabsd = packedUnary(i32x4.abs);

/** PSIGN: a, 0 or −a by the sign of b. */
const psign = (lane: typeof i8x16 | typeof i16x8 | typeof i32x4): Body =>
  packedBinary((a, b, c) => {
    const kept = c.let(bitwise.andNot(a, lane.eq(b, v128.zero())));
    return bitwise.select(lane.sub(v128.zero(), kept), kept, lane.ltS(b, v128.zero()));
  });
export const psignb = psign(i8x16);
export const psignw = psign(i16x8);
export const psignd = psign(i32x4);

// --- multiplication ---------------------------------------------------------------------------------------

const EVEN_WORDS = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29];
const ODD_WORDS = EVEN_WORDS.map((lane) => lane + 2);
const EVEN_DWORDS = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];

export const pmullw = packedBinary(i16x8.mul);
export const pmulld = packedBinary(i32x4.mul);
/** High words of the products. */
export const pmulhw = packedBinary((a, b) =>
  v128.shuffle(i32x4.extmulLowS16(a, b), i32x4.extmulHighS16(a, b), ODD_WORDS),
);
export const pmulhuw = packedBinary((a, b) =>
  v128.shuffle(i32x4.extmulLowU16(a, b), i32x4.extmulHighU16(a, b), ODD_WORDS),
);
/** wasm saturates −1 · −1, x86 leaves it −1. */
export const pmulhrsw = packedBinary((a, b) => {
  const least = v.words(...new Array<number>(8).fill(0x8000));
  return bitwise.xor(i16x8.q15MulSat(a, b), bitwise.and(i16x8.eq(a, least), i16x8.eq(b, least)));
});
const evenDwords = (a: Expr) => v128.shuffle(a, a, EVEN_DWORDS);
export const pmuludq = packedBinary((a, b) => i64x2.extmulLowU32(evenDwords(a), evenDwords(b)));
export const pmuldq = packedBinary((a, b) => i64x2.extmulLowS32(evenDwords(a), evenDwords(b)));
export const pmaddwd = packedBinary(i32x4.dotS16);
/** Unsigned bytes of the destination times signed bytes of the source; products fit 16 bits, their sums saturate. */
export const pmaddubsw = packedBinary((a, b) => {
  const even = i16x8.mul(
    bitwise.and(a, i16x8.splat(i32.const(0xff))),
    i16x8.shrS(i16x8.shl(b, i32.const(8)), i32.const(8)),
  );
  const odd = i16x8.mul(i16x8.shrU(a, i32.const(8)), i16x8.shrS(b, i32.const(8)));
  return i16x8.addSatS(even, odd);
});

// --- across lanes -----------------------------------------------------------------------------------------

const absoluteDifference = (a: Expr, b: Expr) => bitwise.or(i8x16.subSatU(a, b), i8x16.subSatU(b, a));

export const psadbw = packedBinary((a, b, c) => {
  const sums = c.let(i32x4.pairwiseU16(i16x8.pairwiseU8(absoluteDifference(a, b))));
  return bitwise.and(i64x2.add(sums, i64x2.shrU(sums, i32.const(32))), v.qwords(0xffffn, 0xffffn));
});

/** Even and odd elements of dest:source; with MMX the two 64-bit operands are side by side in one vector. */
function pairs(c: BodyContext, a: Expr, b: Expr, even: readonly number[], odd: readonly number[]): [Expr, Expr] {
  const both = isMmx(c) ? c.let(v.pairOf(i64x2.extract(0, a), i64x2.extract(0, b))) : undefined;
  const x = both ?? a;
  const y = both ?? b;
  return [v128.shuffle(x, y, even), v128.shuffle(x, y, odd)];
}
const EVEN_32 = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const ODD_32 = EVEN_32.map((lane) => lane + 4);
const horizontal = (f: (x: Expr, y: Expr) => Expr, even: readonly number[], odd: readonly number[]): Body =>
  packedBinary((a, b, c) => f(...pairs(c, a, b, even, odd)));
export const phaddw = horizontal(i16x8.add, EVEN_WORDS, ODD_WORDS);
export const phaddsw = horizontal(i16x8.addSatS, EVEN_WORDS, ODD_WORDS);
export const phsubw = horizontal(i16x8.sub, EVEN_WORDS, ODD_WORDS);
export const phsubsw = horizontal(i16x8.subSatS, EVEN_WORDS, ODD_WORDS);
export const phaddd = horizontal(i32x4.add, EVEN_32, ODD_32);
export const phsubd = horizontal(i32x4.sub, EVEN_32, ODD_32);

/** Smallest word and the index of its first occurrence: the smallest of word · 2^16 + index. */
export const phminposuw = packedUnary((a, c) => {
  const keyed = (lane: number) => i32.or(i32.shl(i16x8.extractU(lane, a), 16), lane);
  let least = c.let(keyed(0));
  for (let lane = 1; lane < 8; lane++) {
    const key = c.let(keyed(lane));
    least = c.let(select(i32.ltU(key, least), key, least));
  }
  return v.zeroExtend(i32.rotl(least, 16));
});

/** Eight sums of four absolute differences; immediate bit 2 and bits 0–1 choose the blocks of dest and source. */
export const mpsadbw: Body = (c) => {
  requirePacked(c);
  const b = readPacked(c, 1);
  const a = readPacked(c, 0);
  const imm = immediate(c, 2);
  const window = c.let(i8x16.add(v.iota(), i8x16.splat(i32.and(imm, 4))));
  const block = c.let(i32.shl(i32.and(imm, 3), 2));
  const term = (k: number) => {
    const x = c.let(v.swizzle(a, i8x16.add(window, i8x16.splat(i32.const(k)))));
    const y = c.let(v.swizzle(b, i8x16.splat(i32.add(block, k))));
    return i16x8.extendLowU(absoluteDifference(x, y));
  };
  c.write(0, i16x8.add(i16x8.add(term(0), term(1)), i16x8.add(term(2), term(3))));
};

/** PTEST: ZF when dest & source is zero, CF when ~dest & source is; the other flags are cleared. */
export const ptest: Body = (c) => {
  requirePacked(c);
  const b = readPacked(c, 1);
  const a = readPacked(c, 0);
  const zf = i32.eqz(bitwise.anyTrue(bitwise.and(a, b)));
  const cf = i32.eqz(bitwise.anyTrue(bitwise.andNot(b, a)));
  c.flags.load(c.let(i32.or(i32.shl(zf, 6), cf)));
};

/** PMOVMSKB, MOVMSKPS, MOVMSKPD: sign bits to a general register. */
const signMask =
  (bitmask: (a: Expr) => Expr): Body =>
  (c) => {
    requirePacked(c);
    const a = readPacked(c, 1);
    const mask = bitmask(a);
    // An MMX operand is there twice.
    const result = c.let(isMmx(c, 1) ? i32.and(mask, 0xff) : mask);
    c.write(0, result);
    if (isMmx(c, 1)) enterMmx(c);
  };
export const pmovmskb = signMask(i8x16.bitmask);
export const movmskps = signMask(i32x4.bitmask);
export const movmskpd = signMask(i64x2.bitmask);

// --- shifts (SDM vol. 2: PSLL…, PSRA…, PSRL…) --------------------------------------------------------------

type Shift = (a: Expr, count: Expr) => Expr;

/** Count operand: the low 64 bits of a register or memory operand, or a byte. Not clamped. */
function shiftCount(c: BodyContext): Expr {
  if (c.operand(1).kind === 'I') return immediate(c, 1);
  const count = c.read(1);
  return count.type === I64 ? count : c.let(i64x2.extract(0, count));
}
const above = (count: Expr, limit: number) => (count.type === I64 ? i64.gtU(count, limit) : i32.gtU(count, limit));
const low = (count: Expr) => (count.type === I64 ? i32.wrap(count) : count);

/** Counts of the lane width or more give 0. */
const logicalShift =
  (shift: Shift, laneBits: number): Body =>
  (c) => {
    requirePacked(c);
    const count = shiftCount(c);
    const a = readPacked(c, 0);
    writePacked(c, 0, select(above(count, laneBits - 1), v128.zero(), shift(a, low(count))));
  };
/** Counts of the lane width or more fill with the sign. */
const arithmeticShift =
  (shift: Shift, laneBits: number): Body =>
  (c) => {
    requirePacked(c);
    const count = shiftCount(c);
    const a = readPacked(c, 0);
    writePacked(c, 0, shift(a, select(above(count, laneBits - 1), i32.const(laneBits - 1), low(count))));
  };
export const psllw = logicalShift(i16x8.shl, 16);
export const pslld = logicalShift(i32x4.shl, 32);
export const psllq = logicalShift(i64x2.shl, 64);
export const psrlw = logicalShift(i16x8.shrU, 16);
export const psrld = logicalShift(i32x4.shrU, 32);
export const psrlq = logicalShift(i64x2.shrU, 64);
export const psraw = arithmeticShift(i16x8.shrS, 16);
export const psrad = arithmeticShift(i32x4.shrS, 32);

/** PSLLDQ, PSRLDQ: by bytes. Indices that leave the vector select 0. */
const byteShift =
  (left: boolean): Body =>
  (c) => {
    requirePacked(c);
    const count = c.let(v.clamp(immediate(c, 1), 16));
    const a = readPacked(c, 0);
    const by = i8x16.splat(count);
    writePacked(c, 0, v.swizzle(a, left ? i8x16.sub(v.iota(), by) : i8x16.add(v.iota(), by)));
  };
export const pslldq = byteShift(true);
export const psrldq = byteShift(false);
