// Guest physical memory: which pages are RAM, ROM or nothing (then the bus answers), and what is known of each.
//
// RAM and ROM lie in the linear memory behind GUEST. A page has flags: dirty since the last state hash, holding
// decoded code; emitted code sees both (PAGE_HOSTS, PAGE_FLAGS). The two are kept right by one mechanism: a TLB write entry exists only for pages that are dirty
// and hold no decoded code, so a first write always comes through here. Addresses are JavaScript numbers.

import type { GuestMemory } from './bus.js';
import * as L from './layout.js';
import { ObservedMemory } from './observed.js';
import { type CpuState, WIDE_ZERO } from './state.js';

export const PAGE_DIRTY = 1;
export const PAGE_CODE = 2;
export const PAGE_ROM = 4;
/** Initial content not wholly observed yet (observed.ts): no plain TLB entry. */
export const PAGE_PARTIAL = 8;
/** Read from ROM, written to the RAM behind it; always together with PAGE_ROM (shadow.ts). */
export const PAGE_SPLIT = 16;
/** A TLB write entry may exist: who takes it out (Mmu.revokeWrites) need not look for it otherwise. */
export const PAGE_WRITE_ENTRY = 32;
/** Bytes below which a loop copies sooner than what is built in. */
const SHORT = 48;

export class PhysicalMemory implements GuestMemory {
  /** Address in linear memory of each 4 KiB page below 4 GiB; 0 = not memory. */
  readonly host: Uint32Array;
  readonly flags: Uint8Array;
  private next: number;
  private readonly end: number;
  /** Which of the initial memory the guest has seen. */
  readonly observed: ObservedMemory;
  /** Called before bytes of a page that holds decoded code change. */
  onCodeWrite: (page: number, offset: number, length: number) => void = () => {};
  /** Called when a mapping changes (TLBs must be dropped). */
  onRemap: () => void = () => {};
  /** For tools: called when the processor asks for a page below 4 GiB that is no memory. */
  onAbsent: (() => void) | undefined;
  /** Called when a page that was known becomes partial (its translations must be dropped). */
  onPartial: (page: number) => void = () => {};

  constructor(
    private readonly state: CpuState,
    readonly ramSize: number,
  ) {
    const { buffer } = state.memory;
    this.host = new Uint32Array(buffer, L.PAGE_HOSTS, 1 << 20);
    this.flags = new Uint8Array(buffer, L.PAGE_FLAGS, 1 << 20);
    this.a20Mask = 0xffff_ffff;
    this.next = L.GUEST + Math.ceil(ramSize / 4096) * 4096;
    const { length } = state.u8;
    const size = Math.floor((length - L.GUEST) / (4096 + L.TRACK_SIZE)) * L.TRACK_SIZE;
    this.end = length - size;
    this.observed = new ObservedMemory(
      (page) => {
        this.flags[page] = (this.flags[page]! & ~PAGE_PARTIAL) | PAGE_DIRTY;
      },
      { buffer, base: this.end, size, records: new Uint32Array(buffer, L.PAGE_RECORDS, 1 << 20) },
    );
    // Tens of thousands at each start, before V8 compiles anything: few bytecodes for each.
    const { host } = this;
    const pages = ramSize >>> 12;
    for (let page = 0, at = L.GUEST; page < pages; page++, at += 4096) host[page] = at;
  }

  /** AND mask of physical addresses: bit 20 is cleared while A20 is off. */
  get a20Mask(): number {
    return this.a20;
  }
  set a20Mask(mask: number) {
    this.a20 = mask;
    this.state.set32(L.A20_MASK, mask);
  }
  private a20 = 0xffff_ffff;

  /** Take zeroed pages behind RAM for a ROM. Returns their address in linear memory. */
  takeRomPages(pages: number): number {
    if (this.next + pages * 4096 > this.end) throw new Error('no room left for ROM images');
    const host = this.next;
    this.next += pages * 4096;
    return host;
  }

