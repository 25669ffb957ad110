// Loading segment registers and the system registers that name descriptor tables, and the instructions that only
// ask about descriptors.
//
// SDM vol. 3A, 3.4–3.5 and chapter 5; vol. 2: MOV, LDS/LES/LFS/LGS/LSS, LLDT, LTR, LGDT, LIDT, SLDT, STR, LAR, LSL,
// VERR, VERW. Each function checks everything first and changes state last. ARPL is an integer instruction.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { type CpuState, CR4_UMIP, GP, gp, NP, SSV, ud, ZF } from '../state.js';
import {
  ATTR_CODE,
  ATTR_DB,
  ATTR_G,
  ATTR_UNUSABLE,
  addressIn,
  baseOf,
  type Descriptor,
  dplOf,
  fetchDescriptor,
  fetchUpperBase,
  isCanonical,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isReadable,
  isSystem,
  isWritableData,
  limitOf,
  markAccessed,
  probeDescriptor,
  selectorFault,
  setFromDescriptor,
  setNullSegment,
  TYPE_LDT,
  TYPE_TSS16,
  TYPE_TSS32,
  typeOf,
} from './descriptors.js';
import { REAL_ATTRIBUTES } from './stack.js';

/** Attributes of every segment in V86 mode: DPL 3, writable data. */
const V86_ATTRIBUTES = REAL_ATTRIBUTES | 0x60;

/**
 * Load a segment register in real-address mode: base follows the selector, the cached limit and the D/B bit stay
 * ("unreal" mode rests on that; SDM vol. 3A, 9.9.2). A cache that a null selector or a code segment left behind
 * becomes a writable 64 KiB one.
 */
export function setRealSegment(state: CpuState, segment: number, selector: number): void {
  const { u32 } = state;
  const at = (L.SEGMENTS + L.SEGMENT_SIZE * segment) >>> 2;
  const old = u32[at + (L.SEG_ATTRIBUTES >>> 2)]!;
  const sel = selector & 0xffff;
  if ((old & ~(ATTR_DB | ATTR_G)) === REAL_ATTRIBUTES) {
    u32[at + (L.SEG_SELECTOR >>> 2)] = sel;
    u32[at + (L.SEG_BASE >>> 2)] = sel << 4;
    u32[at + (L.SEG_BASE >>> 2) + 1] = 0;
    return;
  }
  const unusable = (old & ATTR_UNUSABLE) !== 0;
  const limit = unusable ? 0xffff : state.limit(segment);
  const kept = unusable ? 0 : old & (ATTR_DB | ATTR_G);
  state.setSegmentHalves(segment, sel, sel << 4, 0, limit, REAL_ATTRIBUTES | kept);
}

/** Load a segment register in virtual-8086 mode (SDM vol. 3A, 20.2). */
export function setV86Segment(state: CpuState, segment: number, selector: number): void {
  state.setSegmentHalves(segment, selector, (selector & 0xffff) << 4, 0, 0xffff, V86_ATTRIBUTES);
}

/**
 * Load ES, SS, DS, FS or GS with all checks of the current mode (vol. 2, MOV). Faults: #GP(0) for a null SS,
 * #GP(selector), #NP(selector), for SS #SS(selector); #UD for CS.
 */
export function loadSegment(cpu: CpuCore, segment: number, selector: number): void {
  const s = cpu.state;
  const sel = selector & 0xffff;
  if (segment === L.CS) throw ud();
  if (!s.isProtected) setRealSegment(s, segment, sel);
  else if (s.isV86) setV86Segment(s, segment, sel);
  else if (segment === L.SS) loadStackSegment(cpu, sel);
  else loadDataSegment(cpu, segment, sel);
  if (segment === L.SS) cpu.modeChanged();
  else cpu.dataSegmentChanged(segment);
}

/** MOV or POP to a segment register: as loadSegment, and an SS load shadows the next instruction (vol. 3A, 6.8.3). */
export function moveToSegment(cpu: CpuCore, segment: number, selector: number): void {
  loadSegment(cpu, segment, selector);
  if (segment === L.SS) cpu.setShadow(2);
}

function loadStackSegment(cpu: CpuCore, sel: number): void {
  const s = cpu.state;
  const cpl = s.cpl;
  if (isNull(sel)) {
    if (!s.is64 || cpl === 3 || (sel & 3) !== cpl) throw gp(0);
    setNullSegment(s, L.SS, sel, cpl);
    return;
  }
  const d = fetchDescriptor(cpu, sel);
  if ((sel & 3) !== cpl || !isWritableData(d) || dplOf(d) !== cpl) throw selectorFault(GP, sel);
  if (!isPresent(d)) throw selectorFault(SSV, sel);
  markAccessed(cpu, d);
  setFromDescriptor(s, L.SS, d);
}

