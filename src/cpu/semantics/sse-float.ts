// SSE, SSE2 and SSE3 floating-point arithmetic and comparison (SDM vol. 1, 11.5; vol. 2: ADDPS … HSUBPD).
//
// Fast path: wasm computes what the hardware does when MXCSR says round to nearest, no DAZ, no FTZ and everything
// masked; when no lane meets a denormal operand, overflow, underflow or a NaN, which is read off the exponents of
// operands and result; and when PE is already sticky or the result can be shown to be exact. Everything else goes to
// the soft floats (system/sse-slow.ts). So no bit of a wasm NaN ever reaches the guest, whatever the engine leaves open.
//
// A body is written once for the four shapes (sse-shape.ts).

import * as L from '../layout.js';
import type { SlowShapes } from '../system/sse-slow.js';
import * as slow from '../system/sse-slow.js';
import { type Expr, I32, I64, i32, i64, type LocalGet, select, type Type, V128, v128 } from '../wasm/expr.js';
import type { Body, BodyContext, SystemOperation } from './context.js';
import { immediate, requireSse } from './simd-operands.js';
import * as v from './simd-ops.js';
import { type Binary, PS, SD, type Shape, SS } from './sse-shape.js';

const { bitwise } = v;

// --- the fast path's conditions ---------------------------------------------------------------------------

const MXCSR_PE = 0x20;
const MXCSR_DAZ = 0x40;
const MXCSR_PM = 0x1000;
/**
 * Whether a correctly rounded result has nothing to report that is not masked and, PE excepted, set already; a local.
 * @param fine i32: no exception but PE can arise.
 * @param exact test (i32) that PE does not arise either; evaluated only while PE is not sticky.
 */
export function unremarkable(c: BodyContext, fine: Expr, exact: () => Expr): Expr {
  const ok = c.f.local(I32);
  // All masks set, nearest, no DAZ, no FTZ; the flags may be anything.
  c.f.set(ok, i32.and(fine, i32.eq(i32.and(i32.load(L.MXCSR), 0xffc0), 0x1f80)));
  c.if(i32.gtU(ok, i32.and(i32.shrU(i32.load(L.MXCSR), 5), 1)), () => c.f.set(ok, exact()));
  return ok;
}

/** Inexact results have nothing left to report, in any rounding mode. */
export const inexactIsQuiet = (): Expr =>
  i32.eq(i32.and(i32.load(L.MXCSR), MXCSR_PM | MXCSR_PE | MXCSR_DAZ), MXCSR_PM | MXCSR_PE);
/** RC is round to nearest. */
export const roundsToNearest = (): Expr => i32.eqz(i32.and(i32.load(L.MXCSR), 0x6000));

/** Neither denormal nor NaN: what no comparison or exact conversion reports. */
export function ordinary(c: BodyContext, s: Shape, a: Expr): Expr {
  const m = c.let(s.magnitude(a));
  return s.or(s.within(m, s.bounds.normal, s.bounds.infinity), s.isZero(m));
}
/** Not denormal, NaNs allowed. */
function notDenormal(c: BodyContext, s: Shape, a: Expr): Expr {
  const m = c.let(s.magnitude(a));
  return s.or(s.within(m, s.bounds.normal, s.bounds.nan), s.isZero(m));
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
  /** Test that `r` is the exact result; absent where results are operands. */
  readonly exact?: (c: BodyContext, s: Shape, a: Expr, b: Expr, r: Expr) => Expr;
}

