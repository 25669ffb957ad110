// SSE, SSE2 and SSE3 floating-point arithmetic and comparison (SDM vol. 1, 11.5; vol. 2: ADDPS … HSUBPD).
//
// Fast path: wasm computes what the hardware does when MXCSR says round to nearest, no DAZ, no FTZ, everything
// masked, and PE is already sticky (so that "inexact" needs no detection); and when no lane meets a denormal operand,
// overflow, underflow or a NaN, which is read off the exponents of operands and result. Everything else goes to
// the soft floats (system/sse-slow.ts). So no bit of a wasm NaN ever reaches the guest, whatever the engine leaves open.
//
// A body is written once for the four shapes (ss, sd, ps, pd). Values are carried as bits: i32, i64 or v128.

import * as L from '../layout.js';
import type { SlowShapes } from '../system/sse-slow.js';
import * as slow from '../system/sse-slow.js';
import { type Expr, f32, f64, I32, I64, i32, i64, type LocalGet, select, type Type, V128, v128 } from '../wasm/expr.js';
import type { Body, BodyContext, SystemOperation } from './context.js';
import { immediate, requireSse } from './simd-operands.js';
import * as v from './simd-ops.js';

const { bitwise, i32x4, i64x2, f32x4, f64x2 } = v;

// --- shapes -----------------------------------------------------------------------------------------------

type Unary = (a: Expr) => Expr;
type Binary = (a: Expr, b: Expr) => Expr;

/** Bounds that decide whether a magnitude is ordinary, as bits. */
interface Bounds {
  /** Smallest normal number, twice that, largest finite number, infinity. */
  readonly normal: bigint;
  readonly twiceNormal: bigint;
  readonly largest: bigint;
  readonly infinity: bigint;
}
const SINGLE_BOUNDS: Bounds = {
  normal: 0x0080_0000n,
  twiceNormal: 0x0100_0000n,
  largest: 0x7f7f_ffffn,
  infinity: 0x7f80_0000n,
};
const DOUBLE_BOUNDS: Bounds = {
  normal: 0x0010_0000_0000_0000n,
  twiceNormal: 0x0020_0000_0000_0000n,
  largest: 0x7fef_ffff_ffff_ffffn,
  infinity: 0x7ff0_0000_0000_0000n,
};

export interface Shape {
  readonly name: 'ss' | 'sd' | 'ps' | 'pd';
  readonly type: Type;
  readonly bounds: Bounds;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
  readonly sqrt: Unary;
  /** Sign bit cleared. */
  readonly magnitude: Unary;
  /** A test is i32 0/1 for scalars and a lane mask for vectors; tests combine with `and`, `or`. */
  readonly within: (a: Expr, low: bigint, high: bigint) => Expr;
  readonly isZero: Unary;
  /** Comparisons as floats; the operands are no NaNs. */
  readonly lt: Binary;
  readonly eq: Binary;
  readonly and: Binary;
  readonly or: Binary;
  /** A test as i32: it holds in all lanes. */
  readonly all: Unary;
  /** A test as a mask of the shape's type. */
  readonly mask: Unary;
  /** i32 0/1 to the same test in every lane. */
  readonly everywhere: Unary;
  /** `a` where the test holds, else `b`. */
  readonly choose: (test: Expr, a: Expr, b: Expr) => Expr;
  readonly roundings: readonly [nearest: Unary, down: Unary, up: Unary, truncate: Unary];
}

function scalar(name: 'ss' | 'sd'): Shape {
  const single = name === 'ss';
  const integer = single ? i32 : i64;
  const floats = single ? f32 : f64;
  const from = single ? f32.reinterpretI32 : f64.reinterpretI64;
  const bits = single ? i32.reinterpretF32 : i64.reinterpretF64;
  const constant = (x: bigint) => (single ? i32.const(Number(x)) : i64.const(x));
  const un =
    (f: Unary): Unary =>
    (a) =>
      bits(f(from(a)));
  const bin =
    (f: Binary): Binary =>
    (a, b) =>
      bits(f(from(a), from(b)));
  const test =
    (f: Binary): Binary =>
    (a, b) =>
      f(from(a), from(b));
  const bounds = single ? SINGLE_BOUNDS : DOUBLE_BOUNDS;
  return {
    name,
    type: single ? I32 : I64,
    bounds,
    add: bin(floats.add),
    sub: bin(floats.sub),
    mul: bin(floats.mul),
    div: bin(floats.div),
    sqrt: un(floats.sqrt),
    magnitude: (a) => (integer.and as Binary)(a, constant(single ? 0x7fff_ffffn : 0x7fff_ffff_ffff_ffffn)),
    within: (a, low, high) => (integer.leU as Binary)((integer.sub as Binary)(a, constant(low)), constant(high - low)),
    isZero: integer.eqz,
    lt: test(floats.lt),
    eq: test(floats.eq),
    and: i32.and,
    or: i32.or,
    all: (t) => t,
    mask: (t) => (single ? i32.sub(0, t) : i64.sub(0n, i64.extendU(t))),
    everywhere: (t) => t,
    choose: (t, a, b) => select(t, a, b),
    roundings: [un(floats.nearest), un(floats.floor), un(floats.ceil), un(floats.trunc)],
  };
}

