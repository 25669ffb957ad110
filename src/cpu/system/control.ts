// Control registers, debug registers, and the privileged instructions around them.
//
// SDM vol. 3A, 2.5 (control registers and their reserved bits), 4.1.2 (paging-mode transitions), 4.4.1 (PDPTEs),
// 4.10.4 (invalidation), 9.8.5 (entering IA-32e mode), 17.2 (debug registers); vol. 2: MOV CR, MOV DR, CLTS, LMSW,
// SMSW, XSETBV, XGETBV, INVLPG, HLT. Every check precedes every change. Left out: PCID, LA57, CET, SMX, VMX.

import type { CpuCore } from '../core.js';
import type { CpuModel } from '../cpuid.js';
import * as L from '../layout.js';
import {
  CR0_CD,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PGE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  EFER_LMA,
  EFER_LME,
  gp,
  ud,
} from '../state.js';
import { ATTR_L, isCanonical } from './descriptors.js';
import { DebugFault, DR6_BD } from './faults.js';
import { checkUmip } from './segments.js';

/** CR0 bits that exist; ET is always 1. */
const CR0_DEFINED = 0xe005_003f;
const CR0_MP_EM_TS = 0xe;

function requireCpl0(cpu: CpuCore): void {
  if (cpu.state.cpl !== 0) throw gp(0);
}

/** The MOV CR4 bits that this model has. VME and PVI are accepted though CPUID hides VME, as in QEMU. */
export function cr4Mask(model: CpuModel): number {
  let mask = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE;
  mask |= CR4_OSFXSR | CR4_OSXMMEXCPT;
  if (model.has('umip')) mask |= CR4_UMIP;
  if (model.has('fsgsbase')) mask |= CR4_FSGSBASE;
  if (model.has('xsave')) mask |= CR4_OSXSAVE;
  if (model.has('smep')) mask |= CR4_SMEP;
  if (model.has('smap')) mask |= CR4_SMAP;
  return mask;
}

/** MOV r, CRn: the value, zero-extended (the row keeps 32 bits outside 64-bit mode). #UD for CR1, CR5–7, CR9–15. */
export function movFromCr(cpu: CpuCore, n: number): bigint {
  requireCrExists(n);
  requireCpl0(cpu);
  const s = cpu.state;
  switch (n) {
    case 0:
      return BigInt(s.cr0);
    case 2:
      cpu.onLook?.('cr2');
      return s.get64(L.CR2);
    case 3:
      return s.cr3;
    case 4:
      return BigInt(s.cr4);
    default:
      return (cpu.bus.msrRead(0x808) >> 4n) & 15n; // CR8 is the class of the task-priority register
  }
}

/** MOV CRn, r. `requested` is the whole 64-bit register in 64-bit mode (as i64 or u64), else zero-extended 32 bits. */
export function movToCr(cpu: CpuCore, n: number, requested: bigint): void {
  requireCrExists(n);
  requireCpl0(cpu);
  const value = BigInt.asUintN(64, requested);
  switch (n) {
    case 0:
      if (value >> 32n !== 0n) throw gp(0);
      writeCr0(cpu, Number(value));
      break;
    case 2:
      cpu.onLook?.('cr2');
      cpu.state.set64(L.CR2, value);
      break;
    case 3:
      writeCr3(cpu, value);
      break;
    case 4:
      if (value >> 32n !== 0n) throw gp(0);
      writeCr4(cpu, Number(value));
      break;
    default:
      if (value > 15n) throw gp(0);
      cpu.bus.msrWrite(0x808, value << 4n);
  }
}

function requireCrExists(n: number): void {
  if (n === 1 || (n >= 5 && n !== 8)) throw ud();
}

