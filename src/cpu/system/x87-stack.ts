// The x87 register stack, its tags and the status word (SDM vol. 1 8.1.2–8.1.7, 8.5.1): what every x87 operation in
// TypeScript starts from and ends with.
//
// An operation calls begin(), looks at the stack, computes with the soft floats, writes registers unless an unmasked
// exception found before the result forbids it, and calls finish(), the only place where exceptions reach the status
// word. #NM, #MF and the instruction pointers are the emitted code's (semantics/x87.ts).
//
// Invariant: bytes 10–15 of a register slot stay 0.

import * as L from '../layout.js';
import { FloatContext, IE } from '../softfloat/context.js';
import type { F80 } from '../softfloat/format.js';
import { C0, C1, C2, C3, INDEFINITE } from '../softfloat/x87-operand.js';
import type { CpuState } from '../state.js';

/** Stack fault. */
export const SF = 0x40;
/** Exception summary and its alias, busy. */
export const ES = 0x80;
export const B = 0x8000;
const EXCEPTIONS = 0x3f;
export const CONDITIONS = C0 | C1 | C2 | C3;

const context = new FloatContext();

/** The context of the instruction that starts: modes from the control word, no flags. */
export function begin(s: CpuState): FloatContext {
  return context.setControlWord(s.get32(L.FPU_CONTROL)).clear();
}

/** Physical register number of ST(i). */
function physical(s: CpuState, i: number): number {
  return (s.get32(L.FPU_TOP) + i) & 7;
}

export function isEmpty(s: CpuState, i: number): boolean {
  return ((s.get32(L.FPU_TAGS) >>> physical(s, i)) & 1) === 0;
}

/** Contents of ST(i), whatever its tag. */
export function st(s: CpuState, i: number): F80 {
  const at = L.FPU_REGS + physical(s, i) * 16;
  return { significand: s.get64(at), signExponent: s.u16[(at + 8) >>> 1]! };
}

/** Write ST(i) and tag it valid. */
export function setSt(s: CpuState, i: number, value: F80): void {
  const n = physical(s, i);
  const at = L.FPU_REGS + n * 16;
  s.set64(at, value.significand);
  s.u16[(at + 8) >>> 1] = value.signExponent;
  s.set32(L.FPU_TAGS, s.get32(L.FPU_TAGS) | (1 << n));
}

/** Tag ST(i) empty. */
export function free(s: CpuState, i: number): void {
  s.set32(L.FPU_TAGS, s.get32(L.FPU_TAGS) & ~(1 << physical(s, i)));
}

/** Tag ST(0) empty and increment TOP, `count` times. */
export function pop(s: CpuState, count = 1): void {
  for (let i = 0; i < count; i++) {
    free(s, 0);
    s.set32(L.FPU_TOP, physical(s, 1));
  }
}

/** Decrement TOP and write the new ST(0). */
export function push(s: CpuState, value: F80): void {
  s.set32(L.FPU_TOP, physical(s, 7));
  setSt(s, 0, value);
}

/** A status word with ES and B as the control word's masks have them. */
export function summarise(s: CpuState, status: number): number {
  const pending = (status & ~s.get32(L.FPU_CONTROL) & EXCEPTIONS) !== 0;
  return pending ? status | ES | B : status & ~(ES | B);
}

/** The status word after an operation: its exceptions added, of the condition codes `affected` replaced. */
export function statusAfter(s: CpuState, c: FloatContext, conditions: number, affected: number): number {
  return summarise(s, (s.get32(L.FPU_STATUS) & ~affected) | conditions | c.flags);
}

/** End an operation. Condition codes: C1 tells whether the result was rounded up, unless given otherwise. */
export function finish(s: CpuState, c: FloatContext, conditions = c.roundedUp ? C1 : 0, affected = C1): void {
  s.set32(L.FPU_STATUS, statusAfter(s, c, conditions, affected));
}

/**
 * End an operation with a stack underflow (IE, SF, C1 = 0).
 * @returns whether IE is masked: then the caller delivers the indefinite and pops.
 */
export function underflow(s: CpuState, c: FloatContext, conditions = 0, affected = C1): boolean {
  return stackFault(s, c, conditions, affected);
}

/** The same with a stack overflow (C1 = 1). */
export function overflow(s: CpuState, c: FloatContext, conditions = 0, affected = C1): boolean {
  return stackFault(s, c, conditions | C1, affected | C1);
}

function stackFault(s: CpuState, c: FloatContext, conditions: number, affected: number): boolean {
  const masked = !c.raise(IE);
  finish(s, c, conditions | SF, affected);
  return masked;
}

/** Is there no room for a push? If so the overflow is dealt with, the indefinite pushed when IE is masked. */
export function pushOverflows(s: CpuState, c: FloatContext): boolean {
  if (isEmpty(s, 7)) return false;
  if (overflow(s, c)) push(s, INDEFINITE);
  return true;
}
