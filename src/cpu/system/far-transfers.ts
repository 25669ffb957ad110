// Far JMP, CALL and RET in every mode.
//
// SDM vol. 2: JMP, CALL, RET; vol. 3A, 5.8 (gates, conforming code, stack switching), 5.8.6 (returns), 7.3 (task
// switch), 5.8.3.1 (64-bit call gates). Operand sizes are 16, 32 or 64 bits. Everything is checked, and all memory
// read and written, before the first register changes; the target goes to state.rip. IRET: iret.ts.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { type CpuState, GP, gp, NP } from '../state.js';
import {
  checkDirectCode,
  checkTarget,
  enterCode,
  fetchReturnCode,
  fetchReturnStack,
  is64BitCode,
} from './code-segments.js';
import {
  ATTR_DB,
  ATTR_L,
  baseOf,
  type Descriptor,
  dplOf,
  fetchDescriptor,
  fetchUpperBase,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isSystem,
  limitOf,
  markAccessed,
  selectorFault,
  setFromDescriptor,
  setNullSegment,
  TYPE_CALL_GATE16,
  TYPE_CALL_GATE32,
  TYPE_TASK_GATE,
  TYPE_TSS16,
  TYPE_TSS32,
  typeOf,
} from './descriptors.js';
import { inTask } from './interrupts.js';
import { dropInnerSegments, setRealSegment, setV86Segment } from './segments.js';
import { Stack, stackMask, writeStackPointer } from './stack.js';
import { fetchInnerStackSegment, switchTask, tssInnerStack, tssRsp } from './tasks.js';

/** Offset truncated to the operand size. */
export function truncate(value: bigint, operandSize: number): bigint {
  return BigInt.asUintN(operandSize, value);
}

/** Whether selectors are paragraphs: real-address and virtual-8086 mode. */
export function isParagraphMode(state: CpuState): boolean {
  return !state.isProtected || state.isV86;
}

/** Load CS in real or V86 mode. */
export function setParagraphCode(state: CpuState, selector: number, ip: bigint): void {
  if (state.isV86) setV86Segment(state, L.CS, selector);
  else setRealSegment(state, L.CS, selector);
  state.rip = ip;
}

/** JMP ptr16:16/32, JMP m16:16/32/64. */
export function farJump(cpu: CpuCore, operandSize: number, selector: number, offset: bigint): void {
  farTransfer(cpu, operandSize, selector & 0xffff, truncate(offset, operandSize), false);
  cpu.onFarJump?.();
}

/** CALL ptr16:16/32, CALL m16:16/32/64. */
export function farCall(cpu: CpuCore, operandSize: number, selector: number, offset: bigint): void {
  farTransfer(cpu, operandSize, selector & 0xffff, truncate(offset, operandSize), true);
}

function farTransfer(cpu: CpuCore, operandSize: number, sel: number, ip: bigint, call: boolean): void {
  const s = cpu.state;
  if (isParagraphMode(s)) {
    if (ip > BigInt(s.limit(L.CS))) throw gp(0);
    if (call) pushReturn(cpu, operandSize / 8);
    setParagraphCode(s, sel, ip);
    cpu.modeChanged();
    return;
  }
  if (isNull(sel)) throw gp(0);
  const d = fetchDescriptor(cpu, sel);
  if (isSystem(d)) {
    transferThroughSystem(cpu, d, call);
    return;
  }
  checkDirectCode(cpu, d);
  checkTarget(s, d, ip);
  enterSame(cpu, d, ip, call ? operandSize / 8 : 0);
}

/** Push CS and the return IP on the current stack, and commit the stack pointer. */
function pushReturn(cpu: CpuCore, size: number): void {
  const stack = Stack.current(cpu);
  stack.push(size, cpu.state.selector(L.CS));
  stack.push(size, cpu.nextIp);
  stack.commit(cpu.state);
}

/** Enter code at the current privilege level; `pushSize` 0 for JMP. */
function enterSame(cpu: CpuCore, d: Descriptor, ip: bigint, pushSize: number): void {
  markAccessed(cpu, d);
  if (pushSize !== 0) pushReturn(cpu, pushSize);
  enterCode(cpu.state, d, cpu.state.cpl, ip);
  cpu.modeChanged();
}

/** JMP or CALL through a gate or to a TSS: DPL of gate or TSS ≥ max(CPL, RPL), else #GP(selector). */
function transferThroughSystem(cpu: CpuCore, d: Descriptor, call: boolean): void {
  const s = cpu.state;
  const type = typeOf(d);
  const callGate = type === TYPE_CALL_GATE32 || (!s.isLong && type === TYPE_CALL_GATE16);
  const task = !s.isLong && (type === TYPE_TASK_GATE || type === TYPE_TSS16 || type === TYPE_TSS32);
  if (!callGate && !task) throw selectorFault(GP, d.selector);
  if (dplOf(d) < Math.max(s.cpl, d.selector & 3)) throw selectorFault(GP, d.selector);
  if (callGate) transferThroughCallGate(cpu, d, call);
  else inTask(cpu, () => transferToTask(cpu, d, call));
}

function transferToTask(cpu: CpuCore, d: Descriptor, call: boolean): void {
  let tss = d;
  if (typeOf(d) === TYPE_TASK_GATE) {
    if (!isPresent(d)) throw selectorFault(NP, d.selector);
    const selector = d.low >>> 16;
    if (isNull(selector) || (selector & 4) !== 0) throw selectorFault(GP, selector);
    tss = fetchDescriptor(cpu, selector);
    if (!isSystem(tss) || (typeOf(tss) !== TYPE_TSS16 && typeOf(tss) !== TYPE_TSS32)) throw selectorFault(GP, selector);
  } else if ((d.selector & 4) !== 0) throw selectorFault(GP, d.selector); // a TSS lives in the GDT only
  switchTask(cpu, tss, {
    cause: call ? 'call' : 'jmp',
    returnIp: cpu.nextIp,
    savedFlags: cpu.state.eflags,
  });
}

