// What had been decoded at a checkpoint. Decoding counts as reading the page and may walk page tables (block-finder.ts),
// and both are accesses of which observed.ts keeps count. So a replay that begins at a checkpoint must not do again what
// was done before it: it has the pages with their decoded bytes from the start, decodes a block that was there when it
// comes to it, unnoticed and cut as it was, and follows a link that was filled without a look at the page tables.
//
// Left out on purpose: records, which follow from the guest's bytes, and translations, which change nothing.

import { HANDLER_CROSS, HANDLER_NEXT, type VariantTable } from './interp/variants.js';
import * as L from './layout.js';
import type { SavedMode } from './mode.js';
import { MASK_SIZE } from './page-masks.js';
import type { CpuState } from './state.js';

export interface SavedCode {
  /** Ways of decoding, in the order of the numbers that pages name them by. */
  readonly modes: readonly SavedMode[];
  readonly pages: Uint8Array;
}

/** A page of the code cache, as far as it is saved. */
export interface CodePage {
  /** Addresses of the offset maps, by code key. */
  readonly maps: ReadonlyMap<number, number>;
  readonly bytes: Uint8Array;
  readonly crossers: ReadonlySet<number>;
  /** Writes to come, beside the decoded bytes, until the code is dropped. */
  readonly patience: number;
}

/** A block of another process: how it was cut, and which of its links were filled. */
export interface BlockBefore {
  readonly count: number;
  /** Physical page in which its first instruction ends, when that crosses pages. */
  readonly second: number | undefined;
  readonly taken: boolean;
  readonly passed: boolean;
}

/** A page again; the blocks of each key by their offsets. */
export interface PageBefore {
  readonly page: number;
  readonly bytes: Uint8Array;
  readonly crossers: readonly number[];
  readonly patience: number;
  readonly maps: readonly { readonly key: number; readonly blocks: ReadonlyMap<number, BlockBefore> }[];
}

/** Index of the first entry of an offset map. */
const FIRST = L.MAPS >>> 2;
const MAX_PAGE = 0xf_ffff;
const MAX_COUNT = 64;
/** A block is a word: offset, instructions, links, and whether a word with a page follows. */
const COUNT_SHIFT = 12;
const TAKEN = 1 << 20;
const PASSED = 1 << 21;
const CROSSES = 1 << 22;

/**
 * Canonical bytes: pages, keys and offsets ascend.
 * @param patience of pages whose code has been dropped for writes beside it
 */
export function saveDecoded(
  pages: ReadonlyMap<number, CodePage>,
  patience: ReadonlyMap<number, number>,
  { u16, u32 }: CpuState,
  variants: VariantTable,
): Uint8Array {
  const words: number[] = [patience.size, ...[...patience].sort(([a], [b]) => a - b).flat()];
  const blockOf = (offset: number, header: number): void => {
    let at = header + L.UOP_SIZE;
    const second = u16[at >>> 1] === HANDLER_CROSS ? u32[(at + L.UOP_IMM) >>> 2]! : undefined;
    while (variants.ends[u16[at >>> 1]!] === 0) at += L.UOP_SIZE;
    const handler = u16[at >>> 1]!;
    const near = variants.variantOf(handler)?.near === true;
    const taken = (near || handler === HANDLER_NEXT) && u32[(at + L.UOP_DISP) >>> 2] !== 0;
    const passed = near && u32[(at + L.UOP_REG) >>> 2] !== 0;
    const count = u16[(header + L.HEADER_COUNT) >>> 1]!;
    const bits = (taken ? TAKEN : 0) | (passed ? PASSED : 0) | (second === undefined ? 0 : CROSSES);
    words.push(offset | (count << COUNT_SHIFT) | bits);
    if (second !== undefined) words.push(second);
  };
  for (const [page, { maps, bytes, crossers, patience }] of [...pages].sort(([a], [b]) => a - b)) {
    words.push(page, patience, maps.size, crossers.size, ...[...crossers].sort((a, b) => a - b));
    const mask = new DataView(bytes.buffer, bytes.byteOffset, MASK_SIZE);
    for (let i = 0; i < MASK_SIZE; i += 4) words.push(mask.getUint32(i, true));
    for (const [key, map] of [...maps].sort(([a], [b]) => a - b)) {
      const at = words.push(key, 0) - 1;
      for (let offset = 0; offset < 4096; offset++) {
        const header = u32[(map >>> 2) + offset]!;
        if (header === 0) continue;
        blockOf(offset, header);
        words[at]!++;
      }
    }
  }
  const out = new DataView(new ArrayBuffer(4 * words.length));
  words.forEach((word, i) => {
    out.setUint32(4 * i, word, true);
  });
  return new Uint8Array(out.buffer);
}

/**
 * @param keys code keys that there are
 * @returns what was saved; pages are read as they are asked for
 * @throws RangeError when the bytes cannot be from saveDecoded()
 */
