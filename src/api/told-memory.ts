// Memory at a checkpoint of a trace that says what its state hashes count as zeros (KNOW chunks): nothing is tracked there, so
// of what was known of memory only this is needed: which bytes of a page are initial ones still, and where they come from.
// Pages that are packed in groups are unpacked when the guest asks for them, which most never are.
//
// Invariant: a page is believed when it has its digest, and the digests when the state has the recorded hash.

import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { readTracked, type TrackedPage } from '../cpu/observed.js';
import { PAGE_DIRTY } from '../cpu/physical.js';
import type { SavedPage } from '../trace/checkpoint.js';
import { TraceError } from '../trace/error.js';
import { wholeWords } from '../trace/known-words.js';
import type { SavedPages } from '../trace/saved-pages.js';
import { pageDigest, ZERO_PAGE } from '../trace/state-digest.js';
import { initialBytes, putMasked } from './checkpoints.js';
import { MachineHash } from './machine-state.js';

const PAGE = 4096;
/** Below it what a page shows may change (PAM, SMRAM). */
const FIRST_LATE = 0x100;

export class ToldMemory {
  /** Pages with bytes that stand for initial ones, by number. */
  readonly #masked = new Map<number, TrackedPage>();
  readonly #u8: Uint8Array;

  /**
   * @param cpu with the initial memory
   * @param tracked as the processor saved it
   * @throws RangeError when it cannot be of this machine
   */
  constructor(
    private readonly cpu: Cpu,
    tracked: Uint8Array,
  ) {
    this.#u8 = cpu.state.u8;
    const pages = cpu.physical.ramSize / PAGE;
    const copied: (readonly [page: number, from: Uint8Array, mask: Uint8Array])[] = [];
    for (const one of readTracked(tracked)) {
      if (one.page >= pages) throw new RangeError(`page ${one.page} is not RAM`);
      this.#masked.set(one.page, one);
      if (one.origin !== 0) copied.push([one.page, initialBytes(cpu, one.page * PAGE + one.origin), one.unknown]);
    }
    for (const [page, bytes, mask] of copied) putMasked(this.#u8, L.GUEST + page * PAGE, bytes, mask, 0xff);
  }

  /** Put pages into their places. */
  fill(pages: Iterable<SavedPage>): void {
    for (const { number, bytes } of pages) this.#fill(number, bytes);
  }

  #fill(page: number, bytes: Uint8Array | undefined): void {
    const { physical } = this.cpu;
    if (page >= physical.ramSize / PAGE) throw new RangeError(`page ${page} is not RAM`);
    physical.flags[page]! |= PAGE_DIRTY;
    this.#putKnown(page, bytes ?? ZERO_PAGE, L.GUEST + page * PAGE);
  }

  /** Put the pages into their places that have to be there from the beginning. @returns the others, for leave() */
  late(saved: SavedPages): number[] {
    const late: number[] = [];
    for (const page of saved.numbers()) {
      if (saved.isZeros(page)) this.#fill(page, undefined);
      else if (page < FIRST_LATE) this.#fill(page, saved.bytesOf(page));
      else late.push(page);
    }
    return late;
  }

  /**
   * Have pages put into their places when they are asked for, from now on.
   * @param bad makes the error of one that is not what it was said to be, or that cannot be unpacked
   * @returns the hash of the state, if the pages are what they were said to be
   */
  leave(pages: readonly number[], saved: SavedPages, bad: (reason: string) => Error): Uint8Array {
    const hash = MachineHash.of(this.cpu).hashWith(pages, (page) => saved.digestOf(page));
    this.cpu.physical.leave(pages, (page, at) => {
      let bytes: Uint8Array;
      try {
        bytes = saved.bytesOf(page);
      } catch (error) {
        throw error instanceof TraceError ? error : bad((error as Error).message);
      }
      const unknown = this.#masked.get(page)?.unknown;
      if (Buffer.compare(pageDigest(bytes, unknown && wholeWords(unknown)), saved.digestOf(page)) !== 0)
        throw bad('a page is not the one whose digest it has');
      this.#putKnown(page, bytes, at);
    });
    return hash;
  }

  #putKnown(page: number, bytes: Uint8Array, at: number): void {
    const masked = this.#masked.get(page);
    if (masked) putMasked(this.#u8, at, bytes, masked.unknown, 0);
    else this.#u8.set(bytes, at);
  }
}
