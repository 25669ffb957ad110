// A folder of the cache whose entries are kept from run to run, each under a name that says all that it depends on. What was
// used longest ago goes first.
//
// Invariants: an entry that is not whole, or that stands under another's name, is not believed; nothing here throws.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { cacheDirectory } from '../fetch/cache-directory.js';
import { readKept, touchKept, trimKept, writeKept } from '../start/kept-file.js';

const DIGEST = 32;

/** SHA-256 of an entry and its name: what an entry begins with. */
function digestOf(name: string, pieces: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256').update(name);
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

export class KeptFolder {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(cacheDirectory(), folder);
  }

  /** An entry, which counts as used; undefined when there is none that is whole, or nothing in it. */
  find(name: string): Buffer<ArrayBuffer> | undefined {
    const path = join(this.#path, name);
    const entry = readKept(path);
    if (!entry || entry.length <= DIGEST) return undefined;
    const content = entry.subarray(DIGEST);
    if (!digestOf(name, [content]).equals(entry.subarray(0, DIGEST))) return undefined;
    touchKept(path);
    return content;
  }

  keep(name: string, ...pieces: readonly Uint8Array[]): void {
    writeKept(join(this.#path, name), digestOf(name, pieces), ...pieces);
  }

  /** Take away what was used longest ago until no more than so many bytes are left. */
  trim(most: number): void {
    trimKept(this.#path, most);
  }
}
