// Decoded code: blocks of micro-op records by physical page and code key, and which bytes of a page they came from.
//
// A block is straight-line code up to an instruction that ends it, another known block, the end of the page, or 64
// instructions. A page with decoded code has PAGE_CODE set, so that no TLB entry allows writing it unseen; a write
// that overlaps decoded bytes drops the whole page (and blocks of the page before that reach into it). Records are
// never overwritten before everything is dropped, so a running block survives the drop of its own page.

import { BlockHomes } from './block-homes.js';
import type { DecodeMode, Decoder } from './decode.js';
import { DECODE_OK, DECODE_SHORT } from './decode.js';
import { type BlockBefore, DecodedBefore, loadDecoded, saveDecoded } from './decoded-before.js';
import { HANDLER_CROSS, HANDLER_NEXT, type VariantTable } from './interp/variants.js';
import * as L from './layout.js';
import type { Mmu } from './mmu.js';
import { PAGE_CODE, PAGE_PARTIAL, type PhysicalMemory } from './physical.js';
import { type CpuState, gp } from './state.js';

const MAX_BLOCK = 64;
/** Longest instruction in bytes (SDM vol. 2, 2.3.11). */
const MAX_INSTRUCTION = 15;
/**
 * Writes beside a page's decoded bytes after which its code is dropped: each of them costs as much as decoding two
 * instructions. Memory in which code ran once is used for data now; where code and data do share a page, the number
 * doubles each time.
 */
