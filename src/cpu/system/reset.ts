// The processor after power-up or RESET.
//
// SDM vol. 3A, table 9-1 and 9.1.4 (first instruction at physical FFFFFFF0H); MSR values as QEMU 7.2 resets them.
// Only architectural state changes: cycle and instruction counts, the INTR line and the TSC's clock go on.

import type { CpuModel } from '../cpuid.js';
import * as L from '../layout.js';
import { type CpuState, CR0_CD, CR0_ET, CR0_NW } from '../state.js';
import { ATTR_P, TYPE_LDT, TYPE_TSS32_BUSY } from './descriptors.js';
import { MXCSR_RESET } from './fpu-state.js';
import { REAL_ATTRIBUTES } from './stack.js';

const RDX = 2;
const PAT_RESET = 0x0007_0406_0007_0406n;
const ALL = 0xffff_ffff_ffff_ffffn;
const MISC_ENABLE_FAST_STRING = 1n;
const MISC_ENABLE_MONITOR = 1n << 18n;

// biome-ignore format: a list
const CLEARED = [
  L.CPL, L.SHADOW, L.DEBUG_HELD, L.HALTED, L.ABORT, L.NMI_PENDING, L.NMI_BLOCKED, L.EFER, L.CR4,
  L.SMM, L.SMI_PENDING, L.SMBASE, L.SMI_COUNT,
];

/** Put `state` into its power-up state. The caller calls modeChanged() and flushes the TLBs. */
export function resetState(state: CpuState, model: CpuModel): void {
  for (let n = 0; n < 16; n++) state.setReg(n, 0n);
  state.setReg(RDX, BigInt(model.signature));
  state.rip = 0xfff0n;
  state.eflags = 2;
  for (const field of CLEARED) state.set32(field, 0);
  resetSegments(state);
  state.set32(L.CR0, (CR0_CD | CR0_NW | CR0_ET) >>> 0);
  state.set64(L.CR2, 0n);
  state.set64(L.CR3, 0n);
  state.set32(L.XCR0, 1);
  for (let n = 0; n < 4; n++) state.setDr(n, 0n);
  state.setDr(6, 0xffff_0ff0n);
  state.setDr(7, 0x400n);
  resetMsrs(state, model);
  resetFloatingPoint(state);
}

function resetSegments(state: CpuState): void {
  for (const segment of [L.ES, L.SS, L.DS, L.FS, L.GS]) state.setSegment(segment, 0, 0n, 0xffff, REAL_ATTRIBUTES);
  state.setSegment(L.CS, 0xf000, 0xffff_0000n, 0xffff, REAL_ATTRIBUTES);
  state.setSegment(L.LDTR, 0, 0n, 0xffff, ATTR_P | TYPE_LDT);
  state.setSegment(L.TR, 0, 0n, 0xffff, ATTR_P | TYPE_TSS32_BUSY);
  state.set64(L.GDTR_BASE, 0n);
  state.set32(L.GDTR_LIMIT, 0xffff);
  state.set64(L.IDTR_BASE, 0n);
  state.set32(L.IDTR_LIMIT, 0xffff);
}

function resetMsrs(state: CpuState, model: CpuModel): void {
  for (let at = L.MSR_STAR; at < L.ADDRESS_MASK; at += 8) state.set64(at, 0n);
  state.set64(L.MSR_PAT, PAT_RESET);
  state.set64(L.MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRING | (model.has('monitor') ? MISC_ENABLE_MONITOR : 0n));
  state.set64(L.MSR_MCG_CTL, ALL);
  for (let bank = 0; bank < 10; bank++) state.set64(L.MSR_MC + bank * 32, ALL);
}

/** FCW 0040H, tags 5555H: the registers hold +0.0 and are not empty, unlike after FNINIT (table 9-1). */
function resetFloatingPoint(state: CpuState): void {
  state.u8.fill(0, L.FPU_REGS, L.FPU_REGS + 128);
  state.set32(L.FPU_CONTROL, 0x40);
  state.set32(L.FPU_TAGS, 0xff);
  for (const field of [L.FPU_STATUS, L.FPU_TOP, L.FPU_OPCODE, L.FPU_CS, L.FPU_DS]) state.set32(field, 0);
  state.set64(L.FPU_IP, 0n);
  state.set64(L.FPU_DP, 0n);
  state.set32(L.MXCSR, MXCSR_RESET);
  state.u8.fill(0, L.XMM, L.XMM + 256);
}
