// Operands of x87 instructions, their NaN rule, and the classes FXAM tells apart (SDM vol. 1 4.8.3.5, 8.2.2; vol. 2
// FXAM). A memory operand of 32 or 64 bits is unpacked from its own format, so that an instruction sees its
// denormals and signaling NaNs; all arithmetic is on unpacked operands.
//
// Of two NaNs x87 takes the one with the larger significand; of equal ones the positive; a signaling NaN loses
// against a quiet one.

import { invalid } from './arithmetic.js';
import { type FloatContext, IE } from './context.js';
import {
  F32,
  F64,
  F80,
  FINITE,
  INFINITY,
  indefinite,
  isNan,
  QUIET,
  SIGNALING,
  UNSUPPORTED,
  Unpacked,
  ZERO,
} from './format.js';

/** ST(i) or an m80 operand. */
export function operand80(value: F80): Unpacked {
  return F80.unpack(value);
}

/** An m32fp operand. */
export function operand32(bits: number): Unpacked {
  return F32.unpack(bits);
}

/** An m64fp operand. */
export function operand64(bits: bigint): Unpacked {
  return F64.unpack(bits);
}

/** An m16int, m32int or m64int operand. */
export function operandInteger(value: number | bigint): Unpacked {
  const integer = BigInt(value);
  if (integer === 0n) return new Unpacked(ZERO, 0, 0, 0n, false);
  return new Unpacked(FINITE, integer < 0n ? 1 : 0, 0, integer < 0n ? -integer : integer, false);
}

/** The real indefinite in f80. */
export const INDEFINITE: F80 = indefinite(F80);

/** Whether the operands keep an operation from being computed: a NaN or an unsupported encoding among them. */
export function needsNanRule(a: Unpacked, b: Unpacked = a): boolean {
  return a.kind >= QUIET || b.kind >= QUIET;
}

/** The answer when needsNanRule() holds. */
export function nanResult(context: FloatContext, a: Unpacked, b: Unpacked = a): F80 {
  if (a.kind === UNSUPPORTED || b.kind === UNSUPPORTED) return invalid(F80, context);
  if (a.kind === SIGNALING || b.kind === SIGNALING) context.flags |= IE;
  const chosen = largerNan(a, b);
  return F80.nan(chosen.sign, chosen.significand);
}

function largerNan(a: Unpacked, b: Unpacked): Unpacked {
  if (!isNan(b)) return a;
  if (!isNan(a)) return b;
  if (a.kind !== b.kind) return a.kind === QUIET ? a : b;
  if (a.significand !== b.significand) return a.significand > b.significand ? a : b;
  return a.sign <= b.sign ? a : b;
}

/** Condition bits as the status word has them. */
export const C0 = 0x100;
export const C1 = 0x200;
export const C2 = 0x400;
export const C3 = 0x4000;

/** FXAM of a register that is not empty: C3 C2 C0 the class, C1 the sign. */
export function fxam(value: F80): number {
  const x = F80.unpack(value);
  const sign = x.sign ? C1 : 0;
  if (x.kind === UNSUPPORTED) return sign;
  if (x.kind >= QUIET) return sign | C0;
  if (x.kind === INFINITY) return sign | C2 | C0;
  if (x.kind === ZERO) return sign | C3;
  return sign | (x.denormal ? C3 | C2 : C2);
}

/** FXAM of an empty register: C3 and C0, and the sign of whatever is in it. */
export function fxamEmpty(value: F80): number {
  return C3 | C0 | (value.signExponent & 0x8000 ? C1 : 0);
}