function packed(name: 'ps' | 'pd'): Shape {
  const single = name === 'ps';
  const integer = single ? i32x4 : i64x2;
  const floats = single ? f32x4 : f64x2;
  const constant = (x: bigint) => (single ? i32x4.splat(i32.const(Number(x))) : i64x2.splat(i64.const(x)));
  return {
    name,
    type: V128,
    bounds: single ? SINGLE_BOUNDS : DOUBLE_BOUNDS,
    add: floats.add,
    sub: floats.sub,
    mul: floats.mul,
    div: floats.div,
    sqrt: floats.sqrt,
    magnitude: (a) => bitwise.and(a, constant(single ? 0x7fff_ffffn : 0x7fff_ffff_ffff_ffffn)),
    // Signed comparison serves: bounds are positive, and a negative operand is below them.
    within: (a, low, high) => bitwise.and(integer.geS(a, constant(low)), integer.leS(a, constant(high))),
    isZero: (a) => integer.eq(a, v128.zero()),
    lt: floats.lt,
    eq: floats.eq,
    and: bitwise.and,
    or: bitwise.or,
    all: integer.allTrue,
    mask: (t) => t,
    everywhere: (t) => i32x4.splat(i32.sub(0, t)),
    choose: (t, a, b) => bitwise.select(a, b, t),
    roundings: [floats.nearest, floats.floor, floats.ceil, floats.trunc],
  };
}

export const SS = scalar('ss');
export const SD = scalar('sd');
export const PS = packed('ps');
export const PD = packed('pd');

// --- the fast path's conditions ---------------------------------------------------------------------------

const MXCSR_PE = 0x20;
const MXCSR_DAZ = 0x40;
const MXCSR_PM = 0x1000;
/** All masks set, nearest, no DAZ, no FTZ, PE sticky; the other flags may be anything. */
export const usualMxcsr = (): Expr => i32.eq(i32.and(i32.load(L.MXCSR), 0xffe0), 0x1fa0);
/** Inexact results have nothing left to report, in any rounding mode. */
export const inexactIsQuiet = (): Expr =>
  i32.eq(i32.and(i32.load(L.MXCSR), MXCSR_PM | MXCSR_PE | MXCSR_DAZ), MXCSR_PM | MXCSR_PE);
/** RC is round to nearest. */
export const roundsToNearest = (): Expr => i32.eqz(i32.and(i32.load(L.MXCSR), 0x6000));

/** Neither denormal nor NaN: what no comparison or exact conversion reports. `a` is evaluated more than once. */
export function ordinary(c: BodyContext, s: Shape, a: Expr): Expr {
  const m = c.let(s.magnitude(a));
  return s.or(s.within(m, s.bounds.normal, s.bounds.infinity), s.isZero(m));
}
/** Not denormal, NaNs allowed. */
function notDenormal(c: BodyContext, s: Shape, a: Expr): Expr {
  const m = c.let(s.magnitude(a));
  const anything = s.type === I32 ? 0x7fff_ffffn : s.name === 'ps' ? 0x7fff_ffffn : 0x7fff_ffff_ffff_ffffn;
  return s.or(s.within(m, s.bounds.normal, anything), s.isZero(m));
}

/** Put a value of a shape where the slow path finds it. */
export function toScratch(c: BodyContext, value: Expr, offset = 0): void {
  if (value.type === V128) c.f.storeV(L.SCRATCH, value, offset);
  else if (value.type === I64) c.f.store64(L.SCRATCH, value, offset);
  else c.f.store32(L.SCRATCH, value, offset);
}
export const fromScratch = (type: Type): Expr =>
  type === V128 ? v128.load(L.SCRATCH) : type === I64 ? i64.load(L.SCRATCH) : i32.load(L.SCRATCH);

/** `fast` when the i32 condition holds, else the slow operation on the operands. A local. */
export function computed(
  c: BodyContext,
  type: Type,
  condition: Expr,
  fast: Expr,
  operation: SystemOperation,
  operands: readonly Expr[],
  args: readonly Expr[] = [],
): LocalGet {
  const result = c.f.local(type);
  c.if(
    condition,
    () => c.f.set(result, fast),
    () => {
      operands.forEach((operand, i) => {
        toScratch(c, operand, 16 * i);
      });
      c.js(operation, args);
      c.f.set(result, fromScratch(type));
    },
  );
  return result;
}

