// SSE floating point where the emitted fast paths (semantics/sse-float.ts, sse-convert.ts) do not apply: NaNs,
// denormals, overflow, other rounding modes, unmasked exceptions, the first inexact result. All of it through the
// soft floats; MXCSR collects the flags and #XM is raised here (SDM vol. 1, 11.5.2; #UD while CR4.OSXMMEXCPT is 0).
//
// Operands come in SCRATCH (first at +0, second at +16), the result replaces the first. It is written before the
// exceptions are settled: what is left in SCRATCH after a fault is never delivered. Also here: MASKMOVQ/MASKMOVDQU.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import type { SystemOperation } from '../semantics/context.js';
import { FloatContext } from '../softfloat/context.js';
import { F32, F64, type FloatFormat } from '../softfloat/format.js';
import * as approximate from '../softfloat/sse-approximate.js';
import * as arithmetic from '../softfloat/sse-arithmetic.js';
import * as convert from '../softfloat/sse-convert.js';
import { type CpuState, CR4_OSXMMEXCPT, Fault, gp, MODE_64BIT, UD, XM } from '../state.js';
import { ATTR_UNUSABLE, wrapLinear } from './descriptors.js';

const FIRST = L.SCRATCH;
const SECOND = L.SCRATCH + 16;

/** Reused by every operation; carries nothing from one to the next. */
const context = new FloatContext();

const begin = (s: CpuState): FloatContext => context.setMxcsr(s.get32(L.MXCSR)).clear();

/** Flags to MXCSR; #XM when one of them is unmasked, in which case no result is delivered. */
function finish(cpu: CpuCore, fault: boolean): void {
  const s = cpu.state;
  s.set32(L.MXCSR, s.get32(L.MXCSR) | context.flags);
  if (fault) throw new Fault((s.cr4 & CR4_OSXMMEXCPT) !== 0 ? XM : UD);
}
const settle = (cpu: CpuCore): void => finish(cpu, context.settleSimd());

/** A format with how its elements lie in memory. */
interface Elements<T> {
  readonly format: FloatFormat<T>;
  readonly bytes: 4 | 8;
  get(s: CpuState, address: number): T;
  put(s: CpuState, address: number, value: T): void;
}
const SINGLE: Elements<number> = {
  format: F32,
  bytes: 4,
  get: (s, address) => s.get32(address),
  put: (s, address, value) => s.set32(address, value),
};
const DOUBLE: Elements<bigint> = {
  format: F64,
  bytes: 8,
  get: (s, address) => s.get64(address),
  put: (s, address, value) => s.set64(address, value),
};

type BinaryFloat = <T>(format: FloatFormat<T>, context: FloatContext, a: T, b: T) => T;
type UnaryFloat = <T>(format: FloatFormat<T>, context: FloatContext, a: T) => T;

/** One operation in its four shapes. `P` of the immediate, where the operation has one. */
export interface SlowShapes {
  readonly ss: SystemOperation;
  readonly sd: SystemOperation;
  readonly ps: SystemOperation;
  readonly pd: SystemOperation;
}
const shapes = (make: <T>(e: Elements<T>, lanes: number) => SystemOperation): SlowShapes => ({
  ss: make(SINGLE, 1),
  sd: make(DOUBLE, 1),
  ps: make(SINGLE, 4),
  pd: make(DOUBLE, 2),
});

const binary = (operation: (lane: number) => BinaryFloat): SlowShapes =>
  shapes((e, lanes) => (cpu) => {
    const s = cpu.state;
    const fc = begin(s);
    for (let i = 0; i < lanes; i++) {
      const at = i * e.bytes;
      e.put(s, FIRST + at, operation(i)(e.format, fc, e.get(s, FIRST + at), e.get(s, SECOND + at)));
    }
    settle(cpu);
  });
const unary = (operation: UnaryFloat): SlowShapes =>
  shapes((e, lanes) => (cpu) => {
    const s = cpu.state;
    const fc = begin(s);
    for (let i = 0; i < lanes; i++) {
      const at = FIRST + i * e.bytes;
      e.put(s, at, operation(e.format, fc, e.get(s, at)));
    }
    settle(cpu);
  });

