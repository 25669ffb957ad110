// Delivery of interrupts and exceptions, and what happens when delivery itself faults.
//
// SDM vol. 3A, chapter 6: IDT (6.10, 6.14), EXT and error codes (6.13), stack frames (figures 6-4, 6-9), priority
// and double fault (tables 6-4, 6-5); 17.3.1.1 (RF in the pushed image); 20.1.4 (real mode), 20.3 (V86, VME
// redirection). The RIP to push is state.rip. `deliver` changes registers only when nothing can fail any more.

import type { CpuCore, Privilege } from '../core.js';
import * as L from '../layout.js';
import {
  AC,
  ACV,
  type CpuState,
  CR4_VME,
  DB,
  DE,
  DFV,
  Fault,
  GP,
  gp,
  IF,
  IOPL_MASK,
  MC,
  NMI,
  NP,
  NT,
  PFV,
  RF,
  TF,
  TS,
  VIF,
  VM,
} from '../state.js';
import {
  ATTR_DB,
  ATTR_L,
  addressIn,
  baseOf,
  type Descriptor,
  dplOf,
  fetchDescriptor,
  isCanonical,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isSystem,
  limitOf,
  markAccessed,
  readDescriptor,
  selectorFault,
  setFromDescriptor,
  setNullSegment,
  TYPE_INTERRUPT_GATE16,
  TYPE_INTERRUPT_GATE32,
  TYPE_TASK_GATE,
  TYPE_TRAP_GATE16,
  TYPE_TRAP_GATE32,
  typeOf,
  wrapLinear,
} from './descriptors.js';
import { CommittedFault, DebugFault, DR6_BD, DR6_BS } from './faults.js';
import { deliverPlain } from './long-mode-plain.js';
import { deliverFlat } from './protected-mode-plain.js';
import { setRealSegment, setV86Segment } from './segments.js';
import { Stack } from './stack.js';
import { fetchInnerStackSegment, switchTask, tssInnerStack, tssIst, tssRsp } from './tasks.js';

/**
 * Where an event comes from: `software` is INT n, `trap-instruction` INT3 and INTO (privilege of the gate checked,
 * never redirected by VME), `int1` INT1 (treated as hardware), the others are hardware.
 */
export type EventKind = 'external' | 'nmi' | 'exception' | 'software' | 'trap-instruction' | 'int1';

export interface InterruptEvent {
  readonly vector: number;
  readonly kind: EventKind;
  /** Pushed in protected mode, when the vector has one. */
  readonly errorCode?: number | undefined;
  /** A #DB that is a fault of its instruction: general detect. */
  readonly detect?: boolean;
}

const isSoftware = (kind: EventKind): boolean => kind === 'software' || kind === 'trap-instruction';

/**
 * The image to push (SDM vol. 3A, 17.3.1.1): RF = 1 for faults, except an instruction breakpoint, and between the
 * iterations of a repeated string instruction; 0 for software interrupts; else as it is.
 */
function pushedFlags(state: CpuState, event: InterruptEvent): number {
  if (event.kind !== 'exception' && event.kind !== 'external' && event.kind !== 'nmi') return state.eflags & ~RF;
  const fault = event.kind === 'exception' && !isTrapLike(event);
  return fault || state.betweenIterations ? state.eflags | RF : state.eflags;
}

const TRAP_LIKE = (1 << DB) | (1 << 3) | (1 << 4) | (1 << DFV) | (1 << MC);
const isTrapLike = ({ vector, detect }: InterruptEvent): boolean =>
  vector < 32 && ((TRAP_LIKE >>> vector) & 1) !== 0 && detect !== true;

/** Deliver an event through the IVT or IDT. Throws the Fault that delivery itself raises. */
export function deliver(cpu: CpuCore, event: InterruptEvent): void {
  const s = cpu.state;
  if (!s.isProtected) deliverReal(cpu, event.vector, isSoftware(event.kind) ? 0 : 1);
  else if (s.isLong) {
    const hardware = event.kind === 'external' || event.kind === 'exception';
    if (!hardware || !deliverPlain(cpu, event.vector, event.errorCode, pushedFlags(s, event))) deliverLong(cpu, event);
  } else if (s.isV86) {
    if (event.kind !== 'software' || !redirectV86(cpu, event.vector)) deliverProtected(cpu, event);
  } else if (event.kind === 'nmi' || event.kind === 'int1' || !deliverPlainly(cpu, event)) deliverProtected(cpu, event);
  if (event.kind === 'nmi') s.set32(L.NMI_BLOCKED, 1);
  if (event.kind === 'int1') {
    // Breakpoints that the load of SS held back come with this #DB.
    noteDebugCause(s, s.get32(L.DEBUG_HELD));
    s.set32(L.DEBUG_HELD, 0);
  }
  s.betweenIterations = false;
  cpu.delivered = true;
  cpu.modeChanged();
}

