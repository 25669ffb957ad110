// Digests of pages and of whole states, on whichever thread (replay/state-hash.ts says what they are).
//
// Invariant: the outcome follows from the bytes alone.

import { createHash, hash } from 'node:crypto';

export const PAGE_SIZE = 4096;
/** Bytes of a page's mask, a bit for each byte. */
export const MASK_SIZE = PAGE_SIZE / 8;
export const DIGEST_SIZE = 32;
const ZERO_DIGEST = new Uint8Array(DIGEST_SIZE);
export const ZERO_PAGE = new Uint8Array(PAGE_SIZE);
const ALL = new Uint8Array(MASK_SIZE).fill(0xff);
const scratch = new Uint8Array(PAGE_SIZE);
const scratchWords = new Uint32Array(scratch.buffer);

/** In one call: making an object for it takes longer than hashing a page. */
export const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');

/** True when every bit of a page's mask is set. */
export const isFull = (mask: Uint8Array): boolean => mask[0] === 0xff && Buffer.compare(mask, ALL) === 0;

/**
 * Digest of a page.
 * @param unknown mask of the bytes that count as zero, bit 0 of byte 0 first; undefined when there are none
 */
export function pageDigest(page: Uint8Array, unknown: Uint8Array | undefined): Uint8Array {
  const known = unknown ? withoutUnknown(page, unknown) : page;
  // The comparison that is built in is quick from the first call on.
  return Buffer.compare(known, ZERO_PAGE) === 0 ? ZERO_DIGEST : sha256(known);
}

/**
 * Hash of a state.
 * @param cpu SHA-256 of the processor's
 * @param digests of all pages
 */
export const stateDigest = (cpu: Uint8Array, digests: Uint8Array): Uint8Array =>
  createHash('sha256').update('vmreplay state 1\n').update(cpu).update(digests).digest();

function withoutUnknown(page: Uint8Array, unknown: Uint8Array): Uint8Array {
  if (isFull(unknown)) return ZERO_PAGE;
  scratch.set(page);
  for (let n = 0; n < MASK_SIZE; n++) {
    const bits = unknown[n]!;
    if (bits === 0xff) {
      scratchWords[2 * n] = 0;
      scratchWords[2 * n + 1] = 0;
    } else if (bits !== 0) {
      for (let i = 0; i < 8; i++) if ((bits >> i) & 1) scratch[n * 8 + i] = 0;
    }
  }
  return scratch;
}
