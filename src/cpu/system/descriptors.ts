// Segment and system descriptors: fetching them from GDT and LDT, and reading their fields.
//
// SDM vol. 3A, 3.4.5 (segment descriptors), 3.5 (system descriptors), 5.2 (fields used by protection), 8.2.3
// (16-byte TSS and LDT descriptors in IA-32e mode). Tables are always read as the processor itself (supervisor),
// and nothing here changes processor state; only `markAccessed` writes, to the descriptor.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { type CpuState, Fault, GP } from '../state.js';

/** Attribute bits in the format of SEG_ATTRIBUTES. */
export const ATTR_ACCESSED = 1;
/** Data: writable; code: readable. */
export const ATTR_RW = 2;
/** Data: expand-down; code: conforming. */
export const ATTR_DC = 4;
export const ATTR_CODE = 8;
export const ATTR_S = 0x10;
export const ATTR_DPL_SHIFT = 5;
export const ATTR_P = 0x80;
export const ATTR_L = 0x2000;
export const ATTR_DB = 0x4000;
export const ATTR_G = 0x8000;
export const ATTR_UNUSABLE = 0x1_0000;

/** Types of system descriptors (S = 0). In IA-32e mode 2, 9, 11, 12, 14 and 15 are the only legal ones. */
export const TYPE_TSS16 = 1;
export const TYPE_LDT = 2;
export const TYPE_TSS16_BUSY = 3;
export const TYPE_CALL_GATE16 = 4;
export const TYPE_TASK_GATE = 5;
export const TYPE_INTERRUPT_GATE16 = 6;
export const TYPE_TRAP_GATE16 = 7;
export const TYPE_TSS32 = 9;
export const TYPE_TSS32_BUSY = 11;
export const TYPE_CALL_GATE32 = 12;
export const TYPE_INTERRUPT_GATE32 = 14;
export const TYPE_TRAP_GATE32 = 15;

/** A descriptor as it was read: two dwords, where it lies, and the selector that named it. */
export interface Descriptor {
  readonly selector: number;
  /** Linear address of its first byte, in halves. */
  readonly addressLow: number;
  readonly addressHigh: number;
  readonly low: number;
  readonly high: number;
  /** In the format of SEG_ATTRIBUTES. */
  readonly attributes: number;
}

export const typeOf = (d: Descriptor): number => d.attributes & 15;
export const dplOf = (d: Descriptor): number => (d.attributes >>> ATTR_DPL_SHIFT) & 3;
export const isPresent = (d: Descriptor): boolean => (d.attributes & ATTR_P) !== 0;
export const isSystem = (d: Descriptor): boolean => (d.attributes & ATTR_S) === 0;
export const isCode = (d: Descriptor): boolean => (d.attributes & (ATTR_S | ATTR_CODE)) === (ATTR_S | ATTR_CODE);
export const isConforming = (d: Descriptor): boolean => (d.attributes & ATTR_DC) !== 0;
export const isWritableData = (d: Descriptor): boolean =>
  (d.attributes & (ATTR_S | ATTR_CODE | ATTR_RW)) === (ATTR_S | ATTR_RW);
export const isReadable = (d: Descriptor): boolean => !isSystem(d) && (!isCode(d) || (d.attributes & ATTR_RW) !== 0);
export const isNull = (selector: number): boolean => (selector & 0xfffc) === 0;

/** 32-bit base of a segment, TSS or LDT descriptor. */
export const baseOf = (d: Descriptor): bigint => BigInt(baseIn(d.low, d.high));
const baseIn = (low: number, high: number): number =>
  ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;

/** Linear address `offset` bytes into a descriptor. */
export function addressIn(state: CpuState, d: Descriptor, offset: number): bigint {
  return wrapLinear(state, (BigInt(d.addressHigh) << 32n) + BigInt(d.addressLow + offset));
}

/** Effective limit in bytes. */
export const limitOf = (d: Descriptor): number => limitIn(d.low, d.high);
function limitIn(low: number, high: number): number {
  const raw = (low & 0xffff) | (high & 0xf_0000);
  return (attributesIn(high) & ATTR_G) !== 0 ? ((raw << 12) | 0xfff) >>> 0 : raw;
}

const attributesIn = (high: number): number => (high >>> 8) & 0xf0ff;

/** Whether a linear address is canonical for 48 bits. */
export function isCanonical(address: bigint): boolean {
  return BigInt.asIntN(48, address) === BigInt.asIntN(64, address);
}

export function decodeDescriptor(
  selector: number,
  addressLow: number,
  addressHigh: number,
  low: number,
  high: number,
): Descriptor {
  return { selector: selector & 0xffff, addressLow, addressHigh, low, high, attributes: attributesIn(high) };
}

/**
 * Where the base of the table is (index of u32) that `selector` names a descriptor in, when all `length` bytes of that lie
 * inside the table; else −1. A null selector is not treated specially here.
 */