export const add = binary(() => arithmetic.sseAdd);
export const subtract = binary(() => arithmetic.sseSubtract);
export const multiply = binary(() => arithmetic.sseMultiply);
export const divide = binary(() => arithmetic.sseDivide);
export const minimum = binary(() => arithmetic.sseMinimum);
export const maximum = binary(() => arithmetic.sseMaximum);
/** ADDSUB: even lanes are subtracted. */
export const addSubtract = binary((lane) => (lane & 1 ? arithmetic.sseAdd : arithmetic.sseSubtract));
export const squareRoot = unary(arithmetic.sseSquareRoot);

/** ROUNDxx: takes the immediate. */
export const round: SlowShapes = shapes((e, lanes) => (cpu: CpuCore, immediate: number) => {
  const s = cpu.state;
  const fc = begin(s);
  for (let i = 0; i < lanes; i++) {
    const at = FIRST + i * e.bytes;
    e.put(s, at, arithmetic.sseRound(e.format, fc, e.get(s, at), immediate));
  }
  settle(cpu);
});

/** CMPxx: takes the predicate; the result is a mask. */
export const comparePredicate: SlowShapes = shapes((e, lanes) => (cpu: CpuCore, predicate: number) => {
  const s = cpu.state;
  const fc = begin(s);
  for (let i = 0; i < lanes; i++) {
    const at = i * e.bytes;
    const holds = arithmetic.ssePredicate(e.format, fc, predicate, e.get(s, FIRST + at), e.get(s, SECOND + at));
    s.u8.fill(holds ? 0xff : 0, FIRST + at, FIRST + at + e.bytes);
  }
  settle(cpu);
});

/** EFLAGS of a relation: less, equal, greater, unordered. */
const RELATION_FLAGS = { '-1': 1, 0: 0x40, 1: 0, 2: 0x45 } as const;
const compare =
  <T>(e: Elements<T>, signaling: boolean): SystemOperation =>
  (cpu) => {
    const s = cpu.state;
    const relation = arithmetic.sseCompare(e.format, begin(s), e.get(s, FIRST), e.get(s, SECOND), signaling);
    settle(cpu);
    return RELATION_FLAGS[relation];
  };
/** COMISx, UCOMISx: give the flags image. */
export const comiss = compare(SINGLE, true);
export const comisd = compare(DOUBLE, true);
export const ucomiss = compare(SINGLE, false);
export const ucomisd = compare(DOUBLE, false);

/** DPPS, DPPD: the sum to the elements that the immediate's low bits select, +0 to the others. */
const dotProduct =
  <T>(e: Elements<T>, lanes: number): SystemOperation =>
  (cpu: CpuCore, immediate: number) => {
    const s = cpu.state;
    const fc = begin(s);
    const elements = (at: number) => Array.from({ length: lanes }, (_, i) => e.get(s, at + i * e.bytes));
    const sum = arithmetic.sseDotProduct(e.format, fc, elements(FIRST), elements(SECOND), immediate);
    finish(cpu, sum === undefined);
    for (let i = 0; i < lanes; i++) {
      const at = FIRST + i * e.bytes;
      if ((immediate & (1 << i)) !== 0) e.put(s, at, sum!);
      else s.u8.fill(0, at, at + e.bytes);
    }
  };
export const dpps = dotProduct(SINGLE, 4);
export const dppd = dotProduct(DOUBLE, 2);

const approximated =
  (f: (a: number) => number, lanes: number): SystemOperation =>
  (cpu) => {
    for (let i = 0; i < lanes; i++) cpu.state.set32(FIRST + i * 4, f(cpu.state.get32(FIRST + i * 4)));
  };
export const rcpps = approximated(approximate.reciprocal, 4);
export const rcpss = approximated(approximate.reciprocal, 1);
export const rsqrtps = approximated(approximate.reciprocalSquareRoot, 4);
export const rsqrtss = approximated(approximate.reciprocalSquareRoot, 1);

// --- conversions ------------------------------------------------------------------------------------------

const toInteger =
  <T>(e: Elements<T>, lanes: number, width: 32 | 64, truncate: boolean): SystemOperation =>
  (cpu) => {
    const s = cpu.state;
    const fc = begin(s);
    for (let i = 0; i < lanes; i++) {
      const value = convert.sseToInteger(e.format, fc, e.get(s, FIRST + i * e.bytes), width, truncate);
      // Results are never wider than operands of several lanes, so none is overwritten before it is read.
      if (width === 32) s.set32(FIRST + i * 4, Number(value));
      else s.set64(FIRST + i * 8, value);
    }
    s.u8.fill(0, FIRST + (lanes * width) / 8, FIRST + 16);
    settle(cpu);
  };
