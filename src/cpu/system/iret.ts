// IRET in every mode.
//
// SDM vol. 2, IRET/IRETD/IRETQ; vol. 3A, 6.12, 6.14.3 (64-bit), 7.3 and 7.4 (nested task), 20.2.4 and 20.3 (V86,
// VME). Operand sizes are 16, 32 or 64 bits. NMIs are unblocked even when IRET faults (6.7.1); nothing else changes
// before the last check.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import {
  AC,
  ARITHMETIC_FLAGS,
  type CpuState,
  CR4_VME,
  DF,
  gp,
  ID,
  IF,
  IOPL_MASK,
  NT,
  RF,
  TF,
  TS,
  VIF,
  VIP,
  VM,
} from '../state.js';
import { checkTarget, enterCode, fetchReturnCode, fetchReturnStack, is64BitCode } from './code-segments.js';
import {
  fetchDescriptor,
  isSystem,
  markAccessed,
  selectorFault,
  TYPE_TSS16_BUSY,
  TYPE_TSS32_BUSY,
  typeOf,
  wrapLinear,
} from './descriptors.js';
import { loadOuterStack, setParagraphCode } from './far-transfers.js';
import { inTask } from './interrupts.js';
import { returnPlain } from './long-mode-plain.js';
import { returnFlat } from './protected-mode-plain.js';
import { dropInnerSegments, setV86Segment } from './segments.js';
import { Stack } from './stack.js';
import { switchTask } from './tasks.js';

/** Flags that any IRET or POPF may change. */
export const FREE_FLAGS = ARITHMETIC_FLAGS | TF | DF | NT;

/** Replace the EFLAGS bits in `mask`. */
export function mergeFlags(state: CpuState, value: number, mask: number): void {
  state.eflags = (state.eflags & ~mask) | (value & mask);
}

/** IRET, IRETD, IRETQ. */
export function iret(cpu: CpuCore, operandSize: number): void {
  const s = cpu.state;
  s.set32(L.NMI_BLOCKED, 0);
  const size = operandSize / 8;
  if (!s.isProtected) iretReal(cpu, size, FREE_FLAGS | IF | IOPL_MASK | (size === 2 ? 0 : RF | AC | ID));
  else if (s.isV86) iretV86(cpu, size);
  else if (s.flag(NT)) {
    if (s.isLong) throw gp(0);
    inTask(cpu, () => iretTask(cpu));
  } else if (!iretPlain(cpu, size)) iretProtected(cpu, size);
  cpu.modeChanged();
}

/** IP, CS and FLAGS from the stack, with selectors as paragraphs. */
function iretReal(cpu: CpuCore, size: number, mask: number): void {
  const s = cpu.state;
  const stack = Stack.current(cpu);
  const ip = stack.pop(size);
  const sel = Number(stack.pop(size) & 0xffffn);
  const flags = Number(stack.pop(size));
  if (ip > BigInt(s.limit(L.CS))) throw gp(0);
  stack.commit(s);
  setParagraphCode(s, sel, ip);
  mergeFlags(s, flags, mask);
}

function iretV86(cpu: CpuCore, size: number): void {
  const s = cpu.state;
  if (s.iopl === 3) {
    iretReal(cpu, size, FREE_FLAGS | IF | (size === 2 ? 0 : RF | AC | ID));
    return;
  }
  // With VME a 16-bit IRET works on VIF in place of IF (vol. 3A, 20.3).
  if ((s.cr4 & CR4_VME) === 0 || size !== 2) throw gp(0);
  const flags = Number(Stack.current(cpu).peek(4, 2));
  if ((flags & TF) !== 0 || ((flags & IF) !== 0 && s.flag(VIP))) throw gp(0);
  iretReal(cpu, size, FREE_FLAGS);
  mergeFlags(s, (flags & IF) !== 0 ? VIF : 0, VIF);
}