  /** Map a read-only range of `length` zero bytes at `address` (page-aligned; its size is rounded up to pages). */
  mapRom(address: number, length: number): void {
    const pages = Math.ceil(length / 4096);
    const host = this.takeRomPages(pages);
    for (let i = 0; i < pages; i++) {
      this.host[(address >>> 12) + i] = host + i * 4096;
      this.flags[(address >>> 12) + i] = PAGE_ROM;
    }
    this.onRemap();
  }

  /** Let the bus answer in a page-aligned range instead of RAM, for good. Call it before the machine runs. */
  hide(address: number, length: number): void {
    this.host.fill(0, address >>> 12, (address + length) >>> 12);
    this.onRemap();
  }

  /** Fill ROM before the machine runs: what write() leaves alone. Bytes that are not in ROM are dropped. */
  fillRom(address: number, data: Uint8Array): void {
    for (let done = 0; done < data.length; ) {
      const at = address + done;
      const n = Math.min(4096 - (at % 4096), data.length - done);
      const h = this.hostOf(at);
      if (h !== 0 && (this.flags[at >>> 12]! & PAGE_ROM) !== 0) this.state.u8.set(data.subarray(done, done + n), h);
      done += n;
    }
  }

  /**
   * Fill RAM and ROM before the machine runs: what write() and fillRom() do with runs of `data`, one after the other.
   * @param offsets of the runs from `address`, ascending
   */
  fill(address: number, offsets: Uint32Array, lengths: Uint32Array, data: Uint8Array): void {
    const { u8 } = this.state;
    for (let i = 0, used = 0; i < offsets.length; i++) {
      const at = address + offsets[i]!;
      const length = lengths[i]!;
      const page = at < 0x1_0000_0000 ? at >>> 12 : 0;
      const plain = (this.flags[page]! & ~PAGE_DIRTY) === 0 && (at & 0xfff) + length <= 4096;
      const host = plain && length < SHORT ? this.hostOf(at) : 0;
      if (host === 0) {
        this.write(at, data.subarray(used, used + length));
        this.fillRom(at, data.subarray(used, used + length));
      } else {
        this.flags[page]! |= PAGE_DIRTY;
        for (let n = 0; n < length; n++) u8[host + n] = data[used + n]!;
      }
      used += length;
    }
  }

  /** From now on, note what the guest sees of these bytes, which a loader put there. */
  track(address: number, length: number): void {
    for (const page of this.observed.add(address, length)) this.flags[page] = this.flags[page]! | PAGE_PARTIAL;
  }

  /**
   * Go on with tracking where a checkpoint left it; after track(), before the machine runs.
   * @returns pages that were touched and are partial
   * @throws RangeError
   */
  restoreTracking(saved: Uint8Array): readonly number[] {
    const { partial, known } = this.observed.load(saved);
    for (const page of partial) this.flags[page]! |= PAGE_PARTIAL | PAGE_DIRTY;
    for (const page of known) this.flags[page] = (this.flags[page]! & ~PAGE_PARTIAL) | PAGE_DIRTY;
    return partial;
  }

  /**
   * Note which bytes of RAM are read and written from now on (`observed.watched()`), until unwatch(). For tools, on a
   * machine whose initial memory nobody looks at any more; again, to begin anew. Drop TLBs and decoded code with it.
   */
  watch(): void {
    this.observed.watch();
    for (let page = 0; page < this.ramSize >>> 12; page++)
      if ((this.flags[page]! & PAGE_ROM) === 0) this.flags[page]! |= PAGE_PARTIAL;
  }
  unwatch(): void {
    this.observed.unwatch();
    for (let page = 0; page < this.ramSize >>> 12; page++) this.flags[page]! &= ~PAGE_PARTIAL;
  }

  /** Reads of partial pages so far: where there were none, reading again changes nothing. */
  partialReads = 0;

  /** The guest (or a device) sees bytes of a page. @param times accesses that this was, side by side */
  noteRead(page: number, offset: number, length: number, times = 1): void {
    if (this.flags[page]! & PAGE_PARTIAL) {
      this.partialReads += times;
      this.flags[page]! |= PAGE_DIRTY;
      this.observed.read(page, offset, length, times);
    }
  }

  /** True when reading these bytes, which lie in one page, would observe some of them for the first time. */
  isUnknown(address: number, length: number): boolean {
    const page = address >>> 12;
    return (this.flags[page]! & PAGE_PARTIAL) !== 0 && this.observed.isUnknown(page, address & 0xfff, length);
  }

