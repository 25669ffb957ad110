// Guest memory at linear addresses for people: a page walk that leaves no trace, unlike one of the guest's own.
//
// SDM vol. 3A, chapter 4: the structures of 32-bit, PAE and 4-level paging. No right is checked, no accessed bit set,
// no TLB consulted or filled, no device reached. Invariant: nothing here changes a bit of the machine.

import * as L from './layout.js';
import type { PhysicalMemory } from './physical.js';
import { type CpuState, CR0_PG, CR4_PAE, CR4_PSE, EFER_LMA } from './state.js';

const PRESENT = 1n;
const LARGE = 0x80n;
const ADDRESS = 0x000f_ffff_ffff_f000n;

/** Told the physical address of each paging entry that a walk looks at. */
type Visit = (entry: number) => void;

/** Physical address that a linear one has now, undefined where nothing is mapped. */
export function peekTranslation(
  state: CpuState,
  memory: PhysicalMemory,
  linear: bigint,
  visit?: Visit,
): number | undefined {
  if ((state.cr0 & CR0_PG) === 0) return (Number(BigInt.asUintN(32, linear)) & memory.a20Mask) >>> 0;
  const walk = (state.cr4 & CR4_PAE) !== 0 ? wideWalk : narrowWalk;
  const frame = walk(state, memory, linear, visit);
  return frame === undefined ? undefined : Number(frame);
}

/** Bytes at a linear address; shorter than asked where memory ends or is not mapped. */
export function peekMemory(state: CpuState, memory: PhysicalMemory, linear: bigint, length: number): Uint8Array {
  const bytes: number[] = [];
  while (bytes.length < length) {
    const at = peekTranslation(state, memory, linear + BigInt(bytes.length));
    if (at === undefined || at >= 0x1_0000_0000 || memory.host[Math.floor(at / 4096)] === 0) break;
    const inPage = Math.min(length - bytes.length, 4096 - (at & 0xfff));
    const host = memory.host[Math.floor(at / 4096)]! + (at & 0xfff);
    bytes.push(...state.u8.subarray(host, host + inPage));
  }
  return Uint8Array.from(bytes);
}

/** Entries of 8 bytes: PAE and 4-level paging. */
function wideWalk(state: CpuState, memory: PhysicalMemory, linear: bigint, visit?: Visit): bigint | undefined {
  const long = (state.efer & EFER_LMA) !== 0;
  let table = state.cr3 & ADDRESS;
  for (let shift = long ? 39n : 30n; shift >= 12n; shift -= 9n) {
    const index = Number((linear >> shift) & (long || shift !== 30n ? 511n : 3n));
    const at = Number(table) + 8 * index;
    const inRegister = !long && shift === 30n;
    if (!inRegister) visit?.(at);
    const entry = inRegister ? state.get64(L.PDPTES + 8 * index) : word(state, memory, at, 8);
    if ((entry & PRESENT) === 0n) return undefined;
    const large = (shift === 21n || (long && shift === 30n)) && (entry & LARGE) !== 0n;
    const below = (1n << shift) - 1n;
    if (large || shift === 12n) return (entry & ADDRESS & ~below) | (linear & below);
    table = entry & ADDRESS;
  }
  return undefined;
}

/** Entries of 4 bytes, with 4 MiB pages (PSE-36). */
function narrowWalk(state: CpuState, memory: PhysicalMemory, linear: bigint, visit?: Visit): bigint | undefined {
  const at = (table: bigint, shift: bigint) => Number((table & 0xffff_f000n) | (((linear >> shift) & 1023n) << 2n));
  visit?.(at(state.cr3, 22n));
  const directory = word(state, memory, at(state.cr3, 22n), 4);
  if ((directory & PRESENT) === 0n) return undefined;
  if ((directory & LARGE) !== 0n && (state.cr4 & CR4_PSE) !== 0)
    return (((directory >> 13n) & 0xffn) << 32n) | (directory & 0xffc0_0000n) | (linear & 0x3f_ffffn);
  visit?.(at(directory, 12n));
  const entry = word(state, memory, at(directory, 12n), 4);
  return (entry & PRESENT) === 0n ? undefined : (entry & 0xffff_f000n) | (linear & 0xfffn);
}

/** A paging entry; all zeros (not present) where there is no memory. */
function word(state: CpuState, memory: PhysicalMemory, at: number, bytes: 4 | 8): bigint {
  const host = at < 0x1_0000_0000 ? memory.host[Math.floor(at / 4096)]! : 0;
  if (host === 0) return 0n;
  const address = host + (at & 0xfff);
  return bytes === 8 ? state.get64(address) : BigInt(state.get32(address));
}
