// Which bytes of the initial memory the guest has seen. A sealed replay needs those and no others, so a trace of a
// 40 MB kernel holds the few megabytes of it that ran.
//
// Pages that a loader filled start out partial: every access notes bytes that are read or executed before they are
// overwritten. Bytes that a string instruction only copies are not seen: the page they go to becomes partial, its bytes
// stand for the initial ones until they are used.
// A page becomes whole when all its bytes are known, or when it was used so often that tracking it costs more than
// storing it. All follows from the guest's accesses alone: recording and replay agree on it at every cycle.
//
// What is known of a page lies in linear memory where there is room (a record, TRACK_* in layout.ts): emitted code does
// the plain cases of `read` and `write` itself (interp/tracking.ts), the others come here through the slow paths.

import * as L from './layout.js';
import { alikeFrom, copyBits, firstBeside, hasBits, isBeside, isEmpty, isFull, MASK_SIZE } from './page-masks.js';
import { WIDE_ZERO } from './state.js';

/** Accesses after which a page is taken whole. */
export const READ_LIMIT = 2048;
export const WRITE_LIMIT = 1024;
/** Writes after which is looked whether a page is known by now. */
export const WRITE_CHECK = 256;
/** Bytes that a copy must still have before it for a page to become partial by it. */
const COPY_MIN = 512;
const READS = 0;
const WRITES = 1;
/** A page in save(): u32 page, u32 kind, f64 origin, u32 reads, u32 writes, mask of unknown bytes. */
const SAVED_SIZE = 24 + MASK_SIZE;
const SAVED_KNOWN = 0;
const SAVED_LOADED = 1;
const SAVED_COPIED = 2;

interface PartialPage {
  /** Bits of bytes that stand for bytes of the initial memory nobody has observed. */
  readonly unknown: Uint8Array;
  /** The initial byte that an unknown byte stands for lies this far behind it; 0 where a loader put it. */
  origin: number;
  /**
   * No loader filled it; unobserved bytes were copied to it. Some byte of it is unknown: it is whole as soon as none is,
   * and so emitted code leaves the last change of the mask to `read` and `write`.
   */
  readonly copied: boolean;
  /** Where in the mask an unknown byte was found last; −1 = nowhere. */
  found: number;
  /** Reads and writes so far: two of these words, from there on. */
  readonly words: Uint32Array;
  readonly counts: number;
  /** Address of the record in linear memory, 0 = it has none. */
  readonly record: number;
}

/** Of what save() gave, a page with bytes that nobody has observed. */
export interface TrackedPage {
  readonly page: number;
  readonly origin: number;
  /** As in PartialPage. A view. */
  readonly unknown: Uint8Array;
}

/** Such pages. @throws RangeError when the bytes cannot be from save() */
export function* readTracked(saved: Uint8Array): Generator<TrackedPage> {
  const view = new DataView(saved.buffer, saved.byteOffset, saved.length);
  if (saved.length % SAVED_SIZE !== 0) throw new RangeError('tracked pages are not whole');
  for (let at = 0; at < saved.length; at += SAVED_SIZE) {
    if (view.getUint32(at + 4, true) === SAVED_KNOWN) continue;
    const unknown = saved.subarray(at + 24, at + SAVED_SIZE);
    if (isEmpty(unknown)) continue;
    const origin = view.getFloat64(at + 8, true);
    if (!Number.isSafeInteger(origin)) throw new RangeError('a tracked page stands for no memory');
    yield { page: view.getUint32(at, true), origin, unknown };
  }
}

const isUsed = ({ words, counts }: PartialPage): boolean => words[counts + READS] !== 0 || words[counts + WRITES] !== 0;

/** Room for records: `size` bytes at `base` of `buffer`, all zero. */
export interface TrackingRoom {
  readonly buffer: ArrayBuffer;
  readonly base: number;
  readonly size: number;
  /** Address of each page's record, for emitted code; all 0. */
  readonly records: Uint32Array;
}

