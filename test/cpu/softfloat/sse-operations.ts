// The SSE operations of host-fpu.c in terms of the soft float engine. Operands and results are 128-bit registers.

import type { FloatContext } from '../../../src/cpu/softfloat/context.js';
import { F32, F64, type FloatFormat } from '../../../src/cpu/softfloat/format.js';
import {
  type Relation,
  sseAdd,
  sseCompare,
  sseDivide,
  sseDotProduct,
  sseMaximum,
  sseMinimum,
  sseMultiply,
  ssePredicate,
  sseRound,
  sseSquareRoot,
  sseSubtract,
} from '../../../src/cpu/softfloat/sse-arithmetic.js';
import {
  sseDoubleToSingle,
  sseFromInteger,
  sseSingleToDouble,
  sseToInteger,
} from '../../../src/cpu/softfloat/sse-convert.js';

export interface SseOutcome {
  /** The destination, compared in its low `bits` bits. */
  readonly r?: bigint;
  readonly bits?: number;
  /** Whether #XM is due, when the operation settles that itself. */
  readonly fault?: boolean;
  /** EFLAGS. */
  readonly eflags?: number;
}

export interface SseOperation {
  readonly op: number;
  readonly name: string;
  readonly operands: 'f32' | 'f64' | 'i32' | 'i64';
  readonly run: (context: FloatContext, a: bigint, b: bigint) => SseOutcome;
}

/** A format with the packing of its elements in a 128-bit register. */
interface Elements<T> {
  readonly format: FloatFormat<T>;
  readonly bits: number;
  readonly of: (bits: bigint) => T;
}

const SINGLE: Elements<number> = { format: F32, bits: 32, of: (bits) => Number(BigInt.asUintN(32, bits)) };
const DOUBLE: Elements<bigint> = { format: F64, bits: 64, of: (bits) => BigInt.asUintN(64, bits) };

function elementsOf<T>(elements: Elements<T>, register: bigint): T[] {
  const count = 128 / elements.bits;
  return Array.from({ length: count }, (_, i) => elements.of(register >> BigInt(i * elements.bits)));
}

const EFLAGS = { '-1': 1, 0: 0x40, 1: 0, 2: 0x45 } as const;
const relationToFlags = (relation: Relation): number => EFLAGS[relation];

function operationsOf<T extends number | bigint>(base: number, e: Elements<T>, letter: string): SseOperation[] {
  const operands = e.bits === 32 ? 'f32' : 'f64';
  const { format, bits } = e;
  const scalar = (n: number, name: string, f: (context: FloatContext, a: T, b: T) => T): SseOperation => ({
    op: base + n,
    name: `${name}s${letter}`,
    operands,
    run: (context, a, b) => ({ r: BigInt(f(context, e.of(a), e.of(b))), bits }),
  });
  const compare = (n: number, name: string, signaling: boolean): SseOperation => ({
    op: base + n,
    name: `${name}s${letter}`,
    operands,
    run: (context, a, b) => ({ eflags: relationToFlags(sseCompare(format, context, e.of(a), e.of(b), signaling)) }),
  });
  const toInteger = (n: number, name: string, width: 32 | 64, truncate: boolean): SseOperation => ({
    op: base + n,
    name: `${name}s${letter}2si ${width}`,
    operands,
    run: (context, _, b) => ({ r: sseToInteger(format, context, e.of(b), width, truncate), bits: width }),
  });
  const fromInteger = (n: number, width: 32 | 64): SseOperation => ({
    op: base + n,
    name: `cvtsi2s${letter} ${width}`,
    operands: width === 32 ? 'i32' : 'i64',
    run: (context, _, b) => ({ r: BigInt(sseFromInteger(format, context, BigInt.asIntN(width, b))), bits }),
  });
  return [
    scalar(1, 'add', (context, a, b) => sseAdd(format, context, a, b)),
    scalar(2, 'sub', (context, a, b) => sseSubtract(format, context, a, b)),
    scalar(3, 'mul', (context, a, b) => sseMultiply(format, context, a, b)),
    scalar(4, 'div', (context, a, b) => sseDivide(format, context, a, b)),
    scalar(5, 'sqrt', (context, _, b) => sseSquareRoot(format, context, b)),
    scalar(6, 'min', (context, a, b) => sseMinimum(format, context, a, b)),
    scalar(7, 'max', (context, a, b) => sseMaximum(format, context, a, b)),
    compare(8, 'comi', true),
    compare(9, 'ucomi', false),
    ...Array.from(
      { length: 8 },
      (_, predicate): SseOperation => ({
        op: base + 10 + predicate,
        name: `cmps${letter} ${predicate}`,
        operands,
        run: (context, a, b) => ({
          r: ssePredicate(format, context, predicate, e.of(a), e.of(b)) ? (1n << BigInt(bits)) - 1n : 0n,
          bits,
        }),
      }),
    ),
    toInteger(18, 'cvt', 32, false),
    toInteger(19, 'cvt', 64, false),
    toInteger(20, 'cvtt', 32, true),
    toInteger(21, 'cvtt', 64, true),
    fromInteger(22, 32),
    fromInteger(23, 64),
    ...[0, 1, 2, 3, 4, 8, 12].map((immediate, i) =>
      scalar(25 + i, `round ${immediate} `, (context, _, b) => sseRound(format, context, b, immediate)),
    ),
    {
      op: base + 32,
      name: `dpp${letter}`,
      operands,
      run: (context, a, b) => {
        const immediate = bits === 32 ? 0xf1 : 0x31;
        const sum = sseDotProduct(format, context, elementsOf(e, a), elementsOf(e, b), immediate);
        return sum === undefined ? { fault: true } : { r: BigInt(sum), bits: 128, fault: false };
      },
    },
  ];
}

