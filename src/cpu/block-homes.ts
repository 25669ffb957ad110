// Records that have been decoded before and may come to be used again: blocks of pages whose code was dropped (a kernel
// patches itself, and most of a page's blocks stay what they were), and blocks that an earlier process translated
// (jit/kept.ts). When the same records are decoded at the same place, the block gets its old address back, and with
// it its count of executions or its translation.
//
// Invariants: records have the same meaning wherever they come from, so all that is compared is what they say, byte for
// byte, without the links, which start empty; an address that is in use is given to nobody.

import type { DecodeMode } from './decode.js';
import { HANDLER_CROSS, HANDLER_NEXT, type VariantTable } from './interp/variants.js';
import * as L from './layout.js';
import type { CpuState } from './state.js';

/** Versions of a block at one place: code that is written again and again does not pile up. */
const MAX_VERSIONS = 8;

const MARKS = 1 << 17;
const markOf = (place: number): number => (place ^ (place >>> 17)) & (MARKS - 1);

interface Home {
  readonly header: number;
  /** Behind the last record. */
  readonly end: number;
  readonly bits: number;
  readonly flat: number;
  free: boolean;
  /** Another version of the block at this place. */
  next: Home | undefined;
}

export class BlockHomes {
  /** By the physical address of the first instruction. */
  private readonly places = new Map<number, Home>();
  private readonly known = new Map<number, Home>();
  /** 1 where a place may have homes, by markOf(): most have none, and the map is slow to say so. */
  private readonly marks = new Uint8Array(MARKS);

  constructor(
    private readonly state: CpuState,
    private readonly variants: VariantTable,
  ) {}

  clear(): void {
    if (this.known.size === 0) return;
    this.places.clear();
    this.known.clear();
    this.marks.fill(0);
  }

  /** The block at `header` is not in use: it may be, later. @param end behind its last record */
  offer(header: number, page: number, { bits, flat }: DecodeMode, end = 0): void {
    const same = this.known.get(header);
    if (same !== undefined) {
      same.free = true;
      return;
    }
    const home: Home = { header, end: end || this.endOf(header), bits, flat, free: true, next: undefined };
    this.known.set(header, home);
    const place = page * 4096 + this.state.u16[(header + L.HEADER_OFFSET) >>> 1]!;
    const mark = markOf(place);
    // The first of its mark is the first at its place.
    const first = this.marks[mark] === 0 ? undefined : this.places.get(place);
    this.marks[mark] = 1;
    if (first === undefined) {
      this.places.set(place, home);
      return;
    }
    let count = 1;
    let last = first;
    for (; last.next !== undefined; last = last.next) count++;
    last.next = home;
    if (count < MAX_VERSIONS) return;
    this.known.delete(first.header);
    this.places.set(place, first.next!);
  }

  /** Address behind a block's records. */
  endOf(header: number): number {
    const { u16 } = this.state;
    let at = header + L.UOP_SIZE;
    while (this.variants.ends[u16[at >>> 1]!] === 0) at += L.UOP_SIZE;
    return at + L.UOP_SIZE;
  }

  /**
   * A block was decoded into the records from `header` to `end`: the address of the block that it was before, with its
   * records as they are now, or 0.
   */
  take(header: number, end: number, page: number, offset: number, { bits, flat }: DecodeMode): number {
    if (this.marks[markOf(page * 4096 + offset)] === 0) return 0;
    for (let home = this.places.get(page * 4096 + offset); home !== undefined; home = home.next) {
      if (!home.free || home.bits !== bits || home.flat !== flat || home.end - home.header !== end - header) continue;
      if (!this.same(home.header, header, end)) continue;
      home.free = false;
      // The links are those of the new block.
      this.state.u8.copyWithin(home.header + L.UOP_SIZE, header + L.UOP_SIZE, end);
      return home.header;
    }
    return 0;
  }

  private same(old: number, header: number, end: number): boolean {
    const { u32, u16, u8 } = this.state;
    for (let a = header + L.UOP_SIZE, b = old + L.UOP_SIZE; a < end; a += L.UOP_SIZE, b += L.UOP_SIZE) {
      if (u32[a >>> 2] !== u32[b >>> 2]) return false;
      const handler = u16[a >>> 1]!;
      if (handler === HANDLER_NEXT) {
        if (u8[a + L.UOP_REG] !== u8[b + L.UOP_REG]) return false;
        continue;
      }
      if (u32[(a + L.UOP_IMM) >>> 2] !== u32[(b + L.UOP_IMM) >>> 2]) return false;
      if (handler === HANDLER_CROSS || this.variants.variantOf(handler)?.near) continue;
      if (u32[(a + L.UOP_REG) >>> 2] !== u32[(b + L.UOP_REG) >>> 2]) return false;
      if (u32[(a + L.UOP_DISP) >>> 2] !== u32[(b + L.UOP_DISP) >>> 2]) return false;
    }
    return true;
  }
}