export class ObservedMemory {
  private readonly partial = new Map<number, PartialPage>();
  /** Observed bytes of the pages that a loader filled. */
  private readonly masks = new Map<number, Uint8Array>();

  /** All of the room's buffer: a view of a page's own costs more than what is done with it. */
  private readonly words: Uint32Array;
  private used = 0;
  /** Every access to any page is noted, exactly and without an end: for tools (`watch`). */
  private watching = false;

  /**
   * @param whole called when a page needs no tracking any more
   * @param room for records in linear memory
   */
  constructor(
    private readonly whole: (page: number) => void,
    private readonly room?: TrackingRoom,
  ) {
    this.words =
      room === undefined ? new Uint32Array(0) : new Uint32Array(room.buffer, 0, room.buffer.byteLength >>> 2);
  }

  /** Address of a partial page's record in linear memory; 0 = it has none. */
  recordOf(page: number): number {
    return this.pageOf(page)?.record ?? 0;
  }

  /** What is known of a page; while all are watched, a page is made when it is asked for. */
  private pageOf(page: number): PartialPage | undefined {
    const known = this.partial.get(page);
    if (known !== undefined || !this.watching) return known;
    this.loaded(page);
    return this.partial.get(page);
  }

  /**
   * From now on nothing of the initial memory is looked at, but which bytes of any page are read before they are
   * written, and which are written: all accesses are noted, copies as reads and writes. After takeWhole(), or again, to
   * begin anew. TLBs must be dropped, and decoded code, whose fetches are noted when it is decoded.
   */
  watch(): void {
    if (!this.watching) {
      this.partial.clear();
      this.masks.clear();
      this.used = 0;
      this.watching = true;
    }
    for (const [page, p] of this.partial) {
      if (!isUsed(p)) continue;
      const { unknown, words, counts } = p;
      unknown.fill(0xff);
      this.masks.get(page)!.fill(0);
      words.fill(0, counts, counts + 2);
    }
  }

  /** The end of it: no page is partial. */
  unwatch(): void {
    this.watching = false;
    this.partial.clear();
    this.masks.clear();
    this.used = 0;
  }

  /** Pages that were used since watch(): masks of bytes neither read nor written, and of bytes read before a write. Views. */
  *watched(): Generator<{ readonly page: number; readonly untouched: Uint8Array; readonly read: Uint8Array }> {
    for (const [page, p] of this.partial)
      if (isUsed(p)) yield { page, untouched: p.unknown, read: this.masks.get(page)! };
  }

  /** A page that is partial from now on, none of its bytes unknown yet; with a record where there is room. */
  private begin(page: number, origin: number, copied: boolean): PartialPage {
    const { room } = this;
    let p: PartialPage;
    // A field of another layout from the start (state.ts).
    const wide = origin === 0 ? WIDE_ZERO : origin;
    if (room === undefined || this.used + L.TRACK_SIZE > room.size) {
      p = {
        unknown: new Uint8Array(MASK_SIZE),
        origin: wide,
        copied,
        found: -1,
        words: new Uint32Array(2),
        counts: 0,
        record: 0,
      };
    } else {
      const record = room.base + this.used;
      this.used += L.TRACK_SIZE;
      if (this.watching) new Uint8Array(room.buffer, record, L.TRACK_SIZE).fill(0);
      const unknown = new Uint8Array(room.buffer, record + L.TRACK_UNKNOWN, MASK_SIZE);
      const { words } = this;
      words[(record + L.TRACK_COPIED) >>> 2] = copied ? 1 : 0;
      p = { unknown, origin: wide, copied, found: -1, words, counts: (record + L.TRACK_READS) >>> 2, record };
    }
    this.setPartial(page, p);
    return p;
  }
  private setPartial(page: number, p: PartialPage): void {
    this.partial.set(page, p);
    if (this.room !== undefined) this.room.records[page] = p.record;
  }
  private forget(page: number): void {
    this.partial.delete(page);
    if (this.room !== undefined) this.room.records[page] = 0;
  }

