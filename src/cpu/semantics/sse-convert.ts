// Conversions between the float formats and integers (SDM vol. 2: CVT…). Fast paths and fallback as in sse-float.ts:
// a result is taken from wasm when it is exact, or when rounding to nearest with PE already sticky explains it; and when
// the operand is in the range where no other exception can arise. Ranges are tested on the magnitude's bits.
//
// The forms that touch an MMX register leave MMX state behind, even when they end in #XM; from memory they do not (SDM
// vol. 2, CVTPI2PD; for CVTPI2PS the manual says otherwise, processors agree with this).

import * as slow from '../system/sse-slow.js';
import { type Expr, f32, f64, I32, I64, i32, i64, V128 } from '../wasm/expr.js';
import type { Body, BodyContext, SystemOperation } from './context.js';
import { enterMmx, requireNoPendingX87, requireSse, writeMmx } from './simd-operands.js';
import * as v from './simd-ops.js';
import { computed, inexactIsQuiet, ordinary, roundsToNearest, unremarkable } from './sse-float.js';
import { PD, PS, SD, type Shape, SS } from './sse-shape.js';

const { i32x4, i64x2, f32x4, f64x2 } = v;

/** Largest magnitudes, as bits, that surely fit the integer: below 2^31 or 2^63 (doubles to 32 bits: 2^31 − 1). */
const LIMITS = {
  ss: { 32: 0x4eff_ffffn, 64: 0x5eff_ffffn },
  sd: { 32: 0x41df_ffff_ffc0_0000n, 64: 0x43df_ffff_ffff_ffffn },
} as const;

/** Tests whether rounding `a` to the integral `r` has nothing to report that is not quiet; `r` must be right as well. */
function quiet(s: Shape, a: Expr, r: Expr, truncate: boolean): Expr {
  const exact = s.all(s.eq(a, r));
  return i32.or(exact, truncate ? inexactIsQuiet() : i32.and(inexactIsQuiet(), roundsToNearest()));
}
const integral = (s: Shape, a: Expr, truncate: boolean): Expr => s.roundings[truncate ? 3 : 0](a);

// --- to integers ------------------------------------------------------------------------------------------

/** CVT(T)SS2SI, CVT(T)SD2SI: 32 or 64 bits by the destination. */
export const toInteger =
  (s: typeof SS, truncate: boolean): Body =>
  (c) => {
    requireSse(c);
    const a = c.read(1);
    const width = c.bits(0) === 64 ? 64 : 32;
    const single = s.name === 'ss';
    const operation = slow.toIntegers[single ? (`ss${width}` as const) : (`sd${width}` as const)][truncate ? 1 : 0];
    const r = c.let(integral(s, a, truncate));
    const inRange = s.within(s.magnitude(a), 0n, LIMITS[single ? 'ss' : 'sd'][width]);
    const x = single ? f32.reinterpretI32(r) : f64.reinterpretI64(r);
    const to = width === 64 ? i64 : i32;
    const fast = single ? to.truncSatF32S(x) : to.truncSatF64S(x);
    const ok = i32.and(inRange, quiet(s, a, r, truncate));
    const result = computed(c, width === 64 ? I64 : I32, ok, fast, operation, [a]);
    c.write(0, result);
  };

/** CVT(T)PS2DQ. */
export const singlesToDwords =
  (truncate: boolean): Body =>
  (c) => {
    requireSse(c);
    const a = c.read(1);
    c.write(0, singlesConverted(c, a, truncate, slow.toIntegers.ps[truncate ? 1 : 0]));
  };

function singlesConverted(c: BodyContext, a: Expr, truncate: boolean, operation: SystemOperation): Expr {
  const r = c.let(integral(PS, a, truncate));
  const inRange = PS.all(PS.within(PS.magnitude(a), 0n, LIMITS.ss[32]));
  const ok = i32.and(inRange, quiet(PS, a, r, truncate));
  return computed(c, V128, ok, i32x4.truncSatF32S(r), operation, [a]);
}

function doublesConverted(c: BodyContext, a: Expr, truncate: boolean): Expr {
  const r = c.let(integral(PD, a, truncate));
  const inRange = PD.all(PD.within(PD.magnitude(a), 0n, LIMITS.sd[32]));
  const ok = i32.and(inRange, quiet(PD, a, r, truncate));
  return computed(c, V128, ok, i32x4.truncSatF64SZero(r), slow.toIntegers.pd[truncate ? 1 : 0], [a]);
}

/** CVT(T)PD2DQ: the upper half of the destination is cleared. */
export const doublesToDwords =
  (truncate: boolean): Body =>
  (c) => {
    requireSse(c);
    c.write(0, doublesConverted(c, c.read(1), truncate));
  };

/** CVT(T)PS2PI. */
export const singlesToMmx =
  (truncate: boolean): Body =>
  (c) => {
    requireSse(c);
    requireNoPendingX87(c);
    const a = c.let(i64x2.splat(c.read(1)));
    enterMmx(c);
    const r = singlesConverted(c, a, truncate, slow.toIntegers.ps2[truncate ? 1 : 0]);
    writeMmx(c, 0, c.let(i64x2.extract(0, r)));
  };
/** CVT(T)PD2PI. */
export const doublesToMmx =
  (truncate: boolean): Body =>
  (c) => {
    requireSse(c);
    requireNoPendingX87(c);
    const a = c.read(1);
    enterMmx(c);
    const r = doublesConverted(c, a, truncate);
    writeMmx(c, 0, c.let(i64x2.extract(0, r)));
  };

