// System management mode: entry by SMI, RSM, and the state save area between them (AMD64 APM vol. 2, 10.2 to 10.4; SDM
// vol. 3C, chapter 31). The area is QEMU's for a 64-bit processor: AMD's map, revision 0x20064, of which every field that
// TCG writes is written and no other. So there is no I/O restart, no return into HLT, and RSM believes what it reads.
//
// Invariant: the save area lies in memory as the processor sees it in SMM; one that is no RAM is written nowhere.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { CR0_EM, CR0_PE, CR0_PG, CR0_TS, SMM_ACTIVE, SMM_NMI_WAS_BLOCKED, ud } from '../state.js';
import { type PhysicalReader, reloadPdptes } from './control.js';
import { ATTR_DPL_SHIFT, ATTR_G, ATTR_P, ATTR_UNUSABLE } from './descriptors.js';
import { REAL_ATTRIBUTES } from './stack.js';

/** What SMM needs of the processor besides CpuCore. */
export interface SmmProcessor extends CpuCore, PhysicalReader {
  readPhysical(address: number, length: number): Uint8Array;
  writePhysical(address: number, data: Uint8Array): void;
  /** SMM was entered or left: A20 and SMRAM follow it. */
  smmChanged(): void;
}

/** SMBASE after reset; L.SMBASE holds what it differs by. */
export const SMBASE_RESET = 0x3_0000;
const ENTRY = 0x8000;
/** Of the save area, from SMBASE on. */
const AREA = 0xfe00;
const AREA_SIZE = 0x200;
const REVISION = 0x2_0064;
const SMBASE_RELOCATION = 0x2_0000;
const ATTRIBUTES = 0xf0ff;

/** Offsets in the area. Segments: selector, attributes, limit, base. */
const SEGMENT_AREAS: readonly (readonly [segment: number, offset: number])[] = [
  ...[L.ES, L.CS, L.SS, L.DS, L.FS, L.GS].map((segment, n) => [segment, 16 * n] as const),
  [L.LDTR, 0x70],
  [L.TR, 0x90],
];
/** GDTR and IDTR: limit at 4, base at 8. */
const TABLES = [
  [L.GDTR_BASE, L.GDTR_LIMIT, 0x60],
  [L.IDTR_BASE, L.IDTR_LIMIT, 0x80],
] as const;
const EFER = 0xd0;
const SMM_REVISION = 0xfc;
const SMBASE = 0x100;
const CR4 = 0x148;
const CR3 = 0x150;
const CR0 = 0x158;
const DR7 = 0x160;
const DR6 = 0x168;
const RFLAGS = 0x170;
const RIP = 0x178;
/** RAX; the other general registers follow downwards. */
const RAX = 0x1f8;

export const smbase = ({ state }: CpuCore): number => (state.get32(L.SMBASE) ^ SMBASE_RESET) >>> 0;

/** Deliver an SMI, between two instructions and outside SMM. */
export function enterSmm(cpu: SmmProcessor): void {
  const s = cpu.state;
  const base = smbase(cpu);
  s.set32(L.SMM, SMM_ACTIVE | (s.get32(L.NMI_BLOCKED) !== 0 ? SMM_NMI_WAS_BLOCKED : 0));
  s.set32(L.NMI_BLOCKED, 1);
  s.set32(L.SMI_COUNT, s.get32(L.SMI_COUNT) + 1);
  s.betweenIterations = false;
  cpu.smmChanged();
  save(cpu, base);
  s.set32(L.EFER, 0);
  s.eflags = 2;
  s.rip = BigInt(ENTRY);
  s.set32(L.CR0, (s.cr0 & ~(CR0_PE | CR0_EM | CR0_TS | CR0_PG)) >>> 0);
  s.set32(L.CR4, 0);
  s.setDr(7, 0x400n);
  const attributes = REAL_ATTRIBUTES | ATTR_G;
  for (const segment of [L.ES, L.SS, L.DS, L.FS, L.GS]) s.setSegment(segment, 0, 0n, 0xffff_ffff, attributes);
  s.setSegment(L.CS, (base >>> 4) & 0xffff, BigInt(base), 0xffff_ffff, attributes);
  s.set32(L.CPL, 0);
  cpu.flushTlb(false);
  cpu.modeChanged();
}

