// Initial memory as it comes to be observed. A long boot need not wait for its memory at the end: at state hashes,
// which stand at the same cycles in every recording, what the guest has seen since goes to be packed: as soon as it is
// much, and again when it is much and nothing more seems to come. Pieces cost size, since code that runs at different
// times lies in the same pages. A boot that sees little never does that, and its memory is written as a whole.
//
// Invariant: what is handed over follows from the guest's accesses alone. Each observed byte goes once.

import { MaskDifference } from './mask-difference.js';
import type { MemoryRegion, ObservedMemory, ObservedPage } from './memory.js';
import { MASK_SIZE } from './state-digest.js';

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
  #begun = false;
  /** New bytes at the last step. */
  #waiting = 0;

  /**
   * @param regions that do not overlap
   * @param add takes pages by ascending address; views, to be copied at once
   */
  constructor(
    regions: Iterable<MemoryRegion>,
    observed: ObservedMemory,
    add: (pages: readonly ObservedPage[]) => void,
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
    this.#difference ??= new MaskDifference();
    let fresh = 0;
    for (const page of this.#pages) fresh += page.fresh(this.#difference);
    const grown = fresh - this.#waiting;
    this.#waiting = fresh;
    if (fresh < MUCH || (this.#begun && grown * QUIET > fresh)) return;
    this.#send();
    this.#waiting = 0;
  }

  /** Hand over the rest. @returns false when nothing went before: then the memory is the caller's to write */
  finish(): boolean {
    if (this.#begun) this.#send();
    return this.#begun;
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

  /** Observed bytes that did not go yet. */
  fresh(difference: MaskDifference): number {
    if (this.#isDone) return 0;
    this.#observed ??= this.memory.observedIn(Math.floor(this.address / PAGE)) ?? ALL;
    // Most pages are not looked at for long stretches. The comparison that is built in is quick from the first call on.
    if (Buffer.compare(this.#observed, this.#sent) === 0) return 0;
    difference.mask.set(this.#observed);
    if (this.length < PAGE) this.#keepOwn(difference.words);
    return difference.without(this.#sent);
  }

  /**
   * What is fresh, if any; it counts as gone.
   * @param sent where masks of what went have room
   */
  take(difference: MaskDifference, room: MaskRoom, sent: MaskRoom): ObservedPage | undefined {
    if (this.fresh(difference) === 0) return undefined;
    const mask = room.next();
    mask.set(difference.mask);
    if (this.#sent === NOTHING) this.#sent = sent.next();
    // What went was observed, and still is.
    if (this.length === PAGE) this.#sent.set(this.#observed!);
    else for (let i = 0; i < MASK_SIZE; i++) this.#sent[i]! |= mask[i]!;
    this.#isDone = Buffer.compare(this.#sent, ALL) === 0;
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
