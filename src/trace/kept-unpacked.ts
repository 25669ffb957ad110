// Unpacked payloads, kept from run to run: what a trace says of memory takes 0.4 s of processor time to unpack for a boot of
// Linux, and a trace is replayed, compared and looked into again and again. A payload is known by the SHA-256 of its packed
// bytes and of all that the raw form depends on.
//
// Invariants: a reader gets the same with and without; nothing here throws (KeptFolder).
// NODE_DISABLE_COMPILE_CACHE turns it off with all else that is kept.

import { createHash } from 'node:crypto';
import { KeptFolder } from './kept-folder.js';
import { type UnpackJob, unpackAll } from './unpack-pool.js';

/** A new number whenever the same packed bytes have another raw form. */
const UNPACKER = 1;
/** Smallest raw payload that is looked for: others are unpacked sooner. */
const WORTH = 0x1_0000;
/** Bytes that all entries together may have: those of six traces of a distribution's kernel. */
const MOST = 64 << 20;

/**
 * unpackAll(), or what it gave for the same payloads before.
 * @param most bytes that may be kept
 * @param unpack unpacks what is not kept
 */
export function unpackKept(
  jobs: readonly UnpackJob[],
  most = MOST,
  unpack: (jobs: readonly UnpackJob[]) => (Uint8Array | undefined)[] = unpackAll,
): (Uint8Array | undefined)[] {
  if (process.env.NODE_DISABLE_COMPILE_CACHE) return unpack(jobs);
  const folder = new KeptFolder('unpacked');
  const names = jobs.map((job) => (job.header.rawLength < WORTH ? undefined : nameOf(job)));
  const results = jobs.map(({ header }, n) => {
    const name = names[n];
    const found = name === undefined ? undefined : folder.find(name);
    return found?.length === header.rawLength ? found : undefined;
  });
  const missing = jobs.filter((_, n) => !results[n]);
  if (missing.length === 0) return results;
  const unpacked = unpack(missing);
  let written = false;
  const all = results.map((known, n) => {
    if (known) return known;
    const raw = unpacked.shift();
    const name = names[n];
    if (raw && name) {
      folder.keep(name, raw);
      written = true;
    }
    return raw;
  });
  if (written) folder.trim(most);
  return all;
}

const nameOf = ({ header, stored }: UnpackJob): string =>
  createHash('sha256')
    .update(`vmreplay unpacked payload ${UNPACKER} ${header.codec} ${header.rawLength}\n`)
    .update(stored)
    .digest('hex');