function loadDataSegment(cpu: CpuCore, segment: number, sel: number): void {
  const s = cpu.state;
  if (isNull(sel)) {
    setNullSegment(s, segment, sel);
    return;
  }
  const d = fetchDescriptor(cpu, sel);
  checkDataAccess(d, s.cpl);
  if (!isPresent(d)) throw selectorFault(NP, sel);
  markAccessed(cpu, d);
  setFromDescriptor(s, segment, d);
}

/** Type and privilege for DS, ES, FS, GS: data or readable code; all but conforming code need DPL ≥ max(CPL, RPL). */
function checkDataAccess(d: Descriptor, cpl: number): void {
  if (!isReadable(d)) throw selectorFault(GP, d.selector);
  const conforming = isCode(d) && isConforming(d);
  if (!conforming && Math.max(cpl, d.selector & 3) > dplOf(d)) throw selectorFault(GP, d.selector);
}

function requireProtected(state: CpuState): void {
  if (!state.isProtected || state.isV86) throw ud();
}

function requireCpl0(state: CpuState): void {
  if (state.cpl !== 0) throw gp(0);
}

/** CR4.UMIP: SGDT, SIDT, SLDT, STR and SMSW are #GP(0) outside ring 0 (vol. 3A, 2.5). */
export function checkUmip(cpu: CpuCore): void {
  if ((cpu.state.cr4 & CR4_UMIP) !== 0 && cpu.state.cpl !== 0) throw gp(0);
}

/** LLDT. In IA-32e mode the descriptor is 16 bytes long. */
export function lldt(cpu: CpuCore, selector: number): void {
  const s = cpu.state;
  requireProtected(s);
  requireCpl0(s);
  loadLdt(cpu, selector & 0xffff, GP);
}

/** The checks of LLDT with another vector for a bad selector: a task switch raises #TS (vol. 3A, table 7-1). */
export function loadLdt(cpu: CpuCore, sel: number, vector: number, ext = 0): void {
  const s = cpu.state;
  if (isNull(sel)) {
    setNullSegment(s, L.LDTR, sel);
    return;
  }
  if ((sel & 4) !== 0) throw selectorFault(vector, sel, ext);
  const d = fetchDescriptor(cpu, sel, vector, ext);
  if (!isSystem(d) || typeOf(d) !== TYPE_LDT) throw selectorFault(vector, sel, ext);
  if (!isPresent(d)) throw selectorFault(vector === GP ? NP : vector, sel, ext);
  let base = baseOf(d);
  if (s.isLong) base |= fetchUpperBase(cpu, d, ext);
  if (!isCanonical(base)) throw selectorFault(vector, sel, ext);
  s.setSegment(L.LDTR, sel, base, limitOf(d), d.attributes);
}

/** LTR: the TSS must be available; it becomes busy, in memory and in the register. */
export function ltr(cpu: CpuCore, selector: number): void {
  const s = cpu.state;
  requireProtected(s);
  requireCpl0(s);
  const sel = selector & 0xffff;
  if (isNull(sel)) throw gp(0);
  if ((sel & 4) !== 0) throw selectorFault(GP, sel);
  const d = fetchDescriptor(cpu, sel);
  const type = typeOf(d);
  if (!isSystem(d) || (type !== TYPE_TSS32 && (s.isLong || type !== TYPE_TSS16))) throw selectorFault(GP, sel);
  if (!isPresent(d)) throw selectorFault(NP, sel);
  let base = baseOf(d);
  if (s.isLong) base |= fetchUpperBase(cpu, d);
  if (!isCanonical(base)) throw selectorFault(GP, sel);
  setBusy(cpu, d, true);
  s.setSegment(L.TR, sel, base, limitOf(d), d.attributes | 2);
}

/** Set or clear bit 1 of a TSS descriptor's type in the GDT. */
export function setBusy(cpu: CpuCore, d: Descriptor, busy: boolean): void {
  const access = (d.high >>> 8) & 0xff;
  cpu.memory.write8(addressIn(cpu.state, d, 5), busy ? access | 2 : access & ~2, 'system');
}

/** SLDT: the selector (the row stores it with its operand size). */
export function sldt(cpu: CpuCore): number {
  requireProtected(cpu.state);
  checkUmip(cpu);
  return cpu.state.selector(L.LDTR);
}

/** STR: the selector. */
export function str(cpu: CpuCore): number {
  requireProtected(cpu.state);
  checkUmip(cpu);
  return cpu.state.selector(L.TR);
}

/** Operand size 16 loads and stores 24 bits of base (vol. 2, LGDT; SGDT as QEMU has it). */
function tableBase(operandSize: number, base: bigint): bigint {
  if (operandSize === 64) return BigInt.asUintN(64, base);
  return base & (operandSize === 16 ? 0xff_ffffn : 0xffff_ffffn);
}