function deliverPlainly(cpu: CpuCore, event: InterruptEvent): boolean {
  const { vector, errorCode, kind } = event;
  return deliverFlat(cpu, vector, errorCode, pushedFlags(cpu.state, event), isSoftware(kind));
}

/** Change EFLAGS bits outside the arithmetic ones. */
function clearFlags(state: CpuState, mask: number): void {
  state.set32(L.EFLAGS, (state.get32(L.EFLAGS) & ~mask) >>> 0);
}

function deliverReal(cpu: CpuCore, vector: number, ext: number): void {
  const s = cpu.state;
  if (vector * 4 + 3 > s.get32(L.IDTR_LIMIT)) throw new Fault(GP, vector * 8 + 2 + ext);
  const entry = cpu.memory.read32(wrapLinear(s, s.get64(L.IDTR_BASE) + BigInt(vector * 4)), 'system');
  const stack = Stack.current(cpu, ext);
  stack.push(2, s.eflags & 0xffff);
  stack.push(2, s.selector(L.CS));
  stack.push(2, s.rip);
  stack.commit(s);
  setRealSegment(s, L.CS, entry >>> 16);
  s.rip = BigInt(entry & 0xffff);
  clearFlags(s, IF | TF | AC | RF);
}

/**
 * INT n in V86 mode (vol. 3A, 20.3, table 20-2). True when it was handed to the 8086 program's own handler;
 * false when it goes through the IDT; #GP(0) when it is for the V86 monitor.
 */
function redirectV86(cpu: CpuCore, vector: number): boolean {
  const s = cpu.state;
  const iopl = s.iopl;
  if ((s.cr4 & CR4_VME) === 0 || redirectionBit(cpu, vector)) {
    if (iopl < 3) throw gp(0); // methods 2 and 3
    return false; // methods 1 and 4
  }
  const entry = cpu.memory.read32(BigInt(vector * 4), 'system');
  let image = s.eflags & 0xffff & ~NT;
  if (iopl === 3)
    image &= ~IOPL_MASK; // method 5
  else image = (image & ~IF) | IOPL_MASK | (s.flag(VIF) ? IF : 0); // method 6
  const stack = Stack.current(cpu);
  stack.push(2, image);
  stack.push(2, s.selector(L.CS));
  stack.push(2, s.rip);
  stack.commit(s);
  setV86Segment(s, L.CS, entry >>> 16);
  s.rip = BigInt(entry & 0xffff);
  clearFlags(s, TF | RF | NT | (iopl === 3 ? IF : VIF));
  return true;
}

/** Bit of the software interrupt redirection bitmap: the 32 bytes below the I/O map of the 32-bit TSS. */
function redirectionBit(cpu: CpuCore, vector: number): boolean {
  const s = cpu.state;
  if ((s.attributes(L.TR) & 8) === 0 || s.limit(L.TR) < 0x67) throw gp(0);
  const map = cpu.memory.read16(wrapLinear(s, s.base(L.TR) + 0x66n), 'system');
  const at = map - 32 + (vector >>> 3);
  if (at < 0 || at > s.limit(L.TR)) throw gp(0);
  const byte = cpu.memory.read8(wrapLinear(s, s.base(L.TR) + BigInt(at)), 'system');
  return ((byte >>> (vector & 7)) & 1) !== 0;
}

/** An interrupt, trap or task gate from the IDT, checked for type, privilege and presence. */
interface Gate {
  readonly type: number;
  readonly selector: number;
  readonly offset: bigint;
  readonly ist: number;
}

function fetchGate(cpu: CpuCore, event: InterruptEvent): Gate {
  const s = cpu.state;
  const { vector } = event;
  const long = s.isLong;
  const software = isSoftware(event.kind);
  const size = long ? 16 : 8;
  const code = vector * 8 + 2 + (software ? 0 : 1);
  if (vector * size + size - 1 > s.get32(L.IDTR_LIMIT)) throw new Fault(GP, code);
  const d = readDescriptor(cpu, 0, L.IDTR_BASE >>> 2, vector * size);
  const type = typeOf(d);
  const legal = long
    ? type === TYPE_INTERRUPT_GATE32 || type === TYPE_TRAP_GATE32
    : [TYPE_TASK_GATE, TYPE_INTERRUPT_GATE16, TYPE_TRAP_GATE16, TYPE_INTERRUPT_GATE32, TYPE_TRAP_GATE32].includes(type);
  if (!isSystem(d) || !legal) throw new Fault(GP, code);
  if (software && dplOf(d) < s.cpl) throw new Fault(GP, code);
  if (!isPresent(d)) throw new Fault(NP, code);
  let offset = BigInt((d.low & 0xffff) | (d.high & 0xffff_0000)) & 0xffff_ffffn;
  if (long) offset |= (cpu.memory.read64(addressIn(s, d, 8), 'system') & 0xffff_ffffn) << 32n;
  else if ((type & 8) === 0) offset &= 0xffffn;
  return { type, selector: d.low >>> 16, offset, ist: d.high & 7 };
}