// --- arithmetic -------------------------------------------------------------------------------------------

interface Operation {
  readonly slow: SlowShapes;
  readonly compute: (s: Shape, a: Expr, b: Expr) => Expr;
  /** Test that result `r` of these operands is exact or merely inexact. */
  readonly fine: (c: BodyContext, s: Shape, a: Expr, b: Expr, r: Expr) => Expr;
  /** MXCSR matters to ordinary operands. */
  readonly rounds: boolean;
}

function evaluate(c: BodyContext, s: Shape, op: Operation, a: Expr, b: Expr): Expr {
  const r = c.let(op.compute(s, a, b));
  const fine = s.all(op.fine(c, s, a, b, r));
  return computed(c, s.type, op.rounds ? i32.and(fine, usualMxcsr()) : fine, r, op.slow[s.name], [a, b]);
}

const binary =
  (op: Operation) =>
  (s: Shape): Body =>
  (c) => {
    requireSse(c);
    const b = c.read(1);
    const a = c.read(0);
    c.write(0, evaluate(c, s, op, a, b));
  };

/** Sums and differences underflow only exactly; a finite result has finite operands. */
const additive = (compute: Operation['compute'], shapes: SlowShapes): Operation => ({
  slow: shapes,
  compute,
  rounds: true,
  fine: (c, s, a, b, r) =>
    s.and(s.and(notDenormal(c, s, a), notDenormal(c, s, b)), s.within(s.magnitude(r), 0n, s.bounds.largest)),
});
const ADD = additive((s, a, b) => s.add(a, b), slow.add);
const SUB = additive((s, a, b) => s.sub(a, b), slow.subtract);
/** Tininess is detected after rounding: results next to the smallest normal number are left to the slow path. */
const MUL: Operation = {
  slow: slow.multiply,
  compute: (s, a, b) => s.mul(a, b),
  rounds: true,
  fine: (c, s, a, b, r) => {
    const m = c.let(s.magnitude(r));
    const zero = s.and(s.isZero(m), s.or(s.isZero(s.magnitude(a)), s.isZero(s.magnitude(b))));
    const operands = s.and(notDenormal(c, s, a), notDenormal(c, s, b));
    return s.and(operands, s.or(s.within(m, s.bounds.twiceNormal, s.bounds.largest), zero));
  },
};
const DIV: Operation = {
  slow: slow.divide,
  compute: (s, a, b) => s.div(a, b),
  rounds: true,
  fine: (c, s, a, b, r) => {
    const m = c.let(s.magnitude(r));
    const zero = s.and(s.isZero(m), s.isZero(s.magnitude(a)));
    const operands = s.and(notDenormal(c, s, a), notDenormal(c, s, b));
    return s.and(operands, s.or(s.within(m, s.bounds.twiceNormal, s.bounds.largest), zero));
  },
};
const bothOrdinary: Operation['fine'] = (c, s, a, b) => s.and(ordinary(c, s, a), ordinary(c, s, b));
/** The source operand unless the destination is less (greater): also for two zeros. */
const MIN: Operation = {
  slow: slow.minimum,
  compute: (s, a, b) => s.choose(s.lt(a, b), a, b),
  rounds: false,
  fine: bothOrdinary,
};
const MAX: Operation = {
  slow: slow.maximum,
  compute: (s, a, b) => s.choose(s.lt(b, a), a, b),
  rounds: false,
  fine: bothOrdinary,
};

export const add = binary(ADD);
export const sub = binary(SUB);
export const mul = binary(MUL);
export const div = binary(DIV);
export const min = binary(MIN);
export const max = binary(MAX);

export const sqrt =
  (s: Shape): Body =>
  (c) => {
    requireSse(c);
    const a = c.read(1);
    const fine = s.or(s.within(a, s.bounds.normal, s.bounds.largest), s.isZero(s.magnitude(a)));
    const ok = i32.and(s.all(fine), usualMxcsr());
    c.write(0, computed(c, s.type, ok, s.sqrt(a), slow.squareRoot[s.name], [a]));
  };

const EVEN_SINGLES = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const EVEN_DOUBLES = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
/** HADDPx, HSUBPx: even elements of dest:source with their odd neighbours. */
const horizontal =
  (op: Operation) =>
  (s: Shape): Body =>
  (c) => {
    requireSse(c);
    const b = c.read(1);
    const a = c.read(0);
    const even = s === PS ? EVEN_SINGLES : EVEN_DOUBLES;
    const odd = even.map((lane) => lane + (s === PS ? 4 : 8));
    c.write(0, evaluate(c, s, op, c.let(v128.shuffle(a, b, even)), c.let(v128.shuffle(a, b, odd))));
  };
