// Paging (SDM vol. 3A, chapter 4) and the slow side of the software TLBs: 32-bit, PAE and 4-level walks with all
// rights, accessed and dirty bits, large pages, global pages, NX, SMEP, SMAP, WP. Linear addresses are two u32
// halves here (BigInt is too slow for a path this warm); physical addresses are numbers. A walk that fails ends in
// Fault(#PF) with the error code of SDM 4.7. Left out: protection keys, shadow stacks, 5-level paging.

import * as L from './layout.js';
import { PAGE_CODE, PAGE_DIRTY, PAGE_PARTIAL, PAGE_ROM, PAGE_WRITE_ENTRY, type PhysicalMemory } from './physical.js';
import {
  AC,
  type CpuState,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_NXE,
  Fault,
  PFV,
  WIDE_ZERO,
} from './state.js';

/** Walk result. One object is reused. */
export class Translation {
  /** Physical address of the page (4 KiB granularity). */
  page = WIDE_ZERO;
  writable = false;
  user = false;
  noExecute = false;
  global = false;
  dirty = false;
  /** Size of the page that the entry maps, as a power of two: 12, 21 or 22. */
  shift = 12;
  /** Tables were read whose reads are counted: a walk that is left out would be missed. */
  counted = false;
}

const P = 1,
  RW = 2,
  US = 4,
  A = 0x20,
  D = 0x40,
  PS = 0x80,
  G = 0x100;
/** Physical address bits 51:32 that exist on a machine with 40 physical bits; the others are reserved. */
const HIGH_BITS = 0xff;
const HIGH_RESERVED = 0x000f_ff00;

/** Large regions kept apart before every INVLPG drops everything. */
const MAX_LARGE = 4096;
/** The other 2 MiB of a 4-MiB page. */
const otherHalf = (region: number): number => (region % 2 === 0 ? region + 1 : region - 1);
/** Index / 4 of the place of a region in TLB_LARGE. */
const largeAt = (region: number): number => (L.TLB_LARGE >>> 2) + 2 * (region % L.TLB_LARGE_COUNT);

export class Mmu {
  readonly walk = new Translation();
  /** 2-MiB regions that large pages translated, by linear address / 2 MiB, with their page's shift; none forgotten. */
  private readonly large = new Map<number, number>();
  /** Too many to keep apart. */
  private largeAnywhere = false;
  /** Upper entries of this walk without A. They get it when the walk succeeds: one that faults has used no entry. */
  private readonly unmarked: number[] = [];
  /** Reads of partial pages when this walk began. */
  private readsBefore = WIDE_ZERO;

  constructor(
    private readonly state: CpuState,
    private readonly physical: PhysicalMemory,
  ) {
    state.u32.fill(1, L.TLB_FILLED >>> 2, (L.TLB_FILLED >>> 2) + 3);
    // The table that is never filled: no address has these tags.
    for (let at = L.DATA_TLB_NONE >>> 2; at < (L.DATA_TLB_NONE + L.DATA_TLB_SIZE) >>> 2; at += 8) {
      state.u32[at] = 1;
      state.u32[at + 2] = 1;
    }
  }

  /** What the last walk failed by. */
  private faultLo = WIDE_ZERO;
  private faultHi = WIDE_ZERO;
  private faultCode = 0;
  private fault(lo: number, hi: number, code: number): number {
    this.faultLo = lo;
    this.faultHi = hi;
    this.faultCode = code;
    return -1;
  }
  /** The page fault of the walk that gave −1. */
  pageFault(): Fault {
    return new Fault(PFV, this.faultCode, (BigInt(this.faultHi >>> 0) << 32n) | BigInt(this.faultLo >>> 0));
  }

  /** As `walkTo`. @throws Fault of the walk */
  translate(lo: number, hi: number, write: boolean, user: boolean, fetch: boolean, explicit = true): number {
    const at = this.walkTo(lo, hi, write, user, fetch, explicit);
    if (at < 0) throw this.pageFault();
    return at;
  }

