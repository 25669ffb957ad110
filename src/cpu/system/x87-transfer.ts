// x87 loads, stores and moves (SDM vol. 2: FLD, FILD, FBLD, FLD1…FLDZ, FST, FIST, FISTTP, FBSTP, FXCH, FCMOVcc).
//
// A store comes in two halves, since its memory write may fault and must come before any change: here the value is
// computed and the outcome left in SCRATCH; the emitted code writes memory, then takes over status, tags and TOP.
// Unmasked IE, OE and UE of a store leave memory and stack alone (SDM vol. 1 8.5).

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { type FloatContext, IE, TOWARD_ZERO } from '../softfloat/context.js';
import { F32, F64, type F80, indefinite, type Unpacked } from '../softfloat/format.js';
import { x87Constant } from '../softfloat/x87-constants.js';
import * as soft from '../softfloat/x87-convert.js';
import { C1, INDEFINITE, operand32, operand64, operandInteger } from '../softfloat/x87-operand.js';
import {
  begin,
  finish,
  isEmpty,
  pop,
  push,
  pushOverflows,
  SF,
  setSt,
  st,
  statusAfter,
  underflow,
} from './x87-stack.js';

// --- loads ----------------------------------------------------------------------------------------------------

/** Push what `value` gives, nothing when that is undefined. */
function load(cpu: CpuCore, value: (c: FloatContext) => F80 | undefined): void {
  const s = cpu.state;
  const c = begin(s);
  if (pushOverflows(s, c)) return;
  const loaded = value(c);
  if (loaded !== undefined) push(s, loaded);
  finish(s, c, 0);
}

const loadFloat = (cpu: CpuCore, operand: Unpacked) => load(cpu, (c) => soft.fld(c, operand));
const loadInteger = (cpu: CpuCore, value: number | bigint) => load(cpu, () => soft.extend(operandInteger(value)));

export const fldSingle = (cpu: CpuCore, bits: number) => loadFloat(cpu, operand32(bits >>> 0));
export const fldDouble = (cpu: CpuCore, bits: bigint) => loadFloat(cpu, operand64(BigInt.asUintN(64, bits)));
export const fldExtended = (cpu: CpuCore, significand: bigint, signExponent: number) =>
  load(cpu, () => ({ significand: BigInt.asUintN(64, significand), signExponent: signExponent & 0xffff }));
export const fildWord = (cpu: CpuCore, bits: number) => loadInteger(cpu, (bits << 16) >> 16);
export const fildLong = (cpu: CpuCore, bits: number) => loadInteger(cpu, bits | 0);
export const fildQuad = (cpu: CpuCore, bits: bigint) => loadInteger(cpu, BigInt.asIntN(64, bits));
export const fbld = (cpu: CpuCore, low: bigint, high: number) =>
  load(cpu, () => soft.fbld(BigInt.asUintN(64, low) | (BigInt(high & 0xffff) << 64n)));
/** @param index the low three bits of the opcode D9 E8…EE. */
export const fldConstant = (cpu: CpuCore, index: number) => load(cpu, (c) => x87Constant(c, index));

/** FLD ST(i). With an empty source and no room, underflow is what is reported. */
export function fldRegister(cpu: CpuCore, i: number): void {
  const s = cpu.state;
  const c = begin(s);
  if (isEmpty(s, i)) {
    if (underflow(s, c)) push(s, INDEFINITE);
    return;
  }
  if (pushOverflows(s, c)) return;
  push(s, st(s, i));
  finish(s, c, 0);
}

// --- stores to memory -----------------------------------------------------------------------------------------

/** u32 in SCRATCH: 1 when memory is to be written and the stack popped; the new status word; sign and exponent of an 80-bit store. */
export const STORE_DELIVERS = L.SCRATCH + 32;
export const STORE_STATUS = L.SCRATCH + 36;
export const STORE_HIGH = L.SCRATCH + 40;

/** First half of a store: what `convert` makes of ST(0), or `empty` for an empty register. */
function prepare<T>(cpu: CpuCore, empty: T, convert: (c: FloatContext, value: F80) => T | undefined): T {
  const s = cpu.state;
  const c = begin(s);
  let value: T | undefined;
  let conditions: number;
  if (isEmpty(s, 0)) {
    if (!c.raise(IE)) value = empty;
    conditions = SF;
  } else {
    value = convert(c, st(s, 0));
    // What was not stored was not rounded.
    conditions = value !== undefined && c.roundedUp ? C1 : 0;
  }
  s.set32(STORE_DELIVERS, value === undefined ? 0 : 1);
  s.set32(STORE_STATUS, statusAfter(s, c, conditions, C1));
  return value ?? empty;
}

