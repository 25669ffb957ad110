// The task-state segment: stacks for inner rings, and the hardware task switch.
//
// SDM vol. 3A, chapter 7: TSS layouts (figures 7-2, 7-10, 7-11), the switch step by step (7.3), exception
// conditions (table 7-1), busy flag, NT and link field (table 7-2). A fault before the switch leaves the old task
// as it was; one after it is a CommittedFault, raised in the new task. No task switch exists in IA-32e mode.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { CR0_PG, CR0_TS, CR4_PGE, Fault, gp, NP, NT, SSV, TS, VM } from '../state.js';
import {
  baseOf,
  type Descriptor,
  dplOf,
  fetchDescriptor,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isReadable,
  isWritableData,
  limitOf,
  markAccessed,
  selectorFault,
  setFromDescriptor,
  setNullSegment,
  typeOf,
  wrapLinear,
} from './descriptors.js';
import { CommittedFault, DebugFault, DR6_BT } from './faults.js';
import { loadLdt, setBusy, setV86Segment } from './segments.js';
import { Stack } from './stack.js';

/** What makes the switch happen; decides about busy bits, NT and the link field. */
export type TaskSwitchCause = 'jmp' | 'call' | 'iret' | 'interrupt';

/** Offsets of the fields that a switch saves and loads. */
interface TssLayout {
  readonly width: 2 | 4;
  readonly minimumLimit: number;
  readonly ip: number;
  readonly flags: number;
  readonly registers: number;
  readonly segments: number;
  /** ES CS SS DS (FS GS). */
  readonly segmentCount: number;
  readonly ldt: number;
}

const TSS32: TssLayout = {
  width: 4,
  minimumLimit: 0x67,
  ip: 0x20,
  flags: 0x24,
  registers: 0x28,
  segments: 0x48,
  segmentCount: 6,
  ldt: 0x60,
};
const TSS16: TssLayout = {
  width: 2,
  minimumLimit: 0x2b,
  ip: 0x0e,
  flags: 0x10,
  registers: 0x12,
  segments: 0x22,
  segmentCount: 4,
  ldt: 0x2a,
};
const TSS32_CR3 = 0x1c;
const TSS32_TRAP = 0x64;

function isTss32(type: number): boolean {
  return (type & 8) !== 0;
}

/** Linear address of a field of the current TSS whose last byte must lie within its limit, else #TS(TR). */
function tssField(cpu: CpuCore, offset: number, size: number, ext: number): bigint {
  const s = cpu.state;
  if (offset + size - 1 > s.limit(L.TR)) throw selectorFault(TS, s.selector(L.TR), ext);
  return wrapLinear(s, s.base(L.TR) + BigInt(offset));
}

/** SS and (E)SP for ring `dpl` (0…2) from the current 16- or 32-bit TSS (vol. 3A, 5.8.5). */
export function tssInnerStack(cpu: CpuCore, dpl: number, ext = 0): { ss: number; sp: bigint } {
  if (isTss32(cpu.state.attributes(L.TR) & 15)) {
    const at = tssField(cpu, 4 + dpl * 8, 6, ext);
    return {
      sp: BigInt(cpu.memory.read32(at, 'system')),
      ss: cpu.memory.read16(wrapLinear(cpu.state, at + 4n), 'system'),
    };
  }
  const at = tssField(cpu, 2 + dpl * 4, 4, ext);
  return {
    sp: BigInt(cpu.memory.read16(at, 'system')),
    ss: cpu.memory.read16(wrapLinear(cpu.state, at + 2n), 'system'),
  };
}

/** RSP0…RSP2 (`dpl`) of the 64-bit TSS (vol. 3A, 7.7). */
export function tssRsp(cpu: CpuCore, dpl: number, ext = 0): bigint {
  return cpu.memory.read64(tssField(cpu, 4 + dpl * 8, 8, ext), 'system');
}

/** IST1…IST7 of the 64-bit TSS. */
export function tssIst(cpu: CpuCore, index: number, ext = 0): bigint {
  return cpu.memory.read64(tssField(cpu, 0x1c + index * 8, 8, ext), 'system');
}

/** Check the stack segment of an inner ring: #TS(selector), or #SS(selector) when it is not present. */
export function fetchInnerStackSegment(cpu: CpuCore, ss: number, dpl: number, ext = 0): Descriptor {
  if (isNull(ss)) throw new Fault(TS, ext);
  const d = fetchDescriptor(cpu, ss, TS, ext);
  if ((ss & 3) !== dpl || dplOf(d) !== dpl || !isWritableData(d)) throw selectorFault(TS, ss, ext);
  if (!isPresent(d)) throw selectorFault(SSV, ss, ext);
  return d;
}

