// Moves between xmm, mmx, general registers and memory (SDM vol. 2: MOVAPS … MOVQ2DQ, LDDQU, MOVNT…, MASKMOV…).
//
// What a move does with the rest of its destination is the operands' affair: a row whose destination is Vdq clears or
// replaces all of it, one with Vq, Vsd or Vss keeps the rest. Alignment is the row's. Nothing here can raise a
// floating-point exception. Non-temporal hints have no effect.

import * as L from '../layout.js';
import { maskedStore } from '../system/sse-slow.js';
import { type Expr, I32, I64, i32, i64, V128, v128 } from '../wasm/expr.js';
import { ACCESS_WRITE, type Body, type BodyContext } from './context.js';
import {
  enterMmx,
  isMmx,
  requireMmx,
  requireNoPendingX87,
  requirePacked,
  requireSse,
  writeMmx,
} from './simd-operands.js';
import * as v from './simd-ops.js';
import { width } from './width.js';

/** A value of any type in the type that operand `n` takes; a narrower one is zero-extended. */
function fit(c: BodyContext, n: number, value: Expr): Expr {
  const bits = c.bits(n);
  if (bits === 128) return value.type === V128 ? value : v.zeroExtend(value);
  if (bits === 64 && value.type === I32) return i64.extendU(value);
  return value;
}

/** Move operand 1 to operand 0, zero-extending: MOVAPS, MOVDQU, MOVD, MOVQ, MOVSS and MOVSD loads and all stores. */
export const move: Body = (c) => {
  requirePacked(c);
  const value = c.read(1);
  if (isMmx(c, 0)) writeMmx(c, 0, fit(c, 0, value));
  else {
    c.write(0, fit(c, 0, value));
    if (isMmx(c, 1)) enterMmx(c);
  }
};

/** MOVQ between xmm registers, memory form included: the upper half of a register destination is cleared. */
export const moveQuadword: Body = (c) => {
  requireSse(c);
  const value = c.read(1);
  if (c.inMemory(0)) c.write(0, value);
  else c.f.storeV(c.vectorRegister(0), v.zeroExtend(value));
};

/** MOVNTI: general registers only, so no SSE checks. */
export const movnti: Body = (c) => c.write(0, c.read(1));

/** MOVHPS, MOVHPD loads, MOVLHPS: 64 bits to the upper half. */
export const moveToHigh: Body = (c) => {
  requireSse(c);
  c.f.store64(c.vectorRegister(0), c.read(1), 8);
};
/** MOVHPS, MOVHPD stores. */
export const moveFromHigh: Body = (c) => {
  requireSse(c);
  c.write(0, c.let(i64.load(c.vectorRegister(1), 8)));
};
/** MOVHLPS: upper half of the source to the lower half. */
export const moveHighToLow: Body = (c) => {
  requireSse(c);
  c.write(0, c.let(i64.load(c.vectorRegister(1), 8)));
};

const duplicate =
  (lanes: readonly number[]): Body =>
  (c) => {
    requireSse(c);
    const a = c.read(1);
    const whole = a.type === I64 ? c.let(v.i64x2.splat(a)) : a;
    c.write(0, v128.shuffle(whole, whole, lanes));
  };
export const movddup = duplicate([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]);
export const movsldup = duplicate([0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]);
export const movshdup = duplicate([4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]);

/** MOVQ2DQ. */
export const moveMmxToXmm: Body = (c) => {
  requireSse(c);
  requireNoPendingX87(c);
  c.write(0, v.zeroExtend(c.read(1)));
  enterMmx(c);
};
/** MOVDQ2Q. */
export const moveXmmToMmx: Body = (c) => {
  requireSse(c);
  requireNoPendingX87(c);
  writeMmx(c, 0, c.read(1));
};

/** PMOVSX, PMOVZX: the low lanes of the source, extended. One step doubles the lane width. */
export const extend =
  (...steps: ((a: Expr) => Expr)[]): Body =>
  (c) => {
    requireSse(c);
    const a = c.read(1);
    const whole = a.type === V128 ? a : a.type === I64 ? v.i64x2.splat(a) : v.i32x4.splat(a);
    c.write(
      0,
      steps.reduce((x, step) => step(x), whole),
    );
  };

/** MASKMOVQ, MASKMOVDQU: bytes whose mask byte has its top bit set, to DS:rDI (or the prefix's segment). */
export const maskMove: Body = (c) => {
  const mmx = isMmx(c);
  if (mmx) requireMmx(c);
  else requireSse(c);
  const data = c.read(0);
  const mask = c.read(1);
  const selected = c.let(mmx ? i32.and(v.i8x16.bitmask(v.i64x2.splat(mask)), 0xff) : v.i8x16.bitmask(mask));
  const w = width(c.variant.asize);
  const offset = w.zext64(c.gpr(7, w.bits));
  const linear = c.implicitAddress(L.DS, offset, mmx ? 8 : 16, ACCESS_WRITE);
  c.f.storeV(L.SCRATCH, mmx ? v.zeroExtend(data) : data);
  c.js(maskedStore, [linear, selected]);
  if (mmx) enterMmx(c);
};

/** EMMS: all x87 tags empty. TOP becomes 0 as with any MMX instruction. */
export const emms: Body = (c) => {
  requireMmx(c);
  enterMmx(c);
  c.f.store32(L.FPU_TAGS, i32.const(0));
};