  /**
   * Translate, check and set A/D. `user`: the access has user privilege; `explicit`: it is the program's own (SMAP
   * exempts it when EFLAGS.AC is set). Returns the physical address; details stay in `walk`. A walk that fails gives −1:
   * kernels take page faults by the hundred thousand, and throwing costs more than all the rest of one.
   */
  walkTo(lo: number, hi: number, write: boolean, user: boolean, fetch: boolean, explicit: boolean): number {
    const s = this.state;
    const w = this.walk;
    w.shift = 12;
    w.counted = false;
    if (this.unmarked.length > 0) this.unmarked.length = 0;
    const cr0 = s.get32(L.CR0);
    if ((cr0 & CR0_PG) === 0) {
      w.writable = true;
      w.user = true;
      w.noExecute = false;
      w.global = false;
      w.dirty = true;
      w.page = ((lo & ~0xfff) >>> 0) & this.physical.a20Mask;
      w.page >>>= 0;
      return (w.page + (lo & 0xfff)) >>> 0;
    }
    const cr4 = s.get32(L.CR4);
    const efer = s.get32(L.EFER);
    const nxe = (efer & EFER_NXE) !== 0;
    const code = (write ? 2 : 0) | (user ? 4 : 0) | (fetch && ((cr4 & CR4_PAE && nxe) || cr4 & CR4_SMEP) ? 16 : 0);
    let writable = true;
    let userOk = true;
    let nx = false;
    let entryAt: number;
    let e: number;
    let eh = 0;
    let frame: number;
    const p = this.physical;
    this.readsBefore = p.partialReads;
    if (cr4 & CR4_PAE) {
      const longMode = (efer & EFER_LMA) !== 0;
      let table: number;
      if (longMode) {
        const cr3lo = s.get32(L.CR3);
        const cr3hi = s.get32(L.CR3 + 4);
        table = (cr3hi & HIGH_BITS) * 0x1_0000_0000 + ((cr3lo & ~0xfff) >>> 0);
        // PML4 and PDPT; PS is reserved in both, no model has 1-GiB pages.
        for (let level = 4; level >= 3; level--) {
          const index = level === 4 ? (hi >>> 7) & 511 : ((hi << 2) | (lo >>> 30)) & 511;
          entryAt = table + index * 8;
          e = p.readEntry(entryAt);
          eh = p.entryHigh;
          if ((e & P) === 0) return this.fault(lo, hi, code);
          if ((eh & HIGH_RESERVED) !== 0 || (!nxe && eh >>> 31 !== 0) || e & PS) return this.fault(lo, hi, code | 9);
          writable &&= (e & RW) !== 0;
          userOk &&= (e & US) !== 0;
          nx ||= eh >>> 31 !== 0;
          if ((e & A) === 0) this.unmarked.push(entryAt);
          table = (eh & HIGH_BITS) * 0x1_0000_0000 + ((e & ~0xfff) >>> 0);
        }
      } else {
        // PAE: the four PDPTEs are loaded when CR3 is written; their rights do not matter.
        const at = L.PDPTES + 8 * (lo >>> 30); // kept in registers
        e = s.get32(at);
        eh = s.get32(at + 4);
        if ((e & P) === 0) return this.fault(lo, hi, code);
        table = (eh & HIGH_BITS) * 0x1_0000_0000 + ((e & ~0xfff) >>> 0);
      }
      entryAt = table + ((lo >>> 21) & 511) * 8;
      e = p.readEntry(entryAt);
      eh = p.entryHigh;
      if ((e & P) === 0) return this.fault(lo, hi, code);
      if ((eh & (longMode ? HIGH_RESERVED : HIGH_RESERVED | 0x7ff0_0000)) !== 0 || (!nxe && eh >>> 31 !== 0))
        return this.fault(lo, hi, code | 9);
      writable &&= (e & RW) !== 0;
      userOk &&= (e & US) !== 0;
      nx ||= eh >>> 31 !== 0;
      if (e & PS) {
        if ((e & 0x001f_e000) !== 0) return this.fault(lo, hi, code | 9);
        frame = (eh & HIGH_BITS) * 0x1_0000_0000 + ((e & 0xffe0_0000) >>> 0) + (lo & 0x1f_f000);
        w.shift = 21;
        return this.finish(lo, hi, entryAt, e, frame, writable, userOk, nx, code, write, user, fetch, explicit);
      }
      if ((e & A) === 0) this.unmarked.push(entryAt);
      table = (eh & HIGH_BITS) * 0x1_0000_0000 + ((e & ~0xfff) >>> 0);
      entryAt = table + ((lo >>> 12) & 511) * 8;
      e = p.readEntry(entryAt);
      eh = p.entryHigh;
      if ((e & P) === 0) return this.fault(lo, hi, code);
      if ((eh & (longMode ? HIGH_RESERVED : HIGH_RESERVED | 0x7ff0_0000)) !== 0 || (!nxe && eh >>> 31 !== 0))
        return this.fault(lo, hi, code | 9);
      frame = (eh & HIGH_BITS) * 0x1_0000_0000 + ((e & ~0xfff) >>> 0);
      nx ||= eh >>> 31 !== 0;
    } else {
      entryAt = ((s.get32(L.CR3) & ~0xfff) >>> 0) + (lo >>> 22) * 4;
      e = p.read32(entryAt);
      if ((e & P) === 0) return this.fault(lo, hi, code);
      writable = (e & RW) !== 0;
      userOk = (e & US) !== 0;
      if (e & PS && cr4 & CR4_PSE) {
        // PSE-36: bits 20:13 are address bits 39:32, bit 21 is reserved.
        if (e & 0x0020_0000) return this.fault(lo, hi, code | 9);
        frame = ((e >>> 13) & HIGH_BITS) * 0x1_0000_0000 + ((e & 0xffc0_0000) >>> 0) + (lo & 0x3f_f000);
        w.shift = 22;
        return this.finish(lo, hi, entryAt, e, frame, writable, userOk, false, code, write, user, fetch, explicit);
      }
      if ((e & A) === 0) this.unmarked.push(entryAt);
      entryAt = ((e & ~0xfff) >>> 0) + ((lo >>> 12) & 1023) * 4;
      e = p.read32(entryAt);
      if ((e & P) === 0) return this.fault(lo, hi, code);
      frame = (e & ~0xfff) >>> 0;
    }
    writable &&= (e & RW) !== 0;
    userOk &&= (e & US) !== 0;
    return this.finish(lo, hi, entryAt, e, frame, writable, userOk, nx, code, write, user, fetch, explicit);
  }

