// x87 arithmetic and comparison on the stack (SDM vol. 2: FADD…FDIVR, FIADD…, FSQRT, FCHS, FABS, FCOM, FUCOM, FICOM,
// FCOMI, FTST, FXAM). The numbers are softfloat/'s; here are operand fetch, stack faults, destination, popping and
// condition codes. Unmasked IE, DE and ZE leave registers, TOP and tags alone; unmasked OE, UE and PE do not, as the
// destination is a register (SDM vol. 1 8.5).

import type { CpuCore } from '../core.js';
import { BEFORE_RESULT, type FloatContext } from '../softfloat/context.js';
import { type F80, POSITIVE_ZERO, type Unpacked } from '../softfloat/format.js';
import type { Relation } from '../softfloat/sse-arithmetic.js';
import * as soft from '../softfloat/x87-arithmetic.js';
import {
  C0,
  C2,
  C3,
  fxamEmpty,
  INDEFINITE,
  operand32,
  operand64,
  operand80,
  operandInteger,
  fxam as softFxam,
} from '../softfloat/x87-operand.js';
import { CF, PF, ZF } from '../state.js';
import { begin, CONDITIONS, finish, isEmpty, pop, setSt, st, underflow } from './x87-stack.js';

type Binary = (context: FloatContext, a: Unpacked, b: Unpacked) => F80;

/** ST(destination) = f(ST(a), ST(b)). */
function combine(cpu: CpuCore, f: Binary, a: number, b: number, destination: number, pops: number): void {
  const s = cpu.state;
  const c = begin(s);
  if (isEmpty(s, a) || isEmpty(s, b)) {
    if (!underflow(s, c)) return;
    setSt(s, destination, INDEFINITE);
    pop(s, pops);
    return;
  }
  const result = f(c, operand80(st(s, a)), operand80(st(s, b)));
  if (!c.faultsBeforeResult()) {
    setSt(s, destination, result);
    pop(s, pops);
  }
  finish(s, c);
}

/** ST(0) = f(ST(0), operand in memory). */
function combineMemory(cpu: CpuCore, f: Binary, operand: Unpacked): void {
  const s = cpu.state;
  const c = begin(s);
  if (isEmpty(s, 0)) {
    if (underflow(s, c)) setSt(s, 0, INDEFINITE);
    return;
  }
  const result = f(c, operand80(st(s, 0)), operand);
  if (!c.faultsBeforeResult()) setSt(s, 0, result);
  finish(s, c);
}

const word = (bits: number): Unpacked => operandInteger((bits << 16) >> 16);
const double = (bits: bigint): Unpacked => operand64(BigInt.asUintN(64, bits));
const single = (bits: number): Unpacked => operand32(bits >>> 0);

/** One operation in all its forms; the destination is the first operand of `f`. */
function arithmetic(f: Binary) {
  return {
    /** ST(0), ST(i) */
    top: (cpu: CpuCore, i: number) => combine(cpu, f, 0, i, 0, 0),
    /** ST(i), ST(0) */
    register: (cpu: CpuCore, i: number) => combine(cpu, f, i, 0, i, 0),
    /** ST(i), ST(0), popping */
    popping: (cpu: CpuCore, i: number) => combine(cpu, f, i, 0, i, 1),
    single: (cpu: CpuCore, bits: number) => combineMemory(cpu, f, single(bits)),
    double: (cpu: CpuCore, bits: bigint) => combineMemory(cpu, f, double(bits)),
    word: (cpu: CpuCore, bits: number) => combineMemory(cpu, f, word(bits)),
    long: (cpu: CpuCore, bits: number) => combineMemory(cpu, f, operandInteger(bits | 0)),
  };
}

export const fadd = arithmetic(soft.fadd);
export const fmul = arithmetic(soft.fmul);
export const fsub = arithmetic(soft.fsub);
export const fsubr = arithmetic((c, a, b) => soft.fsub(c, b, a));
export const fdiv = arithmetic(soft.fdiv);
export const fdivr = arithmetic((c, a, b) => soft.fdiv(c, b, a));

