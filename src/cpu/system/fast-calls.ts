// Fast system calls, and the small instructions around MSRs, time, CPUID and segment bases.
//
// SDM vol. 2: SYSCALL, SYSRET, SYSENTER, SYSEXIT, RD/WRFSBASE, RDTSC(P), RDPMC, CPUID, RDMSR, WRMSR,
// MONITOR, MWAIT, CLAC, STAC; AMD APM vol. 3 for the vendor's differences: on AMD SYSCALL works outside 64-bit mode
// and SYSENTER does not work inside it. Where the two leave room, QEMU 7.2 decides.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { readMsr, readTsc, writeMsr } from '../msr.js';
import { AC, type CpuState, CR4_FSGSBASE, CR4_OSXSAVE, CR4_TSD, EFER_SCE, gp, IF, RF, TF, ud, VM } from '../state.js';
import { ATTR_DB, ATTR_G, ATTR_L, isCanonical } from './descriptors.js';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const R11 = 11;

/** Flat 4 GiB segments with fixed attributes, as the fast calls load them without looking at the GDT. */
const FLAT_LIMIT = 0xffff_ffff;
export const flatCode = (dpl: number, long: boolean): number => 0x9b | (dpl << 5) | ATTR_G | (long ? ATTR_L : ATTR_DB);
export const flatData = (dpl: number): number => 0x93 | (dpl << 5) | ATTR_G | ATTR_DB;

/** Bits of RFLAGS that SYSRET loads from R11. */
export const SYSRET_FLAGS = 0x3c_7fd7;

function loadFlat(s: CpuState, code: number, stack: number, cpl: number, long: boolean): void {
  s.setSegment(L.CS, (code & 0xfffc) | cpl, 0n, FLAT_LIMIT, flatCode(cpl, long));
  s.setSegment(L.SS, (stack & 0xfffc) | cpl, 0n, FLAT_LIMIT, flatData(cpl));
  s.set32(L.CPL, cpl);
}

const isIntel = (cpu: CpuCore): boolean => cpu.model.vendor === 'GenuineIntel';

/** SYSCALL; 64-bit mode's plain case is emitted (semantics/fast-calls.ts). #UD without EFER.SCE, and on Intel outside 64-bit mode. */
export function syscall(cpu: CpuCore): void {
  const s = cpu.state;
  if ((s.efer & EFER_SCE) === 0 || (isIntel(cpu) && !s.is64)) throw ud();
  const selector = s.get32(L.MSR_STAR + 4) & 0xffff;
  if (s.isLong) {
    const from64 = s.is64;
    s.setReg(RCX, cpu.nextIp);
    s.setReg32(R11, s.eflags & ~RF);
    const masked = s.get32(L.MSR_SFMASK) | RF;
    loadFlat(s, selector, selector + 8, 0, true);
    s.eflags = s.eflags & ~masked;
    s.rip = s.get64(from64 ? L.MSR_LSTAR : L.MSR_CSTAR);
  } else {
    s.setReg32(RCX, Number(cpu.nextIp & 0xffff_ffffn));
    loadFlat(s, selector, selector + 8, 0, false);
    s.eflags = s.eflags & ~(IF | RF | VM);
    s.rip = BigInt(s.get32(L.MSR_STAR));
  }
  cpu.modeChanged();
  // TF is looked at when the call is done: one that the mask clears traps nowhere in the kernel.
  cpu.setStepTrap?.(s.flag(TF));
}

/** SYSRET, but for its plain case: operand size 64 returns to 64-bit code, 32 to compatibility mode (or, on AMD, legacy mode). */
export function sysret(cpu: CpuCore, operandSize: number): void {
  const s = cpu.state;
  if ((s.efer & EFER_SCE) === 0 || (isIntel(cpu) && !s.is64)) throw ud();
  if (!s.isProtected || s.cpl !== 0) throw gp(0);
  const selector = s.get32(L.MSR_STAR + 4) >>> 16;
  const to64 = s.isLong && operandSize === 64;
  const target = to64 ? s.reg(RCX) : BigInt(s.reg32(RCX));
  if (to64 && isIntel(cpu) && !isCanonical(target)) throw gp(0);
  const flags = s.isLong ? s.reg32(R11) & SYSRET_FLAGS : s.eflags | IF;
  loadFlat(s, to64 ? selector + 16 : selector, selector + 8, 3, to64);
  s.eflags = flags;
  s.rip = target;
  cpu.modeChanged();
  // As if the SYSCALL that it returns from had just completed.
  cpu.setStepTrap?.(s.flag(TF));
}

/** AMD has no SYSENTER in 64-bit mode. */
function requireSysenter(cpu: CpuCore): void {
  if (!cpu.model.has('sep') || (cpu.state.is64 && !isIntel(cpu))) throw ud();
}

/** SYSENTER. #GP(0) in real mode or while IA32_SYSENTER_CS is null. */
export function sysenter(cpu: CpuCore): void {
  const s = cpu.state;
  requireSysenter(cpu);
  const selector = Number(s.get64(L.MSR_SYSENTER_CS) & 0xfffcn);
  if (!s.isProtected || selector === 0) throw gp(0);
  const mask = s.isLong ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
  loadFlat(s, selector, selector + 8, 0, s.isLong);
  s.eflags = s.eflags & ~(VM | IF | RF);
  s.setReg(RSP, s.get64(L.MSR_SYSENTER_ESP) & mask);
  s.rip = s.get64(L.MSR_SYSENTER_EIP) & mask;
  cpu.modeChanged();
}

