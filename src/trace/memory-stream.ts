// Initial memory as it comes to be observed. A long boot need not wait for its memory at the end: at state hashes,
// which stand at the same cycles in every recording, what the guest has seen since goes to be packed: as soon as it is
// much, and again when it is much and nothing more seems to come. Pieces cost size, since code that runs at different
// times lies in the same pages. A boot that sees little never does that, and its memory is written as a whole.
//
// Invariant: what is handed over follows from the guest's accesses alone. Each observed byte goes once.

import { MaskCounter } from './mask-count.js';
import { MaskDifference } from './mask-difference.js';
import type { MemoryRegion, ObservedMemory, ObservedPage } from './memory.js';
import { isFull, MASK_SIZE } from './state-digest.js';

const PAGE = 4096;
/** Observed bytes, zeros included, that are worth chunks of their own while the guest runs. */
const MUCH = 0x30_0000;
/** The part of what waits that may have come since the last step: pages in pieces are larger, so growth goes on first. */
const QUIET = 16;
/** Of one job: pages, and guest memory between its first and last page. */
const JOB_PAGES = 0xc00;
const JOB_SPAN = 0x200_0000;

/** Masks that get room at once. */
const ROOM = 128;

/** Masks. */
const NOTHING = new Uint8Array(MASK_SIZE);
const ALL = new Uint8Array(MASK_SIZE).fill(0xff);

export class MemoryStream {
  readonly #pages: PagePart[] = [];
  readonly #add: (pages: readonly ObservedPage[]) => void;
  readonly #sent = new MaskRoom();
  #difference: MaskDifference | undefined;
  #counter: MaskCounter | undefined;
  /** Pages that the counter does not count. */
  #uncounted: readonly PagePart[] = [];
  #begun = false;
  /** Bytes that went. */
  #gone = 0;
  /** New bytes at the last step. */
  #waiting = 0;

  /**
   * @param regions that do not overlap
   * @param add takes pages by ascending address; views, to be copied at once
   * @param room in which masks of observed bytes may lie
   */
  constructor(
    regions: Iterable<MemoryRegion>,
    observed: ObservedMemory,
    add: (pages: readonly ObservedPage[]) => void,
    private readonly room?: WebAssembly.Memory,
  ) {
    for (const { address, data } of [...regions].sort((a, b) => a.address - b.address)) {
      const end = address + data.length;
      for (let from = address; from < end; ) {
        const to = Math.min(end, (Math.floor(from / PAGE) + 1) * PAGE);
        this.#pages.push(new PagePart(from, to - from, data, from - address, observed));
        from = to;
      }
    }
    this.#add = add;
  }

  /** Hand over what is new, if it is time. Call it at cycles that are the same in every recording. */
  step(): void {
    const seen = this.#observed();
    const fresh = seen - this.#gone;
    const grown = fresh - this.#waiting;
    this.#waiting = fresh;
    if (fresh < MUCH || (this.#begun && grown * QUIET > fresh)) return;
    this.#send();
    this.#waiting = 0;
    this.#gone = seen;
  }

  /** Hand over the rest. @returns false when nothing went before: then the memory is the caller's to write */
  finish(): boolean {
    if (this.#begun) this.#send();
    return this.#begun;
  }

  /** Bytes observed so far. */
  #observed(): number {
    if (!this.#difference) {
      this.#difference = new MaskDifference();
      const counter = this.room && new MaskCounter(this.room);
      this.#counter = counter;
      this.#uncounted = counter ? this.#pages.filter((page) => !page.isCounted(counter)) : this.#pages;
    }
    let bytes = this.#counter?.bits() ?? 0;
    for (const page of this.#uncounted) bytes += page.observedBytes(this.#difference);
    return bytes;
  }

  #send(): void {
    this.#begun = true;
    const room = new MaskRoom();
    let job: ObservedPage[] = [];
    for (const part of this.#pages) {
      const page = part.take(this.#difference!, room, this.#sent);
      if (!page) continue;
      if (job.length > 0 && (job.length >= JOB_PAGES || part.address >= job[0]!.address + JOB_SPAN)) {
        this.#add(job);
        job = [];
      }
      job.push(page);
    }
    if (job.length > 0) this.#add(job);
  }
}

/** Room for masks, many at a time: an array of its own costs more than filling it. */
class MaskRoom {
  #block = new Uint8Array(0);
  #used = 0;

  next(): Uint8Array {
    if (this.#used === this.#block.length) {
      this.#block = new Uint8Array(ROOM * MASK_SIZE);
      this.#used = 0;
    }
    this.#used += MASK_SIZE;
    return this.#block.subarray(this.#used - MASK_SIZE, this.#used);
  }
}

/** A page of a region, or what of it belongs to the region. */
class PagePart {
  #observed: Uint8Array | undefined;
  /** What went already. */
  #sent: Uint8Array = NOTHING;
  #isDone = false;

  constructor(
    readonly address: number,
    private readonly length: number,
    private readonly region: Uint8Array,
    private readonly offset: number,
    private readonly memory: ObservedMemory,
  ) {}

  /** Have its observed bytes counted, if that is the whole page's. */
  isCounted(counter: MaskCounter): boolean {
    return this.length === PAGE && counter.add(this.#mask());
  }

  observedBytes(difference: MaskDifference): number {
    difference.mask.set(this.#mask());
    if (this.length < PAGE) this.#keepOwn(difference.words);
    return difference.without(NOTHING);
  }

  #mask(): Uint8Array {
    this.#observed ??= this.memory.observedIn(Math.floor(this.address / PAGE)) ?? ALL;
    return this.#observed;
  }

  /**
   * What did not go yet, if any; it counts as gone.
   * @param sent where masks of what went have room
   */
  take(difference: MaskDifference, room: MaskRoom, sent: MaskRoom): ObservedPage | undefined {
    if (this.#isDone) return undefined;
    const observed = this.#mask();
    // Most pages are not looked at for long stretches. The comparison that is built in is quick from the first call on.
    if (Buffer.compare(observed, this.#sent) === 0) return undefined;
    let mask = observed;
    if (this.#sent !== NOTHING || this.length < PAGE) {
      difference.mask.set(observed);
      if (this.length < PAGE) this.#keepOwn(difference.words);
      if (difference.without(this.#sent) === 0) return undefined;
      mask = room.next();
      mask.set(difference.mask);
    }
    if (this.#sent === NOTHING) this.#sent = sent.next();
    // What went was observed, and still is.
    if (this.length === PAGE) this.#sent.set(observed);
    else for (let i = 0; i < MASK_SIZE; i++) this.#sent[i]! |= mask[i]!;
    this.#isDone = isFull(this.#sent);
    return { address: this.address, bytes: this.region.subarray(this.offset, this.offset + this.length), mask };
  }

  /** Leave those bits of a mask whose bytes belong to the part, in a page that a region begins or ends in. */
  #keepOwn(words: Uint32Array): void {
    for (let word = 0; word < words.length; word++) {
      const from = (this.address % PAGE) - word * 32;
      const to = from + this.length;
      if (from >= 32 || to <= 0) words[word] = 0;
      else words[word]! &= (from > 0 ? -1 << from : -1) & (to < 32 ? ~(-1 << to) : -1);
    }
  }
}
