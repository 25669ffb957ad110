// Segment descriptors and page tables that the program, as loader, builds for a guest's entry. Intel SDM vol. 3,
// 3.4.5 (segment descriptors), 7.2.2 (TSS descriptor), 4.5 (4-level paging). A descriptor in memory and the
// hidden part of the register loaded from it come from the same attributes, so they cannot disagree.

import type { SegmentState } from './image.js';

/** Attributes (cpu/layout.ts SEG_ATTRIBUTES) of 4 GiB segments: present, DPL 0, accessed, page granular. */
export const CODE32 = 0xc09b;
export const CODE64 = 0xa09b;
export const DATA32 = 0xc093;
/** Busy 32-bit (or, in long mode, 64-bit) TSS, byte granular. */
export const TSS = 0x008b;

const FLAT_LIMIT = 0xffff_ffff;

/** A flat segment register: base 0, limit 4 GiB. */
export function flat(selector: number, attributes: number): SegmentState {
  return { selector, base: 0n, limit: FLAT_LIMIT, attributes };
}

/** LDTR as reset leaves it (SDM vol. 3, table 10-1): no table, nothing loads through it. */
export const RESET_LDTR: SegmentState = { selector: 0, base: 0n, limit: 0xffff, attributes: 0x82 };
/** TR as reset leaves it: a busy 32-bit TSS. */
export const RESET_TR: SegmentState = { selector: 0, base: 0n, limit: 0xffff, attributes: TSS };

/**
 * A global descriptor table with the given registers at their selectors and null everywhere else.
 * @throws RangeError for a base past the 32 bits that a descriptor of 8 bytes has
 */
export function buildGdt(segments: readonly SegmentState[]): Uint8Array {
  const size = Math.max(...segments.map((segment) => (segment.selector & ~7) + 8));
  const table = new Uint8Array(size);
  const view = new DataView(table.buffer);
  for (const { selector, base: address, limit, attributes } of segments) {
    if (address > 0xffff_ffffn) throw new RangeError(`a descriptor has no room for the base 0x${address.toString(16)}`);
    const base = Number(address);
    const stored = attributes & 0x8000 ? Math.floor(limit / 4096) : limit;
    const at = selector & ~7;
    view.setUint16(at, stored & 0xffff, true);
    view.setUint16(at + 2, base & 0xffff, true);
    view.setUint8(at + 4, (base >>> 16) & 0xff);
    view.setUint16(at + 5, (attributes & 0xf0ff) | (((stored >>> 16) & 0xf) << 8), true);
    view.setUint8(at + 7, base >>> 24);
  }
  return table;
}

const PRESENT_WRITABLE = 3n;
const LARGE_PAGE = 1n << 7n;
const GIB = 0x4000_0000;

/** Bytes of identityMap(gibibytes). */
export function identityMapSize(gibibytes: number): number {
  return (2 + gibibytes) * 4096;
}

/**
 * Page tables at `address` (page-aligned) that map the first `gibibytes` GiB to themselves in 2 MiB pages:
 * one PML4, one page-directory-pointer table, one page directory for each GiB (at most 512).
 */
export function identityMap(address: number, gibibytes: number): Uint8Array {
  const tables = new Uint8Array(identityMapSize(gibibytes));
  const view = new DataView(tables.buffer);
  const pointers = address + 4096;
  view.setBigUint64(0, BigInt(pointers) | PRESENT_WRITABLE, true);
  for (let g = 0; g < gibibytes; g++) {
    const directory = pointers + 4096 * (g + 1);
    view.setBigUint64(4096 + 8 * g, BigInt(directory) | PRESENT_WRITABLE, true);
    for (let i = 0; i < 512; i++) {
      const page = BigInt(g * GIB + i * 0x20_0000);
      view.setBigUint64(directory - address + 8 * i, page | LARGE_PAGE | PRESENT_WRITABLE, true);
    }
  }
  return tables;
}
