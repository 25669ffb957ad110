// The hash of the whole machine state: processor and memory. Pages are hashed once and again only when they changed,
// so that a hash every few million cycles costs what the guest wrote in between.
//
// A byte whose content a replay cannot know (initial memory that the guest has not observed yet, see
// trace/memory.ts) counts as zero, in the recording and in the replay alike.

import type { LateHasher } from '../trace/late-hash.js';
import { DIGEST_SIZE, isFull, pageDigest, sha256, stateDigest } from '../trace/state-digest.js';

export { PAGE_SIZE } from '../trace/state-digest.js';

/** Guest memory as the hash sees it: RAM and ROM, page by page, in an order that recording and replay share. */
export interface HashedMemory {
  readonly pages: number;
  /** 4096 bytes, or those of several pages; a view, read at once. */
  page(n: number, count?: number): Uint8Array;
  /** Whether a page holds nothing but zeros, where that is told sooner than the page is copied. */
  isZero?(n: number): boolean;
  /** Pages that were written, or of which a byte became known, since the last hash; at the first, all but zeros. */
  changed(first: boolean): Iterable<number>;
}

/** Which bytes of a page have content that a replay has too. */
export interface KnownBytes {
  /** Mask of the bytes that a replay might not have, bit 0 of byte 0 first; undefined when there are none. */
  unknownIn(page: number): Uint8Array | undefined;
}

/** Keeps the digests of pages between hashes. One instance for each run. */
export class StateHasher {
  readonly #memory: HashedMemory;
  readonly #known: KnownBytes | undefined;
  readonly #digests: Uint8Array<SharedArrayBuffer>;
  #primed = false;

  /** @param known all bytes when absent */
  constructor(memory: HashedMemory, known?: KnownBytes) {
    this.#memory = memory;
    this.#known = known;
    this.#digests = new Uint8Array(new SharedArrayBuffer(memory.pages * DIGEST_SIZE));
  }

  /** The digest of a page that hashes are to take as unchanged. */
  preset(page: number, digest: Uint8Array): void {
    this.#digests.set(digest, page * DIGEST_SIZE);
  }

  /**
   * @param cpu processor state, canonical bytes
   * @returns 32 bytes; the caller clears its record of changed pages afterwards
   */
  hash(cpu: Uint8Array): Uint8Array {
    for (const n of this.#changed()) {
      this.#digests.set(pageDigest(this.#memory.page(n), this.#known?.unknownIn(n)), n * DIGEST_SIZE);
    }
    return stateDigest(sha256(cpu), this.#digests);
  }

  /**
   * The same, on a thread. Any other hash has to wait for it (LateHasher.settle).
   * @returns where the 32 bytes will be
   */
  hashLater(cpu: Uint8Array, hasher: LateHasher): Uint8Array<SharedArrayBuffer> {
    hasher.begin(this.#digests, (first, count) => this.#memory.page(first, count));
    for (const n of this.#changed()) {
      const unknown = this.#known?.unknownIn(n);
      if (this.#memory.isZero?.(n) || (unknown && isFull(unknown)))
        this.#digests.fill(0, n * DIGEST_SIZE, (n + 1) * DIGEST_SIZE);
      else hasher.add(n, unknown);
    }
    return hasher.end(sha256(cpu));
  }

  #changed(): Iterable<number> {
    const first = !this.#primed;
    this.#primed = true;
    return this.#memory.changed(first);
  }
}
