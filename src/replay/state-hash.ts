// The hash of the whole machine state: processor and memory. Pages are hashed once and again only when they changed,
// so that a hash every few million cycles costs what the guest wrote in between.
//
// A 4-byte line whose content a replay cannot know (initial memory that the guest has not observed yet, see
// trace/memory.ts) counts as zero, in the recording and in the replay alike.

import { createHash } from 'node:crypto';

export const PAGE_SIZE = 4096;
const LINE_SIZE = 4;
const DIGEST = 32;
const ZERO_DIGEST = new Uint8Array(DIGEST);

/** Guest memory as the hash sees it: RAM and ROM, page by page, in an order that recording and replay share. */
export interface HashedMemory {
  readonly pages: number;
  /** 4096 bytes; a view, read at once. */
  page(n: number): Uint8Array;
  /** True when the page was written, or one of its lines became known, since the last hash. */
  changed(n: number): boolean;
  /** True when nothing was ever written to the page, asked at the first hash: it is zeros, and not read. */
  blank?(n: number): boolean;
}

/** Which lines of a page have content that a replay has too. */
export interface KnownLines {
  /** True when the whole page is known: the common case, asked first. */
  isPageKnown(page: number): boolean;
  /** @param line 0…63 within the page */
  isKnown(page: number, line: number): boolean;
}

/** Keeps the digests of pages between hashes. One instance for each run. */
export class StateHasher {
  readonly #memory: HashedMemory;
  readonly #known: KnownLines | undefined;
  readonly #digests: Uint8Array;
  readonly #scratch = new Uint8Array(PAGE_SIZE);
  #primed = false;

  /** @param known all lines when absent */
  constructor(memory: HashedMemory, known?: KnownLines) {
    this.#memory = memory;
    this.#known = known;
    this.#digests = new Uint8Array(memory.pages * DIGEST);
  }

  /**
   * @param cpu processor state, canonical bytes
   * @returns 32 bytes; the caller clears its record of changed pages afterwards
   */
  hash(cpu: Uint8Array): Uint8Array {
    const memory = this.#memory;
    for (let n = 0; n < memory.pages; n++) {
      if (this.#primed ? !memory.changed(n) : memory.blank?.(n)) continue;
      this.#digests.set(this.#pageDigest(n), n * DIGEST);
    }
    this.#primed = true;
    const hash = createHash('sha256').update('vmreplay state 1\n');
    hash.update(createHash('sha256').update(cpu).digest());
    return hash.update(this.#digests).digest();
  }

  #pageDigest(n: number): Uint8Array {
    let page = this.#memory.page(n);
    if (this.#known && !this.#known.isPageKnown(n)) page = this.#mask(n, page, this.#known);
    return isZero(page) ? ZERO_DIGEST : createHash('sha256').update(page).digest();
  }

  #mask(n: number, page: Uint8Array, known: KnownLines): Uint8Array {
    const masked = this.#scratch;
    masked.set(page);
    for (let line = 0; line < PAGE_SIZE / LINE_SIZE; line++) {
      if (!known.isKnown(n, line)) masked.fill(0, line * LINE_SIZE, (line + 1) * LINE_SIZE);
    }
    return masked;
  }
}

function isZero(page: Uint8Array): boolean {
  if (page.byteOffset % 4 !== 0) return page.every((byte) => byte === 0);
  const words = new Int32Array(page.buffer, page.byteOffset, page.length >>> 2);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}