const PATIENCE = 64;
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
  /** Headers of its blocks, in the order in which they were decoded; some may have been forgotten. */
  readonly blocks: number[];
  /** Writes to come, beside the decoded bytes, until the code is dropped. */
  patience: number;
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
  private scratch = L.UOPS_END - MAX_SIZE;
  /** Where the room that `nextUop` is in ends, and what room there is behind it. */
  private roomEnd = L.UOPS_END - MAX_SIZE;
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
  /** Called when an instruction is fetched from a page that is no memory. */
  onNoMemory: (page: number) => void = () => {};
  /** For tools: called when the block at RIP is decoded, with the addresses of its first record and behind its last. */
  onDecode: ((first: number, end: number) => void) | undefined;
  /** Called when everything was dropped. */
  onDropAll: () => void = () => {};
  /** Called when a block that is translated got its old address back, with its HEADER_HEAT. */
  onReturn: (heat: number) => void = () => {};
  /** Where it is not PATIENCE, by page. */
  private readonly patience = new Map<number, number>();
  readonly homes: BlockHomes;
  /** Of a machine that began at a checkpoint. */
  readonly before = new DecodedBefore();
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
      else this.noteWriteBeside(page);
    };
  }

  /**
   * A write to a page with code missed the code, and came the slow way for nothing. What is decoded anew of a partial page
   * counts as seen again, so there the code stays.
   */
  private noteWriteBeside(page: number): void {
    if (this.physical.flags[page]! & PAGE_PARTIAL) return;
    const code = this.pages.get(page);
    if (code !== undefined && --code.patience === 0) this.patience.set(page, 2 * (this.patience.get(page) ?? PATIENCE));
  }

  /** Forget all decoded code. */
  dropAll(): void {
    this.drops++;
    this.generation++;
    for (const page of this.pages.keys()) this.physical.flags[page] = this.physical.flags[page]! & ~PAGE_CODE;
    this.pages.clear();
    this.patience.clear();
    this.state.u8.fill(0, L.MAPS, this.nextMap);
    this.homes.clear();
    this.before.clear();
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
      for (const header of code.blocks) {
        const known = u32[u32[(header + L.HEADER_MAP) >>> 2]!] === header;
        if (known && i32[(header + L.HEADER_HEAT) >>> 2]! >= 0) i32[(header + L.HEADER_HEAT) >>> 2] = heat();
      }
  }

  /** True when a write of `length` bytes touches decoded bytes, or counts as if it did. */
  overlaps(page: number, offset: number, length: number): boolean {
    const code = this.pages.get(page);
    if (code === undefined) return false;
    if (code.patience === 0) return true;
    for (let i = offset; i < offset + length; i++) if (code.bytes[i >> 3]! & (1 << (i & 7))) return true;
    return false;
  }

  /** Forget the code of one page. */
  drop(page: number): void {
    const code = this.pages.get(page);
    if (code === undefined) return;
    this.generation++;
    this.pages.delete(page);
    if (this.returning) this.offerAll(code, page);
    for (const map of code.maps.values()) {
      this.before.forget(map);
      this.state.u8.fill(0, map, map + L.MAP_SIZE);
      this.freeMaps.push(map);
    }
    this.physical.flags[page] = this.physical.flags[page]! & ~PAGE_CODE;
    this.mmu.flushCode();
    for (const crosser of code.crossers) this.drop(crosser);
  }

  /** The blocks of a page are about to be forgotten. */
  private offerAll(code: PageCode, page: number): void {
    const { u32 } = this.state;
    for (const header of code.blocks) {
      const entry = u32[(header + L.HEADER_MAP) >>> 2]!;
      if (u32[entry] !== header) continue;
      const map = L.MAPS + Math.floor((4 * entry - L.MAPS) / L.MAP_SIZE) * L.MAP_SIZE;
      this.homes.offer(header, page, code.modes.get(map)!);
    }
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
      // It is zero. But memory that is read before it is written costs the host two page faults in the place of one.
      this.state.u8.fill(0, map, this.nextMap);
    }
    code.maps.set(key, map);
    this.mapPages[(map - L.MAPS) / L.MAP_SIZE] = page;
    return map;
  }

  private claim(page: number): PageCode {
    const code: PageCode = {
      maps: new Map(),
      modes: new Map(),
      bytes: new Uint8Array(512),
      crossers: new Set(),
      blocks: [],
      patience: this.patience.get(page) ?? PATIENCE,
    };
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

  /** Physical page of an offset map in use. */
  pageOfMap(map: number): number {
    return this.mapPages[(map - L.MAPS) / L.MAP_SIZE]!;
  }

  /** What is decoded, for a checkpoint. */
  save(): Uint8Array {
    return saveDecoded(this.pages, this.patience, this.state, this.variants);
  }

  /**
   * Go on with what save() gave, with nothing decoded so far.
   * @param keys code keys that there are
   * @throws RangeError when the bytes cannot be from save()
   */
  load(saved: Uint8Array, keys: number): void {
    const { patience, pages } = loadDecoded(saved, keys);
    for (const [page, writes] of patience) this.patience.set(page, writes);
    for (const { page, bytes, crossers, patience, maps } of pages) {
      const code = this.claim(page);
      code.bytes.set(bytes);
      code.patience = patience;
      for (const crosser of crossers) code.crossers.add(crosser);
      for (const { key, blocks } of maps) {
        if (this.freeMaps.length === 0 && this.nextMap + L.MAP_SIZE > L.UOPS)
          throw new RangeError('too much is decoded');
        this.before.add(this.mapOf(page, key), blocks);
      }
    }
  }

  private mark(code: PageCode, offset: number, length: number): void {
    const { bytes } = code;
    const end = Math.min(4096, offset + length);
    for (let i = offset; i < end; ) {
      if ((i & 7) === 0 && end - i >= 8) {
        bytes[i >> 3] = 0xff;
        i += 8;
      } else {
        bytes[i >> 3]! |= 1 << (i & 7);
        i++;
      }
    }
  }

  /** Decode the block at `place` into its map; returns its header's address. Throws the fetch's fault. */
  decodeBlock(place: BlockPlace, map: number, mode: DecodeMode): number {
    const s = this.state;
    const { u32, u16, u8 } = s;
    const { page, limit, nearOk } = place;
    const { physical, decoder, scratch, before } = this;
    const { cost: costs, ends } = this.variants;
    const host = physical.host[page]!;
    const code = this.pages.get(page)!;
    code.modes.set(map, mode);
    const stops = this.stops.size > 0;
    const ipAtPage = place.ip - place.offset;
    const d = decoder.out;
    const known = before.take((map >>> 2) + place.offset);
    const most = known === undefined ? MAX_BLOCK : known.count;
    /** At a checkpoint its link led to a block, which is decoded again when it is entered. */
    let taken = known?.taken === true;
    let at = scratch + L.UOP_SIZE;
    let { offset } = place;
    let cost = 0;
    let count = 0;
    for (;;) {
      if (count > 0) {
        if (stops && this.stops.has(offset)) {
          at = this.next(at, offset, 0, false);
          break;
        }
        const existing = u32[(map >>> 2) + offset]!;
        const waiting = before.has((map >>> 2) + offset);
        // A block that there was before is as long as it was: it may be older than those that begin inside it.
        if (known === undefined ? existing !== 0 || waiting || count === most : count === most) {
          at = this.next(at, offset, known === undefined || taken ? existing : 0, true);
          taken ||= known === undefined && waiting;
          break;
        }
      }
      const status = decoder.decode(u8, host + offset, host + 4096, mode, offset, nearOk);
      if (status !== DECODE_OK || ipAtPage + offset + d.length - 1 > limit) {
        if (count > 0) {
          at = this.next(at, offset, 0, true);
          break;
        }
        if (status !== DECODE_SHORT) {
          this.observe(page, offset);
          throw gp(0);
        }
        at = this.decodeAcross(place, mode, at, known);
      }
      const { length, handler } = d;
      const word = at >>> 2;
      u32[word] = handler | (offset << 16) | (length << 28);
      u32[word + 2] = d.disp;
      u32[word + 3] = d.imm;
      if (d.relative) {
        // Link fields start empty.
        u32[word + 1] = 0;
        u32[word + 2] = 0;
      } else u32[word + 1] = d.reg | (d.base << 8) | (d.index << 16) | (d.address << 24);
      at += L.UOP_SIZE;
      cost += costs[handler]!;
      count++;
      offset += length;
      if (ends[handler] !== 0) break;
      if (offset >= 4096) {
        at = this.next(at, offset, 0, false);
        break;
      }
    }
    this.mark(code, place.offset, offset - place.offset);
    // Each instruction counts as seen by itself.
    if (known === undefined && physical.flags[page]! & PAGE_PARTIAL)
      physical.noteRead(page, place.offset, Math.min(offset, 4096) - place.offset, count);
    this.blocks++;
    this.onDecode?.(scratch + L.UOP_SIZE, at);
    let header = this.homes.take(scratch, at, page, place.offset, mode);
    if (header === 0) {
      header = this.allocate(at - scratch);
      // Blocks are short: a loop is quicker than what is built in.
      for (let from = (scratch + L.UOP_SIZE) >>> 2, to = (header + L.UOP_SIZE) >>> 2; from < at >>> 2; )
        u32[to++] = u32[from++]!;
      u32[header >>> 2] = cost;
      u16[(header + L.HEADER_COUNT) >>> 1] = count;
      u16[(header + L.HEADER_OFFSET) >>> 1] = place.offset;
      u32[(header + L.HEADER_HEAT) >>> 2] = this.heat();
    }
    if (known !== undefined || taken) {
      const last = header + (at - scratch) - L.UOP_SIZE;
      if (taken && u32[(last + L.UOP_DISP) >>> 2] === 0) before.addLink(last + L.UOP_DISP, map);
      if (known?.passed) before.addLink(last + L.UOP_REG, map);
    }
    u32[(header + L.HEADER_MAP) >>> 2] = (map >>> 2) + place.offset;
    if (!stops || !this.stops.has(place.offset)) u32[(map >>> 2) + place.offset] = header;
    code.blocks.push(header);
    const heat = s.i32[(header + L.HEADER_HEAT) >>> 2]!;
    if (heat < 0) this.onReturn(heat);
    // It was decoded before anybody counted.
    else if (heat === 0) s.i32[(header + L.HEADER_HEAT) >>> 2] = this.heat();
    return header;
  }

  /**
   * The first instruction of a block runs into the next page: decode it whole, behind a HANDLER_CROSS record at `at`.
   * Returns where its own record goes. Throws the fetch's fault: it is not fetched when the segment ends before it.
   */
  private decodeAcross(place: BlockPlace, mode: DecodeMode, at: number, known: BlockBefore | undefined): number {
    const { page, offset, ip, limit } = place;
    const { u32, u16, u8 } = this.state;
    const head = 4096 - offset;
    if (ip + head > limit) {
      this.observe(page, offset);
      throw gp(0);
    }
    const second = known?.second ?? place.nextPage();
    const host = this.physical.host[page]!;
    const secondHost = this.physical.hostOf(second * 4096);
    this.window.set(u8.subarray(host + offset, host + 4096));
    if (secondHost === 0) this.window.fill(0xff, head);
    else this.window.set(u8.subarray(secondHost, secondHost + 16), head);
    const status = this.decoder.decode(this.window, 0, head + 16, mode, offset, false);
    const { length } = this.decoder.out;
    if (status !== DECODE_OK || ip + length - 1 > limit) {
      this.observe(page, offset);
      this.physical.noteRead(second, 0, MAX_INSTRUCTION - head);
      throw gp(0);
    }
    u16[at >>> 1] = HANDLER_CROSS;
    u16[(at + L.UOP_WHERE) >>> 1] = offset;
    u32[(at + L.UOP_IMM) >>> 2] = second;
    let other = this.pages.get(second);
    if (other === undefined) other = this.claim(second);
    this.mark(other, 0, length - head);
    if (known === undefined) this.physical.noteRead(second, 0, length - head);
    other.crossers.add(page);
    return at + L.UOP_SIZE;
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