/** How a switch was asked for. */
export interface TaskSwitch {
  readonly cause: TaskSwitchCause;
  /** EIP to save in the old task. */
  readonly returnIp: bigint;
  /** EFLAGS to save in the old task (RF as the cause wants it). */
  readonly savedFlags: number;
  /** EXT bit for error codes. */
  readonly ext?: number;
  /** Error code to push on the new stack. */
  readonly errorCode?: number | undefined;
}

/**
 * Switch to the task whose TSS descriptor is `d`; the caller has checked type and privilege. On return the state
 * is the new task's, state.rip its EIP. Faults: #NP, #TS, #PF before the switch; CommittedFault after it.
 */
export function switchTask(cpu: CpuCore, d: Descriptor, request: TaskSwitch): void {
  const s = cpu.state;
  const ext = request.ext ?? 0;
  const { cause } = request;
  const layout = isTss32(typeOf(d)) ? TSS32 : TSS16;
  if (!isPresent(d)) throw selectorFault(NP, d.selector, ext);
  if (limitOf(d) < layout.minimumLimit) throw selectorFault(TS, d.selector, ext);

  // Everything that can page-fault in the old task comes first.
  const base = baseOf(d);
  const image = readTss(cpu, base, layout);
  const oldLayout = isTss32(s.attributes(L.TR) & 15) ? TSS32 : TSS16;
  const oldBase = s.base(L.TR);
  cpu.memory.probe(oldBase, oldLayout.minimumLimit + 1, true, 'system');
  const nested = cause === 'call' || cause === 'interrupt';
  if (nested) cpu.memory.probe(base, 2, true, 'system');
  const oldSelector = s.selector(L.TR);
  const oldDescriptor = cause === 'jmp' || cause === 'iret' ? fetchDescriptor(cpu, oldSelector, TS, ext) : undefined;
  if (oldDescriptor !== undefined) setBusy(cpu, oldDescriptor, false);

  const savedFlags = cause === 'iret' ? request.savedFlags & ~NT : request.savedFlags;
  saveTask(cpu, oldBase, oldLayout, request.returnIp, savedFlags);
  if (nested) cpu.memory.write16(base, oldSelector, 'system');
  if (cause !== 'iret') setBusy(cpu, d, true);

  commitTask(cpu, d, image, layout, nested);
  try {
    loadTaskSegments(cpu, image, ext);
    cpu.modeChanged();
    if (request.errorCode !== undefined) {
      const stack = Stack.current(cpu, ext);
      stack.push(layout.width, request.errorCode);
      stack.commit(s);
    }
    if (s.rip > BigInt(s.limit(L.CS))) throw gp(ext);
    if (image.trap) throw new DebugFault(DR6_BT);
  } catch (error) {
    cpu.modeChanged();
    if (error instanceof Fault) throw new CommittedFault(error);
    throw error;
  }
}

/** The dynamic part of a TSS, as the new task gets it. */
interface TaskImage {
  readonly cr3: bigint | undefined;
  readonly ip: number;
  readonly flags: number;
  readonly registers: readonly number[];
  /** ES CS SS DS FS GS. */
  readonly segments: readonly number[];
  readonly ldt: number;
  readonly trap: boolean;
}

function readTss(cpu: CpuCore, base: bigint, layout: TssLayout): TaskImage {
  const bytes = cpu.memory.readBytes(base, layout.minimumLimit + 1, 'system');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (offset: number): number => view.getUint16(offset, true);
  const field = (offset: number): number => (layout.width === 4 ? view.getUint32(offset, true) : word(offset));
  const registers: number[] = [];
  for (let i = 0; i < 8; i++) registers.push(field(layout.registers + i * layout.width));
  const segments: number[] = [];
  for (let i = 0; i < 6; i++) segments.push(i < layout.segmentCount ? word(layout.segments + i * layout.width) : 0);
  return {
    cr3: layout === TSS32 ? BigInt(field(TSS32_CR3)) : undefined,
    ip: field(layout.ip),
    flags: field(layout.flags),
    registers,
    segments,
    ldt: word(layout.ldt),
    trap: layout === TSS32 && (word(TSS32_TRAP) & 1) !== 0,
  };
}

