// What plain delivery and return (long-mode-plain.ts, protected-mode-plain.ts) read of the system tables: entries as they lie
// in the one linear memory, where a TLB knows their page, with no effect at all where none does.
//
// SDM vol. 3A, 3.4.5 (descriptors), 6.11 and 6.14.1 (gates). Left out: the LDT, which kernels do not use for ring 0.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';

/** Low words of RSP and RIP, as indices of u32. */
export const RSP_LOW = (L.REGS + 8 * 4) >>> 2;
export const RIP_LOW = L.RIP >>> 2;

/** Present interrupt and trap gates: P, S = 0, type 14 or 15. */
export const GATE_MASK = 0x9e00;
export const GATE = 0x8e00;

/** Place (as index of u32) of `length` bytes at a table's base + `offset`, or 0. `base`: where the base's u64 is. */
export function tableAt(cpu: CpuCore, base: number, offset: number, length: number): number {
  const { u32 } = cpu.state;
  const lo = u32[base >>> 2]! + offset;
  if (lo > 0xffff_ffff) return 0;
  return cpu.memory.plainAt(lo, u32[(base >>> 2) + 1]!, length, false, 'system') >>> 2;
}

/** Place of a GDT descriptor; 0 for null selectors, those of the LDT, and beyond the limit. */
export function descriptorAt(cpu: CpuCore, selector: number): number {
  if ((selector & 0xfffc) === 0 || (selector & 4) !== 0) return 0;
  if ((selector & 0xfff8) + 7 > cpu.state.get32(L.GDTR_LIMIT)) return 0;
  return tableAt(cpu, L.GDTR_BASE, selector & 0xfff8, 8);
}

/** The DPL in the upper half of a descriptor or a gate. */
export const dplOf = (high: number): number => (high >>> 13) & 3;