function transferThroughCallGate(cpu: CpuCore, gate: Descriptor, call: boolean): void {
  const s = cpu.state;
  const long = s.isLong;
  let offset = BigInt(((gate.low & 0xffff) | (gate.high & 0xffff_0000)) >>> 0);
  if (long) offset |= fetchUpperBase(cpu, gate);
  if (!isPresent(gate)) throw selectorFault(NP, gate.selector);
  const size = long ? 8 : typeOf(gate) === TYPE_CALL_GATE32 ? 4 : 2;
  if (size === 2) offset &= 0xffffn;

  const selector = gate.low >>> 16;
  if (isNull(selector)) throw gp(0);
  const d = fetchDescriptor(cpu, selector);
  if (!isCode(d) || dplOf(d) > s.cpl) throw selectorFault(GP, selector);
  if (long && (d.attributes & (ATTR_L | ATTR_DB)) !== ATTR_L) throw selectorFault(GP, selector);
  const inner = !isConforming(d) && dplOf(d) < s.cpl;
  if (!call && inner) throw selectorFault(GP, selector); // JMP never changes privilege
  if (!isPresent(d)) throw selectorFault(NP, selector);
  checkTarget(s, d, offset);
  if (!inner) enterSame(cpu, d, offset, call ? size : 0);
  else if (long) callInner64(cpu, d, offset);
  else callInner(cpu, d, offset, size, gate.high & 31);
  cpu.modeChanged();
}

/** CALL to an inner ring in IA-32e mode: RSP from the TSS, SS null, no parameters copied. */
function callInner64(cpu: CpuCore, d: Descriptor, offset: bigint): void {
  const s = cpu.state;
  const cpl = dplOf(d);
  const stack = Stack.flat64(cpu, tssRsp(cpu, cpl), 'system', 0);
  stack.push(8, s.selector(L.SS));
  stack.push(8, s.reg(4));
  stack.push(8, s.selector(L.CS));
  stack.push(8, cpu.nextIp);
  markAccessed(cpu, d);
  setNullSegment(s, L.SS, cpl, cpl);
  stack.commit(s);
  enterCode(s, d, cpl, offset);
}

/** CALL to an inner ring: stack from the TSS, parameters copied from the old one. */
function callInner(cpu: CpuCore, d: Descriptor, offset: bigint, size: number, parameters: number): void {
  const s = cpu.state;
  const cpl = dplOf(d);
  const top = tssInnerStack(cpu, cpl);
  const ss = fetchInnerStackSegment(cpu, top.ss, cpl);
  const old = Stack.current(cpu);
  const copied: bigint[] = [];
  for (let i = 0; i < parameters; i++) copied.push(old.peek(i * size, size));
  const stack = Stack.segment(cpu, baseOf(ss), limitOf(ss), ss.attributes, top.sp, 'system', top.ss & 0xfffc);
  stack.push(size, s.selector(L.SS));
  stack.push(size, s.reg(4));
  for (let i = parameters - 1; i >= 0; i--) stack.push(size, copied[i]!);
  stack.push(size, s.selector(L.CS));
  stack.push(size, cpu.nextIp);
  markAccessed(cpu, ss);
  markAccessed(cpu, d);
  setFromDescriptor(s, L.SS, ss);
  stack.commit(s);
  enterCode(s, d, cpl, offset);
}

/** RETF, RETF imm16: `release` bytes of parameters are dropped after the return address, on both stacks. */
export function farReturn(cpu: CpuCore, operandSize: number, release: number): void {
  const s = cpu.state;
  const size = operandSize / 8;
  const stack = Stack.current(cpu);
  const ip = stack.pop(size);
  const sel = Number(stack.pop(size) & 0xffffn);
  stack.release(release);
  if (isParagraphMode(s)) {
    if (ip > BigInt(s.limit(L.CS))) throw gp(0);
    stack.commit(s);
    setParagraphCode(s, sel, ip);
    cpu.modeChanged();
    return;
  }
  const d = fetchReturnCode(cpu, sel);
  const cpl = sel & 3;
  checkTarget(s, d, ip);
  if (cpl === s.cpl) {
    markAccessed(cpu, d);
    stack.commit(s);
    enterCode(s, d, cpl, ip);
  } else returnOuter(cpu, d, ip, stack, size, release);
  cpu.modeChanged();
}

function returnOuter(cpu: CpuCore, d: Descriptor, ip: bigint, stack: Stack, size: number, release: number): void {
  const s = cpu.state;
  const cpl = d.selector & 3;
  const sp = stack.pop(size);
  const ssSelector = Number(stack.pop(size) & 0xffffn);
  const to64 = is64BitCode(s, d);
  const ss = fetchReturnStack(cpu, ssSelector, cpl, to64);
  markAccessed(cpu, d);
  if (ss !== undefined) markAccessed(cpu, ss);
  enterCode(s, d, cpl, ip);
  loadOuterStack(s, ss, ssSelector, cpl, sp + BigInt(release), to64);
  dropInnerSegments(s, cpl);
}

/** SS and RSP after a return to an outer ring. */
export function loadOuterStack(
  state: CpuState,
  ss: Descriptor | undefined,
  selector: number,
  cpl: number,
  sp: bigint,
  to64: boolean,
): void {
  if (ss === undefined) setNullSegment(state, L.SS, selector, cpl);
  else setFromDescriptor(state, L.SS, ss);
  writeStackPointer(state, sp, to64 ? 0xffff_ffff_ffff_ffffn : stackMask(state.attributes(L.SS)));
}