/** ST(0) = f(ST(0)). */
export function unary(f: (context: FloatContext, a: Unpacked) => F80) {
  return (cpu: CpuCore): void => {
    const s = cpu.state;
    const c = begin(s);
    if (isEmpty(s, 0)) {
      if (underflow(s, c)) setSt(s, 0, INDEFINITE);
      return;
    }
    const result = f(c, operand80(st(s, 0)));
    if (!c.faultsBeforeResult()) setSt(s, 0, result);
    finish(s, c);
  };
}

export const fsqrt = unary(soft.fsqrt);

/** FCHS, FABS: on the encoding, so that no operand is invalid. */
function onSign(f: (a: F80) => F80) {
  return (cpu: CpuCore): void => {
    const s = cpu.state;
    const c = begin(s);
    if (isEmpty(s, 0)) {
      if (underflow(s, c)) setSt(s, 0, INDEFINITE);
      return;
    }
    setSt(s, 0, f(st(s, 0)));
    finish(s, c);
  };
}

export const fchs = onSign(soft.fchs);
export const fabs = onSign(soft.fabs);

const UNORDERED = C0 | C2 | C3;
const RELATION_CONDITIONS: Record<Relation, number> = { '-1': C0, 0: C3, 1: 0, 2: UNORDERED };
const RELATION_EFLAGS: Record<Relation, number> = { '-1': CF, 0: ZF, 1: 0, 2: ZF | PF | CF };

/** Compare ST(0) with an operand (undefined: an empty register) into C3 C2 C0. */
function compare(cpu: CpuCore, b: Unpacked | undefined, quiet: boolean, pops: number): void {
  const s = cpu.state;
  const c = begin(s);
  if (isEmpty(s, 0) || b === undefined) {
    if (underflow(s, c, UNORDERED, CONDITIONS)) pop(s, pops);
    return;
  }
  const relation = soft.fcom(c, operand80(st(s, 0)), b, quiet);
  finish(s, c, RELATION_CONDITIONS[relation], CONDITIONS);
  if ((c.flags & ~c.masks & BEFORE_RESULT) === 0) pop(s, pops);
}

function compareRegister(quiet: boolean, pops: number) {
  return (cpu: CpuCore, i: number): void =>
    compare(cpu, isEmpty(cpu.state, i) ? undefined : operand80(st(cpu.state, i)), quiet, pops);
}

function comparison(pops: number) {
  return {
    register: compareRegister(false, pops),
    single: (cpu: CpuCore, bits: number) => compare(cpu, single(bits), false, pops),
    double: (cpu: CpuCore, bits: bigint) => compare(cpu, double(bits), false, pops),
    word: (cpu: CpuCore, bits: number) => compare(cpu, word(bits), false, pops),
    long: (cpu: CpuCore, bits: number) => compare(cpu, operandInteger(bits | 0), false, pops),
  };
}

export const fcom = comparison(0);
export const fcomp = comparison(1);
export const fcompp = compareRegister(false, 2);
export const fucom = compareRegister(true, 0);
export const fucomp = compareRegister(true, 1);
export const fucompp = compareRegister(true, 2);
export const ftst = (cpu: CpuCore): void => compare(cpu, POSITIVE_ZERO, false, 0);

/** FCOMI, FUCOMI and their popping forms: ZF PF CF from the relation, OF SF AF cleared. */
function compareToFlags(quiet: boolean, pops: number) {
  return (cpu: CpuCore, i: number): void => {
    const s = cpu.state;
    const c = begin(s);
    if (isEmpty(s, 0) || isEmpty(s, i)) {
      if (!underflow(s, c)) return;
      s.arithmeticFlags = RELATION_EFLAGS[2];
      pop(s, pops);
      return;
    }
    const relation = soft.fcom(c, operand80(st(s, 0)), operand80(st(s, i)), quiet);
    finish(s, c);
    if (c.faultsBeforeResult()) return;
    s.arithmeticFlags = RELATION_EFLAGS[relation];
    pop(s, pops);
  };
}

export const fcomi = compareToFlags(false, 0);
export const fcomip = compareToFlags(false, 1);
export const fucomi = compareToFlags(true, 0);
export const fucomip = compareToFlags(true, 1);

/** FXAM. */
export function fxam(cpu: CpuCore): void {
  const s = cpu.state;
  const value = st(s, 0);
  finish(s, begin(s), isEmpty(s, 0) ? fxamEmpty(value) : softFxam(value), CONDITIONS);
}