  /** What a page's unknown bytes stand for, also for emitted code. */
  private setOrigin(page: number, p: PartialPage, origin: number): void {
    p.origin = origin;
    if (p.record === 0 || !p.copied) return;
    const from = page * 4096 + origin;
    const source = Math.floor(from / 4096);
    const { buffer } = this.room!;
    const maskAt = (mask: Uint8Array | undefined) => (mask?.buffer === buffer ? mask.byteOffset : 0);
    const { words } = this;
    const at = (p.record + L.TRACK_SHIFT) >>> 2;
    words[at] = from - source * 4096;
    words[at + 1] = maskAt(this.masks.get(source));
    words[at + 2] = maskAt(this.masks.get(source + 1));
  }

  /** A page that a loader filled. */
  private loaded(page: number): void {
    const { record, unknown } = this.begin(page, 0, false);
    unknown.fill(0xff);
    const mask =
      record === 0
        ? new Uint8Array(MASK_SIZE)
        : new Uint8Array(this.room!.buffer, record + L.TRACK_OBSERVED, MASK_SIZE);
    this.masks.set(page, mask);
  }

  /** A loader filled `length` bytes at a physical address. Returns the pages concerned. */
  *add(address: number, length: number): Generator<number> {
    if (length === 0) return;
    for (let page = Math.floor(address / 4096); page <= Math.floor((address + length - 1) / 4096); page++) {
      if (!this.masks.has(page)) this.loaded(page);
      yield page;
    }
  }

  /**
   * The guest reads or executes bytes of a partial page.
   * @param times accesses that this was: a page that is whole after some of them is whole after all
   */
  read(page: number, offset: number, length: number, times = 1): void {
    const p = this.pageOf(page);
    if (p === undefined) return;
    this.resolve(page, p, offset, length);
    if (this.watching) {
      p.words[p.counts + READS] = 1;
      return;
    }
    p.words[p.counts + READS]! += times;
    if (p.words[p.counts + READS]! > READ_LIMIT || (p.copied && isEmpty(p.unknown))) this.finish(page, p);
  }

  /** The guest or a device overwrites bytes of a partial page. */
  write(page: number, offset: number, length: number): void {
    const p = this.pageOf(page);
    if (p === undefined) return;
    for (let i = offset; i < offset + length; i++) p.unknown[i >> 3]! &= ~(1 << (i & 7));
    if (this.watching) {
      p.words[p.counts + WRITES] = 1;
      return;
    }
    const writes = ++p.words[p.counts + WRITES]!;
    if (writes > WRITE_LIMIT) this.finish(page, p);
    else if ((p.copied || offset + length === 4096 || writes % WRITE_CHECK === 0) && isEmpty(p.unknown))
      this.finish(page, p);
  }

  /** True when bytes that nobody has observed are among these. */
  isUnknown(page: number, offset: number, length: number): boolean {
    if (this.watching) return false;
    const unknown = this.partial.get(page)?.unknown;
    if (unknown === undefined) return false;
    for (let i = offset; i < offset + length; i++) if ((unknown[i >> 3]! & (1 << (i & 7))) !== 0) return true;
    return false;
  }

  /**
   * How many of some items, `step` bytes long (8 at most) and apart (downwards where negative), are as the first one: a
   * number above 0 where they have a byte that nobody has observed, below 0 where they have none.
   */
  alikeItems(page: number, offset: number, step: number, items: number): number {
    const unknown = this.watching ? undefined : this.partial.get(page)?.unknown;
    if (unknown === undefined) return -items;
    const bytes = Math.abs(step);
    const first = hasBits(unknown, offset, bytes);
    let n = 1;
    while (n < items) {
      const at = offset + n * step;
      // Most often all items that begin in some bytes of the mask are alike: the byte behind those.
      const byte = alikeFrom(unknown, at >> 3, step, first);
      if (byte !== at >> 3) n += Math.ceil((step < 0 ? at - 8 * byte - 7 : 8 * byte - at) / bytes);
      else if (hasBits(unknown, at, bytes) === first) n++;
      else break;
    }
    n = Math.min(n, items);
    return first ? n : -n;
  }

