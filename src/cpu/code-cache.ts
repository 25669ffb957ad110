// Decoded code: blocks of micro-op records by physical page and code key, and which bytes of a page they came from.
//
// A block is straight-line code up to an instruction that ends it, another known block, the end of the page, or 64
// instructions. A page with decoded code has PAGE_CODE set, so that no TLB entry allows writing it unseen; a write
// that overlaps decoded bytes drops the whole page (and blocks of the page before that reach into it). Records are
// never overwritten before everything is dropped, so a running block survives the drop of its own page.

import { BlockHomes } from './block-homes.js';
import type { DecodeMode, Decoder } from './decode.js';
import { DECODE_OK, DECODE_SHORT } from './decode.js';
import { HANDLER_CROSS, HANDLER_NEXT, type VariantTable } from './interp/variants.js';
import * as L from './layout.js';
import type { Mmu } from './mmu.js';
import { PAGE_CODE, type PhysicalMemory } from './physical.js';
import { type CpuState, gp } from './state.js';

const MAX_BLOCK = 64;
/** Longest instruction in bytes (SDM vol. 2, 2.3.11). */
const MAX_INSTRUCTION = 15;
/** Header, HANDLER_CROSS, instructions, HANDLER_NEXT. */
const MAX_SIZE = (MAX_BLOCK + 3) * L.UOP_SIZE;

interface PageCode {
  /** Addresses of the offset maps, by code key. */
  readonly maps: Map<number, number>;
  /** How the blocks of a map were decoded, by its address. */
  readonly modes: Map<number, DecodeMode>;
  /** One bit a byte that was decoded. */
  readonly bytes: Uint8Array;
  /** Pages with blocks whose last instruction ends in this page. */
  readonly crossers: Set<number>;
}

/** Where a block starts, as the caller translated it. */
export interface BlockPlace {
  readonly page: number;
  readonly offset: number;
  /** IP of the first instruction, low 32 bits, and the CS limit when it must be checked (else Infinity). */
  readonly ip: number;
  readonly limit: number;
  readonly nearOk: boolean;
  /** Physical page that follows in linear address space; may throw the fetch's fault. */
  nextPage(): number;
}

export class CodeCache {
  private readonly pages = new Map<number, PageCode>();
  private freeMaps: number[] = [];
  private nextMap = L.MAPS;
  private nextUop = L.UOPS;
  /** A block is decoded here, and moved to its place when that is known. */
  private scratch = L.GUEST - MAX_SIZE;
  /** Where the room that `nextUop` is in ends, and what room there is behind it. */
  private roomEnd = L.GUEST - MAX_SIZE;
  private rooms: (readonly [start: number, end: number])[] = [];
  /** Page of each map. */
  private readonly mapPages = new Uint32Array(L.MAP_COUNT);
  private readonly window = new Uint8Array(32);
  /** How often everything was dropped, and blocks decoded: for reports. */
  drops = 0;
  /** Changes whenever any decoded code is forgotten: records found before may be stale. */
  generation = 0;
  blocks = 0;
  /**
   * Offsets in a page at which no block runs on and no block is found: who comes there asks the processor first, which
   * knows the linear address. Code decoded before an offset was added must be dropped by who adds it.
   */
  readonly stops = new Set<number>();
  /** Where decoded code must end. */
  set end(end: number) {
    this.scratch = end - MAX_SIZE;
    this.roomEnd = this.scratch;
  }
  /** Executions after which a new block is reported as hot; 0 = never. */
  heat: () => number = () => 0;
  /** Called when code of a page is about to be decoded that had none. */
  onClaim: (page: number) => void = () => {};
  /** Called when everything was dropped. */
  onDropAll: () => void = () => {};
  /** Called when a block that is translated got its old address back, with its HEADER_HEAT. */
  onReturn: (heat: number) => void = () => {};
  readonly homes: BlockHomes;
  /** Whether blocks that were dropped may come back: what they are worth keeping for is their translation. */
  returning = false;

  constructor(
    private readonly state: CpuState,
    private readonly physical: PhysicalMemory,
    private readonly mmu: Mmu,
    private readonly decoder: Decoder,
    private readonly variants: VariantTable,
  ) {
    this.homes = new BlockHomes(state, variants);
    physical.onCodeWrite = (page, offset, length) => {
      if (this.overlaps(page, offset, length)) this.drop(page);
    };
  }

  /** Forget all decoded code. */
  dropAll(): void {
    this.drops++;
    this.generation++;
    for (const page of this.pages.keys()) this.physical.flags[page] = this.physical.flags[page]! & ~PAGE_CODE;
    this.pages.clear();
    this.state.u8.fill(0, L.MAPS, this.nextMap);
    this.homes.clear();
    this.freeMaps = [];
    this.nextMap = L.MAPS;
    this.nextUop = L.UOPS;
    this.roomEnd = this.scratch;
    this.rooms = [];
    this.mmu.flushCode();
    this.state.set32(L.LINK_PATCH, 0);
    this.onDropAll();
  }