  private finish(
    lo: number,
    hi: number,
    entryAt: number,
    e: number,
    frame: number,
    writable: boolean,
    userOk: boolean,
    nx: boolean,
    code: number,
    write: boolean,
    user: boolean,
    fetch: boolean,
    explicit: boolean,
  ): number {
    const s = this.state;
    const cr4 = s.get32(L.CR4);
    const wp = (s.get32(L.CR0) & CR0_WP) !== 0;
    if (user) {
      if (!userOk || (write && !writable)) return this.fault(lo, hi, code | 1);
    } else {
      if (write && !writable && wp) return this.fault(lo, hi, code | 1);
      if (userOk) {
        if (fetch ? (cr4 & CR4_SMEP) !== 0 : (cr4 & CR4_SMAP) !== 0 && !(explicit && (s.get32(L.EFLAGS) & AC) !== 0))
          return this.fault(lo, hi, code | 1);
      }
    }
    if (fetch && nx) return this.fault(lo, hi, code | 1);
    for (const at of this.unmarked) this.physical.write32(at, this.physical.read32(at) | A);
    const set = A | (write ? D : 0);
    if ((e & set) !== set) this.physical.write32(entryAt, e | set);
    const w = this.walk;
    w.writable = writable || (!user && !wp);
    w.user = userOk;
    w.noExecute = nx;
    w.global = (e & G) !== 0 && (cr4 & CR4_PGE) !== 0;
    w.dirty = ((e | set) & D) !== 0;
    w.counted = this.physical.partialReads !== this.readsBefore;
    if (w.shift !== 12) this.noteLarge(lo, hi, w.shift);
    // A20 masks bit 20 of what leaves the processor.
    if (this.physical.a20Mask !== 0xffff_ffff && frame < 0x1_0000_0000) frame = (frame & this.physical.a20Mask) >>> 0;
    w.page = frame;
    return frame + (lo & 0xfff);
  }

