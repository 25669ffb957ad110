// The x87 operations of host-fpu.c in terms of the soft float engine: what ST(0), ST(1) and the condition codes are
// after the instruction.

import { DE, type FloatContext, IE, TOWARD_ZERO } from '../../../src/cpu/softfloat/context.js';
import { type F80, FINITE, type Unpacked, ZERO } from '../../../src/cpu/softfloat/format.js';
import { fadd, fcom, fdiv, fmul, fsqrt, fsub } from '../../../src/cpu/softfloat/x87-arithmetic.js';
import { x87Constant } from '../../../src/cpu/softfloat/x87-constants.js';
import { extend, fbld, fbstp, fist, fld, fst32, fst64 } from '../../../src/cpu/softfloat/x87-convert.js';
import { f2xm1, fyl2x, fyl2xp1 } from '../../../src/cpu/softfloat/x87-logarithm.js';
import {
  C0,
  C1,
  C2,
  C3,
  fxam,
  operand32,
  operand64,
  operand80,
  operandInteger,
} from '../../../src/cpu/softfloat/x87-operand.js';
import { fprem, frndint, fscale, fxtract } from '../../../src/cpu/softfloat/x87-remainder.js';
import {
  fcos,
  fpatan,
  fptan,
  fsin,
  ONE_80,
  trigonometricOutOfRange,
} from '../../../src/cpu/softfloat/x87-trigonometry.js';
import { f80Bits, f80Of } from './host-fpu.js';

/** What an operation leaves. Absent parts are not compared. */
export interface Outcome {
  /** 80 bits of ST(0), or the memory destination of a store (all of its 128-bit pattern). */
  readonly r?: bigint;
  /** 80 bits of ST(1). */
  readonly s?: bigint;
  /** Condition codes that must match, and which. */
  readonly conditions?: number;
  readonly conditionMask?: number;
  /** EFLAGS ZF PF CF. */
  readonly eflags?: number;
}

export interface X87Operation {
  readonly op: number;
  readonly name: string;
  /** What `b` holds. */
  readonly second: 'f80' | 'f32' | 'f64' | 'i16' | 'i32' | 'i64' | 'bcd' | 'none';
  readonly run: (context: FloatContext, a: bigint, b: bigint) => Outcome;
}

const rounded = (context: FloatContext): number => (context.roundedUp ? C1 : 0);

/** ST(0) replaced unless a fault keeps it. */
function replace(context: FloatContext, a: bigint, value: F80): Outcome {
  const r = context.faultsBeforeResult() ? a : f80Bits(value);
  return { r, conditions: rounded(context), conditionMask: C1 };
}

type Binary = (context: FloatContext, a: Unpacked, b: Unpacked) => F80;

function memory(second: X87Operation['second'], b: bigint): Unpacked {
  if (second === 'f32') return operand32(Number(b & 0xffffffffn));
  if (second === 'f64') return operand64(b & 0xffffffffffffffffn);
  if (second === 'f80') return operand80(f80Of(b));
  return operandInteger(BigInt.asIntN(second === 'i16' ? 16 : second === 'i32' ? 32 : 64, b));
}

function binary(op: number, name: string, f: Binary, second: X87Operation['second'] = 'f80'): X87Operation {
  return {
    op,
    name,
    second,
    run: (context, a, b) => replace(context, a, f(context, operand80(f80Of(a)), memory(second, b))),
  };
}

function unary(op: number, name: string, f: (context: FloatContext, a: Unpacked) => F80): X87Operation {
  return { op, name, second: 'none', run: (context, a) => replace(context, a, f(context, operand80(f80Of(a)))) };
}

const RELATION_CONDITIONS = { '-1': C0, 0: C3, 1: 0, 2: C0 | C2 | C3 } as const;

function comparison(op: number, name: string, quiet: boolean, second: X87Operation['second'] = 'f80'): X87Operation {
  return {
    op,
    name,
    second,
    run: (context, a, b) => {
      const relation = fcom(context, operand80(f80Of(a)), memory(second, b), quiet);
      return { r: a, conditions: RELATION_CONDITIONS[relation], conditionMask: C0 | C1 | C2 | C3 };
    },
  };
}

