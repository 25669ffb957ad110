// Guest memory at linear addresses for people: a page walk that leaves no trace, unlike one of the guest's own.
//
// SDM vol. 3A, chapter 4: the structures of 32-bit, PAE and 4-level paging. No right is checked, no accessed bit set,
// no TLB consulted or filled, no device reached. Invariant: nothing here changes a bit of the machine.

import * as L from './layout.js';
import type { PhysicalMemory } from './physical.js';
import { type CpuState, CR0_PG, CR4_PAE, CR4_PSE, EFER_LMA } from './state.js';

const PRESENT = 1;
const LARGE = 0x80;
const HIGH_ADDRESS = 0xf_ffff;

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
  return walk(state, memory, Number(BigInt.asUintN(32, linear)), Number(BigInt.asIntN(32, linear >> 32n)), visit);
}

/** Bytes at a linear address; shorter than asked where memory ends or is not mapped. */
export function peekMemory(state: CpuState, memory: PhysicalMemory, linear: bigint, length: number): Uint8Array {
  const bytes: number[] = [];
  while (bytes.length < length) {
    const at = peekTranslation(state, memory, linear + BigInt(bytes.length));
    const host = at === undefined ? 0 : hostOf(memory, at);
    if (at === undefined || host === 0) break;
    const inPage = Math.min(length - bytes.length, 4096 - (at & 0xfff));
    bytes.push(...state.u8.subarray(host, host + inPage));
  }
  return Uint8Array.from(bytes);
}

/** What stands in the address bits of an entry of 8 bytes, given by its halves. */
const addressIn = (low: number, high: number) => (high & HIGH_ADDRESS) * 0x1_0000_0000 + ((low & ~0xfff) >>> 0);

/** Entries of 8 bytes: PAE and 4-level paging. The linear address is two halves, the physical one a number. */
function wideWalk(state: CpuState, memory: PhysicalMemory, lo: number, hi: number, visit?: Visit): number | undefined {
  const long = (state.efer & EFER_LMA) !== 0;
  let table = long ? addressIn(state.get32(L.CR3), state.get32(L.CR3 + 4)) : 0;
  for (let shift = long ? 39 : 30; shift >= 12; shift -= 9) {
    const bits = shift === 39 ? hi >>> 7 : shift === 30 ? (hi << 2) | (lo >>> 30) : lo >>> shift;
    let [low, high] = [0, 0];
    if (long || shift !== 30) {
      const at = table + 8 * (bits & 511);
      visit?.(at);
      const host = hostOf(memory, at);
      if (host === 0) return undefined;
      [low, high] = [state.get32(host), state.get32(host + 4)];
    } else {
      // In registers.
      const at = L.PDPTES + 8 * (bits & 3);
      [low, high] = [state.get32(at), state.get32(at + 4)];
    }
    if ((low & PRESENT) === 0) return undefined;
    const large = (shift === 21 || (long && shift === 30)) && (low & LARGE) !== 0;
    const below = 2 ** shift - 1;
    if (large || shift === 12) return addressIn(low & ~below, high) + (lo & below);
    table = addressIn(low, high);
  }
  return undefined;
}

/** Entries of 4 bytes, with 4 MiB pages (PSE-36). */
function narrowWalk(
  state: CpuState,
  memory: PhysicalMemory,
  lo: number,
  _hi: number,
  visit?: Visit,
): number | undefined {
  let entry = state.get32(L.CR3);
  for (const shift of [22, 12]) {
    const at = (((entry & ~0xfff) >>> 0) | (((lo >>> shift) & 1023) << 2)) >>> 0;
    visit?.(at);
    const host = hostOf(memory, at);
    entry = host === 0 ? 0 : state.get32(host);
    if ((entry & PRESENT) === 0) return undefined;
    if (shift === 22 && (entry & LARGE) !== 0 && (state.cr4 & CR4_PSE) !== 0)
      return ((entry >>> 13) & 0xff) * 0x1_0000_0000 + ((entry & 0xffc0_0000) >>> 0) + (lo & 0x3f_ffff);
  }
  return ((entry & ~0xfff) >>> 0) + (lo & 0xfff);
}

/** Where a paging entry lies in linear memory; 0 where there is no memory. */
function hostOf(memory: PhysicalMemory, at: number): number {
  const host = at < 0x1_0000_0000 ? memory.pageHost(Math.floor(at / 4096)) : 0;
  return host === 0 ? 0 : host + (at & 0xfff);
}