  /**
   * Put the last walk into the data TLB that is in use for this privilege. Memory pages only. A write entry needs
   * PTE.D set, a page without decoded code, and marks the page dirty.
   */
  install(lo: number, hi: number, table: number): void {
    const w = this.walk;
    const s = this.state;
    if (w.page >= 0x1_0000_0000 || table === L.DATA_TLB_NONE) return;
    const pageNumber = w.page >>> 12;
    const host = this.physical.host[pageNumber]!;
    if (host === 0) return;
    const flags = this.physical.flags[pageNumber]!;
    // A partial page's tags have a bit that no page has: emitted code keeps its record (interp/tracking.ts).
    const partial = flags & PAGE_PARTIAL ? L.TLB_PARTIAL : 0;
    const record = partial === 0 ? 0 : this.physical.observed.recordOf(pageNumber);
    if (partial !== 0 && record === 0) return;
    const at = (table + ((lo >>> 12) & (L.TLB_ENTRIES - 1)) * L.TLB_ENTRY_SIZE) >>> 2;
    const u32 = s.u32;
    u32[(L.TLB_FILLED >>> 2) + (table - L.DATA_TLB_USER) / L.DATA_TLB_SIZE] = 1;
    u32[at] = (lo & ~0xfff) | partial;
    u32[at + 1] = hi;
    if (w.writable && w.dirty && (flags & (PAGE_CODE | PAGE_ROM)) === 0) {
      this.physical.flags[pageNumber] = flags | PAGE_DIRTY | PAGE_WRITE_ENTRY;
      u32[at + 2] = (lo & ~0xfff) | partial;
      u32[at + 3] = hi;
    } else {
      u32[at + 2] = 1;
      u32[at + 3] = 0;
    }
    u32[at + 4] = (host - (lo & ~0xfff)) >>> 0;
    u32[at + 5] = pageNumber;
    u32[at + 6] = (w.global ? L.TLB_GLOBAL : 0) | (w.counted ? L.TLB_COUNTED : 0);
    u32[at + 7] = record;
    if (!w.global) this.noteLocal(at);
  }

  /** An entry of the code TLB has been noted as what the last walk found. */
  isNoted(at: number): boolean {
    return this.state.u32[at + (L.CTLB_FLAGS >>> 2)] === (this.walk.global ? 1 : 0);
  }

  /** An entry of the code TLB was filled from the last walk, at index / 4 `at`. */
  noteCode(at: number): void {
    this.state.u32[at + (L.CTLB_FLAGS >>> 2)] = this.walk.global ? 1 : 0;
    if (!this.walk.global) this.noteLocal(at);
  }

  /** An entry is not global: it goes at a change of CR3. */
  private noteLocal(at: number): void {
    const { u32 } = this.state;
    const list = L.TLB_LOCAL >>> 2;
    let count = u32[L.TLB_LOCAL_COUNT >>> 2]!;
    if (count === L.TLB_LOCAL_LIMIT) {
      // Entries are noted again when they are filled again.
      const distinct = new Set(u32.subarray(list, list + count));
      u32.set([...distinct], list);
      count = distinct.size;
    }
    u32[list + count] = at;
    u32[L.TLB_LOCAL_COUNT >>> 2] = count + 1;
  }

  /** Drop what is not global: entries that were filled with something else since are left. */
  private flushLocal(): void {
    const { u32 } = this.state;
    const code = L.CODE_TLB >>> 2;
    const list = L.TLB_LOCAL >>> 2;
    const end = list + u32[L.TLB_LOCAL_COUNT >>> 2]!;
    for (let i = list; i < end; i++) {
      const at = u32[i]!;
      if (at >= code) {
        if (u32[at + (L.CTLB_FLAGS >>> 2)] === 0) u32[at] = 0xfff;
      } else if ((u32[at + 6]! & L.TLB_GLOBAL) === 0) {
        u32[at] = 1;
        u32[at + 2] = 1;
      }
    }
    u32[L.TLB_LOCAL_COUNT >>> 2] = 0;
  }

  /** Drop translations: all, or all that are not global. */
  flush(keepGlobal: boolean): void {
    if (keepGlobal) {
      this.flushLocal();
      return;
    }
    const u32 = this.state.u32;
    u32[L.TLB_LOCAL_COUNT >>> 2] = 0;
    const step = L.TLB_ENTRY_SIZE >>> 2;
    for (let table = 0; table < 3; table++) {
      // A table without entries needs no sweep; only a full flush empties it for sure.
      const filled = (L.TLB_FILLED >>> 2) + table;
      if (u32[filled] === 0) continue;
      const start = (L.DATA_TLB_USER + table * L.DATA_TLB_SIZE) >>> 2;
      for (let at = start; at < start + (L.DATA_TLB_SIZE >>> 2); at += step) {
        u32[at] = 1;
        u32[at + 2] = 1;
      }
      u32[filled] = 0;
    }
    this.forgetLarge();
    this.largeAnywhere = false;
    this.flushCode();
  }

