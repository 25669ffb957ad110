// Packed payloads, kept from run to run. Recordings are deterministic, so a boot that is recorded again hands the packer
// the bytes of the last time, and packing them takes longer than anything else of a recording. A payload is known by the
// SHA-256 of its raw bytes and of all that the packed form depends on.
//
// Invariants: a trace is the same byte for byte with and without; an entry that is not whole, or that stands under another
// payload's name, is not believed; nothing here throws. NODE_DISABLE_COMPILE_CACHE turns it off with all else that is kept.

import { createHash } from 'node:crypto';
import { readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../fetch/cache-directory.js';
import { readKept, writeKept } from '../start/kept-file.js';
import { type ChunkType, type PackedPayload, packPayload } from './chunks.js';

/** What the packed form depends on besides its input: a new number whenever packPayload() gives other bytes. */
export const PACKER = 2;
/** Smallest payload that is looked for: others are packed sooner. */
const WORTH = 0x1_0000;
/** Bytes that all entries together may have: those of some twenty boots of a distribution's kernel. */
const MOST = 64 << 20;
const DIGEST = 32;

const directory = (): string => join(cacheDirectory(), 'packed');

/**
 * packPayload(), or what it gave for the same payload before.
 * @param most bytes that may be kept
 * @param pack packs what is not kept
 */
export function packKept(
  type: ChunkType,
  raw: Uint8Array,
  least?: number,
  most = MOST,
  pack: typeof packPayload = packPayload,
): PackedPayload {
  if (raw.length < WORTH || process.env.NODE_DISABLE_COMPILE_CACHE) return pack(type, raw, least);
  const what = `vmreplay packed payload ${PACKER} ${process.versions.brotli} ${type} ${least}\n`;
  const name = createHash('sha256').update(what).update(raw).digest('hex');
  const path = join(directory(), name);
  const kept = readKept(path);
  const found = kept && decode(name, kept);
  if (found) {
    touch(path);
    return found;
  }
  const packed = pack(type, raw, least);
  writeKept(path, encode(name, packed));
  dropOldest(directory(), most);
  return packed;
}

/** An entry: digest of its name and of what follows, codec, stored bytes. */
function encode(name: string, { codec, stored }: PackedPayload): Uint8Array {
  const entry = new Uint8Array(DIGEST + 1 + stored.length);
  entry[DIGEST] = codec;
  entry.set(stored, DIGEST + 1);
  entry.set(digestOf(name, entry));
  return entry;
}

function decode(name: string, entry: Buffer): PackedPayload | undefined {
  if (entry.length <= DIGEST || !digestOf(name, entry).equals(entry.subarray(0, DIGEST))) return undefined;
  return { codec: entry[DIGEST]!, stored: Uint8Array.from(entry.subarray(DIGEST + 1)) };
}

const digestOf = (name: string, entry: Uint8Array): Buffer =>
  createHash('sha256').update(name).update(entry.subarray(DIGEST)).digest();

/** Those that were used last are kept longest. */
export function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // It is dropped sooner.
  }
}

/** Take away what was used longest ago until the folder has no more than so many bytes. */
export function dropOldest(folder: string, most: number): void {
  try {
    const entries = readdirSync(folder).flatMap((name) => {
      const path = join(folder, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat ? [{ path, size: stat.size, used: stat.mtimeMs }] : [];
    });
    entries.sort((a, b) => b.used - a.used);
    let size = 0;
    for (const entry of entries) {
      size += entry.size;
      if (size > most) rmSync(entry.path, { force: true });
    }
  } catch {
    // They take room, and nothing else.
  }
}