/** Back to the task that the current TSS links to: its descriptor must be a busy TSS in the GDT, else #TS. */
function iretTask(cpu: CpuCore): void {
  const s = cpu.state;
  const link = cpu.memory.read16(wrapLinear(s, s.base(L.TR)), 'system');
  if ((link & 4) !== 0) throw selectorFault(TS, link);
  const d = fetchDescriptor(cpu, link, TS);
  if (!isSystem(d) || (typeOf(d) !== TYPE_TSS16_BUSY && typeOf(d) !== TYPE_TSS32_BUSY)) throw selectorFault(TS, link);
  switchTask(cpu, d, { cause: 'iret', returnIp: cpu.nextIp, savedFlags: s.eflags });
}

/** Flags that a return from a ring may change. */
function returnedFlags(s: CpuState, size: number, cpl: number): number {
  let mask = FREE_FLAGS;
  if (size !== 2) mask |= RF | AC | ID;
  if (cpl <= s.iopl) mask |= IF;
  if (cpl === 0) mask |= IOPL_MASK | (size !== 2 ? VIF | VIP : 0);
  return mask;
}

function iretPlain(cpu: CpuCore, size: number): boolean {
  const s = cpu.state;
  if (size === 8 ? !s.is64 : size !== 4 || s.isLong) return false;
  const mask = returnedFlags(s, size, s.cpl);
  const flags = size === 8 ? returnPlain(cpu) : returnFlat(cpu);
  if (flags < 0) return false;
  mergeFlags(s, flags, mask);
  return true;
}

function iretProtected(cpu: CpuCore, size: number): void {
  const s = cpu.state;
  const stack = Stack.current(cpu);
  const ip = stack.pop(size);
  const sel = Number(stack.pop(size) & 0xffffn);
  const flags = Number(stack.pop(size) & 0xffff_ffffn);
  if ((flags & VM) !== 0 && size === 4 && s.cpl === 0 && !s.isLong) {
    returnToV86(cpu, stack, ip, sel, flags);
    return;
  }
  const popStack = () => ({ sp: stack.pop(size), ssSelector: Number(stack.pop(size) & 0xffffn) });
  // In 64-bit mode SS:RSP is popped whether or not the ring changes (6.14.3), and before CS is looked at (vol. 2, IRET).
  const early = s.is64 ? popStack() : undefined;
  const d = fetchReturnCode(cpu, sel);
  checkTarget(s, d, ip);
  const cpl = sel & 3;
  const oldCpl = s.cpl;
  const mask = returnedFlags(s, size, oldCpl);
  if (cpl === oldCpl && early === undefined) {
    markAccessed(cpu, d);
    stack.commit(s);
    enterCode(s, d, cpl, ip);
  } else {
    const { sp, ssSelector } = early ?? popStack();
    const to64 = is64BitCode(s, d);
    const ss = fetchReturnStack(cpu, ssSelector, cpl, to64);
    markAccessed(cpu, d);
    if (ss !== undefined) markAccessed(cpu, ss);
    enterCode(s, d, cpl, ip);
    loadOuterStack(s, ss, ssSelector, cpl, sp, to64);
    if (cpl !== oldCpl) dropInnerSegments(s, cpl);
  }
  mergeFlags(s, flags, mask);
}

/** ESP, SS, ES, DS, FS, GS follow EFLAGS on the stack (vol. 2, RETURN-TO-VIRTUAL-8086-MODE). */
function returnToV86(cpu: CpuCore, stack: Stack, ip: bigint, cs: number, flags: number): void {
  const s = cpu.state;
  const esp = stack.pop(4);
  const selectors = [L.SS, L.ES, L.DS, L.FS, L.GS].map((segment) => [segment, Number(stack.pop(4) & 0xffffn)] as const);
  s.eflags = flags;
  s.set32(L.CPL, 3);
  setV86Segment(s, L.CS, cs);
  for (const [segment, selector] of selectors) setV86Segment(s, segment, selector);
  s.setReg(4, esp);
  s.rip = ip & 0xffffn; // an EIP beyond the 64 KiB limit is cut, not refused, as in QEMU
}