function writeCr0(cpu: CpuCore, requested: number): void {
  const s = cpu.state;
  const old = s.cr0;
  const value = ((requested & CR0_DEFINED) | CR0_ET) >>> 0;
  if ((value & CR0_PG) !== 0 && (value & CR0_PE) === 0) throw gp(0);
  if ((value & CR0_NW) !== 0 && (value & CR0_CD) === 0) throw gp(0);

  const changed = old ^ value;
  let efer = s.efer;
  const codeIsLong = (s.attributes(L.CS) & ATTR_L) !== 0;
  if ((changed & CR0_PG) !== 0) {
    if ((value & CR0_PG) !== 0) {
      if ((efer & EFER_LME) !== 0) {
        if ((s.cr4 & CR4_PAE) === 0 || codeIsLong) throw gp(0);
        efer |= EFER_LMA;
      }
    } else {
      if (s.is64) throw gp(0);
      efer &= ~EFER_LMA;
    }
  }
  // Loading PDPTEs: on a change of CD, NW or PG under PAE paging (4.4.1).
  if ((changed & (CR0_PG | CR0_CD | CR0_NW)) !== 0 && usesPaePaging(value, s.cr4, efer)) checkPdptes(cpu, s.cr3);

  s.set32(L.CR0, value);
  s.set32(L.EFER, efer);
  // Without paging before and after there is nothing in the TLBs that PE or WP has a say in.
  if ((changed & (CR0_PG | CR0_WP | CR0_PE)) !== 0 && ((old | value) & CR0_PG) !== 0) cpu.flushTlb(false);
  cpu.modeChanged();
  if ((changed & value & CR0_PE) !== 0) cpu.milestone('protected-mode');
  if ((changed & value & CR0_PG) !== 0) cpu.milestone((efer & EFER_LMA) !== 0 ? 'long-mode' : 'paging');
}

function usesPaePaging(cr0: number, cr4: number, efer: number): boolean {
  return (cr0 & CR0_PG) !== 0 && (cr4 & CR4_PAE) !== 0 && (efer & EFER_LMA) === 0;
}

/** What checkPdptes needs of the processor besides CpuCore: guest physical memory, without translation. */
export interface PhysicalReader {
  readPhysical64(address: number): bigint;
}

/** Load the four page-directory-pointer entries that CR3 names; a present one with a reserved bit set is #GP(0). */
function checkPdptes(cpu: CpuCore, cr3: bigint): void {
  const reader = cpu as Partial<PhysicalReader>;
  if (reader.readPhysical64 === undefined) return;
  const reserved = 0x1e6n | (((1n << 64n) - 1n) << BigInt(cpu.model.physicalBits));
  const table = Number(cr3 & 0xffff_ffe0n);
  const entries = [0, 1, 2, 3].map((i) => reader.readPhysical64!(table + i * 8));
  if (entries.some((entry) => (entry & 1n) !== 0n && (entry & reserved) !== 0n)) throw gp(0);
  entries.forEach((entry, i) => {
    cpu.state.set64(L.PDPTES + 8 * i, entry);
  });
}

/** The same without a check, for what restores a state that was once checked (RSM). */
export function reloadPdptes(cpu: CpuCore & PhysicalReader): void {
  const { state } = cpu;
  if (!usesPaePaging(state.cr0, state.cr4, state.efer)) return;
  const table = Number(state.cr3 & 0xffff_ffe0n);
  for (let i = 0; i < 4; i++) state.set64(L.PDPTES + 8 * i, cpu.readPhysical64(table + i * 8));
}

function writeCr3(cpu: CpuCore, requested: bigint): void {
  const s = cpu.state;
  let value = requested;
  if (s.isLong) {
    if (value >> BigInt(cpu.model.physicalBits) !== 0n) throw gp(0);
  } else value &= 0xffff_ffffn;
  if (usesPaePaging(s.cr0, s.cr4, s.efer)) checkPdptes(cpu, value);
  s.set64(L.CR3, value);
  cpu.flushTlb((s.cr4 & CR4_PGE) !== 0);
}

function writeCr4(cpu: CpuCore, value: number): void {
  const s = cpu.state;
  const old = s.cr4;
  if ((value & ~cr4Mask(cpu.model)) !== 0) throw gp(0);
  if (s.isLong && (value & CR4_PAE) === 0) throw gp(0);
  const changed = old ^ value;
  const paging = CR4_PSE | CR4_PAE | CR4_PGE;
  if ((changed & (paging | CR4_SMEP)) !== 0 && usesPaePaging(s.cr0, value, s.efer)) checkPdptes(cpu, s.cr3);
  s.set32(L.CR4, value >>> 0);
  if ((changed & (paging | CR4_SMEP | CR4_SMAP)) !== 0) cpu.flushTlb(false);
  cpu.modeChanged();
}