function packed(
  op: number,
  name: string,
  operands: SseOperation['operands'],
  f: (context: FloatContext, a: number, b: number) => number,
): SseOperation {
  return {
    op,
    name,
    operands,
    run: (context, a, b) => {
      const left = elementsOf(SINGLE, a);
      const right = elementsOf(SINGLE, b);
      const r = left.reduce((sum, x, i) => sum | (BigInt(f(context, x, right[i]!)) << BigInt(32 * i)), 0n);
      return { r, bits: 128 };
    },
  };
}

/** Every operation that hardware must agree with bit for bit. */
export const SSE_EXACT: readonly SseOperation[] = [
  ...operationsOf(100, SINGLE, 's'),
  ...operationsOf(200, DOUBLE, 'd'),
  {
    op: 133,
    name: 'dpps masked',
    operands: 'f32',
    run: (context, a, b) => {
      const sum = sseDotProduct(F32, context, elementsOf(SINGLE, a), elementsOf(SINGLE, b), 0xbf);
      if (sum === undefined) return { fault: true };
      const r = [0n, 32n, 64n, 96n].reduce((all, shift) => all | (BigInt(sum) << shift), 0n);
      return { r, bits: 128, fault: false };
    },
  },
  {
    op: 124,
    name: 'cvtss2sd',
    operands: 'f32',
    run: (context, _, b) => ({ r: sseSingleToDouble(context, SINGLE.of(b)), bits: 64 }),
  },
  {
    op: 224,
    name: 'cvtsd2ss',
    operands: 'f64',
    run: (context, _, b) => ({ r: BigInt(sseDoubleToSingle(context, DOUBLE.of(b))), bits: 32 }),
  },
  packed(136, 'addps', 'f32', (context, a, b) => sseAdd(F32, context, a, b)),
  packed(137, 'divps', 'f32', (context, a, b) => sseDivide(F32, context, a, b)),
  packed(138, 'cvtps2dq', 'f32', (context, _, b) => Number(sseToInteger(F32, context, b, 32, false))),
  packed(139, 'cvtdq2ps', 'i32', (context, _, b) => sseFromInteger(F32, context, BigInt(b | 0))),
  packed(140, 'sqrtps', 'f32', (context, _, b) => sseSquareRoot(F32, context, b)),
];