/** RSM: back to what the save area says; #UD outside SMM. */
export function rsm(core: CpuCore): void {
  const cpu = core as SmmProcessor;
  const s = cpu.state;
  const smm = s.get32(L.SMM);
  if ((smm & SMM_ACTIVE) === 0) throw ud();
  restore(cpu, smbase(cpu));
  if ((smm & SMM_NMI_WAS_BLOCKED) === 0) s.set32(L.NMI_BLOCKED, 0);
  s.set32(L.SMM, 0);
  cpu.setStepTrap?.(false);
  cpu.smmChanged();
  cpu.flushTlb(false);
  reloadPdptes(cpu);
  cpu.modeChanged();
}

function save(cpu: SmmProcessor, base: number): void {
  const s = cpu.state;
  // What the processor does not write stays as it was.
  const area = cpu.readPhysical(base + AREA, AREA_SIZE);
  const view = new DataView(area.buffer, area.byteOffset);
  const put32 = (at: number, value: number) => view.setUint32(at, value, true);
  const put64 = (at: number, value: bigint) => view.setBigUint64(at, BigInt.asUintN(64, value), true);
  for (const [segment, at] of SEGMENT_AREAS) {
    view.setUint16(at, s.selector(segment), true);
    view.setUint16(at + 2, s.attributes(segment) & ATTRIBUTES, true);
    put32(at + 4, s.limit(segment));
    put64(at + 8, s.base(segment));
  }
  for (const [tableBase, limit, at] of TABLES) {
    put32(at + 4, s.get32(limit));
    put64(at + 8, s.get64(tableBase));
  }
  put64(EFER, BigInt(s.efer));
  for (let n = 0; n < 16; n++) put64(RAX - 8 * n, s.reg(n));
  put64(RIP, s.rip);
  put32(RFLAGS, s.eflags);
  put32(DR6, Number(s.dr(6) & 0xffff_ffffn));
  put32(DR7, Number(s.dr(7) & 0xffff_ffffn));
  put32(CR4, s.cr4);
  put64(CR3, s.cr3);
  put32(CR0, s.cr0);
  put32(SMM_REVISION, REVISION);
  put32(SMBASE, base);
  cpu.writePhysical(base + AREA, area);
}

function restore(cpu: SmmProcessor, base: number): void {
  const s = cpu.state;
  const area = cpu.readPhysical(base + AREA, AREA_SIZE);
  const view = new DataView(area.buffer, area.byteOffset);
  const get32 = (at: number) => view.getUint32(at, true);
  const get64 = (at: number) => view.getBigUint64(at, true);
  for (const [segment, at] of SEGMENT_AREAS) {
    const kept = view.getUint16(at + 2, true) & ATTRIBUTES;
    const attributes = kept & ATTR_P ? kept : kept | ATTR_UNUSABLE;
    s.setSegment(segment, view.getUint16(at, true), get64(at + 8), get32(at + 4), attributes);
    if (segment === L.SS) s.set32(L.CPL, (attributes >> ATTR_DPL_SHIFT) & 3);
  }
  for (const [tableBase, limit, at] of TABLES) {
    s.set32(limit, get32(at + 4));
    s.set64(tableBase, get64(at + 8));
  }
  s.set32(L.EFER, Number(get64(EFER) & 0xffff_ffffn));
  for (let n = 0; n < 16; n++) s.setReg(n, get64(RAX - 8 * n));
  s.rip = get64(RIP);
  s.eflags = get32(RFLAGS) | 2;
  s.setDr(6, BigInt(get32(DR6)));
  s.setDr(7, BigInt(get32(DR7)));
  s.set32(L.CR4, get32(CR4));
  s.set64(L.CR3, get64(CR3));
  s.set32(L.CR0, get32(CR0));
  if (get32(SMM_REVISION) & SMBASE_RELOCATION) s.set32(L.SMBASE, (get32(SMBASE) ^ SMBASE_RESET) >>> 0);
}
