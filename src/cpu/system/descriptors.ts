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
  /** Linear address of its first byte. */
  readonly address: bigint;
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
export function baseOf(d: Descriptor): bigint {
  return BigInt(((d.low >>> 16) | ((d.high & 0xff) << 16) | (d.high & 0xff00_0000)) >>> 0);
}

/** Effective limit in bytes. */
export function limitOf(d: Descriptor): number {
  const raw = (d.low & 0xffff) | (d.high & 0xf_0000);
  return (d.attributes & ATTR_G) !== 0 ? ((raw << 12) | 0xfff) >>> 0 : raw;
}

/** Whether a linear address is canonical for 48 bits. */
export function isCanonical(address: bigint): boolean {
  return BigInt.asIntN(48, address) === BigInt.asIntN(64, address);
}

export function decodeDescriptor(selector: number, address: bigint, low: number, high: number): Descriptor {
  return { selector: selector & 0xffff, address, low, high, attributes: (high >>> 8) & 0xf0ff };
}

/**
 * Address of the descriptor that `selector` names, when all `length` bytes of it lie inside the table, else
 * undefined. A null selector is not treated specially here.
 */
export function descriptorAddress(state: CpuState, selector: number, length = 8): bigint | undefined {
  const last = (selector & 0xfff8) + length - 1;
  if ((selector & 4) !== 0) {
    if ((state.attributes(L.LDTR) & ATTR_UNUSABLE) !== 0 || last > state.limit(L.LDTR)) return undefined;
    return wrapLinear(state, state.base(L.LDTR) + BigInt(selector & 0xfff8));
  }
  if (last > state.get32(L.GDTR_LIMIT)) return undefined;
  return wrapLinear(state, state.get64(L.GDTR_BASE) + BigInt(selector & 0xfff8));
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
  const address = descriptorAddress(cpu.state, selector);
  if (address === undefined) throw selectorFault(vector, selector, ext);
  return readDescriptorAt(cpu, selector, address);
}

/** The same for the instructions that only ask (LAR, LSL, VERR, VERW): undefined beyond the limit. */
export function probeDescriptor(cpu: CpuCore, selector: number): Descriptor | undefined {
  const address = isNull(selector) ? undefined : descriptorAddress(cpu.state, selector);
  return address === undefined ? undefined : readDescriptorAt(cpu, selector, address);
}

function readDescriptorAt(cpu: CpuCore, selector: number, address: bigint): Descriptor {
  const raw = cpu.memory.read64(address, 'system');
  return decodeDescriptor(selector, address, Number(raw & 0xffff_ffffn), Number(raw >> 32n));
}

/**
 * The upper half of a 16-byte system descriptor as a number, shifted into bits 32–63. The type field of the second
 * half must be 0 (SDM vol. 3A, figure 8-4): else #GP(selector).
 */
export function fetchUpperBase(cpu: CpuCore, d: Descriptor, ext = 0): bigint {
  if (descriptorAddress(cpu.state, d.selector, 16) === undefined) throw selectorFault(GP, d.selector, ext);
  const raw = cpu.memory.read64(wrapLinear(cpu.state, d.address + 8n), 'system');
  if (((raw >> 40n) & 0x1fn) !== 0n) throw selectorFault(GP, d.selector, ext);
  return (raw & 0xffff_ffffn) << 32n;
}

/** Set the accessed bit in the table if it is clear. May page-fault, so it comes before any change of state. */
export function markAccessed(cpu: CpuCore, d: Descriptor): void {
  if ((d.attributes & ATTR_ACCESSED) === 0) {
    cpu.memory.write8(wrapLinear(cpu.state, d.address + 5n), ((d.high >>> 8) & 0xff) | ATTR_ACCESSED, 'system');
  }
}

/** Fill a segment register from a code or data descriptor, as accessed; `selector` overrides the RPL. */
export function setFromDescriptor(state: CpuState, segment: number, d: Descriptor, selector = d.selector): void {
  state.setSegment(segment, selector, baseOf(d), limitOf(d), d.attributes | ATTR_ACCESSED);
}

/** Null: unusable, base 0, limit 0. `dpl` is kept for SS, whose DPL is the CPL. */
export function setNullSegment(state: CpuState, segment: number, selector: number, dpl = 0): void {
  state.setSegment(segment, selector, 0n, 0, ATTR_UNUSABLE | (dpl << ATTR_DPL_SHIFT));
}