  /** Begin counting anew for all blocks that are not translated. */
  setHeat(heat: () => number): void {
    const { u32, i32 } = this.state;
    for (const code of this.pages.values())
      for (const map of code.maps.values())
        for (let at = map >>> 2; at < (map + L.MAP_SIZE) >>> 2; at++) {
          const header = u32[at]!;
          if (header !== 0 && i32[(header + L.HEADER_HEAT) >>> 2]! >= 0) i32[(header + L.HEADER_HEAT) >>> 2] = heat();
        }
  }

  /** True when a write of `length` bytes touches decoded bytes. */
  overlaps(page: number, offset: number, length: number): boolean {
    const code = this.pages.get(page);
    if (code === undefined) return false;
    for (let i = offset; i < offset + length; i++) if (code.bytes[i >> 3]! & (1 << (i & 7))) return true;
    return false;
  }

  /** Forget the code of one page. */
  drop(page: number): void {
    const code = this.pages.get(page);
    if (code === undefined) return;
    this.generation++;
    this.pages.delete(page);
    for (const map of code.maps.values()) {
      const mode = code.modes.get(map);
      if (this.returning && mode !== undefined) this.offerAll(map, page, mode);
      this.state.u8.fill(0, map, map + L.MAP_SIZE);
      this.freeMaps.push(map);
    }
    this.physical.flags[page] = this.physical.flags[page]! & ~PAGE_CODE;
    this.mmu.flushCode();
    for (const crosser of code.crossers) this.drop(crosser);
  }

  /** The blocks of a map are about to be forgotten. */
  private offerAll(map: number, page: number, mode: DecodeMode): void {
    const { u32 } = this.state;
    for (let at = map >>> 2; at < (map + L.MAP_SIZE) >>> 2; at++)
      if (u32[at] !== 0) this.homes.offer(u32[at]!, page, mode);
  }

  /** The offset map of a page for a code key, made when there is none. */
  mapOf(page: number, key: number): number {
    let code = this.pages.get(page);
    const known = code?.maps.get(key);
    if (known !== undefined) return known;
    if (this.freeMaps.length === 0 && this.nextMap + L.MAP_SIZE > L.UOPS) {
      this.dropAll();
      code = undefined;
    }
    if (code === undefined) {
      code = this.claim(page);
    }
    let map = this.freeMaps.pop();
    if (map === undefined) {
      map = this.nextMap;
      this.nextMap += L.MAP_SIZE;
    }
    code.maps.set(key, map);
    this.mapPages[(map - L.MAPS) / L.MAP_SIZE] = page;
    return map;
  }

  private claim(page: number): PageCode {
    const code: PageCode = { maps: new Map(), modes: new Map(), bytes: new Uint8Array(512), crossers: new Set() };
    this.pages.set(page, code);
    this.physical.flags[page] = this.physical.flags[page]! | PAGE_CODE;
    this.mmu.revokeWrites(page);
    this.onClaim(page);
    return code;
  }

  /** True when another block may not fit: the caller drops everything before decoding. */
  get full(): boolean {
    return this.rooms.length === 0 && this.nextUop + MAX_SIZE > this.roomEnd;
  }

  /** Keep new blocks away from these records. False when there are blocks already. */
  reserve(taken: readonly (readonly [start: number, end: number])[]): boolean {
    if (this.nextUop !== L.UOPS) return false;
    let start = L.UOPS;
    for (const [from, to] of [...taken].sort(([a], [b]) => a - b)) {
      if (from > start) this.rooms.push([start, from]);
      start = Math.max(start, to);
    }
    this.rooms.push([start, this.scratch]);
    this.rooms.reverse();
    this.roomEnd = L.UOPS;
    return true;
  }
  private allocate(size: number): number {
    while (this.nextUop + size > this.roomEnd) [this.nextUop, this.roomEnd] = this.rooms.pop()!;
    this.nextUop += size;
    return this.nextUop - size;
  }
  /** Physical page of a block; undefined when it has been forgotten. */
  pageOf(header: number): number | undefined {
    const { u32 } = this.state;
    const entry = u32[(header + L.HEADER_MAP) >>> 2]!;
    return u32[entry] === header ? this.mapPages[Math.floor((4 * entry - L.MAPS) / L.MAP_SIZE)] : undefined;
  }

  private mark(code: PageCode, offset: number, length: number): void {
    const end = Math.min(4096, offset + length);
    for (let i = offset; i < end; i++) code.bytes[i >> 3]! |= 1 << (i & 7);
  }