export const hadd = horizontal(ADD);
export const hsub = horizontal(SUB);
/** ADDSUBPx. A sum with the sign flipped is the difference, bit for bit, NaNs excepted. */
export const addsub = (s: Shape): Body =>
  binary(
    additive((shape, a, b) => {
      const signs = s === PS ? v.dwords(0x8000_0000, 0, 0x8000_0000, 0) : v.qwords(1n << 63n, 0n);
      return shape.add(a, bitwise.xor(b, signs));
    }, slow.addSubtract),
  )(s);

// --- comparison -------------------------------------------------------------------------------------------

/** CMPxx with a predicate: EQ LT LE UNORD and their negations; the higher bits of the immediate are ignored. */
export const compare =
  (s: Shape): Body =>
  (c) => {
    requireSse(c);
    const b = c.read(1);
    const a = c.read(0);
    const predicate = c.let(i32.and(immediate(c, 2), 7));
    const kind = c.let(i32.and(predicate, 3));
    // EQ wants equal, LT less, LE both; operands that are ordinary are never unordered.
    const wantsEqual = s.everywhere(i32.eqz(i32.and(kind, 1)));
    const wantsLess = s.everywhere(i32.eq(i32.and(i32.add(kind, 1), 2), 2));
    const holds = s.mask(s.or(s.and(s.eq(a, b), wantsEqual), s.and(s.lt(a, b), wantsLess)));
    const negate = s.mask(s.everywhere(i32.shrU(predicate, 2)));
    const xor = s.type === V128 ? bitwise.xor : s.type === I64 ? (i64.xor as Binary) : (i32.xor as Binary);
    const fine = s.all(s.and(ordinary(c, s, a), ordinary(c, s, b)));
    c.write(0, computed(c, s.type, fine, xor(holds, negate), slow.comparePredicate[s.name], [a, b], [predicate]));
  };

const compareFlags =
  (s: Shape, operation: SystemOperation): Body =>
  (c) => {
    requireSse(c);
    const b = c.read(1);
    const a = c.read(0);
    const image = c.f.local(I32);
    c.if(
      i32.and(ordinary(c, s, a), ordinary(c, s, b)),
      () => c.f.set(image, i32.or(s.lt(a, b), i32.shl(s.eq(a, b), 6))),
      () => {
        toScratch(c, a);
        toScratch(c, b, 16);
        c.f.set(image, c.jsResult(operation, I32, []));
      },
    );
    c.flags.load(image);
  };
export const comiss = compareFlags(SS, slow.comiss);
export const comisd = compareFlags(SD, slow.comisd);
export const ucomiss = compareFlags(SS, slow.ucomiss);
export const ucomisd = compareFlags(SD, slow.ucomisd);

// --- rounding, dot products, approximations ---------------------------------------------------------------

/** ROUNDxx: immediate bits 0–1 mode, bit 2 the mode of MXCSR instead, bit 3 no PE. */
export const round =
  (s: Shape): Body =>
  (c) => {
    requireSse(c);
    const a = c.read(1);
    const imm = immediate(c, 2);
    const mode = c.let(select(i32.and(imm, 4), i32.and(i32.shrU(i32.load(L.MXCSR), 13), 3), i32.and(imm, 3)));
    const r = c.f.local(s.type);
    const [nearest, down, up, truncate] = s.roundings;
    c.if(
      i32.and(mode, 2),
      () =>
        c.if(
          i32.and(mode, 1),
          () => c.f.set(r, truncate(a)),
          () => c.f.set(r, up(a)),
        ),
      () =>
        c.if(
          mode,
          () => c.f.set(r, down(a)),
          () => c.f.set(r, nearest(a)),
        ),
    );
    const quiet = i32.or(i32.or(i32.and(imm, 8), inexactIsQuiet()), s.all(s.eq(a, r)));
    const ok = i32.and(s.all(ordinary(c, s, a)), i32.ne(quiet, 0));
    c.write(0, computed(c, s.type, ok, r, slow.round[s.name], [a], [imm]));
  };

/** DPPS, DPPD, always by the soft floats. */
export const dotProduct =
  (operation: SystemOperation): Body =>
  (c) => {
    requireSse(c);
    const b = c.read(1);
    const a = c.read(0);
    toScratch(c, a);
    toScratch(c, b, 16);
    c.js(operation, [immediate(c, 2)]);
    c.write(0, fromScratch(V128));
  };

/** RCPxx, RSQRTxx: by table; MXCSR plays no part. */
export const approximation =
  (operation: SystemOperation): Body =>
  (c) => {
    requireSse(c);
    const a = c.read(1);
    toScratch(c, a);
    c.js(operation, []);
    c.write(0, fromScratch(a.type));
  };