function comparisonToFlags(op: number, name: string, quiet: boolean): X87Operation {
  return {
    op,
    name,
    second: 'f80',
    run: (context, a, b) => {
      const relation = fcom(context, operand80(f80Of(a)), operand80(f80Of(b)), quiet);
      const unwritten = (context.flags & ~context.masks & (IE | DE)) !== 0;
      return unwritten ? {} : { eflags: { '-1': 1, 0: 0x40, 1: 0, 2: 0x45 }[relation] };
    },
  };
}

function remainder(op: number, name: string, nearest: boolean): X87Operation {
  return {
    op,
    name,
    second: 'f80',
    run: (context, a, b) => {
      const { value, conditions } = fprem(context, operand80(f80Of(a)), operand80(f80Of(b)), nearest);
      if (context.faultsBeforeResult()) return { r: a };
      return { r: f80Bits(value), conditions, conditionMask: C0 | C1 | C2 | C3 };
    },
  };
}

function popping(op: number, name: string, f: (context: FloatContext, y: Unpacked, x: Unpacked) => F80): X87Operation {
  return {
    op,
    name,
    second: 'f80',
    run: (context, a, b) => {
      const value = f(context, operand80(f80Of(b)), operand80(f80Of(a)));
      if (context.faultsBeforeResult()) return { r: a, s: b };
      return { r: f80Bits(value), conditions: rounded(context), conditionMask: C1 };
    },
  };
}

function trigonometric(
  op: number,
  name: string,
  f: (context: FloatContext, a: Unpacked) => { r: F80; s?: F80 },
): X87Operation {
  return {
    op,
    name,
    second: 'none',
    run: (context, a) => {
      const x = operand80(f80Of(a));
      if (trigonometricOutOfRange(x)) return { r: a, conditions: C2, conditionMask: C2 };
      const { r, s } = f(context, x);
      if (context.faultsBeforeResult()) return { r: a };
      if (s) return { r: f80Bits(r), s: f80Bits(s), conditions: 0, conditionMask: C2 };
      return { r: f80Bits(r), conditions: rounded(context), conditionMask: C1 | C2 };
    },
  };
}

function load(op: number, name: string, second: X87Operation['second']): X87Operation {
  return {
    op,
    name,
    second,
    run: (context, a, b) => {
      const operand = memory(second, b);
      const value = second.startsWith('i') ? extend(operand) : fld(context, operand);
      if (value === undefined) return { r: a };
      return { r: f80Bits(value), s: a, conditions: 0, conditionMask: C1 };
    },
  };
}

const UNWRITTEN = 0xa5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5n;

function store(
  op: number,
  name: string,
  bits: number,
  f: (context: FloatContext, value: F80) => bigint | number | undefined,
): X87Operation {
  return {
    op,
    name,
    second: 'none',
    run: (context, a) => {
      const value = f(context, f80Of(a));
      if (value === undefined) return { r: UNWRITTEN };
      const kept = (UNWRITTEN >> BigInt(bits)) << BigInt(bits);
      return { r: kept | BigInt(value), conditions: rounded(context), conditionMask: C1 };
    },
  };
}

const CONSTANT_NAMES = ['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz'];