  /**
   * Write what was read at `from`, unobserved, without its being seen. Neither range leaves its page.
   * @param left bytes of the whole copy that are still to come
   * @returns false when that is not possible: then `from` has been observed, and nothing has been written
   */
  copyUnseen(from: number, to: number, data: Uint8Array, left: number): boolean {
    const host = this.hostOf(to);
    const page = to >>> 12;
    if (host === 0 || (this.flags[page]! & PAGE_ROM) !== 0 || !this.observed.copy(from, to, data.length, left)) {
      this.noteRead(from >>> 12, from & 0xfff, data.length);
      return false;
    }
    if (this.flags[page]! & PAGE_CODE) this.onCodeWrite(page, to & 0xfff, data.length);
    if ((this.flags[page]! & PAGE_PARTIAL) === 0) this.onPartial(page);
    this.flags[page]! |= PAGE_PARTIAL | PAGE_DIRTY;
    this.state.u8.set(data, host);
    return true;
  }

  /**
   * Copy items from a page that may be partial to another page of RAM without decoded code, one after the other: each is
   * copied unseen where that is possible, else read and written. No item leaves its page.
   * @param step bytes from item to item; below 0 where each lies below the one before
   * @param left bytes of the whole copy that are still to come, these included
   * @returns whether any item had no byte to be seen for the first time, and whether any was not copied unseen
   */
  copyItems(from: number, to: number, step: number, items: number, left: number): [seen: boolean, written: boolean] {
    const { observed, flags } = this;
    let [seen, written] = [false, false];
    const [source, page] = [from >>> 12, to >>> 12];
    const bytes = Math.abs(step);
    for (let done = 0; done < items; ) {
      const [a, b] = [from + done * step, to + done * step];
      const rest = left - done * bytes;
      let run = observed.alikeItems(source, a & 0xfff, step, items - done);
      if (run > 0 && observed.copies(a, b, bytes, rest)) {
        observed.copy(a, b, bytes, rest);
        // The first has settled what the page stands for.
        const behind = step < 0 ? (run - 1) * step : step;
        if (run > 1) observed.copy(a + behind, b + behind, (run - 1) * bytes, rest - bytes);
        if ((flags[page]! & PAGE_PARTIAL) === 0) this.onPartial(page);
        flags[page]! |= PAGE_PARTIAL;
      } else {
        seen ||= run < 0;
        written = true;
        run = run > 0 ? 1 : -run;
        const lowest = step < 0 ? a + (run - 1) * step : a;
        this.noteRead(source, lowest & 0xfff, run * bytes, run);
        for (let n = 0; n < run && (flags[page]! & PAGE_PARTIAL) !== 0; n++)
          observed.write(page, (b & 0xfff) + n * step, bytes);
      }
      flags[page]! |= PAGE_DIRTY;
      done += run;
    }
    const below = step < 0 ? (items - 1) * bytes : 0;
    const [start, end] = [this.hostOf(from) - below, this.hostOf(from) - below + items * bytes];
    this.state.u8.copyWithin(this.hostOf(to) - below, start, end);
    return [seen, written];
  }

  /** Address in linear memory of a physical address, or 0. */
  hostOf(address: number): number {
    if (address >= 0x1_0000_0000) return 0;
    const page = address >>> 12;
    const h = this.host[page]!;
    if (h !== 0) return h + (address & 0xfff);
    const late = this.pageHost(page);
    if (late !== 0) return late + (address & 0xfff);
    this.onAbsent?.();
    return 0;
  }

  /** Address in linear memory of a page below 4 GiB, or 0. */
  pageHost(page: number): number {
    const host = this.host[page]!;
    if (host !== 0 || this.late === undefined || this.late.pages[page] !== 1) return host;
    this.late.pages[page] = 0;
    const at = L.GUEST + page * 4096;
    this.late.put(page, at);
    this.host[page] = at;
    return at;
  }

  /** Pages of RAM that nobody has asked for yet, 1 for each, and who puts them into linear memory. */
  private late: { readonly pages: Uint8Array; readonly put: (page: number, at: number) => void } | undefined;