  /** Whether `copy` would do it. */
  copies(from: number, to: number, length: number, left: number): boolean {
    const page = Math.floor(to / 4096);
    const source = this.partial.get(Math.floor(from / 4096));
    if (source === undefined || page === Math.floor(from / 4096)) return false;
    const p = this.partial.get(page);
    if (p === undefined) return left >= COPY_MIN;
    if (p.origin === from + source.origin - to) return true;
    if (!p.copied) return false;
    // Where an unknown byte was found that stays, there is often one the next time.
    const start = to % 4096;
    const stays = p.found >= 0 && isBeside(p.unknown, p.found, start, start + length);
    if (!stays) p.found = firstBeside(p.unknown, start, start + length);
    return p.found < 0;
  }

  /**
   * Bytes are copied from page to page without being looked at; both addresses are physical, neither range leaves its
   * page. The bytes copied stand for the same initial bytes as their source.
   * @param left bytes of the whole copy that are still to come, these included
   * @returns false when that cannot be told: then they are to be read and written instead. A page has one origin
   */
  copy(from: number, to: number, length: number, left: number): boolean {
    if (!this.copies(from, to, length, left)) return false;
    const page = Math.floor(to / 4096);
    const source = this.partial.get(Math.floor(from / 4096))!;
    const origin = from + source.origin - to;
    let p = this.partial.get(page);
    if (p === undefined) p = this.begin(page, origin, true);
    this.setOrigin(page, p, origin);
    if (((from | to | length) & 7) === 0) {
      const first = (from % 4096) >>> 3;
      p.unknown.set(source.unknown.subarray(first, first + (length >>> 3)), (to % 4096) >>> 3);
      return true;
    }
    copyBits(source.unknown, from % 4096, p.unknown, to % 4096, length);
    return true;
  }

  /** Unknown bytes become known: the initial bytes that they stand for are observed. */
  private resolve(page: number, p: PartialPage, offset: number, length: number): void {
    const { unknown } = p;
    if (!p.copied) {
      // Nearly always: the page's own bytes.
      const mask = this.masks.get(page)!;
      const end = offset + length - 1;
      const last = end >> 3;
      for (let at = offset >> 3; at <= last; at++) {
        let bits = unknown[at]!;
        if (bits === 0) continue;
        if (at === offset >> 3) bits &= 0xff << (offset & 7);
        if (at === last) bits &= 0xff >> (7 - (end & 7));
        unknown[at]! ^= bits;
        mask[at]! |= bits;
      }
      return;
    }
    let known = -1;
    let mask = unknown;
    for (let i = offset; i < offset + length; ) {
      const bits = unknown[i >> 3]!;
      if (bits === 0) {
        i = (i | 7) + 1;
        continue;
      }
      if ((bits & (1 << (i & 7))) !== 0) {
        unknown[i >> 3] = bits & ~(1 << (i & 7));
        const from = page * 4096 + i + p.origin;
        const source = Math.floor(from / 4096);
        if (source !== known) {
          mask = this.masks.get(source)!;
          known = source;
        }
        const n = from - source * 4096;
        mask[n >> 3]! |= 1 << (n & 7);
      }
      i++;
    }
  }

  /** What is known of the pages that were touched: canonical bytes for a checkpoint, a record for each of them. */
  save(): Uint8Array {
    const pages = [...new Set([...this.masks.keys(), ...this.partial.keys()])].sort((a, b) => a - b);
    const touched = pages.filter((page) => {
      const p = this.partial.get(page);
      return p === undefined || p.copied || isUsed(p) || !isFull(p.unknown);
    });
    const out = new Uint8Array(touched.length * SAVED_SIZE);
    const view = new DataView(out.buffer);
    touched.forEach((page, i) => {
      const at = i * SAVED_SIZE;
      const p = this.partial.get(page);
      view.setUint32(at, page, true);
      view.setUint32(at + 4, p === undefined ? SAVED_KNOWN : p.copied ? SAVED_COPIED : SAVED_LOADED, true);
      if (p === undefined) return;
      view.setFloat64(at + 8, p.origin + 0, true);
      view.setUint32(at + 16, p.words[p.counts + READS]!, true);
      view.setUint32(at + 20, p.words[p.counts + WRITES]!, true);
      out.set(p.unknown, at + 24);
    });
    return out;
  }

