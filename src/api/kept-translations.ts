// What tier 1 made of a boot, kept for the next boot of the same: in the cache directory, a file for each. A boot begins
// with what those before it translated, and adds what it translated itself, blocks that run less often each time.
//
// Invariants: what is kept changes no trace (cpu/jit/kept.ts); a file that is damaged, of another build or another Node
// is not read; a cache that cannot be written is no error. NODE_DISABLE_COMPILE_CACHE turns all of it off.

import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { prebuilt } from '../cpu/interp/prebuilt-module.js';
import { type KeptTranslations, packKept, unpackKept } from '../cpu/jit/kept.js';
import { cacheDirectory } from '../fetch/cache-directory.js';
import { readKept, touchKept, trimKept, writeKept } from '../start/kept-file.js';
import { mayKeep } from '../start/kept-module.js';
import type { TraceHeader } from '../trace/header.js';

/** Bounds of what is kept, in files and bytes; the files that were used longest ago go first. */
const MAX_FILES = 32;
const MAX_FILE = 64 << 20;
const MAX_BYTES = 256 << 20;

export class TranslationStore {
  private constructor(private readonly path: string) {}

  /** The place of a boot's translations; undefined where none are kept. */
  static of(header: TraceHeader): TranslationStore | undefined {
    // A source tree builds its processor in every process: nothing says that it is the same.
    if (!prebuilt || !mayKeep()) return undefined;
    const plain = (_key: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value);
    const { entry: _, ...boot } = header;
    const key = createHash('sha256')
      .update(JSON.stringify([prebuilt.build, process.version, process.arch, boot], plain))
      .digest('hex');
    return new TranslationStore(join(cacheDirectory(), 'translated', `${key.slice(0, 32)}.cache`));
  }

  read(): KeptTranslations | undefined {
    const data = this.data();
    return data && unpackKept(data);
  }

  /** What read() unpacks. */
  data(): Uint8Array<ArrayBuffer> | undefined {
    const data = readKept(this.path);
    if (data) touchKept(this.path);
    return data;
  }

  write(kept: KeptTranslations): void {
    const pieces = packKept(kept);
    if (pieces.reduce((sum, { length }) => sum + length, 0) > MAX_FILE) return;
    writeKept(this.path, ...pieces);
    trimKept(dirname(this.path), MAX_BYTES, MAX_FILES);
  }
}