function saveTask(cpu: CpuCore, base: bigint, layout: TssLayout, ip: bigint, flags: number): void {
  const s = cpu.state;
  const store = (offset: number, value: number): void => {
    const at = wrapLinear(s, base + BigInt(offset));
    if (layout.width === 4) cpu.memory.write32(at, value >>> 0, 'system');
    else cpu.memory.write16(at, value & 0xffff, 'system');
  };
  store(layout.ip, Number(ip & 0xffff_ffffn));
  store(layout.flags, flags);
  for (let i = 0; i < 8; i++) store(layout.registers + i * layout.width, s.reg32(i));
  for (let i = 0; i < layout.segmentCount; i++) {
    cpu.memory.write16(wrapLinear(s, base + BigInt(layout.segments + i * layout.width)), s.selector(i), 'system');
  }
}

/** The point of no return: TR, CR0.TS, CR3, general registers, and selectors whose descriptors are not loaded yet. */
function commitTask(cpu: CpuCore, d: Descriptor, image: TaskImage, layout: TssLayout, nested: boolean): void {
  const s = cpu.state;
  s.setSegment(L.TR, d.selector, baseOf(d), limitOf(d), d.attributes | 2);
  s.set32(L.CR0, (s.cr0 | CR0_TS) >>> 0);
  if (image.cr3 !== undefined && (s.cr0 & CR0_PG) !== 0 && image.cr3 !== s.cr3) {
    s.set64(L.CR3, image.cr3);
    cpu.flushTlb((s.cr4 & CR4_PGE) !== 0);
  }
  s.setDr(7, s.dr(7) & ~0x55n); // local breakpoints belong to the task (vol. 3A, 17.2.4)
  s.rip = BigInt(image.ip);
  const flags = nested ? image.flags | NT : image.flags;
  s.eflags = layout === TSS32 ? flags : flags & 0xffff;
  // A 16-bit TSS leaves the upper halves of the registers as they are (undefined in the manual; as in QEMU).
  for (let i = 0; i < 8; i++) {
    if (layout === TSS32) s.setReg32(i, image.registers[i]!);
    else s.setReg16(i, image.registers[i]!);
  }
  const v86 = (s.eflags & VM) !== 0;
  const cpl = v86 ? 3 : image.segments[L.CS]! & 3;
  s.set32(L.CPL, cpl);
  setNullSegment(s, L.LDTR, image.ldt);
  for (let i = 0; i < 6; i++) {
    if (v86) setV86Segment(s, i, image.segments[i]!);
    else setNullSegment(s, i, image.segments[i]!, i === L.SS ? cpl : 0);
  }
  cpu.modeChanged();
}

/** Load LDT, CS, SS and the data segments in the new task (vol. 3A, table 7-1, steps 8 and later). */
function loadTaskSegments(cpu: CpuCore, image: TaskImage, ext: number): void {
  const s = cpu.state;
  loadLdt(cpu, image.ldt, TS, ext);
  if ((s.eflags & VM) !== 0) return;
  const cpl = s.cpl;
  loadTaskCode(cpu, image.segments[L.CS]!, cpl, ext);
  const ss = image.segments[L.SS]!;
  const stack = fetchInnerStackSegment(cpu, ss, cpl, ext);
  markAccessed(cpu, stack);
  setFromDescriptor(s, L.SS, stack);
  for (const segment of [L.DS, L.ES, L.FS, L.GS]) loadTaskData(cpu, segment, image.segments[segment]!, cpl, ext);
}

function loadTaskCode(cpu: CpuCore, sel: number, cpl: number, ext: number): void {
  if (isNull(sel)) throw selectorFault(TS, sel, ext);
  const d = fetchDescriptor(cpu, sel, TS, ext);
  const fits = isConforming(d) ? dplOf(d) <= cpl : dplOf(d) === cpl;
  if (!isCode(d) || !fits) throw selectorFault(TS, sel, ext);
  if (!isPresent(d)) throw selectorFault(NP, sel, ext);
  markAccessed(cpu, d);
  setFromDescriptor(cpu.state, L.CS, d);
}

function loadTaskData(cpu: CpuCore, segment: number, sel: number, cpl: number, ext: number): void {
  if (isNull(sel)) return;
  const d = fetchDescriptor(cpu, sel, TS, ext);
  const conforming = isCode(d) && isConforming(d);
  if (!isReadable(d) || (!conforming && Math.max(cpl, sel & 3) > dplOf(d))) throw selectorFault(TS, sel, ext);
  if (!isPresent(d)) throw selectorFault(NP, sel, ext);
  markAccessed(cpu, d);
  setFromDescriptor(cpu.state, segment, d);
}