/** Operations whose every result is defined by IEEE arithmetic or is exact: hardware must agree bit for bit. */
export const X87_EXACT: readonly X87Operation[] = [
  binary(1, 'fadd', fadd),
  binary(2, 'fsub', fsub),
  binary(3, 'fmul', fmul),
  binary(4, 'fdiv', fdiv),
  binary(22, 'fsubr', (context, a, b) => fsub(context, b, a)),
  binary(23, 'fdivr', (context, a, b) => fdiv(context, b, a)),
  unary(5, 'fsqrt', fsqrt),
  unary(6, 'frndint', frndint),
  binary(7, 'fscale', fscale),
  remainder(8, 'fprem', false),
  remainder(9, 'fprem1', true),
  {
    op: 10,
    name: 'fxtract',
    second: 'none',
    run: (context, a) => {
      const { exponent, significand } = fxtract(context, operand80(f80Of(a)));
      if (context.faultsBeforeResult()) return { r: a };
      return { r: f80Bits(significand), s: f80Bits(exponent), conditions: 0, conditionMask: C1 };
    },
  },
  comparison(19, 'fcom', false),
  comparison(20, 'fucom', true),
  comparison(36, 'fcom m32', false, 'f32'),
  comparison(37, 'fcom m64', false, 'f64'),
  comparison(26, 'ficom m16', false, 'i16'),
  comparison(27, 'ficom m32', false, 'i32'),
  comparisonToFlags(60, 'fcomi', false),
  comparisonToFlags(61, 'fucomi', true),
  {
    op: 21,
    name: 'fxam',
    second: 'none',
    run: (_, a) => ({ r: a, conditions: fxam(f80Of(a)), conditionMask: C0 | C1 | C2 | C3 }),
  },
  binary(30, 'fadd m32', fadd, 'f32'),
  binary(31, 'fadd m64', fadd, 'f64'),
  binary(32, 'fmul m32', fmul, 'f32'),
  binary(33, 'fmul m64', fmul, 'f64'),
  binary(34, 'fiadd m16', fadd, 'i16'),
  binary(35, 'fiadd m32', fadd, 'i32'),
  binary(38, 'fdiv m32', fdiv, 'f32'),
  binary(39, 'fdiv m64', fdiv, 'f64'),
  binary(28, 'fidiv m32', fdiv, 'i32'),
  binary(29, 'fsubr m64', (context, a, b) => fsub(context, b, a), 'f64'),
  load(40, 'fld m32', 'f32'),
  load(41, 'fld m64', 'f64'),
  load(42, 'fild m16', 'i16'),
  load(43, 'fild m32', 'i32'),
  load(44, 'fild m64', 'i64'),
  {
    op: 45,
    name: 'fbld',
    second: 'bcd',
    run: (_, a, b) => ({ r: f80Bits(fbld(b & ((1n << 80n) - 1n))), s: a, conditions: 0, conditionMask: C1 }),
  },
  store(50, 'fst m32', 32, fst32),
  store(51, 'fst m64', 64, fst64),
  store(52, 'fist m16', 16, (context, value) => fist(context, value, 16)),
  store(53, 'fist m32', 32, (context, value) => fist(context, value, 32)),
  store(54, 'fist m64', 64, (context, value) => fist(context, value, 64)),
  store(55, 'fisttp m16', 16, (context, value) => fist(context, value, 16, TOWARD_ZERO)),
  store(56, 'fisttp m32', 32, (context, value) => fist(context, value, 32, TOWARD_ZERO)),
  store(57, 'fisttp m64', 64, (context, value) => fist(context, value, 64, TOWARD_ZERO)),
  store(58, 'fbstp', 80, fbstp),
  ...CONSTANT_NAMES.map(
    (name, i): X87Operation => ({
      op: 70 + i,
      name,
      second: 'none',
      run: (context, a) => ({ r: f80Bits(x87Constant(context, i)), s: a, conditions: 0, conditionMask: C1 }),
    }),
  ),
];

/** Transcendental functions: hardware need only be within one unit in the last place (SDM vol. 1 8.3.10). */
export const X87_TRANSCENDENTAL: readonly X87Operation[] = [
  unary(11, 'f2xm1', f2xm1),
  popping(12, 'fyl2x', fyl2x),
  popping(13, 'fyl2xp1', fyl2xp1),
  trigonometric(14, 'fptan', (context, a) => {
    const s = fptan(context, a);
    return { r: a.kind === FINITE || a.kind === ZERO ? ONE_80 : s, s };
  }),
  popping(15, 'fpatan', fpatan),
  trigonometric(16, 'fsin', (context, a) => ({ r: fsin(context, a) })),
  trigonometric(17, 'fcos', (context, a) => ({ r: fcos(context, a) })),
  trigonometric(18, 'fsincos', (context, a) => ({ s: fsin(context, a), r: fcos(context, a) })),
];
