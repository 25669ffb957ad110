// The hash of the whole machine state: processor and memory. Pages are hashed once and again only when they changed,
// so that a hash every few million cycles costs what the guest wrote in between.
//
// A byte whose content a replay cannot know (initial memory that the guest has not observed yet, see
// trace/memory.ts) counts as zero, in the recording and in the replay alike.

import { createHash, hash } from 'node:crypto';

export const PAGE_SIZE = 4096;
const DIGEST = 32;
const ZERO_DIGEST = new Uint8Array(DIGEST);
const ZERO_PAGE = new Uint8Array(PAGE_SIZE);
/** Mask of a page that nobody has looked at. */
const ALL = new Uint8Array(PAGE_SIZE / 8).fill(0xff);

/** Guest memory as the hash sees it: RAM and ROM, page by page, in an order that recording and replay share. */
export interface HashedMemory {
  readonly pages: number;
  /** 4096 bytes; a view, read at once. */
  page(n: number): Uint8Array;
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
  readonly #digests: Uint8Array;
  readonly #scratch = new Uint8Array(PAGE_SIZE);
  readonly #scratchWords = new Uint32Array(this.#scratch.buffer);
  #primed = false;

  /** @param known all bytes when absent */
  constructor(memory: HashedMemory, known?: KnownBytes) {
    this.#memory = memory;
    this.#known = known;
    this.#digests = new Uint8Array(memory.pages * DIGEST);
  }

  /**
   * @param cpu processor state, canonical bytes
   * @returns 32 bytes; the caller clears its record of changed pages afterwards
   */
  hash(cpu: Uint8Array): Uint8Array {
    for (const n of this.#memory.changed(!this.#primed)) this.#digests.set(this.#pageDigest(n), n * DIGEST);
    this.#primed = true;
    const whole = createHash('sha256').update('vmreplay state 1\n').update(sha256(cpu));
    return whole.update(this.#digests).digest();
  }

  #pageDigest(n: number): Uint8Array {
    let page = this.#memory.page(n);
    const unknown = this.#known?.unknownIn(n);
    if (unknown) {
      if (Buffer.compare(unknown, ALL) === 0) return ZERO_DIGEST;
      page = this.#mask(page, unknown);
    }
    return isZero(page) ? ZERO_DIGEST : sha256(page);
  }

  #mask(page: Uint8Array, unknown: Uint8Array): Uint8Array {
    const masked = this.#scratch;
    const words = this.#scratchWords;
    masked.set(page);
    for (let n = 0; n < PAGE_SIZE / 8; n++) {
      const bits = unknown[n]!;
      if (bits === 0xff) {
        words[2 * n] = 0;
        words[2 * n + 1] = 0;
      } else if (bits !== 0) {
        for (let i = 0; i < 8; i++) if ((bits >> i) & 1) masked[n * 8 + i] = 0;
      }
    }
    return masked;
  }
}

/** In one call: making an object for it takes longer than hashing a page. */
const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');

/** The comparison that is built in is quick from the first call on. */
const isZero = (page: Uint8Array): boolean => Buffer.compare(page, ZERO_PAGE) === 0;
