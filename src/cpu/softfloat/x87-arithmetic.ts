// x87 basic arithmetic and comparison (SDM vol. 2 FADD, FSUB, FMUL, FDIV, FSQRT, FCOM, FUCOM, FCOMI): pure functions
// of operands and context. Precision control narrows the results of these five operations and of nothing else.
// The stack, condition codes in the status word and exception delivery belong to the caller; when
// context.faultsBeforeResult() holds afterwards, the result is not to be written.

import { add, divide, multiply, squareRoot, stopsOnDenormal } from './arithmetic.js';
import { type FloatContext, IE } from './context.js';
import { F80, SIGNALING, type Unpacked } from './format.js';
import { type Relation, relationOf } from './sse-arithmetic.js';
import { nanResult, needsNanRule } from './x87-operand.js';

/** FADD, FIADD: a + b. */
export function fadd(context: FloatContext, a: Unpacked, b: Unpacked): F80 {
  if (needsNanRule(a, b)) return nanResult(context, a, b);
  return add(F80, context, a, b, 0, context.precision);
}

/** FSUB: a − b; FSUBR with the operands exchanged. */
export function fsub(context: FloatContext, a: Unpacked, b: Unpacked): F80 {
  if (needsNanRule(a, b)) return nanResult(context, a, b);
  return add(F80, context, a, b, 1, context.precision);
}

/** FMUL, FIMUL. */
export function fmul(context: FloatContext, a: Unpacked, b: Unpacked): F80 {
  if (needsNanRule(a, b)) return nanResult(context, a, b);
  return multiply(F80, context, a, b, context.precision);
}

/** FDIV: a / b; FDIVR with the operands exchanged. */
export function fdiv(context: FloatContext, a: Unpacked, b: Unpacked): F80 {
  if (needsNanRule(a, b)) return nanResult(context, a, b);
  return divide(F80, context, a, b, context.precision);
}

/** FSQRT. */
export function fsqrt(context: FloatContext, a: Unpacked): F80 {
  if (needsNanRule(a)) return nanResult(context, a);
  return squareRoot(F80, context, a, context.precision);
}

/** FCHS; no exceptions, any encoding. */
export function fchs(a: F80): F80 {
  return { significand: a.significand, signExponent: a.signExponent ^ 0x8000 };
}

/** FABS; no exceptions, any encoding. */
export function fabs(a: F80): F80 {
  return { significand: a.significand, signExponent: a.signExponent & 0x7fff };
}

/**
 * FCOM, FICOM, FCOMI (quiet NaNs are invalid) and FUCOM, FUCOMI (they are not). C3 C2 C0 or ZF PF CF from the relation:
 * greater 000, less 001, equal 100, unordered 111.
 * @param quiet the FUCOM family.
 */
export function fcom(context: FloatContext, a: Unpacked, b: Unpacked, quiet: boolean): Relation {
  if (needsNanRule(a, b)) {
    const bad = a.kind >= SIGNALING || b.kind >= SIGNALING;
    if (bad || !quiet) context.flags |= IE;
    return 2;
  }
  stopsOnDenormal(context, a, b);
  return relationOf(a, b);
}
