// Packed payloads, kept from run to run. Recordings are deterministic, so a boot that is recorded again hands the packer
// the bytes of the last time, and packing them takes longer than anything else of a recording. A payload is known by the
// SHA-256 of its raw bytes and of all that the packed form depends on.
//
// Invariants: a trace is the same byte for byte with and without; nothing here throws (KeptFolder).
// NODE_DISABLE_COMPILE_CACHE turns it off with all else that is kept.

import { createHash } from 'node:crypto';
import { type ChunkType, type PackedPayload, packPayload } from './chunks.js';
import { KeptFolder } from './kept-folder.js';

/** What the packed form depends on besides its input: a new number whenever packPayload() gives other bytes. */
export const PACKER = 2;
/** Smallest payload that is looked for: others are packed sooner. */
const WORTH = 0x1_0000;
/** Bytes that all entries together may have: those of some twenty boots of a distribution's kernel. */
const MOST = 64 << 20;

/**
 * packPayload(), or what it gave for the same payload before.
 * @param most bytes that may be kept
 * @param pack packs what is not kept
 * @param from what else its outcome depends on
 */
export function packKept(
  type: ChunkType,
  raw: Uint8Array,
  least?: number,
  most = MOST,
  pack: typeof packPayload = packPayload,
  from = '',
): PackedPayload {
  if ((raw.length < WORTH && from === '') || process.env.NODE_DISABLE_COMPILE_CACHE) return pack(type, raw, least);
  const what = `vmreplay packed payload ${PACKER} ${process.versions.brotli} ${type} ${least}${from}\n`;
  const name = createHash('sha256').update(what).update(raw).digest('hex');
  const folder = new KeptFolder('packed');
  const found = folder.find(name);
  if (found) return { codec: found[0]!, stored: Uint8Array.from(found.subarray(1)) };
  const packed = pack(type, raw, least);
  folder.keep(name, Uint8Array.of(packed.codec), packed.stored);
  folder.trim(most);
  return packed;
}