/** LGDT with the operand loaded from memory. `operandSize` 16, 32, or 64 in 64-bit mode. */
export function lgdt(cpu: CpuCore, operandSize: number, limit: number, base: bigint): void {
  requireCpl0(cpu.state);
  if (operandSize === 64 && !isCanonical(base)) throw gp(0);
  cpu.state.set32(L.GDTR_LIMIT, limit & 0xffff);
  cpu.state.set64(L.GDTR_BASE, tableBase(operandSize, base));
}

/** LIDT with the operand loaded from memory. */
export function lidt(cpu: CpuCore, operandSize: number, limit: number, base: bigint): void {
  requireCpl0(cpu.state);
  if (operandSize === 64 && !isCanonical(base)) throw gp(0);
  cpu.state.set32(L.IDTR_LIMIT, limit & 0xffff);
  cpu.state.set64(L.IDTR_BASE, tableBase(operandSize, base));
}

/** SGDT: the base to store behind GDTR_LIMIT; call it first, it makes the UMIP check. */
export function sgdtBase(cpu: CpuCore, operandSize: number): bigint {
  checkUmip(cpu);
  return tableBase(operandSize, cpu.state.get64(L.GDTR_BASE));
}

/** SIDT: the base to store behind IDTR_LIMIT. */
export function sidtBase(cpu: CpuCore, operandSize: number): bigint {
  checkUmip(cpu);
  return tableBase(operandSize, cpu.state.get64(L.IDTR_BASE));
}

// Bit n = 1: system type n is readable by LAR, by LSL. In IA-32e mode only LDT, 64-bit TSS and 64-bit call gate.
const LAR_TYPES = 0b0001_1010_0011_1110;
const LSL_TYPES = 0b0000_1010_0000_1110;
const LAR_TYPES_LONG = 0b0001_1010_0000_0100;
const LSL_TYPES_LONG = 0b0000_1010_0000_0100;

/** The descriptor when LAR, LSL may tell about it, else undefined. */
function visible(cpu: CpuCore, selector: number, types: number): Descriptor | undefined {
  const d = probeDescriptor(cpu, selector & 0xffff);
  if (d === undefined) return undefined;
  if (isSystem(d) && ((types >>> typeOf(d)) & 1) === 0) return undefined;
  const conforming = isCode(d) && isConforming(d);
  if (!conforming && Math.max(cpu.state.cpl, selector & 3) > dplOf(d)) return undefined;
  return d;
}

function setZf(state: CpuState, set: boolean): void {
  const flags = state.arithmeticFlags;
  state.arithmeticFlags = set ? flags | ZF : flags & ~ZF;
}

function writeRegister(state: CpuState, operandSize: number, register: number, value: number): void {
  if (operandSize === 16) state.setReg16(register, value & 0xffff);
  else state.setReg32(register, value);
}

/** LAR into general register `register`; ZF tells whether it was written. */
export function lar(cpu: CpuCore, operandSize: number, register: number, selector: number): void {
  const s = cpu.state;
  requireProtected(s);
  const d = visible(cpu, selector, s.isLong ? LAR_TYPES_LONG : LAR_TYPES);
  setZf(s, d !== undefined);
  if (d !== undefined) writeRegister(s, operandSize, register, (d.high & 0x00f0_ff00) >>> 0);
}

/** LSL into general register `register`: the effective limit in bytes. */
export function lsl(cpu: CpuCore, operandSize: number, register: number, selector: number): void {
  const s = cpu.state;
  requireProtected(s);
  const d = visible(cpu, selector, s.isLong ? LSL_TYPES_LONG : LSL_TYPES);
  setZf(s, d !== undefined);
  if (d !== undefined) writeRegister(s, operandSize, register, limitOf(d));
}

/** VERR: ZF = the segment can be read from the current privilege level. */
export function verr(cpu: CpuCore, selector: number): void {
  requireProtected(cpu.state);
  const d = visible(cpu, selector, 0);
  setZf(cpu.state, d !== undefined && isReadable(d));
}

/** VERW: ZF = the segment can be written. */
export function verw(cpu: CpuCore, selector: number): void {
  requireProtected(cpu.state);
  const d = visible(cpu, selector, 0);
  setZf(cpu.state, d !== undefined && isWritableData(d));
}

/** On a return to an outer ring, a data segment that the new CPL may not use becomes null (vol. 2, RET, IRET). */
export function dropInnerSegments(state: CpuState, cpl: number): void {
  for (const segment of [L.ES, L.DS, L.FS, L.GS]) {
    const attributes = state.attributes(segment);
    if ((attributes & ATTR_UNUSABLE) !== 0) continue;
    const conformingCode = (attributes & (ATTR_CODE | 4)) === (ATTR_CODE | 4);
    if (!conformingCode && ((attributes >>> 5) & 3) < cpl) {
      // The base stays, as in QEMU: in 64-bit mode FS and GS go on using it.
      state.setSegment(segment, 0, state.base(segment), state.limit(segment), ATTR_UNUSABLE);
    }
  }
}
