// Model-specific registers: one table, address by address.
//
// SDM vol. 4 (names, layouts), vol. 3A, 11.11 (MTRRs, PAT), 15.3 (machine check), 5.8.8 (SYSCALL MSRs). What an
// unlisted or unwritable register does follows QEMU 7.2 TCG, the reference: reads give 0, writes are dropped, where
// hardware would raise #GP(0). Three differences on purpose: IA32_TIME_STAMP_COUNTER works (TCG reads 0), and
// non-canonical addresses, reserved memory types and the x2APIC's registers (there is none) are #GP(0) as the manual
// says.

import type { CpuCore } from './core.js';
import type { Feature } from './cpuid.js';
import * as L from './layout.js';
import { CR0_PG, EFER_LME, EFER_NXE, EFER_SCE, gp } from './state.js';
import { isCanonical } from './system/descriptors.js';

/** One register. Handlers work on whole 64-bit values and may throw #GP(0). */
interface Msr {
  readonly address: number;
  readonly name: string;
  read(cpu: CpuCore): bigint;
  write(cpu: CpuCore, value: bigint): void;
}

const ALL = 0xffff_ffff_ffff_ffffn;
const MCE_BANKS = 10;
/** MCG_CAP: ten banks, MCG_CTL present, software error recovery. */
const MCG_CAP = 0x0100_010an;

/** Plain storage; `check` refuses a value, `mask` keeps the implemented bits. */
function stored(
  address: number,
  name: string,
  slot: number,
  options: { mask?: bigint; check?: (value: bigint) => boolean } = {},
): Msr {
  const mask = options.mask ?? ALL;
  return {
    address,
    name,
    read: (cpu) => cpu.state.get64(slot),
    write: (cpu, value) => {
      if (options.check !== undefined && !options.check(value)) throw gp(0);
      cpu.state.set64(slot, value & mask);
    },
  };
}

/** Read-only: writes are dropped, as in QEMU. */
function constant(address: number, name: string, read: (cpu: CpuCore) => bigint): Msr {
  return { address, name, read, write: () => {} };
}

/** A register that a device owns; without `feature` the model does not have it. */
function onBus(address: number, name: string, feature: Feature): Msr {
  return {
    address,
    name,
    read: (cpu) => (cpu.model.has(feature) ? cpu.bus.msrRead(address) : 0n),
    write: (cpu, value) => {
      if (cpu.model.has(feature)) cpu.bus.msrWrite(address, value);
    },
  };
}

/** FS.base and GS.base live in the segment registers. */
function segmentBase(address: number, name: string, segment: number): Msr {
  return {
    address,
    name,
    read: (cpu) => cpu.state.base(segment),
    write: (cpu, value) => {
      if (!isCanonical(value)) throw gp(0);
      cpu.state.set64(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_BASE, value);
    },
  };
}

/** Ticks of the time-stamp counter: the virtual clock at 1 GHz, as QEMU has it under icount, plus what was written. */
export function readTsc(cpu: CpuCore): bigint {
  cpu.onLook?.('clock');
  return BigInt.asUintN(64, BigInt(cpu.cycle) * BigInt(cpu.timing.nsPerCycle) + cpu.state.get64(L.TSC_OFFSET));
}

/** Every byte a memory type that exists: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, and 7 UC- where `uncachedMinus`. */
function memoryTypes(value: bigint, uncachedMinus: boolean): boolean {
  for (let i = 0n; i < 64n; i += 8n) {
    const type = (value >> i) & 0xffn;
    if (type > 7n || type === 2n || type === 3n || (type === 7n && !uncachedMinus)) return false;
  }
  return true;
}

/** MSR_EFER: bits of features that the model lacks are dropped; LMA is the processor's own; LME is frozen under paging. */
const EFER_MSR: Msr = {
  address: 0xc000_0080,
  name: 'IA32_EFER',
  read: (cpu) => BigInt(cpu.state.efer),
  write: (cpu, value) => {
    const s = cpu.state;
    const { model } = cpu;
    const mask =
      (model.has('syscall') ? EFER_SCE : 0) | (model.has('lm') ? EFER_LME : 0) | (model.has('nx') ? EFER_NXE : 0);
    const next = (s.efer & ~mask) | (Number(value & 0xffff_ffffn) & mask);
    const changed = next ^ s.efer;
    if ((changed & EFER_LME) !== 0 && (s.cr0 & CR0_PG) !== 0) throw gp(0);
    s.set32(L.EFER, next >>> 0);
    if ((changed & EFER_NXE) !== 0) cpu.flushTlb(false);
    cpu.modeChanged();
  },
};

