// The checks that every transfer to another code segment shares, and loading CS.
//
// SDM vol. 3A, 5.8.1 (direct transfers), 5.8.6 (returns); vol. 2: JMP, CALL, RET, IRET.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { type CpuState, GP, gp, NP, SSV } from '../state.js';
import {
  ATTR_DB,
  ATTR_L,
  type Descriptor,
  dplOf,
  fetchDescriptor,
  isCanonical,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isWritableData,
  limitOf,
  selectorFault,
  setFromDescriptor,
} from './descriptors.js';

/** Whether code in this segment runs in 64-bit mode. */
export function is64BitCode(state: CpuState, d: Descriptor): boolean {
  return state.isLong && (d.attributes & ATTR_L) !== 0;
}

/** L and D both set is reserved in IA-32e mode. */
export function checkLongCode(state: CpuState, d: Descriptor): void {
  if (state.isLong && (d.attributes & (ATTR_L | ATTR_DB)) === (ATTR_L | ATTR_DB)) throw selectorFault(GP, d.selector);
}

/** The new IP lies within the segment's limit, or is canonical for 64-bit code: else #GP(0). */
export function checkTarget(state: CpuState, d: Descriptor, ip: bigint): void {
  if (is64BitCode(state, d) ? !isCanonical(ip) : ip > BigInt(limitOf(d))) throw gp(0);
}

/** Code that is entered directly, by JMP or CALL, at the current privilege level (CPL and RPL rules of 5.8.1). */
export function checkDirectCode(cpu: CpuCore, d: Descriptor): void {
  const { cpl } = cpu.state;
  const allowed = isConforming(d) ? dplOf(d) <= cpl : (d.selector & 3) <= cpl && dplOf(d) === cpl;
  if (!isCode(d) || !allowed) throw selectorFault(GP, d.selector);
  checkLongCode(cpu.state, d);
  if (!isPresent(d)) throw selectorFault(NP, d.selector);
}

/** The code segment that a far RET or IRET returns to; its RPL is the new CPL. */
export function fetchReturnCode(cpu: CpuCore, selector: number): Descriptor {
  const { cpl } = cpu.state;
  if (isNull(selector)) throw gp(0);
  const d = fetchDescriptor(cpu, selector);
  const rpl = selector & 3;
  const allowed = isConforming(d) ? dplOf(d) <= rpl : dplOf(d) === rpl;
  if (!isCode(d) || rpl < cpl || !allowed) throw selectorFault(GP, selector);
  checkLongCode(cpu.state, d);
  if (!isPresent(d)) throw selectorFault(NP, selector);
  return d;
}

/**
 * The stack segment that comes with a return to ring `cpl`, or undefined for a null one, which only 64-bit code
 * outside ring 3 may have (vol. 2, RET).
 */
export function fetchReturnStack(cpu: CpuCore, selector: number, cpl: number, to64: boolean): Descriptor | undefined {
  if (isNull(selector)) {
    if (!to64 || cpl === 3 || (selector & 3) !== cpl) throw gp(0);
    return undefined;
  }
  const d = fetchDescriptor(cpu, selector);
  if ((selector & 3) !== cpl || !isWritableData(d) || dplOf(d) !== cpl) throw selectorFault(GP, selector);
  if (!isPresent(d)) throw selectorFault(SSV, selector);
  return d;
}

/** Load CS with `cpl` as its RPL, make that the CPL, and go to `ip`. */
export function enterCode(state: CpuState, d: Descriptor, cpl: number, ip: bigint): void {
  setFromDescriptor(state, L.CS, d, (d.selector & ~3) | cpl);
  state.set32(L.CPL, cpl);
  state.rip = ip;
}