// --- from integers ----------------------------------------------------------------------------------------

/** i32: −limit ≤ x < limit, for a power of two: integers that the format holds exactly. */
const magnitudeBelow = (x: Expr, limit: bigint): Expr => i64.ltU(i64.add(x, limit), 2n * limit);

/** Rounding to nearest may go unreported. */
const inexactUnremarkable = (c: BodyContext): Expr => unremarkable(c, i32.const(1), () => i32.const(0));

/** CVTSI2SS. */
export const integerToSingle: Body = (c) => {
  requireSse(c);
  const value = c.read(1);
  const wide = value.type === I64 ? value : c.let(i64.extendS(value));
  const ok = i32.or(magnitudeBelow(wide, 1n << 24n), inexactUnremarkable(c));
  const fast = i32.reinterpretF32(f32.convertI64S(wide));
  c.write(0, computed(c, I32, ok, fast, slow.cvtsi2ss, [], [wide]));
};
/** CVTSI2SD: exact from 32 bits. */
export const integerToDouble: Body = (c) => {
  requireSse(c);
  const value = c.read(1);
  if (value.type === I32) {
    c.write(0, i64.reinterpretF64(f64.convertI32S(value)));
    return;
  }
  const ok = i32.or(magnitudeBelow(value, 1n << 53n), inexactUnremarkable(c));
  c.write(0, computed(c, I64, ok, i64.reinterpretF64(f64.convertI64S(value)), slow.cvtsi2sd, [], [value]));
};

/** Four or two signed dwords to singles; exact up to 2^24. */
function dwordsConverted(c: BodyContext, a: Expr, operation: SystemOperation): Expr {
  const limit = (x: number) => i32x4.splat(i32.const(x));
  const small = v.bitwise.and(i32x4.geS(a, limit(-(1 << 24))), i32x4.leS(a, limit(1 << 24)));
  const ok = unremarkable(c, i32.const(1), () => i32x4.allTrue(small));
  return computed(c, V128, ok, f32x4.convertI32S(a), operation, [a]);
}

/** CVTDQ2PS. */
export const dwordsToSingles: Body = (c) => {
  requireSse(c);
  const a = c.read(1);
  c.write(0, dwordsConverted(c, a, slow.cvtdq2ps));
};
/** CVTDQ2PD: exact. */
export const dwordsToDoubles: Body = (c) => {
  requireSse(c);
  c.write(0, f64x2.convertLowI32S(i64x2.splat(c.read(1))));
};
/** The operand of CVTPI2Px. */
function readMmxSource(c: BodyContext): Expr {
  if (!c.inMemory(1)) requireNoPendingX87(c);
  const value = c.read(1);
  if (!c.inMemory(1)) enterMmx(c);
  return value;
}

/** CVTPI2PS: the upper half of the destination stays. */
export const mmxToSingles: Body = (c) => {
  requireSse(c);
  const a = c.let(i64x2.splat(readMmxSource(c)));
  const r = dwordsConverted(c, a, slow.cvtpi2ps);
  c.f.store64(c.vectorRegister(0), i64x2.extract(0, r));
};
/** CVTPI2PD: exact. */
export const mmxToDoubles: Body = (c) => {
  requireSse(c);
  c.write(0, f64x2.convertLowI32S(i64x2.splat(readMmxSource(c))));
};

// --- between the formats ----------------------------------------------------------------------------------

/** Doubles that become normal singles without overflow, as magnitudes. */
const NORMAL_SINGLE = 0x3810_0000_0000_0000n;
const LARGEST_SINGLE = 0x47ef_ffff_e000_0000n;
const becomesSingle = (s: Shape, a: Expr): Expr =>
  s.or(s.within(s.magnitude(a), NORMAL_SINGLE, LARGEST_SINGLE), s.isZero(s.magnitude(a)));

/** CVTSS2SD: exact. */
export const singleToDouble: Body = (c) => {
  requireSse(c);
  const a = c.read(1);
  const fast = i64.reinterpretF64(f64.promote(f32.reinterpretI32(a)));
  c.write(0, computed(c, I64, ordinary(c, SS, a), fast, slow.cvtss2sd, [a]));
};
/** CVTSD2SS. */
export const doubleToSingle: Body = (c) => {
  requireSse(c);
  const a = c.read(1);
  const r = c.let(i32.reinterpretF32(f32.demote(f64.reinterpretI64(a))));
  const exact = () => f64.eq(f64.promote(f32.reinterpretI32(r)), f64.reinterpretI64(a));
  c.write(0, computed(c, I32, unremarkable(c, becomesSingle(SD, a), exact), r, slow.cvtsd2ss, [a]));
};
/** CVTPS2PD: the low two singles. */
export const singlesToDoubles: Body = (c) => {
  requireSse(c);
  const a = c.let(i64x2.splat(c.read(1)));
  const ok = PS.all(ordinary(c, PS, a));
  c.write(0, computed(c, V128, ok, f64x2.promoteLowF32(a), slow.cvtps2pd, [a]));
};
/** CVTPD2PS: the upper half of the destination is cleared. */
export const doublesToSingles: Body = (c) => {
  requireSse(c);
  const a = c.read(1);
  const r = c.let(f32x4.demoteF64Zero(a));
  const ok = unremarkable(c, PD.all(becomesSingle(PD, a)), () => PD.all(PD.eq(f64x2.promoteLowF32(r), a)));
  c.write(0, computed(c, V128, ok, r, slow.cvtpd2ps, [a]));
};