const TSC_MSR: Msr = {
  address: 0x10,
  name: 'IA32_TIME_STAMP_COUNTER',
  read: readTsc,
  write: (cpu, value) => {
    const ticks = readTsc(cpu) - cpu.state.get64(L.TSC_OFFSET);
    cpu.state.set64(L.TSC_OFFSET, BigInt.asUintN(64, value - ticks));
  },
};

const FIXED_MTRRS = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];
const FIXED_NAMES = ['64K_00000', '16K_80000', '16K_A0000', '4K_C0000', '4K_C8000', '4K_D0000'].concat([
  '4K_D8000',
  '4K_E0000',
  '4K_E8000',
  '4K_F0000',
  '4K_F8000',
]);

function variableMtrrs(): Msr[] {
  const rows: Msr[] = [];
  for (let i = 0; i < 8; i++) {
    rows.push(stored(0x200 + i * 2, `IA32_MTRR_PHYSBASE${i}`, L.MSR_MTRR_VARIABLE + i * 16));
    rows.push(stored(0x201 + i * 2, `IA32_MTRR_PHYSMASK${i}`, L.MSR_MTRR_VARIABLE + i * 16 + 8));
  }
  return rows;
}

/** MCi_CTL takes only all zeros or all ones; another value leaves it (vol. 3B, 15.3.2.1, as QEMU has it). */
function machineCheckBanks(): Msr[] {
  const rows: Msr[] = [];
  for (let i = 0; i < MCE_BANKS; i++) {
    const at = L.MSR_MC + i * 32;
    rows.push({
      address: 0x400 + i * 4,
      name: `IA32_MC${i}_CTL`,
      read: (cpu) => cpu.state.get64(at),
      write: (cpu, value) => {
        if (value === 0n || value === ALL) cpu.state.set64(at, value);
      },
    });
    rows.push(stored(0x401 + i * 4, `IA32_MC${i}_STATUS`, at + 8));
    rows.push(stored(0x402 + i * 4, `IA32_MC${i}_ADDR`, at + 16));
    rows.push(stored(0x403 + i * 4, `IA32_MC${i}_MISC`, at + 24));
  }
  return rows;
}

/** All registers that hold or tell something. */
// biome-ignore format: one row a register
export const MSRS: readonly Msr[] = [
  TSC_MSR,
  onBus(0x1b, 'IA32_APIC_BASE', 'apic'),
  constant(0x34, 'MSR_SMI_COUNT', (cpu) => BigInt(cpu.state.get32(L.SMI_COUNT))),
  constant(0x35, 'MSR_CORE_THREAD_COUNT', () => 0x1_0001n),
  constant(0x8b, 'IA32_BIOS_SIGN_ID', (cpu) => cpu.model.microcode),
  constant(0xfe, 'IA32_MTRRCAP', (cpu) => (cpu.model.has('mtrr') ? 0x508n : 0n)), // 8 variable, fixed, WC
  stored(0x174, 'IA32_SYSENTER_CS', L.MSR_SYSENTER_CS, { mask: 0xffffn }),
  stored(0x175, 'IA32_SYSENTER_ESP', L.MSR_SYSENTER_ESP, { check: isCanonical }),
  stored(0x176, 'IA32_SYSENTER_EIP', L.MSR_SYSENTER_EIP, { check: isCanonical }),
  constant(0x179, 'IA32_MCG_CAP', () => MCG_CAP),
  stored(0x17a, 'IA32_MCG_STATUS', L.MSR_MCG_STATUS),
  { address: 0x17b, name: 'IA32_MCG_CTL', read: (cpu) => cpu.state.get64(L.MSR_MCG_CTL),
    write: (cpu, value) => { if (value === 0n || value === ALL) cpu.state.set64(L.MSR_MCG_CTL, value); } },
  constant(0x198, 'IA32_PERF_STATUS', () => 0x400_0000_03e8n), // 1000 ticks, multiplier 4: QEMU's figures
  stored(0x1a0, 'IA32_MISC_ENABLE', L.MSR_MISC_ENABLE),
  ...variableMtrrs(),
  ...FIXED_MTRRS.map((address, i) => stored(address, `IA32_MTRR_FIX${FIXED_NAMES[i]}`, L.MSR_MTRR_FIXED + i * 8,
    { check: (value) => memoryTypes(value, false) })),
  stored(0x277, 'IA32_PAT', L.MSR_PAT, { check: (value) => memoryTypes(value, true) }),
  stored(0x2ff, 'IA32_MTRR_DEF_TYPE', L.MSR_MTRR_DEF_TYPE),
  ...machineCheckBanks(),
  onBus(0x6e0, 'IA32_TSC_DEADLINE', 'tsc-deadline'),
  EFER_MSR,
  stored(0xc000_0081, 'IA32_STAR', L.MSR_STAR),
  stored(0xc000_0082, 'IA32_LSTAR', L.MSR_LSTAR, { check: isCanonical }),
  stored(0xc000_0083, 'IA32_CSTAR', L.MSR_CSTAR, { check: isCanonical }),
  stored(0xc000_0084, 'IA32_FMASK', L.MSR_SFMASK),
  segmentBase(0xc000_0100, 'IA32_FS_BASE', L.FS),
  segmentBase(0xc000_0101, 'IA32_GS_BASE', L.GS),
  stored(0xc000_0102, 'IA32_KERNEL_GS_BASE', L.MSR_KERNEL_GS_BASE, { check: isCanonical }),
  stored(0xc000_0103, 'IA32_TSC_AUX', L.MSR_TSC_AUX),
];