/** CLTS. */
export function clts(cpu: CpuCore): void {
  requireCpl0(cpu);
  cpu.state.set32(L.CR0, (cpu.state.cr0 & ~CR0_TS) >>> 0);
  cpu.modeChanged();
}

/** LMSW: PE, MP, EM and TS only, and PE cannot be cleared. */
export function lmsw(cpu: CpuCore, value: number): void {
  requireCpl0(cpu);
  const old = cpu.state.cr0;
  writeCr0(cpu, ((old & ~CR0_MP_EM_TS) | (value & 0xf)) >>> 0);
}

/** SMSW: CR0 (the row stores 16 bits to memory, its operand size to a register). */
export function smsw(cpu: CpuCore): number {
  checkUmip(cpu);
  return cpu.state.cr0;
}

/** XSETBV: XCR`index` = `value`. x87 state cannot be turned off. */
export function xsetbv(cpu: CpuCore, index: number, value: bigint): void {
  requireXsave(cpu);
  requireCpl0(cpu);
  if (index !== 0 || (value & 1n) === 0n || (value & ~BigInt(cpu.model.xcr0Mask)) !== 0n) throw gp(0);
  cpu.state.set32(L.XCR0, Number(value));
  cpu.modeChanged();
}

/** XGETBV: XCR0, or with XGETBV1 for index 1 the components in use (all enabled ones: no tracking, as in QEMU). */
export function xgetbv(cpu: CpuCore, index: number): bigint {
  requireXsave(cpu);
  if (index !== 0 && !(index === 1 && cpu.model.has('xgetbv1'))) throw gp(0);
  return BigInt(cpu.state.get32(L.XCR0));
}

function requireXsave(cpu: CpuCore): void {
  if ((cpu.state.cr4 & CR4_OSXSAVE) === 0) throw ud();
}

/** The register that DR`n` means: 4 and 5 are 6 and 7 unless CR4.DE makes them #UD. */
function debugRegister(cpu: CpuCore, n: number): number {
  if (n > 7) throw ud();
  const alias = n === 4 || n === 5;
  if (alias && (cpu.state.cr4 & CR4_DE) !== 0) throw ud();
  requireCpl0(cpu);
  // DR7.GD: the access itself is #DB, with DR6.BD (17.2.4).
  if ((cpu.state.dr(7) & 0x2000n) !== 0n) throw new DebugFault(DR6_BD);
  return alias ? n + 2 : n;
}

/** MOV r, DRn. */
export function movFromDr(cpu: CpuCore, n: number): bigint {
  return cpu.state.dr(debugRegister(cpu, n));
}

/** MOV DRn, r. The reserved bits of DR6 and DR7 keep their fixed values (17.2). */
export function movToDr(cpu: CpuCore, n: number, value: bigint): void {
  const register = debugRegister(cpu, n);
  const s = cpu.state;
  if (register < 6) s.setDr(register, value);
  else {
    if (value >> 32n !== 0n) throw gp(0);
    s.setDr(register, register === 6 ? (value & 0xe00fn) | 0xffff_0ff0n : (value & 0xffff_23ffn) | 0x400n);
    cpu.modeChanged();
  }
}

/** INVLPG of an offset in a segment, whose limit and rights do not matter; a non-canonical address does nothing. */
export function invlpg(cpu: CpuCore, segment: number, offset: bigint): void {
  requireCpl0(cpu);
  const s = cpu.state;
  const base = s.is64 && segment < L.FS ? 0n : s.base(segment);
  const linear = BigInt.asUintN(s.is64 ? 64 : 32, base + BigInt.asUintN(64, offset));
  if (isCanonical(linear)) cpu.flushPage(linear);
}

/** INVD, WBINVD: no caches are modelled, only the privilege. */
export function wbinvd(cpu: CpuCore): void {
  requireCpl0(cpu);
}

/** HLT. */
export function hlt(cpu: CpuCore): void {
  requireCpl0(cpu);
  cpu.halt();
}