  /** Drop all translations of fetches. */
  flushCode(): void {
    const u32 = this.state.u32;
    const end = L.TLBS_END >>> 2;
    const step = L.CODE_TLB_ENTRY_SIZE >>> 2;
    for (let at = L.CODE_TLB >>> 2; at < end; at += step) {
      u32[at] = 0xfff;
    }
  }

  private noteLarge(lo: number, hi: number, shift: number): void {
    const region = hi * 2048 + (lo >>> 21);
    const { u32 } = this.state;
    const at = largeAt(region);
    u32[at] = region;
    u32[at + 1] = (hi >>> 21) | 0x8000_0000;
    if (this.large.has(region)) return;
    if (this.large.size >= MAX_LARGE) {
      this.forgetLarge();
      this.largeAnywhere = true;
    }
    this.large.set(region, shift);
    if (shift === 22) this.large.set(otherHalf(region), shift);
  }

  private forgetLarge(): void {
    if (this.large.size === 0) return;
    this.large.clear();
    this.state.u32.fill(0, L.TLB_LARGE >>> 2, (L.TLB_LARGE >>> 2) + 2 * L.TLB_LARGE_COUNT);
  }
  /** A large page goes; another one of the same place goes, too, and is noted again. */
  private forgetRegion(region: number): void {
    this.large.delete(region);
    this.state.u32[largeAt(region) + 1] = 0;
  }

  /**
   * Drop the translations of one linear page (INVLPG: global or not). The TLBs hold large pages in pieces of 4 KiB;
   * all pieces of one go together (SDM vol. 3A, 4.10.4.1).
   */
  flushPage(lo: number, hi: number): void {
    this.flushSmall(lo);
    if (this.largeAnywhere) this.flush(false);
    const region = hi * 2048 + (lo >>> 21);
    const shift = this.large.get(region);
    if (shift === undefined) return;
    const first = shift === 22 ? (lo & ~0x3f_ffff) >>> 0 : (lo & ~0x1f_ffff) >>> 0;
    for (let page = 0; page < 1 << (shift - 12); page++) this.flushSmall(first + page * 4096);
    this.forgetRegion(region);
    if (shift === 22) this.forgetRegion(otherHalf(region));
  }

  private flushSmall(lo: number): void {
    const u32 = this.state.u32;
    for (const table of [L.DATA_TLB_USER, L.DATA_TLB_SUPERVISOR, L.DATA_TLB_OPEN]) {
      const at = (table + ((lo >>> 12) & (L.TLB_ENTRIES - 1)) * L.TLB_ENTRY_SIZE) >>> 2;
      u32[at] = 1;
      u32[at + 2] = 1;
    }
    u32[(L.CODE_TLB + ((lo >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * L.CODE_TLB_ENTRY_SIZE) >>> 2] = 0xfff;
  }

  /** Take the write permission for a physical page out of every entry (it now holds decoded code, or was hashed). */
  revokeWrites(pageNumber: number): void {
    const { flags } = this.physical;
    if ((flags[pageNumber]! & PAGE_WRITE_ENTRY) === 0) return;
    flags[pageNumber] = flags[pageNumber]! & ~PAGE_WRITE_ENTRY;
    const u32 = this.state.u32;
    const end = L.DATA_TLB_NONE >>> 2;
    for (let at = L.DATA_TLB_USER >>> 2; at < end; at += 8)
      if (u32[at + 5] === pageNumber && u32[at + 2] !== 1) u32[at + 2] = 1;
  }

  /** Drop the data translations of a physical page (its content is not wholly known any more). */
  dropPage(pageNumber: number): void {
    const u32 = this.state.u32;
    const end = L.DATA_TLB_NONE >>> 2;
    for (let at = L.DATA_TLB_USER >>> 2; at < end; at += 8)
      if (u32[at + 5] === pageNumber) {
        u32[at] = 1;
        u32[at + 2] = 1;
      }
  }
}
