// What MMX and SSE instructions have in common: the availability checks that precede everything else, and operands
// as v128 whatever register file they come from.
//
// SDM vol. 3A, 13.1 and 12.1: CR0.EM or a clear CR4.OSFXSR is #UD, CR0.TS is #NM; MMX instructions know nothing of
// OSFXSR, but wait for pending x87 exceptions (#MF). SDM vol. 3A, 12.2: every MMX instruction except EMMS sets TOP
// to 0 and all tags to valid, and a written register gets an exponent of all ones.
// An MMX operand is carried in both halves of its v128 and written from the low one: lane-wise operations then need
// not know the register file; what crosses lanes asks isMmx(). With CR0.NE clear a pending x87 exception is not
// reported here: the interrupt that FERR# stands for comes from the next x87 instruction.

import * as L from '../layout.js';
import { CR0_EM, CR0_NE, CR0_TS, CR4_OSFXSR, MF, NM, UD } from '../state.js';
import { type Expr, I32, I64, i32, i64 } from '../wasm/expr.js';
import type { Body, BodyContext } from './context.js';
import { i64x2 } from './simd-ops.js';

const FSW_ES = 0x80;

/** #UD and #NM of instructions on XMM registers or MXCSR. */
export function requireSse(c: BodyContext): void {
  const blocked = i32.or(
    i32.and(i32.load(L.CR0), CR0_EM | CR0_TS),
    i32.xor(i32.and(i32.load(L.CR4), CR4_OSFXSR), CR4_OSFXSR),
  );
  c.if(blocked, () => {
    c.raiseIf(i32.or(i32.and(i32.load(L.CR0), CR0_EM), i32.eqz(i32.and(i32.load(L.CR4), CR4_OSFXSR))), UD);
    c.raise(NM);
  });
}

/** #UD, #NM and #MF of instructions on MMX registers. */
export function requireMmx(c: BodyContext): void {
  const blocked = i32.or(i32.and(i32.load(L.CR0), CR0_EM | CR0_TS), i32.and(i32.load(L.FPU_STATUS), FSW_ES));
  c.if(blocked, () => {
    c.raiseIf(i32.and(i32.load(L.CR0), CR0_EM), UD);
    c.raiseIf(i32.and(i32.load(L.CR0), CR0_TS), NM);
    requireNoPendingX87(c);
  });
}

/** #MF, for instructions that use both register files. */
export function requireNoPendingX87(c: BodyContext): void {
  c.if(i32.and(i32.load(L.FPU_STATUS), FSW_ES), () => c.raiseIf(i32.and(i32.load(L.CR0), CR0_NE), MF));
}

/** The x87 state after an MMX instruction. */
export function enterMmx(c: BodyContext): void {
  c.f.store32(L.FPU_TOP, i32.const(0));
  c.f.store32(L.FPU_TAGS, i32.const(0xff));
}

const MMX_KINDS = ['P', 'Q', 'N'];

/** Whether operand `n` is an MMX register, or memory standing for one. */
export const isMmx = (c: BodyContext, n = 0): boolean => MMX_KINDS.includes(c.operand(n).kind);

/** The checks for an instruction all of whose vector operands are of one kind. */
export function requirePacked(c: BodyContext): void {
  if (c.variant.row.operands.some((_, n) => isMmx(c, n))) requireMmx(c);
  else requireSse(c);
}

/** Operand `n` as a v128 local. An operand of 64 bits or less fills both halves. */
export function readPacked(c: BodyContext, n: number): Expr {
  const value = c.read(n);
  if (value.type === I64) return c.let(i64x2.splat(value));
  if (value.type === I32) return c.let(i64x2.splat(i64.extendU(value)));
  return value;
}

/** Write an MMX register or memory from an i64, and leave MMX state behind. */
export function writeMmx(c: BodyContext, n: number, value: Expr): void {
  c.write(n, value);
  if (!c.inMemory(n)) c.f.store16(i32.add(c.vectorRegister(n), 8), i32.const(0xffff));
  enterMmx(c);
}

/** Write operand `n` (xmm of 128 bits, or mmx) from a v128. */
export function writePacked(c: BodyContext, n: number, value: Expr): void {
  if (isMmx(c, n)) writeMmx(c, n, i64x2.extract(0, value));
  else c.write(n, value);
}

/** dest = f(dest, source), lane by lane. */
export const packedBinary =
  (f: (a: Expr, b: Expr, c: BodyContext) => Expr): Body =>
  (c) => {
    requirePacked(c);
    const b = readPacked(c, 1);
    const a = readPacked(c, 0);
    writePacked(c, 0, f(a, b, c));
  };

/** dest = f(source). */
export const packedUnary =
  (f: (a: Expr, c: BodyContext) => Expr): Body =>
  (c) => {
    requirePacked(c);
    const a = readPacked(c, 1);
    writePacked(c, 0, f(a, c));
  };

/** The byte immediate of operand `n` as i32. */
export const immediate = (c: BodyContext, n: number): Expr => c.let(i32.and(c.read(n), 0xff));
