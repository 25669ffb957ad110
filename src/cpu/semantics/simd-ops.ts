// Names for the WebAssembly SIMD operations that the MMX and SSE bodies use (SIMD proposal, BinarySIMD.md; numbers are
// those of the 0xfd space). Only names and constants: what an x86 instruction does with them is in simd-*.ts.
//
// Invariant: none of the integer operations leaves bits open; the float ones do only where a NaN comes out, which the
// callers exclude (sse-float.ts).

import { type Expr, I32, I64, i32, i64, V128, v128 } from '../wasm/expr.js';

type Unary = (a: Expr) => Expr;
type Binary = (a: Expr, b: Expr) => Expr;
const unary =
  (code: number): Unary =>
  (a) =>
    v128.op(code, a);
const binary =
  (code: number): Binary =>
  (a, b) =>
    v128.op(code, a, b);
/** v128 and an i32 count, which wasm takes modulo the lane width. */
const shift = binary;
const toI32 =
  (code: number): Unary =>
  (a) =>
    v128.to(I32, code, a);

export const swizzle = binary(14);
export const bitwise = {
  not: unary(77),
  and: binary(78),
  /** a & ~b: the operands of PANDN the other way round. */
  andNot: binary(79),
  or: binary(80),
  xor: binary(81),
  /** Bits of `a` where `mask` is 1, of `b` elsewhere. */
  select: (a: Expr, b: Expr, mask: Expr): Expr => v128.op(82, a, b, mask),
  anyTrue: toI32(83),
};

// biome-ignore format: one line for each kind of operation
export const i8x16 = {
  splat: unary(15),
  eq: binary(35), gtS: binary(39), ltS: binary(37),
  abs: unary(96), allTrue: toI32(99), bitmask: toI32(100), narrowS: binary(101), narrowU: binary(102),
  shrS: shift(108), shrU: shift(109),
  add: binary(110), addSatS: binary(111), addSatU: binary(112), sub: binary(113), subSatS: binary(114), subSatU: binary(115),
  minS: binary(118), minU: binary(119), maxS: binary(120), maxU: binary(121), averageU: binary(123),
};
// biome-ignore format: one line for each kind of operation
export const i16x8 = {
  splat: unary(16),
  extractU: (lane: number, a: Expr): Expr => v128.lane(I32, 25, lane, a),
  eq: binary(45), gtS: binary(49), ltS: binary(47),
  abs: unary(128), q15MulSat: binary(130), narrowS: binary(133), narrowU: binary(134),
  extendLowS: unary(135), extendHighS: unary(136), extendLowU: unary(137), extendHighU: unary(138),
  shl: shift(139), shrS: shift(140), shrU: shift(141),
  add: binary(142), addSatS: binary(143), addSatU: binary(144), sub: binary(145), subSatS: binary(146), subSatU: binary(147),
  mul: binary(149), minS: binary(150), minU: binary(151), maxS: binary(152), maxU: binary(153), averageU: binary(155),
  pairwiseU8: unary(125),
};
// biome-ignore format: one line for each kind of operation
export const i32x4 = {
  splat: unary(17),
  extract: (lane: number, a: Expr): Expr => v128.lane(I32, 27, lane, a),
  replace: (lane: number, a: Expr, x: Expr): Expr => v128.lane(V128, 28, lane, a, x),
  eq: binary(55), gtS: binary(59), ltS: binary(57), leS: binary(61), geS: binary(63),
  abs: unary(160), allTrue: toI32(163), bitmask: toI32(164),
  extendLowS: unary(167), extendLowU: unary(169),
  shl: shift(171), shrS: shift(172), shrU: shift(173), add: binary(174), sub: binary(177), mul: binary(181),
  minS: binary(182), minU: binary(183), maxS: binary(184), maxU: binary(185), dotS16: binary(186),
  extmulLowS16: binary(188), extmulHighS16: binary(189), extmulLowU16: binary(190), extmulHighU16: binary(191),
  pairwiseU16: unary(127),
  truncSatF32S: unary(248), truncSatF64SZero: unary(252),
};
// biome-ignore format: one line for each kind of operation
export const i64x2 = {
  splat: unary(18),
  extract: (lane: number, a: Expr): Expr => v128.lane(I64, 29, lane, a),
  replace: (lane: number, a: Expr, x: Expr): Expr => v128.lane(V128, 30, lane, a, x),
  bitmask: toI32(196), allTrue: toI32(195), extendLowS: unary(199), extendLowU: unary(201),
  shl: shift(203), shrU: shift(205), add: binary(206), sub: binary(209),
  eq: binary(214), ltS: binary(216), gtS: binary(217), leS: binary(218), geS: binary(219),
  extmulLowS32: binary(220), extmulLowU32: binary(222),
};
// biome-ignore format: one line for each kind of operation
export const f32x4 = {
  eq: binary(65), lt: binary(67), gt: binary(68), le: binary(69),
  ceil: unary(103), floor: unary(104), trunc: unary(105), nearest: unary(106),
  sqrt: unary(227), add: binary(228), sub: binary(229), mul: binary(230), div: binary(231),
  convertI32S: unary(250), demoteF64Zero: unary(94),
};
// biome-ignore format: one line for each kind of operation
export const f64x2 = {
  eq: binary(71), lt: binary(73), gt: binary(74), le: binary(75),
  ceil: unary(116), floor: unary(117), trunc: unary(122), nearest: unary(148),
  sqrt: unary(239), add: binary(240), sub: binary(241), mul: binary(242), div: binary(243),
  convertLowI32S: unary(254), promoteLowF32: unary(95),
};

// --- constants --------------------------------------------------------------------------------------------

export const bytes = (...b: readonly number[]): Expr => v128.const(Uint8Array.from(b));
export const words = (...w: readonly number[]): Expr => v128.const(new Uint8Array(Uint16Array.from(w).buffer));
export const dwords = (...d: readonly number[]): Expr => v128.const(new Uint8Array(Uint32Array.from(d).buffer));
export const qwords = (...q: readonly bigint[]): Expr => v128.const(new Uint8Array(BigUint64Array.from(q).buffer));
/** Bytes 0, 1, … 15: the identity for swizzle. */
export const IOTA = Array.from({ length: 16 }, (_, i) => i);
export const iota = (): Expr => bytes(...IOTA);

/** A vector with one 32- or 64-bit value at the bottom and zeros above. */
export const zeroExtend = (x: Expr): Expr =>
  x.type === I64 ? i64x2.replace(0, v128.zero(), x) : i32x4.replace(0, v128.zero(), x);

/** Two i64 as one vector. */
export const pairOf = (low: Expr, high: Expr): Expr => i64x2.replace(1, i64x2.splat(low), high);

/** The smaller of an unsigned i32 or i64 and a limit, as i32. */
export const clamp = (x: Expr, limit: number): Expr => {
  const over = x.type === I64 ? i64.gtU(x, limit) : i32.gtU(x, limit);
  const low = x.type === I64 ? i32.wrap(x) : x;
  return i32.or(i32.mul(over, limit), i32.mul(i32.eqz(over), low));
};