/**
 * Registers that guests probe and that TCG answers with 0, dropping writes: named so that a trace can name them.
 * Absent everywhere: SPEC_CTRL and PRED_CMD, performance counters, IA32_XSS (no supervisor states), SMM's own (SMBASE is in the save area).
 */
// biome-ignore format: one row a register
export const SILENT_MSRS: ReadonlyMap<number, string> = new Map([
  [0x17, 'IA32_PLATFORM_ID'], [0x2a, 'MSR_EBL_CR_POWERON'], [0x3a, 'IA32_FEATURE_CONTROL'],
  [0x3b, 'IA32_TSC_ADJUST'], [0x48, 'IA32_SPEC_CTRL'], [0x49, 'IA32_PRED_CMD'], [0x79, 'IA32_BIOS_UPDT_TRIG'],
  [0xc1, 'IA32_PMC0'], [0xcd, 'MSR_FSB_FREQ'], [0xce, 'MSR_PLATFORM_INFO'], [0xe7, 'IA32_MPERF'],
  [0xe8, 'IA32_APERF'], [0x10a, 'IA32_ARCH_CAPABILITIES'], [0x122, 'IA32_TSX_CTRL'], [0x180, 'MSR_MCG_RAX'],
  [0x186, 'IA32_PERFEVTSEL0'], [0x199, 'IA32_PERF_CTL'], [0x19a, 'IA32_CLOCK_MODULATION'],
  [0x19b, 'IA32_THERM_INTERRUPT'], [0x19c, 'IA32_THERM_STATUS'], [0x1a2, 'MSR_TEMPERATURE_TARGET'],
  [0x1d9, 'IA32_DEBUGCTL'], [0x345, 'IA32_PERF_CAPABILITIES'], [0x38f, 'IA32_PERF_GLOBAL_CTRL'],
  [0x480, 'IA32_VMX_BASIC'], [0xda0, 'IA32_XSS'], [0xc000_0104, 'AMD_TSC_RATIO'], [0xc001_0004, 'AMD_PERF_CTR0'],
  [0xc001_0010, 'AMD_SYSCFG'], [0xc001_0015, 'AMD_HWCR'], [0xc001_001f, 'AMD_NB_CFG'],
  [0xc001_0055, 'AMD_INT_PENDING'], [0xc001_0058, 'AMD_MMIO_CONF_BASE'], [0xc001_0111, 'AMD_SMM_BASE'],
  [0xc001_0114, 'AMD_VM_CR'], [0xc001_0117, 'AMD_VM_HSAVE_PA'], [0xc001_0140, 'AMD_OSVW_ID_LENGTH'],
  [0xc001_1020, 'AMD_LS_CFG'], [0xc001_1023, 'AMD_BU_CFG'], [0xc001_1029, 'AMD_DE_CFG'],
]);

const BY_ADDRESS: ReadonlyMap<number, Msr> = new Map(MSRS.map((msr) => [msr.address, msr]));

/** Name of an MSR for people, or undefined. */
export function msrName(address: number): string | undefined {
  return BY_ADDRESS.get(address >>> 0)?.name ?? SILENT_MSRS.get(address >>> 0);
}

/** Registers of the x2APIC: #GP(0) outside its mode (vol. 3A, 10.12.2). */
const isX2apic = (address: number): boolean => address >>> 8 === 8;

/** Value of MSR `address` (u32), without any privilege check. */
export function readMsr(cpu: CpuCore, address: number): bigint {
  if (isX2apic(address)) throw gp(0);
  return BigInt.asUintN(64, BY_ADDRESS.get(address >>> 0)?.read(cpu) ?? 0n);
}

/** Set MSR `address` (u32), without any privilege check; #GP(0) for a value that the register refuses. */
export function writeMsr(cpu: CpuCore, address: number, value: bigint): void {
  if (isX2apic(address)) throw gp(0);
  BY_ADDRESS.get(address >>> 0)?.write(cpu, BigInt.asUintN(64, value));
}