  /** Decode the block at `place` into the map of `key`; returns its header's address. Throws the fetch's fault. */
  decodeBlock(place: BlockPlace, map: number, mode: DecodeMode): number {
    const s = this.state;
    const { u32, u16, u8 } = s;
    const host = this.physical.host[place.page]!;
    const code = this.pages.get(place.page)!;
    code.modes.set(map, mode);
    const { scratch } = this;
    let at = scratch + L.UOP_SIZE;
    let offset = place.offset;
    let cost = 0;
    let count = 0;
    const d = this.decoder.out;
    for (;;) {
      if (count > 0 && this.stops.size > 0 && this.stops.has(offset)) {
        at = this.next(at, offset, 0, false);
        break;
      }
      const existing = count > 0 ? u32[(map >>> 2) + offset]! : 0;
      if (existing !== 0 || count === MAX_BLOCK) {
        at = this.next(at, offset, existing, true);
        break;
      }
      let status = this.decoder.decode(u8, host + offset, host + 4096, mode, offset, place.nearOk);
      const ip = place.ip + (offset - place.offset);
      if (status === DECODE_SHORT) {
        if (count > 0) {
          at = this.next(at, offset, 0, true);
          break;
        }
        // The instruction runs into the next page; it is not fetched when the segment ends before it.
        if (ip + (4096 - offset) > place.limit) {
          this.observe(place.page, offset);
          throw gp(0);
        }
        const second = place.nextPage();
        const secondHost = this.physical.host[second]!;
        const head = 4096 - offset;
        this.window.set(u8.subarray(host + offset, host + 4096));
        if (secondHost === 0) this.window.fill(0xff, head);
        else this.window.set(u8.subarray(secondHost, secondHost + 16), head);
        status = this.decoder.decode(this.window, 0, head + 16, mode, offset, false);
        if (status !== DECODE_OK || ip + d.length - 1 > place.limit) {
          this.observe(place.page, offset);
          this.physical.noteRead(second, 0, MAX_INSTRUCTION - head);
          throw gp(0);
        }
        u16[at >>> 1] = HANDLER_CROSS;
        u16[(at + L.UOP_WHERE) >>> 1] = offset;
        u32[(at + L.UOP_IMM) >>> 2] = second;
        at += L.UOP_SIZE;
        let other = this.pages.get(second);
        if (other === undefined) other = this.claim(second);
        this.mark(other, 0, d.length - head);
        this.physical.noteRead(second, 0, d.length - head);
        other.crossers.add(place.page);
      } else if (status !== DECODE_OK || ip + d.length - 1 > place.limit) {
        if (count === 0) {
          this.observe(place.page, offset);
          throw gp(0);
        }
        at = this.next(at, offset, 0, true);
        break;
      }
      this.mark(code, offset, d.length);
      this.physical.noteRead(place.page, offset, Math.min(d.length, 4096 - offset));
      u16[at >>> 1] = d.handler;
      u16[(at + L.UOP_WHERE) >>> 1] = offset | (d.length << 12);
      u8[at + L.UOP_REG] = d.reg;
      u8[at + L.UOP_BASE] = d.base;
      u8[at + L.UOP_INDEX] = d.index;
      u8[at + L.UOP_ADDRESS] = d.address;
      u32[(at + L.UOP_DISP) >>> 2] = d.disp;
      u32[(at + L.UOP_IMM) >>> 2] = d.imm;
      if (d.relative) {
        // Link fields start empty.
        u32[(at + L.UOP_REG) >>> 2] = 0;
        u32[(at + L.UOP_DISP) >>> 2] = 0;
      }
      at += L.UOP_SIZE;
      cost += this.variants.cost[d.handler]!;
      count++;
      offset += d.length;
      if (this.variants.ends[d.handler]!) break;
      if (offset >= 4096) {
        at = this.next(at, offset, 0, false);
        break;
      }
    }
    this.blocks++;
    let header = this.homes.take(scratch, at, place.page, place.offset, mode);
    if (header === 0) {
      header = this.allocate(at - scratch);
      u8.copyWithin(header + L.UOP_SIZE, scratch + L.UOP_SIZE, at);
      u32[header >>> 2] = cost;
      u16[(header + L.HEADER_COUNT) >>> 1] = count;
      u16[(header + L.HEADER_OFFSET) >>> 1] = place.offset;
      u32[(header + L.HEADER_HEAT) >>> 2] = this.heat();
    }
    u32[(header + L.HEADER_MAP) >>> 2] = (map >>> 2) + place.offset;
    if (!this.stops.has(place.offset)) u32[(map >>> 2) + place.offset] = header;
    const heat = this.state.i32[(header + L.HEADER_HEAT) >>> 2]!;
    if (heat < 0) this.onReturn(heat);
    // It was decoded before anybody counted.
    else if (heat === 0) this.state.i32[(header + L.HEADER_HEAT) >>> 2] = this.heat();
    return header;
  }

  /** Bytes that told the decoder that nothing can be executed here have been seen, too. */
  private observe(page: number, offset: number): void {
    this.physical.noteRead(page, offset, Math.min(MAX_INSTRUCTION, 4096 - offset));
  }

  /** A record that goes on at `offset`: linked to a block when it is known, else linkable when in this page. */
  private next(at: number, offset: number, link: number, inPage: boolean): number {
    const { u32, u16, u8 } = this.state;
    u16[at >>> 1] = HANDLER_NEXT;
    if (offset >= 4096) {
      // An offset past the page does not fit 12 bits: said as an instruction of that length at the last byte.
      u16[(at + L.UOP_WHERE) >>> 1] = 4095 | ((offset - 4095) << 12);
    } else u16[(at + L.UOP_WHERE) >>> 1] = offset;
    u8[at + L.UOP_REG] = inPage ? 1 : 0;
    u32[(at + L.UOP_DISP) >>> 2] = link;
    return at + L.UOP_SIZE;
  }
}