export function loadDecoded(
  saved: Uint8Array,
  keys: number,
): { patience: ReadonlyMap<number, number>; pages: Generator<PageBefore> } {
  const view = new DataView(saved.buffer, saved.byteOffset, saved.length);
  let next = 0;
  const word = (least: number, most: number): number => {
    const value = next + 4 <= saved.length ? view.getUint32(next, true) : Number.NaN;
    next += 4;
    if (!(value >= least && value <= most)) throw new RangeError('decoded pages are not whole');
    return value;
  };
  const patience = new Map<number, number>();
  for (let left = word(0, MAX_PAGE); left > 0; left--) patience.set(word(0, MAX_PAGE), word(1, 0xffff_ffff));
  return { patience, pages: readPages() };
  function* readPages(): Generator<PageBefore> {
    for (let last = -1; next < saved.length; ) {
      const page = word(last + 1, MAX_PAGE);
      last = page;
      const patience = word(0, 0xffff_ffff);
      const count = word(0, keys);
      const crossers: number[] = [];
      for (let left = word(0, MAX_PAGE); left > 0; left--) crossers.push(word((crossers.at(-1) ?? -1) + 1, MAX_PAGE));
      if (next + MASK_SIZE > saved.length) throw new RangeError('decoded pages are not whole');
      const bytes = saved.slice(next, next + MASK_SIZE);
      next += MASK_SIZE;
      const maps: { key: number; blocks: Map<number, BlockBefore> }[] = [];
      for (let n = 0; n < count; n++) {
        const key = word((maps.at(-1)?.key ?? -1) + 1, keys - 1);
        const blocks = new Map<number, BlockBefore>();
        let least = 0;
        for (let left = word(0, 4096); left > 0; left--) {
          const bits = word(0, 2 * CROSSES - 1);
          const offset = bits & 0xfff;
          const count = (bits >>> COUNT_SHIFT) & 0xff;
          if (offset < least || count < 1 || count > MAX_COUNT) throw new RangeError(`page ${page} was not decoded so`);
          least = offset + 1;
          const second = bits & CROSSES ? word(0, MAX_PAGE) : undefined;
          blocks.set(offset, { count, second, taken: (bits & TAKEN) !== 0, passed: (bits & PASSED) !== 0 });
        }
        maps.push({ key, blocks });
      }
      yield { page, bytes, crossers, patience, maps };
    }
  }
}

/** What is left of it: blocks that were not decoded again so far, and links that would be filled. */
export class DecodedBefore {
  /** By the index of their entry in an offset map. */
  private readonly blocks = new Map<number, BlockBefore>();
  /** A bit for each such index, since it is asked for at each instruction that is decoded; empty where there was nothing. */
  private waiting = new Uint8Array(0);
  /** By address; the map that both blocks are in. */
  private readonly links = new Map<number, number>();
  /** Maps that ever had such links. */
  private readonly linked = new Set<number>();

  get any(): boolean {
    return this.blocks.size > 0 || this.links.size > 0;
  }

  add(map: number, blocks: ReadonlyMap<number, BlockBefore>): void {
    if (this.waiting.length === 0) this.waiting = new Uint8Array((L.UOPS - L.MAPS) >>> 5);
    for (const [offset, block] of blocks) {
      const entry = (map >>> 2) + offset;
      this.blocks.set(entry, block);
      this.waiting[(entry - FIRST) >>> 3]! |= 1 << (entry & 7);
    }
  }

  has(entry: number): boolean {
    return ((this.waiting[(entry - FIRST) >>> 3] ?? 0) & (1 << (entry & 7))) !== 0;
  }

  /** The block is decoded again now. */
  take(entry: number): BlockBefore | undefined {
    if (!this.has(entry)) return undefined;
    const block = this.blocks.get(entry);
    this.forgetBlock(entry);
    return block;
  }

  /** An empty link that would lead to another block of its page. */
  addLink(address: number, map: number): void {
    this.links.set(address, map);
    this.linked.add(map);
  }

  /** The link is to be filled: the map that it stays in, or 0 when it was empty before, too. */
  takeLink(address: number): number {
    const map = this.links.get(address) ?? 0;
    this.links.delete(address);
    return map;
  }

  /** The page of a map was dropped. */
  forget(map: number): void {
    if (!this.any) return;
    for (let entry = map >>> 2; entry < (map + L.MAP_SIZE) >>> 2; entry++) {
      if ((entry & 7) === 0 && this.waiting[(entry - FIRST) >>> 3] === 0) entry += 7;
      else if (this.has(entry)) this.forgetBlock(entry);
    }
    if (!this.linked.delete(map)) return;
    for (const [address, at] of this.links) if (at === map) this.links.delete(address);
  }

  private forgetBlock(entry: number): void {
    this.blocks.delete(entry);
    this.waiting[(entry - FIRST) >>> 3]! &= ~(1 << (entry & 7));
  }

  clear(): void {
    this.blocks.clear();
    this.waiting.fill(0);
    this.links.clear();
    this.linked.clear();
  }
}
