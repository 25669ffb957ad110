// The rest of the SSE family: MXCSR, fences and cache hints, CRC32, and the string comparisons of SSE4.2.
//
// Fences have nothing to order: one processor, memory in program order. PREFETCHh does not touch its operand.
// CRC32 and the hints involve no SSE state, so neither #UD by CR0.EM nor #NM applies to them.

import * as L from '../layout.js';
import { probeFlush } from '../system/sse-slow.js';
import { compareStrings } from '../system/sse-strings.js';
import { type Expr, I32, i32, i64, V128 } from '../wasm/expr.js';
import type { Body, BodyContext } from './context.js';
import { immediate, requireSse } from './simd-operands.js';
import { fromScratch, toScratch } from './sse-float.js';
import { width } from './width.js';

/** MXCSR bits that exist, DAZ included (MXCSR_MASK of FXSAVE). */
const MXCSR_MASK = 0xffff;
const GP = 13;

export const ldmxcsr: Body = (c) => {
  requireSse(c);
  const value = c.read(0);
  c.raiseIf(i32.and(value, ~MXCSR_MASK), GP);
  c.f.store32(L.MXCSR, value);
};
export const stmxcsr: Body = (c) => {
  requireSse(c);
  c.write(0, c.let(i32.load(L.MXCSR)));
};

/** LFENCE, MFENCE, SFENCE, PREFETCHh. */
export const noEffect: Body = () => {};

/** CLFLUSH: the checks of a byte read, but that execute-only code is allowed (SDM vol. 2, CLFLUSH). */
export const clflush: Body = (c) => {
  c.js(probeFlush, [c.address(1, 0), c.uop()]);
};

/** CRC32: the Castagnoli polynomial, reflected, a bit at a time. */
const POLYNOMIAL = 0x82f63b78;
export const crc32: Body = (c) => {
  const w = width(c.bits(1));
  const source = w.zext64(c.read(1));
  const previous = c.read(0);
  const low = previous.type === I32 ? i64.extendU(previous) : i64.and(previous, 0xffff_ffffn);
  // For 64 bits the remainder needs no more than the first 32 bits of what is left, so one i64 carries both.
  const state = c.f.local(low.type);
  c.f.set(state, i64.xor(low, source));
  const left = c.f.local(I32);
  c.f.set(left, i32.const(w.bits));
  c.f.loop((again) => {
    const feedback = i64.and(i64.sub(0n, i64.and(state, 1n)), BigInt(POLYNOMIAL));
    c.f.set(state, i64.xor(i64.shrU(state, 1n), feedback));
    c.f.set(left, i32.sub(left, 1));
    c.f.brIf(again, left);
  });
  c.write(0, previous.type === I32 ? i32.wrap(state) : state);
};

/** A PCMPESTRx length operand: the magnitude of a signed register of 32 or 64 bits, saturated to 16. */
function explicitLength(c: BodyContext, register: number): Expr {
  const wide = c.osize === 64 ? c.let(c.gpr(register, 64)) : c.let(i64.extendS(c.gpr(register, 32)));
  const sign = c.let(i64.shrS(wide, 63n));
  const magnitude = c.let(i64.sub(i64.xor(wide, sign), sign));
  const over = c.let(i64.gtU(magnitude, 16n));
  return c.let(i32.or(i32.mul(over, 16), i32.mul(i32.eqz(over), i32.wrap(magnitude))));
}

/** PCMPISTRx, PCMPESTRx: the result is an index in ECX or a mask in XMM0; −1 as length means "up to the first 0". */
const stringCompare =
  (explicit: boolean, index: boolean): Body =>
  (c) => {
    requireSse(c);
    const b = c.read(1);
    const a = c.read(0);
    toScratch(c, a);
    toScratch(c, b, 16);
    const lengths = explicit ? [explicitLength(c, 0), explicitLength(c, 2)] : [i32.const(-1), i32.const(-1)];
    const outcome = c.jsResult(compareStrings, I32, [immediate(c, 2), i32.const(index ? 1 : 0), ...lengths]);
    if (index) c.setGpr(1, 32, i32.shrU(outcome, 16));
    else c.f.storeV(L.XMM, fromScratch(V128));
    c.flags.load(c.let(i32.and(outcome, 0xffff)));
  };
export const pcmpistri = stringCompare(false, true);
export const pcmpistrm = stringCompare(false, false);
export const pcmpestri = stringCompare(true, true);
export const pcmpestrm = stringCompare(true, false);
