// The parts of EFLAGS that privilege guards: PUSHF, POPF, CLI, STI; and the instructions that call interrupts.
//
// SDM vol. 2: PUSHF, POPF, CLI, STI, INT n/INT3/INTO/INT1, BOUND; vol. 3A, 20.3 (VME), 20.4 (PVI). The software
// interrupts deliver themselves: state.rip must already be the IP of the next instruction.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import {
  AC,
  BR,
  type CpuState,
  CR4_PVI,
  CR4_VME,
  Fault,
  gp,
  ID,
  IF,
  IOPL_MASK,
  OF,
  RF,
  TF,
  VIF,
  VIP,
  VM,
} from '../state.js';
import { deliver, inTask } from './interrupts.js';
import { FREE_FLAGS, mergeFlags } from './iret.js';

/** Whether CLI, STI, PUSHF and POPF work on VIF: V86 with VME. */
function usesVme(state: CpuState): boolean {
  return state.isV86 && state.iopl < 3 && (state.cr4 & CR4_VME) !== 0;
}

/** PUSHF, PUSHFD, PUSHFQ: the image to push. RF and VM are pushed as 0. */
export function pushf(cpu: CpuCore, operandSize: number): number {
  const s = cpu.state;
  const image = (s.eflags & ~(RF | VM)) >>> 0;
  if (!s.isV86 || s.iopl === 3) return image;
  if (!usesVme(s) || operandSize !== 16) throw gp(0);
  return (image & ~IF) | IOPL_MASK | (s.flag(VIF) ? IF : 0);
}

/** POPF, POPFD, POPFQ with the value popped (vol. 2, table 4-21). */
export function popf(cpu: CpuCore, operandSize: number, value: number): void {
  const s = cpu.state;
  const before = s.get32(L.EFLAGS);
  let mask = FREE_FLAGS | (operandSize === 16 ? 0 : AC | ID);
  if (s.isV86) {
    if (s.iopl === 3) mask |= IF;
    else {
      if (!usesVme(s) || operandSize !== 16) throw gp(0);
      if ((value & TF) !== 0 || ((value & IF) !== 0 && s.flag(VIP))) throw gp(0);
      mergeFlags(s, (value & IF) !== 0 ? VIF : 0, VIF);
    }
  } else {
    if (s.cpl <= s.iopl) mask |= IF;
    if (s.cpl === 0) mask |= IOPL_MASK;
  }
  mergeFlags(s, value, mask);
  if (operandSize !== 16) s.set32(L.EFLAGS, (s.get32(L.EFLAGS) & ~RF) >>> 0);
  if (((before ^ s.get32(L.EFLAGS)) & (TF | AC | IF)) !== 0) cpu.modeChanged();
}

/** Which flag CLI and STI work on, or #GP(0): IF by IOPL; VIF in V86 with VME, or in ring 3 with PVI. */
function interruptFlag(state: CpuState): number {
  if (!state.isProtected || state.iopl >= state.cpl) return IF;
  if (state.isV86) {
    if ((state.cr4 & CR4_VME) !== 0) return VIF;
  } else if (state.cpl === 3 && (state.cr4 & CR4_PVI) !== 0) return VIF;
  throw gp(0);
}

/** CLI. */
export function cli(cpu: CpuCore): void {
  const s = cpu.state;
  s.set32(L.EFLAGS, (s.get32(L.EFLAGS) & ~interruptFlag(s)) >>> 0);
}

/** STI. Setting IF from 0 shadows the next instruction; setting VIF while VIP waits is #GP(0). */
export function sti(cpu: CpuCore): void {
  const s = cpu.state;
  const flag = interruptFlag(s);
  if (flag === VIF && s.flag(VIP)) throw gp(0);
  const was = s.flag(IF);
  s.set32(L.EFLAGS, (s.get32(L.EFLAGS) | flag) >>> 0);
  if (flag === IF && !was) cpu.setShadow(1);
}

/** INT n. */
export function intN(cpu: CpuCore, vector: number): void {
  inTask(cpu, () => deliver(cpu, { vector: vector & 0xff, kind: 'software' }));
}

/** INT3 (0xcc). */
export function int3(cpu: CpuCore): void {
  inTask(cpu, () => deliver(cpu, { vector: 3, kind: 'trap-instruction' }));
}

/** INTO: INT 4 when OF is set. */
export function into(cpu: CpuCore): void {
  if ((cpu.state.arithmeticFlags & OF) === 0) return;
  inTask(cpu, () => deliver(cpu, { vector: 4, kind: 'trap-instruction' }));
}

/** INT1 (0xf1). */
export function int1(cpu: CpuCore): void {
  inTask(cpu, () => deliver(cpu, { vector: 1, kind: 'int1' }));
}

/** BOUND: `index` and the two bounds as signed numbers of the operand's width; #BR outside them. */
export function bound(_cpu: CpuCore, index: number, lower: number, upper: number): void {
  if (index < lower || index > upper) throw new Fault(BR);
}