/** SYSEXIT: to RDX:RCX (operand size 64) or EDX:ECX. */
export function sysexit(cpu: CpuCore, operandSize: number): void {
  const s = cpu.state;
  // The privilege comes first, even where the instruction does not exist.
  if (s.isProtected && s.cpl !== 0) throw gp(0);
  requireSysenter(cpu);
  const selector = Number(s.get64(L.MSR_SYSENTER_CS) & 0xfffcn);
  if (!s.isProtected || selector === 0 || s.cpl !== 0) throw gp(0);
  const wide = operandSize === 64;
  const ip = wide ? s.reg(RDX) : BigInt(s.reg32(RDX));
  const sp = wide ? s.reg(RCX) : BigInt(s.reg32(RCX));
  if (wide && !(isCanonical(ip) && isCanonical(sp))) throw gp(0);
  const code = selector + (wide ? 32 : 16);
  loadFlat(s, code, code + 8, 3, wide);
  s.setReg(RSP, sp);
  s.rip = ip;
  cpu.modeChanged();
}

function requireFsgsbase(cpu: CpuCore): void {
  if (!cpu.state.is64 || (cpu.state.cr4 & CR4_FSGSBASE) === 0) throw ud();
}

/** RDFSBASE, RDGSBASE: `segment` is FS or GS. */
export function readSegmentBase(cpu: CpuCore, segment: number): bigint {
  requireFsgsbase(cpu);
  return cpu.state.base(segment);
}

/** WRFSBASE, WRGSBASE: the value already cut to the operand size. */
export function writeSegmentBase(cpu: CpuCore, segment: number, value: bigint): void {
  requireFsgsbase(cpu);
  if (!isCanonical(value)) throw gp(0);
  cpu.state.set64(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_BASE, value);
}

/** EDX:EAX, upper halves of RAX and RDX cleared. */
function setEdxEax(s: CpuState, value: bigint): void {
  s.setReg32(RAX, Number(BigInt.asUintN(32, value)));
  s.setReg32(RDX, Number(BigInt.asUintN(64, value) >> 32n));
}

function edxEax(s: CpuState): bigint {
  return (BigInt(s.reg32(RDX)) << 32n) | BigInt(s.reg32(RAX));
}

/** RDTSC: EDX:EAX. The plain case is emitted (semantics/system.ts). */
export function rdtsc(cpu: CpuCore): void {
  if ((cpu.state.cr4 & CR4_TSD) !== 0 && cpu.state.cpl !== 0) throw gp(0);
  setEdxEax(cpu.state, readTsc(cpu));
}

/** RDTSCP: RDTSC, and TSC_AUX in ECX. */
export function rdtscp(cpu: CpuCore): void {
  if (!cpu.model.has('rdtscp')) throw ud();
  rdtsc(cpu);
  cpu.state.setReg32(RCX, Number(cpu.state.get64(L.MSR_TSC_AUX) & 0xffff_ffffn));
}

/** RDPMC: there are no counters; #GP(0) for user code without CR4.PCE, else #UD as QEMU raises it. */
export function rdpmc(cpu: CpuCore): void {
  if ((cpu.state.cr4 & 0x100) === 0 && cpu.state.cpl !== 0) throw gp(0);
  throw ud();
}

/** CPUID. */
export function cpuid(cpu: CpuCore): void {
  const s = cpu.state;
  const leaf = s.reg32(RAX);
  // Only the two feature leaves show the APIC: no other one troubles the bus, where every access is an event.
  const asksApic = leaf === 1 || leaf === 0x8000_0001;
  const [eax, ebx, ecx, edx] = cpu.model.cpuid(leaf, s.reg32(RCX), {
    osxsave: (s.cr4 & CR4_OSXSAVE) !== 0,
    apicEnabled: asksApic && (cpu.bus.msrRead(0x1b) & 0x800n) !== 0n,
    xcr0: s.get32(L.XCR0),
  });
  s.setReg32(RAX, eax);
  s.setReg32(RBX, ebx);
  s.setReg32(RCX, ecx);
  s.setReg32(RDX, edx);
}

/** RDMSR. */
export function rdmsr(cpu: CpuCore): void {
  if (cpu.state.cpl !== 0) throw gp(0);
  setEdxEax(cpu.state, readMsr(cpu, cpu.state.reg32(RCX)));
}

/** WRMSR. */
export function wrmsr(cpu: CpuCore): void {
  if (cpu.state.cpl !== 0) throw gp(0);
  writeMsr(cpu, cpu.state.reg32(RCX), edxEax(cpu.state));
}

/** MONITOR: the address is not watched; only its extensions (ECX) are checked. */
export function monitor(cpu: CpuCore): void {
  if (!cpu.model.has('monitor') || cpu.state.cpl !== 0) throw ud();
  if (cpu.state.reg32(RCX) !== 0) throw gp(0);
}

/** MWAIT: waits as HLT does, as QEMU with one processor. */
export function mwait(cpu: CpuCore): void {
  if (!cpu.model.has('monitor') || cpu.state.cpl !== 0) throw ud();
  if (cpu.state.reg32(RCX) !== 0) throw gp(0);
  cpu.halt();
}

function setAlignmentCheck(cpu: CpuCore, set: boolean): void {
  const s = cpu.state;
  if (!cpu.model.has('smap') || s.cpl !== 0 || s.isV86) throw ud();
  const flags = s.get32(L.EFLAGS);
  s.set32(L.EFLAGS, (set ? flags | AC : flags & ~AC) >>> 0);
  cpu.modeChanged();
}

/** CLAC. */
export function clac(cpu: CpuCore): void {
  setAlignmentCheck(cpu, false);
}

/** STAC. */
export function stac(cpu: CpuCore): void {
  setAlignmentCheck(cpu, true);
}
