// Initial memory as it comes to be observed. A long boot need not wait for its memory at the end: at state hashes,
// which stand at the same cycles in every recording, what the guest has seen since goes to be packed: as soon as it is
// much, and again when it is much and nothing more seems to come. Pieces cost size, since code that runs at different
// times lies in the same pages. A boot that sees little never does that, and its memory is written as a whole.
//
// Invariant: what is handed over follows from the guest's accesses alone. Each observed byte goes once.

import type { MemoryRegion, ObservedMemory, ObservedPage } from './memory.js';

const PAGE = 4096;
const WORDS = PAGE / 32;
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
const NOTHING = new Uint8Array(WORDS * 4);
const ALL = new Uint8Array(WORDS * 4).fill(0xff);

export class MemoryStream {
  readonly #pages: PagePart[] = [];
  readonly #add: (pages: readonly ObservedPage[]) => void;
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
    const room = new MaskRoom();
    for (const { address, data } of [...regions].sort((a, b) => a.address - b.address)) {
      const end = address + data.length;
      for (let from = address; from < end; ) {
        const to = Math.min(end, (Math.floor(from / PAGE) + 1) * PAGE);
        this.#pages.push(new PagePart(from, data.subarray(from - address, to - address), observed, room));
        from = to;
      }
    }
    this.#add = add;
  }

  /** Hand over what is new, if it is time. Call it at cycles that are the same in every recording. */
  step(): void {
    let fresh = 0;
    for (const page of this.#pages) fresh += page.fresh();
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
      if (part.fresh() === 0) continue;
      if (job.length > 0 && (job.length >= JOB_PAGES || part.address >= job[0]!.address + JOB_SPAN)) {
        this.#add(job);
        job = [];
      }
      job.push(part.take(room));
    }
    if (job.length > 0) this.#add(job);
  }
}

/** Room for masks, many at a time: an array of its own costs more than filling it. */
class MaskRoom {
  #block = new ArrayBuffer(0);
  #used = 0;

  next(): Uint32Array {
    if (this.#used === this.#block.byteLength) {
      this.#block = new ArrayBuffer(ROOM * WORDS * 4);
      this.#used = 0;
    }
    this.#used += WORDS * 4;
    return new Uint32Array(this.#block, this.#used - WORDS * 4, WORDS);
  }
}

/** A page of a region, or what of it belongs to the region. */
class PagePart {
  /** Bits of what was observed and, when any did, of what went already. */
  #observed: Uint32Array | undefined;
  #sent: Uint32Array | undefined;
  /** The same. */
  #observedBytes: Uint8Array | undefined;
  #sentBytes: Uint8Array = NOTHING;
  /** All of the page went. */
  #isDone = false;

  constructor(
    readonly address: number,
    private readonly bytes: Uint8Array,
    private readonly memory: ObservedMemory,
    private readonly sentRoom: MaskRoom,
  ) {}

  /** Observed bytes that did not go yet. */
  fresh(): number {
    if (this.#isDone) return 0;
    const sent = this.#sent;
    const observed = this.#words();
    // Most pages are not looked at for long stretches. The comparison that is built in is quick from the first call on.
    if (Buffer.compare(this.#observedBytes!, this.#sentBytes) === 0) return 0;
    let count = 0;
    for (let i = 0; i < WORDS; i++) {
      const bits = sent === undefined ? observed[i]! : observed[i]! & ~sent[i]!;
      if (bits !== 0) count += bitsIn(bits & this.#within(i));
    }
    return count;
  }

  /** What is fresh; it counts as gone. */
  take(room: MaskRoom): ObservedPage {
    const observed = this.#words();
    if (this.#sent === undefined) {
      this.#sent = this.sentRoom.next();
      this.#sentBytes = bytesOf(this.#sent);
    }
    const sent = this.#sent;
    const mask = room.next();
    let all = -1;
    for (let i = 0; i < WORDS; i++) {
      const fresh = observed[i]! & ~sent[i]! & this.#within(i);
      mask[i] = fresh;
      sent[i]! |= fresh;
      all &= sent[i]!;
    }
    this.#isDone = all === -1;
    return { address: this.address, bytes: this.bytes, mask: bytesOf(mask) };
  }

  #words(): Uint32Array {
    if (this.#observed) return this.#observed;
    const bytes = this.memory.observedIn(Math.floor(this.address / PAGE)) ?? ALL;
    this.#observedBytes = bytes;
    this.#observed = new Uint32Array(bytes.buffer, bytes.byteOffset, WORDS);
    return this.#observed;
  }

  /** Bits of a word of the mask whose bytes belong to the part: all, but in a page that a region begins or ends in. */
  #within(word: number): number {
    if (this.bytes.length === PAGE) return -1;
    const from = (this.address % PAGE) - word * 32;
    const to = from + this.bytes.length;
    if (from >= 32 || to <= 0) return 0;
    return (from > 0 ? -1 << from : -1) & (to < 32 ? ~(-1 << to) : -1);
  }
}

const bytesOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);

function bitsIn(word: number): number {
  let n = word - ((word >>> 1) & 0x5555_5555);
  n = (n & 0x3333_3333) + ((n >>> 2) & 0x3333_3333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