const number = (value: bigint | undefined): number | undefined => (value === undefined ? undefined : Number(value));

export const fstSingle = (cpu: CpuCore): number => prepare(cpu, indefinite(F32), soft.fst32);
export const fstDouble = (cpu: CpuCore): bigint => prepare(cpu, indefinite(F64), soft.fst64);
export const fistWord = (cpu: CpuCore): number => prepare(cpu, 0x8000, (c, x) => number(soft.fist(c, x, 16)));
export const fistLong = (cpu: CpuCore): number => prepare(cpu, 0x8000_0000, (c, x) => number(soft.fist(c, x, 32)));
export const fistQuad = (cpu: CpuCore): bigint => prepare(cpu, 1n << 63n, (c, x) => soft.fist(c, x, 64));
export const fisttpWord = (cpu: CpuCore): number =>
  prepare(cpu, 0x8000, (c, x) => number(soft.fist(c, x, 16, TOWARD_ZERO)));
export const fisttpLong = (cpu: CpuCore): number =>
  prepare(cpu, 0x8000_0000, (c, x) => number(soft.fist(c, x, 32, TOWARD_ZERO)));
export const fisttpQuad = (cpu: CpuCore): bigint => prepare(cpu, 1n << 63n, (c, x) => soft.fist(c, x, 64, TOWARD_ZERO));

/** The low 64 bits; the other 16 go to STORE_HIGH. */
export function fstExtended(cpu: CpuCore): bigint {
  const value = prepare(cpu, INDEFINITE, (_c, x) => x);
  cpu.state.set32(STORE_HIGH, value.signExponent);
  return value.significand;
}

const BCD_INDEFINITE = 0xffffc000000000000000n;

/** The low 64 bits; the other 16 go to STORE_HIGH. */
export function fbstp(cpu: CpuCore): bigint {
  const value = prepare(cpu, BCD_INDEFINITE, soft.fbstp);
  cpu.state.set32(STORE_HIGH, Number(value >> 64n));
  return BigInt.asUintN(64, value);
}

// --- register moves -------------------------------------------------------------------------------------------

function storeRegister(pops: number) {
  return (cpu: CpuCore, i: number): void => {
    const s = cpu.state;
    const c = begin(s);
    if (isEmpty(s, 0)) {
      if (!underflow(s, c)) return;
      setSt(s, i, INDEFINITE);
    } else {
      setSt(s, i, st(s, 0));
      finish(s, c, 0);
    }
    pop(s, pops);
  };
}

/** FST ST(i), FSTP ST(i). */
export const fstRegister = storeRegister(0);
export const fstpRegister = storeRegister(1);

/** D9 D8+i, an alias of FSTP ST(i) that takes an empty ST(0) without an exception and then only pops. */
export function fstp1(cpu: CpuCore, i: number): void {
  const s = cpu.state;
  if (!isEmpty(s, 0)) setSt(s, i, st(s, 0));
  pop(s);
  finish(s, begin(s), 0);
}

/** FXCH: an empty register takes part as the indefinite. */
export function fxch(cpu: CpuCore, i: number): void {
  const s = cpu.state;
  const c = begin(s);
  const emptyTop = isEmpty(s, 0);
  const emptyOther = isEmpty(s, i);
  if (!emptyTop && !emptyOther) finish(s, c, 0);
  else if (!underflow(s, c)) return;
  const top = emptyTop ? INDEFINITE : st(s, 0);
  setSt(s, 0, emptyOther ? INDEFINITE : st(s, i));
  setSt(s, i, top);
}

/** FCMOVcc; an empty register is an underflow whether the condition holds or not. C1 else stays. */
export function fcmov(cpu: CpuCore, condition: number, i: number): void {
  const s = cpu.state;
  const c = begin(s);
  if (isEmpty(s, 0) || isEmpty(s, i)) {
    if (underflow(s, c)) setSt(s, 0, INDEFINITE);
    return;
  }
  if (condition) setSt(s, 0, st(s, i));
}