/** By source shape, width of the integer, and truncation. */
export const toIntegers = {
  ss32: [toInteger(SINGLE, 1, 32, false), toInteger(SINGLE, 1, 32, true)],
  ss64: [toInteger(SINGLE, 1, 64, false), toInteger(SINGLE, 1, 64, true)],
  sd32: [toInteger(DOUBLE, 1, 32, false), toInteger(DOUBLE, 1, 32, true)],
  sd64: [toInteger(DOUBLE, 1, 64, false), toInteger(DOUBLE, 1, 64, true)],
  ps: [toInteger(SINGLE, 4, 32, false), toInteger(SINGLE, 4, 32, true)],
  /** CVTPS2PI: only the low two lanes may raise anything. */
  ps2: [toInteger(SINGLE, 2, 32, false), toInteger(SINGLE, 2, 32, true)],
  pd: [toInteger(DOUBLE, 2, 32, false), toInteger(DOUBLE, 2, 32, true)],
} as const;

/** CVTDQ2PS, CVTPI2PS: signed dwords in place. */
const dwordsToSingles =
  (lanes: number): SystemOperation =>
  (cpu) => {
    const s = cpu.state;
    const fc = begin(s);
    for (let i = 0; i < lanes; i++) {
      const at = FIRST + i * 4;
      s.set32(at, convert.sseFromInteger(F32, fc, BigInt(s.get32(at) | 0)));
    }
    settle(cpu);
  };
export const cvtdq2ps = dwordsToSingles(4);
export const cvtpi2ps = dwordsToSingles(2);

/** CVTSI2SS, CVTSI2SD: take the integer as i64. */
export const cvtsi2ss: SystemOperation = (cpu, value: bigint) => {
  cpu.state.set32(FIRST, convert.sseFromInteger(F32, begin(cpu.state), value));
  settle(cpu);
};
export const cvtsi2sd: SystemOperation = (cpu, value: bigint) => {
  cpu.state.set64(FIRST, convert.sseFromInteger(F64, begin(cpu.state), value));
  settle(cpu);
};

const singlesToDoubles =
  (lanes: number): SystemOperation =>
  (cpu) => {
    const s = cpu.state;
    const fc = begin(s);
    // Downwards: the results are wider than the operands.
    for (let i = lanes - 1; i >= 0; i--) s.set64(FIRST + i * 8, convert.sseSingleToDouble(fc, s.get32(FIRST + i * 4)));
    settle(cpu);
  };
export const cvtss2sd = singlesToDoubles(1);
export const cvtps2pd = singlesToDoubles(2);

const doublesToSingles =
  (lanes: number): SystemOperation =>
  (cpu) => {
    const s = cpu.state;
    const fc = begin(s);
    for (let i = 0; i < lanes; i++) s.set32(FIRST + i * 4, convert.sseDoubleToSingle(fc, s.get64(FIRST + i * 8)));
    s.u8.fill(0, FIRST + lanes * 4, FIRST + 16);
    settle(cpu);
  };
export const cvtsd2ss = doublesToSingles(1);
export const cvtpd2ps = doublesToSingles(2);

// --- memory -----------------------------------------------------------------------------------------------

/** MASKMOVQ, MASKMOVDQU: bytes of SCRATCH chosen by `selected`; all are checked before one is written. */
export const maskedStore: SystemOperation = (cpu, linear: bigint, selected: number) => {
  const at = (i: number) => wrapLinear(cpu.state, BigInt.asUintN(64, linear) + BigInt(i));
  const chosen = Array.from({ length: 16 }, (_, i) => i).filter((i) => (selected & (1 << i)) !== 0);
  const data = cpu.state.u8.slice(FIRST, FIRST + 16);
  for (const i of chosen) cpu.memory.probe(at(i), 1, true);
  for (const i of chosen) cpu.memory.write8(at(i), data[i]!);
};

/** CLFLUSH, the limit checked: the segment must not be null, the page readable; there is no cache to flush. */
export const probeFlush: SystemOperation = (cpu, linear: bigint, uop: number) => {
  const s = cpu.state;
  const segment = (s.u8[uop + L.UOP_ADDRESS]! >> 2) & 7;
  if ((s.get32(L.MODE) & MODE_64BIT) === 0 && (s.attributes(segment) & ATTR_UNUSABLE) !== 0) throw gp(0);
  cpu.memory.probe(BigInt.asUintN(64, linear), 1, false);
};