/** The code segment a gate leads to. */
function fetchHandlerSegment(cpu: CpuCore, selector: number, ext: number): Descriptor {
  if (isNull(selector)) throw new Fault(GP, ext);
  const d = fetchDescriptor(cpu, selector, GP, ext);
  if (!isCode(d) || dplOf(d) > cpu.state.cpl) throw selectorFault(GP, selector, ext);
  if (!isPresent(d)) throw selectorFault(NP, selector, ext);
  return d;
}

const handlerPrivilege = (cpl: number): Privilege => (cpl === 3 ? 'user' : 'system');

function enterHandler(s: CpuState, d: Descriptor, cpl: number, offset: bigint, type: number): void {
  setFromDescriptor(s, L.CS, d, (d.selector & ~3) | cpl);
  s.set32(L.CPL, cpl);
  s.rip = offset;
  clearFlags(s, TF | NT | RF | VM | ((type & 1) === 0 ? IF : 0));
}

function deliverProtected(cpu: CpuCore, event: InterruptEvent): void {
  const s = cpu.state;
  const ext = isSoftware(event.kind) ? 0 : 1;
  const gate = fetchGate(cpu, event);
  const flags = pushedFlags(s, event);
  if (gate.type === TYPE_TASK_GATE) {
    deliverTask(cpu, event, gate.selector, flags, ext);
    return;
  }
  const d = fetchHandlerSegment(cpu, gate.selector, ext);
  const size = (gate.type & 8) !== 0 ? 4 : 2;
  const dpl = dplOf(d);
  const v86 = s.isV86;
  const inner = !isConforming(d) && dpl < s.cpl;
  // From V86 mode only ring 0 may be entered (vol. 2, INT n: INTERRUPT-FROM-VIRTUAL-8086-MODE).
  if (v86 && (!inner || dpl !== 0)) throw selectorFault(GP, gate.selector, ext);

  const cpl = inner ? dpl : s.cpl;
  let ss: Descriptor | undefined;
  let stack: Stack;
  if (inner) {
    const top = tssInnerStack(cpu, cpl, ext);
    ss = fetchInnerStackSegment(cpu, top.ss, cpl, ext);
    const code = (top.ss & 0xfffc) | ext;
    stack = Stack.segment(cpu, baseOf(ss), limitOf(ss), ss.attributes, top.sp, handlerPrivilege(cpl), code);
    if (v86) for (const segment of [L.GS, L.FS, L.DS, L.ES]) stack.push(size, s.selector(segment));
    stack.push(size, s.selector(L.SS));
    stack.push(size, s.reg(4));
  } else {
    stack = Stack.current(cpu, ext, handlerPrivilege(cpl));
  }
  stack.push(size, flags);
  stack.push(size, s.selector(L.CS));
  stack.push(size, s.rip);
  if (event.errorCode !== undefined) stack.push(size, event.errorCode);
  if (gate.offset > BigInt(limitOf(d))) throw new Fault(GP, ext);
  markAccessed(cpu, d);
  if (ss !== undefined) markAccessed(cpu, ss);

  if (ss !== undefined) setFromDescriptor(s, L.SS, ss);
  stack.commit(s);
  if (v86) for (const segment of [L.GS, L.FS, L.DS, L.ES]) setNullSegment(s, segment, 0);
  enterHandler(s, d, cpl, gate.offset, gate.type);
}

function deliverTask(cpu: CpuCore, event: InterruptEvent, selector: number, flags: number, ext: number): void {
  if ((selector & 4) !== 0 || isNull(selector)) throw selectorFault(GP, selector, ext);
  const d = fetchDescriptor(cpu, selector, GP, ext);
  if (!isSystem(d) || (typeOf(d) & 7) !== 1) throw selectorFault(GP, selector, ext); // 1 or 9: available
  switchTask(cpu, d, {
    cause: 'interrupt',
    returnIp: cpu.state.rip,
    savedFlags: flags,
    ext,
    errorCode: event.errorCode,
  });
}

