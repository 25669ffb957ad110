// Initial memory as it comes to be observed. A long boot need not wait for its memory at the end: at state hashes,
// which stand at the same cycles in every recording, what the guest has seen since goes to be packed, if it is much.
// A boot that sees little never does that, and its memory is written as a whole.
//
// Invariant: what is handed over follows from the guest's accesses alone. Each observed byte goes once.

import type { MemoryRegion, ObservedMemory, ObservedPage } from './memory.js';

const PAGE = 4096;
const MASK = 512;
/** Observed bytes, zeros included, that are worth chunks of their own while the guest runs. */
const MUCH = 0x30_0000;
/** The part of what waits that may have come since the last step: pages in pieces are larger, so growth goes on first. */
const QUIET = 16;
/** Of one job: observed bytes, and guest memory between its first and last page. */
const JOB_BYTES = 0x80_0000;
const JOB_SPAN = 0x200_0000;

export class MemoryStream {
  readonly #regions: readonly MemoryRegion[];
  readonly #observed: ObservedMemory;
  readonly #add: (pages: readonly ObservedPage[]) => void;
  /** What went already, of each page. */
  readonly #sent = new Map<number, Uint32Array>();
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
    this.#regions = [...regions].sort((a, b) => a.address - b.address);
    this.#observed = observed;
    this.#add = add;
  }

  /** Hand over what is new, if it is much. Call it at cycles that are the same in every recording. */
  step(): void {
    const fresh = this.#fresh();
    const grown = fresh.bytes - this.#waiting;
    this.#waiting = fresh.bytes;
    if (fresh.bytes < MUCH || grown * QUIET > fresh.bytes) return;
    this.#send(fresh.pages);
    this.#waiting = 0;
  }

  /** Hand over the rest. @returns false when nothing went before: then the memory is the caller's to write */
  finish(): boolean {
    if (this.#begun) this.#send(this.#fresh().pages);
    return this.#begun;
  }

  /** Pages with bytes that did not go yet, and how many there are. */
  #fresh(): { pages: (ObservedPage & { count: number })[]; bytes: number } {
    const pages: (ObservedPage & { count: number })[] = [];
    let bytes = 0;
    for (const { address, data } of this.#regions) {
      const end = address + data.length;
      for (let from = address; from < end; ) {
        const page = Math.floor(from / PAGE);
        const to = Math.min(end, (page + 1) * PAGE);
        const fresh = this.#freshIn(page, from % PAGE, to - page * PAGE);
        if (fresh) {
          pages.push({ address: from, bytes: data.subarray(from - address, to - address), ...fresh });
          bytes += fresh.count;
        }
        from = to;
      }
    }
    return { pages, bytes };
  }

  #freshIn(page: number, from: number, to: number): { mask: Uint8Array; count: number } | undefined {
    const observed = this.#observed.observedIn(page);
    const words = observed && new Uint32Array(observed.buffer, observed.byteOffset, MASK / 4);
    const sent = this.#sent.get(page);
    let any = 0;
    for (let i = from >> 5; i < (to + 31) >> 5 && any === 0; i++)
      any = (words ? words[i]! : -1) & ~(sent ? sent[i]! : 0);
    if (any === 0) return undefined;
    const mask = new Uint32Array(MASK / 4);
    let count = 0;
    for (let i = from >> 5; i < (to + 31) >> 5; i++) {
      let bits = (words ? words[i]! : -1) & ~(sent ? sent[i]! : 0);
      // A region may begin or end within the page.
      if (i === from >> 5) bits &= -1 << (from & 31);
      if (i === to >> 5) bits &= ~(-1 << (to & 31));
      mask[i] = bits;
      for (; bits !== 0; bits &= bits - 1) count++;
    }
    return count === 0 ? undefined : { mask: new Uint8Array(mask.buffer), count };
  }

  #send(pages: readonly (ObservedPage & { count: number })[]): void {
    this.#begun = true;
    let job: ObservedPage[] = [];
    let bytes = 0;
    for (const page of pages) {
      if (job.length > 0 && (bytes >= JOB_BYTES || page.address >= job[0]!.address + JOB_SPAN)) {
        this.#add(job);
        job = [];
        bytes = 0;
      }
      job.push(page);
      bytes += page.count;
      const number = Math.floor(page.address / PAGE);
      const sent = this.#sent.get(number) ?? new Uint32Array(MASK / 4);
      const mask = new Uint32Array(page.mask.buffer, page.mask.byteOffset, MASK / 4);
      for (let i = 0; i < sent.length; i++) sent[i]! |= mask[i]!;
      this.#sent.set(number, sent);
    }
    if (job.length > 0) this.#add(job);
  }
}