function evaluate(c: BodyContext, s: Shape, op: Operation, a: Expr, b: Expr): Expr {
  const r = c.let(op.compute(s, a, b));
  const fine = s.all(op.fine(c, s, a, b, r));
  const { exact } = op;
  const ok = exact === undefined ? fine : unremarkable(c, fine, () => s.all(exact(c, s, a, b, r)));
  return computed(c, s.type, ok, r, op.slow[s.name], [a, b]);
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

/** Knuth: the error of the sum r = a + b, itself a number of the format unless something overflows (then it is a NaN). */
function exactSum(c: BodyContext, s: Shape, a: Expr, b: Expr, r: Expr): Expr {
  const fromB = c.let(s.sub(r, a));
  const error = s.add(s.sub(a, s.sub(r, fromB)), s.sub(b, fromB));
  return s.isZero(s.magnitude(error));
}

/** Dekker: whether a · b is exactly p; says no also where the error's parts may underflow or overflow. */
function exactProduct(c: BodyContext, s: Shape, a: Expr, b: Expr, p: Expr): Expr {
  const { splittable, productFloor, largest, splitter } = s.bounds;
  const halves = (x: Expr): [Expr, Expr] => {
    const scaled = c.let(s.mul(x, s.constant(splitter)));
    const high = c.let(s.sub(scaled, s.sub(scaled, x)));
    return [high, c.let(s.sub(x, high))];
  };
  const [aHigh, aLow] = halves(a);
  const [bHigh, bLow] = a === b ? [aHigh, aLow] : halves(b);
  const cross = s.add(s.add(s.sub(s.mul(aHigh, bHigh), p), s.mul(aHigh, bLow)), s.mul(aLow, bHigh));
  const error = s.magnitude(s.add(cross, s.mul(aLow, bLow)));
  const m = c.let(s.magnitude(p));
  const inRange = s.and(s.within(s.magnitude(a), 0n, splittable), s.within(s.magnitude(b), 0n, splittable));
  return s.and(s.and(s.isZero(error), inRange), s.or(s.within(m, productFloor, largest), s.isZero(m)));
}

/** Sums and differences underflow only exactly; a finite result has finite operands. `second` is what is added. */
const additive = (second: (s: Shape, b: Expr) => Expr, shapes: SlowShapes): Operation => ({
  slow: shapes,
  compute: (s, a, b) => s.add(a, second(s, b)),
  fine: (c, s, a, b, r) =>
    s.and(s.and(notDenormal(c, s, a), notDenormal(c, s, b)), s.within(s.magnitude(r), 0n, s.bounds.largest)),
  exact: (c, s, a, b, r) => exactSum(c, s, a, c.let(second(s, b)), r),
});
const ADD = additive((_s, b) => b, slow.add);
/** A sum with the sign flipped is the difference, bit for bit, NaNs excepted. */
const SUB = additive((s, b) => s.negate(b), slow.subtract);

/** Tininess is detected after rounding: results next to the smallest normal number are left to the slow path. */
const multiplicative =
  (zero: (s: Shape, a: Expr, b: Expr) => Expr): Operation['fine'] =>
  (c, s, a, b, r) => {
    const m = c.let(s.magnitude(r));
    const result = s.or(s.within(m, s.bounds.twiceNormal, s.bounds.largest), s.and(s.isZero(m), zero(s, a, b)));
    return s.and(s.and(notDenormal(c, s, a), notDenormal(c, s, b)), result);
  };
const hasZeroValue = (s: Shape, a: Expr) => s.isZero(s.magnitude(a));
const MUL: Operation = {
  slow: slow.multiply,
  compute: (s, a, b) => s.mul(a, b),
  fine: multiplicative((s, a, b) => s.or(hasZeroValue(s, a), hasZeroValue(s, b))),
  exact: exactProduct,
};
const DIV: Operation = {
  slow: slow.divide,
  compute: (s, a, b) => s.div(a, b),
  fine: multiplicative((s, a) => hasZeroValue(s, a)),
  exact: (c, s, a, b, r) => s.and(exactProduct(c, s, r, b, a), s.eq(s.mul(r, b), a)),
};
const bothOrdinary: Operation['fine'] = (c, s, a, b) => s.and(ordinary(c, s, a), ordinary(c, s, b));
/** The source operand unless the destination is less (greater): also for two zeros. */
const MIN: Operation = {
  slow: slow.minimum,
  compute: (s, a, b) => s.choose(s.lt(a, b), a, b),
  fine: bothOrdinary,
};
const MAX: Operation = {
  slow: slow.maximum,
  compute: (s, a, b) => s.choose(s.lt(b, a), a, b),
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
    const r = c.let(s.sqrt(a));
    const fine = s.or(s.within(a, s.bounds.normal, s.bounds.largest), hasZeroValue(s, a));
    const ok = unremarkable(c, s.all(fine), () => s.all(s.and(exactProduct(c, s, r, r, a), s.eq(s.mul(r, r), a))));
    c.write(0, computed(c, s.type, ok, r, slow.squareRoot[s.name], [a]));
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
/** ADDSUBPx: even lanes are subtracted. */
export const addsub = (s: Shape): Body =>
  binary(
    additive((_s, b) => {
      const signs = s === PS ? v.dwords(0x8000_0000, 0, 0x8000_0000, 0) : v.qwords(1n << 63n, 0n);
      return bitwise.xor(b, signs);
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