function deliverLong(cpu: CpuCore, event: InterruptEvent): void {
  const s = cpu.state;
  const ext = isSoftware(event.kind) ? 0 : 1;
  const gate = fetchGate(cpu, event);
  const flags = pushedFlags(s, event);
  const d = fetchHandlerSegment(cpu, gate.selector, ext);
  if ((d.attributes & (ATTR_L | ATTR_DB)) !== ATTR_L) throw selectorFault(GP, gate.selector, ext);
  const inner = !isConforming(d) && dplOf(d) < s.cpl;
  const cpl = inner ? dplOf(d) : s.cpl;
  let top = s.reg(4);
  if (gate.ist !== 0) top = tssIst(cpu, gate.ist, ext);
  else if (inner) top = tssRsp(cpu, cpl, ext);
  if (!isCanonical(gate.offset)) throw new Fault(GP, ext);

  // The frame is aligned to 16 bytes before anything is pushed (vol. 3A, 6.14.2).
  const stack = Stack.flat64(cpu, top & ~15n, handlerPrivilege(cpl), ext);
  stack.push(8, s.selector(L.SS));
  stack.push(8, s.reg(4));
  stack.push(8, flags);
  stack.push(8, s.selector(L.CS));
  stack.push(8, s.rip);
  if (event.errorCode !== undefined) stack.push(8, event.errorCode);
  markAccessed(cpu, d);

  if (inner) setNullSegment(s, L.SS, cpl, cpl);
  stack.commit(s);
  enterHandler(s, d, cpl, gate.offset, gate.type);
}

/** Second faults that, after a contributory one, make a double fault (vol. 3A, table 6-4). */
function isContributory(vector: number): boolean {
  return vector === DE || (vector >= TS && vector <= GP && vector !== DFV) || vector === 21;
}

/** What a fault during the delivery of `first` becomes (vol. 3A, table 6-5). */
export function combineFaults(first: number, second: number): 'serial' | 'double-fault' | 'shutdown' {
  const severe = isContributory(second) || second === PFV;
  if (first === DFV) return severe ? 'shutdown' : 'serial';
  if (isContributory(first) && isContributory(second)) return 'double-fault';
  if (first === PFV && severe) return 'double-fault';
  return 'serial';
}

/** Vectors that push an error code in protected mode (vol. 3A, table 6-1); #DF's and #AC's are 0. */
function errorCodeOf(fault: Fault): number | undefined {
  const has = fault.vector === DFV || (fault.vector >= TS && fault.vector <= PFV) || fault.vector === ACV;
  return has ? (fault.errorCode ?? 0) : undefined;
}

/** The causes of a #DB in DR6: a step or breakpoint first clears the breakpoints of before, the rest stays (17.2.3). */
function noteDebugCause(state: CpuState, dr6: number): void {
  const kept = (dr6 & (0xf | DR6_BS)) !== 0 ? state.dr(6) & ~0xfn : state.dr(6);
  state.setDr(6, kept | BigInt(dr6));
}

/** Registers that an exception loads whether or not its delivery succeeds. */
function noteCause(cpu: CpuCore, fault: Fault): void {
  const { state } = cpu;
  if (fault.vector === PFV && fault.address !== undefined) {
    cpu.onLook?.('cr2');
    state.set64(L.CR2, BigInt.asUintN(64, fault.address));
  }
  if (fault instanceof DebugFault || (fault instanceof CommittedFault && fault.vector === DB)) {
    noteDebugCause(state, fault.dr6);
    state.setDr(7, state.dr(7) & ~0x2000n); // GD is cleared on entry to the handler (17.2.4)
  }
}

/**
 * Raise an exception at state.rip: deliver it, and whatever its delivery raises, until one is delivered or the
 * processor shuts down (CpuCore.tripleFault). Sets CR2 for #PF and DR6 for #DB.
 */
export function raise(cpu: CpuCore, fault: Fault): void {
  let current = fault;
  for (;;) {
    noteCause(cpu, current);
    try {
      const detect = current instanceof DebugFault && (current.dr6 & DR6_BD) !== 0;
      deliver(cpu, { vector: current.vector, kind: 'exception', errorCode: errorCodeOf(current), detect });
      return;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const outcome = combineFaults(current.vector, error.vector);
      if (outcome === 'shutdown') {
        cpu.tripleFault();
        return;
      }
      if (outcome === 'double-fault') {
        noteCause(cpu, error);
        current = new Fault(DFV, 0);
      } else current = error;
    }
  }
}

/** Deliver an external interrupt or NMI at state.rip; a fault on the way is raised in its place. */
export function interrupt(cpu: CpuCore, vector: number, kind: 'external' | 'nmi' = 'external'): void {
  try {
    deliver(cpu, { vector: kind === 'nmi' ? NMI : vector, kind });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    raise(cpu, error);
  }
}

/** Run the body of an instruction that may switch tasks: a fault in the new task is delivered there, at its EIP. */
export function inTask(cpu: CpuCore, body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!(error instanceof CommittedFault)) throw error;
    raise(cpu, error);
  }
}
