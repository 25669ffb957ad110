// x87 functions of the D9 F0…FF group (SDM vol. 2: F2XM1, FYL2X, FPTAN, FPATAN, FXTRACT, FPREM1, FPREM, FYL2XP1,
// FSINCOS, FRNDINT, FSCALE, FSIN, FCOS): stack, C1 and C2 around the soft floats' results. The trigonometric functions
// answer an operand out of range with C2 alone.

import type { CpuCore } from '../core.js';
import type { FloatContext } from '../softfloat/context.js';
import { type F80, FINITE, INFINITY, type Unpacked, ZERO } from '../softfloat/format.js';
import * as logarithm from '../softfloat/x87-logarithm.js';
import { C1, C2, INDEFINITE, needsNanRule, operand80 } from '../softfloat/x87-operand.js';
import * as remainder from '../softfloat/x87-remainder.js';
import * as trigonometry from '../softfloat/x87-trigonometry.js';
import { unary } from './x87-arithmetic.js';
import { begin, CONDITIONS, finish, isEmpty, overflow, pop, push, setSt, st, underflow } from './x87-stack.js';

export const f2xm1 = unary(logarithm.f2xm1);
export const frndint = unary(remainder.frndint);

/** ST(1) = f(ST(1), ST(0)), popping. */
function intoSecond(f: (context: FloatContext, y: Unpacked, x: Unpacked) => F80) {
  return (cpu: CpuCore): void => {
    const s = cpu.state;
    const c = begin(s);
    if (isEmpty(s, 0) || isEmpty(s, 1)) {
      if (!underflow(s, c)) return;
      setSt(s, 1, INDEFINITE);
      pop(s);
      return;
    }
    const result = f(c, operand80(st(s, 1)), operand80(st(s, 0)));
    if (!c.faultsBeforeResult()) {
      setSt(s, 1, result);
      pop(s);
    }
    finish(s, c);
  };
}

export const fyl2x = intoSecond(logarithm.fyl2x);
export const fyl2xp1 = intoSecond(logarithm.fyl2xp1);
export const fpatan = intoSecond(trigonometry.fpatan);

/** FSCALE: ST(0) scaled by ST(1). */
export function fscale(cpu: CpuCore): void {
  const s = cpu.state;
  const c = begin(s);
  if (isEmpty(s, 0) || isEmpty(s, 1)) {
    if (underflow(s, c)) setSt(s, 0, INDEFINITE);
    return;
  }
  const result = remainder.fscale(c, operand80(st(s, 0)), operand80(st(s, 1)));
  if (!c.faultsBeforeResult()) setSt(s, 0, result);
  finish(s, c);
}

function partialRemainder(nearest: boolean) {
  return (cpu: CpuCore): void => {
    const s = cpu.state;
    const c = begin(s);
    if (isEmpty(s, 0) || isEmpty(s, 1)) {
      if (underflow(s, c, 0, C1 | C2)) setSt(s, 0, INDEFINITE);
      return;
    }
    const a = operand80(st(s, 0));
    const b = operand80(st(s, 1));
    const { value, conditions } = remainder.fprem(c, a, b, nearest);
    // Without a quotient C0 and C3 stay (seen on Intel and AMD processors).
    const stopped = c.faultsBeforeResult();
    const divided = !stopped && !needsNanRule(a, b) && a.kind !== INFINITY && b.kind !== ZERO;
    if (!stopped) setSt(s, 0, value);
    finish(s, c, conditions, divided ? CONDITIONS : C1 | C2);
  };
}

export const fprem = partialRemainder(false);
export const fprem1 = partialRemainder(true);

/** Stack faults of the instructions that replace ST(0) and push: both become the indefinite. */
function pushFaults(cpu: CpuCore, c: FloatContext, affected: number): boolean {
  const s = cpu.state;
  const empty = isEmpty(s, 0);
  if (!empty && isEmpty(s, 7)) return false;
  if (empty ? underflow(s, c, 0, affected) : overflow(s, c, 0, affected)) {
    setSt(s, 0, INDEFINITE);
    push(s, INDEFINITE);
  }
  return true;
}

/** FXTRACT. */
export function fxtract(cpu: CpuCore): void {
  const s = cpu.state;
  const c = begin(s);
  if (pushFaults(cpu, c, C1)) return;
  const { exponent, significand } = remainder.fxtract(c, operand80(st(s, 0)));
  if (!c.faultsBeforeResult()) {
    setSt(s, 0, exponent);
    push(s, significand);
  }
  finish(s, c, 0);
}

/** FSIN, FCOS. */
function ofAngle(f: (context: FloatContext, a: Unpacked) => F80) {
  return (cpu: CpuCore): void => {
    const s = cpu.state;
    const c = begin(s);
    if (isEmpty(s, 0)) {
      if (underflow(s, c, 0, C1 | C2)) setSt(s, 0, INDEFINITE);
      return;
    }
    const a = operand80(st(s, 0));
    if (trigonometry.trigonometricOutOfRange(a)) {
      finish(s, c, C2, C1 | C2);
      return;
    }
    const result = f(c, a);
    if (!c.faultsBeforeResult()) setSt(s, 0, result);
    finish(s, c, c.roundedUp ? C1 : 0, C1 | C2);
  };
}

export const fsin = ofAngle(trigonometry.fsin);
export const fcos = ofAngle(trigonometry.fcos);

/** FSINCOS, FPTAN: `f` gives the new ST(1) and ST(0). */
function ofAnglePushing(f: (context: FloatContext, a: Unpacked) => readonly [second: F80, top: F80]) {
  return (cpu: CpuCore): void => {
    const s = cpu.state;
    const c = begin(s);
    if (pushFaults(cpu, c, C1 | C2)) return;
    const a = operand80(st(s, 0));
    if (trigonometry.trigonometricOutOfRange(a)) {
      finish(s, c, C2, C1 | C2);
      return;
    }
    const [second, top] = f(c, a);
    if (!c.faultsBeforeResult()) {
      setSt(s, 0, second);
      push(s, top);
    }
    finish(s, c, c.roundedUp ? C1 : 0, C1 | C2);
  };
}

export const fsincos = ofAnglePushing((c, a) => {
  // The sine comes last: C1 tells of its rounding.
  const cosine = trigonometry.fcos(c, a);
  return [trigonometry.fsin(c, a), cosine];
});
export const fptan = ofAnglePushing((c, a) => {
  const tangent = trigonometry.fptan(c, a);
  // After a NaN or an invalid operand not 1.0 but the NaN is pushed.
  return [tangent, a.kind === FINITE || a.kind === ZERO ? trigonometry.ONE_80 : tangent];
});