  /**
   * Pages of RAM above 1 MiB whose content is put into its place when it is asked for first. They count as unchanged. Call
   * it before the machine runs, with nothing translated.
   * @param put the content of a page to an address in linear memory; what it throws ends the run
   */
  leave(pages: Iterable<number>, put: (page: number, at: number) => void): void {
    this.late = { pages: new Uint8Array(this.ramSize >>> 12), put };
    for (const page of pages) {
      this.late.pages[page] = 1;
      this.host[page] = 0;
      this.flags[page]! &= ~PAGE_DIRTY;
    }
  }

  read(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length).fill(0xff);
    for (let done = 0; done < length; ) {
      const at = address + done;
      const n = Math.min(4096 - (at % 4096), length - done);
      const h = this.hostOf(at);
      if (h !== 0) {
        this.noteRead(at >>> 12, at & 0xfff, n);
        out.set(this.state.u8.subarray(h, h + n), done);
      }
      done += n;
    }
    return out;
  }

  write(address: number, data: Uint8Array): void {
    for (let done = 0; done < data.length; ) {
      const at = address + done;
      const n = Math.min(4096 - (at % 4096), data.length - done);
      const h = this.hostOf(at);
      const page = at >= 0x1_0000_0000 ? 0 : at >>> 12;
      if (h !== 0 && (this.flags[page]! & PAGE_ROM) === 0) {
        if (this.flags[page]! & PAGE_CODE) this.onCodeWrite(page, at & 0xfff, n);
        if (this.flags[page]! & PAGE_PARTIAL) this.observed.write(page, at & 0xfff, n);
        this.flags[page]! |= PAGE_DIRTY;
        this.state.u8.set(data.subarray(done, done + n), h);
      } else if (h !== 0 && this.flags[page]! & PAGE_SPLIT) this.writeBehind(at, data.subarray(done, done + n));
      done += n;
    }
  }

  /** Write RAM that ROM hides (PAGE_SPLIT); the bytes lie in one page. */
  writeBehind(address: number, data: Uint8Array): void {
    const page = address >>> 12;
    this.observed.write(page, address & 0xfff, data.length);
    this.flags[page]! |= PAGE_DIRTY;
    this.state.u8.set(data, L.GUEST + address);
  }

  /** u32 at a physical address that need not be aligned with a page; all ones outside memory. */
  read32(address: number): number {
    const h = this.hostOf(address);
    if (h === 0) return 0xffff_ffff;
    this.noteRead(address >>> 12, address & 0xfff, 4);
    return this.state.u32[h >>> 2]!;
  }

  /** As read32 of the halves of a page-table entry; the upper one is in `entryHigh`. */
  readEntry(address: number): number {
    const page = address >>> 12;
    if (address >= 0x1_0000_0000 || (this.flags[page]! & PAGE_PARTIAL) !== 0) {
      const low = this.read32(address);
      this.entryHigh = this.read32(address + 4);
      return low;
    }
    const host = this.host[page]! || this.pageHost(page);
    if (host === 0) {
      this.onAbsent?.();
      this.entryHigh = 0xffff_ffff;
      return 0xffff_ffff;
    }
    const { u32 } = this.state;
    const at = (host + (address & 0xfff)) >>> 2;
    this.entryHigh = u32[at + 1]!;
    return u32[at]!;
  }
  entryHigh = WIDE_ZERO;

  /** Write an aligned u32 (page-table bits). */
  write32(address: number, value: number): void {
    const h = this.hostOf(address);
    if (h === 0) return;
    const page = address >>> 12;
    const flags = this.flags[page]!;
    if (flags & PAGE_ROM) {
      if (flags & PAGE_SPLIT) this.writeBehind(address, littleEndian32(value));
      return;
    }
    if (flags & PAGE_CODE) this.onCodeWrite(page, address & 0xfff, 4);
    if (flags & PAGE_PARTIAL) this.observed.write(page, address & 0xfff, 4);
    this.flags[page] = this.flags[page]! | PAGE_DIRTY;
    this.state.u32[h >>> 2] = value;
  }
}

const littleEndian32 = (value: number): Uint8Array =>
  Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