function tableOf(state: CpuState, selector: number, length = 8): number {
  const last = (selector & 0xfff8) + length - 1;
  if ((selector & 4) === 0) return last > state.u32[L.GDTR_LIMIT >>> 2]! ? -1 : L.GDTR_BASE >>> 2;
  if ((state.attributes(L.LDTR) & ATTR_UNUSABLE) !== 0 || last > state.limit(L.LDTR)) return -1;
  return (L.SEGMENTS + L.SEGMENT_SIZE * L.LDTR + L.SEG_BASE) >>> 2;
}

/** Linear addresses are 32 bits wide outside IA-32e mode. */
export function wrapLinear(state: CpuState, address: bigint): bigint {
  return state.isLong ? BigInt.asUintN(64, address) : address & 0xffff_ffffn;
}

/** A fault with a selector error code: bits 2–15 of the selector, and `ext` in bit 0. */
export function selectorFault(vector: number, selector: number, ext = 0): Fault {
  return new Fault(vector, (selector & 0xfffc) | ext);
}

/** Read the 8-byte descriptor; beyond the table's limit is `vector`(selector). */
export function fetchDescriptor(cpu: CpuCore, selector: number, vector = GP, ext = 0): Descriptor {
  const table = tableOf(cpu.state, selector);
  if (table < 0) throw selectorFault(vector, selector, ext);
  return readDescriptor(cpu, selector, table, selector & 0xfff8);
}

/** The same for the instructions that only ask (LAR, LSL, VERR, VERW): undefined beyond the limit. */
export function probeDescriptor(cpu: CpuCore, selector: number): Descriptor | undefined {
  const table = isNull(selector) ? -1 : tableOf(cpu.state, selector);
  return table < 0 ? undefined : readDescriptor(cpu, selector, table, selector & 0xfff8);
}

/** What lies `offset` bytes into a table, as a descriptor. `base`: where the table's base is (index of u32). */
export function readDescriptor(cpu: CpuCore, selector: number, base: number, offset: number): Descriptor {
  const { u32 } = cpu.state;
  const sum = u32[base]! + offset;
  const lo = sum >>> 0;
  const hi = cpu.state.isLong ? (u32[base + 1]! + (sum > 0xffff_ffff ? 1 : 0)) >>> 0 : 0;
  const plain = cpu.memory.plainAt(lo, hi, 8, false, 'system') >>> 2;
  if (plain !== 0) return decodeDescriptor(selector, lo, hi, u32[plain]!, u32[plain + 1]!);
  const raw = cpu.memory.read64((BigInt(hi) << 32n) | BigInt(lo), 'system');
  return decodeDescriptor(selector, lo, hi, Number(raw & 0xffff_ffffn), Number(raw >> 32n));
}

/**
 * The upper half of a 16-byte system descriptor as a number, shifted into bits 32–63. The type field of the second
 * half must be 0 (SDM vol. 3A, figure 8-4): else #GP(selector).
 */
export function fetchUpperBase(cpu: CpuCore, d: Descriptor, ext = 0): bigint {
  if (tableOf(cpu.state, d.selector, 16) < 0) throw selectorFault(GP, d.selector, ext);
  const raw = cpu.memory.read64(addressIn(cpu.state, d, 8), 'system');
  if (((raw >> 40n) & 0x1fn) !== 0n) throw selectorFault(GP, d.selector, ext);
  return (raw & 0xffff_ffffn) << 32n;
}

/** Set the accessed bit in the table if it is clear. May page-fault, so it comes before any change of state. */
export function markAccessed(cpu: CpuCore, d: Descriptor): void {
  if ((d.attributes & ATTR_ACCESSED) === 0) {
    cpu.memory.write8(addressIn(cpu.state, d, 5), ((d.high >>> 8) & 0xff) | ATTR_ACCESSED, 'system');
  }
}

/** Fill a segment register from a code or data descriptor, as accessed; `selector` overrides the RPL. */
export function setFromDescriptor(state: CpuState, segment: number, d: Descriptor, selector = d.selector): void {
  fillSegment(state, segment, selector, d.low, d.high);
}

/** The same from a descriptor's halves. */
export function fillSegment(state: CpuState, segment: number, selector: number, low: number, high: number): void {
  const attributes = attributesIn(high) | ATTR_ACCESSED;
  state.setSegmentHalves(segment, selector, baseIn(low, high), 0, limitIn(low, high), attributes);
}

/** Null: unusable, base 0, limit 0. `dpl` is kept for SS, whose DPL is the CPL. */
export function setNullSegment(state: CpuState, segment: number, selector: number, dpl = 0): void {
  state.setSegmentHalves(segment, selector, 0, 0, 0, ATTR_UNUSABLE | (dpl << ATTR_DPL_SHIFT));
}