  /**
   * Load what save() gave, into one where the same pages were added and nothing has happened since.
   * @returns pages that are partial now, and pages that are not
   * @throws RangeError when the bytes cannot be from save()
   */
  load(saved: Uint8Array): { partial: number[]; known: number[] } {
    const view = new DataView(saved.buffer, saved.byteOffset, saved.length);
    const result = { partial: [] as number[], known: [] as number[] };
    if (saved.length % SAVED_SIZE !== 0) throw new RangeError('tracked pages are not whole');
    for (let at = 0; at < saved.length; at += SAVED_SIZE) {
      const page = view.getUint32(at, true);
      const kind = view.getUint32(at + 4, true);
      if (page >= 0x10_0000 || (kind !== SAVED_COPIED && !this.masks.has(page)) || kind > SAVED_COPIED)
        throw new RangeError(`page ${page} cannot be tracked so`);
      if (kind === SAVED_KNOWN) {
        this.forget(page);
        result.known.push(page);
        continue;
      }
      const origin = view.getFloat64(at + 8, true);
      const loaded = kind === SAVED_LOADED ? this.partial.get(page) : undefined;
      const p = loaded ?? this.begin(page, origin, true);
      this.setOrigin(page, p, origin);
      p.words[p.counts + READS] = view.getUint32(at + 16, true);
      p.words[p.counts + WRITES] = view.getUint32(at + 20, true);
      p.unknown.set(saved.subarray(at + 24, at + SAVED_SIZE));
      if (!this.standsForLoaded(page, p)) throw new RangeError(`page ${page} stands for no memory that was loaded`);
      this.setPartial(page, p);
      result.partial.push(page);
    }
    return result;
  }

  /** Where the initial bytes are that a page's unknown bytes stand for: so far behind them. */
  originOf(page: number): number {
    return (this.partial.get(page)?.origin ?? 0) + 0;
  }

  private standsForLoaded(page: number, p: PartialPage): boolean {
    if (!Number.isSafeInteger(p.origin)) return false;
    const from = page * 4096 + p.origin;
    const source = Math.floor(from / 4096);
    // Bytes before this one stand for bytes of `source`, the others for bytes of the page behind it.
    const border = (source + 1) * 4096 - from;
    return (
      (this.masks.has(source) || firstBeside(p.unknown, border, 4096) < 0) &&
      (border === 4096 || this.masks.has(source + 1) || firstBeside(p.unknown, 0, border) < 0)
    );
  }

  private finish(page: number, p: PartialPage): void {
    this.resolve(page, p, 0, 4096);
    this.forget(page);
    // TLB entries that still lead to the record find its limits reached.
    p.words.fill(0x7fff_ffff, p.counts, p.counts + 2);
    this.whole(page);
  }

  /** Stop looking: every page counts as seen. For machines that nobody records; guests cannot tell. */
  takeWhole(): void {
    for (const [page, p] of [...this.partial]) this.finish(page, p);
  }

  /** True when the page holds nothing that a replay might not have. */
  isPageKnown(page: number): boolean {
    return !this.partial.has(page);
  }

  /** Mask of the bytes of a page that a replay might not have; undefined when there are none. A view. */
  unknownIn(page: number): Uint8Array | undefined {
    return this.partial.get(page)?.unknown;
  }

  /** Mask of the bytes of a page whose initial content must be in the trace; undefined for all of them. A view. */
  observedIn(page: number): Uint8Array | undefined {
    return this.masks.get(page);
  }
}
