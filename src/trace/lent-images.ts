// The images that a trace which is not sealed leaves bytes to (borrowed.ts), found again by name and known by hash: where they
// were when the boot was recorded, beside the trace, or in the cache.
//
// Invariant: bytes are lent only by a file of the recorded size and SHA-256.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { cachedImage, sha256 } from '../fetch/cache.js';
import { unpackedImage } from './borrowed.js';
import { systemReason, TraceError } from './error.js';
import type { TraceHeader, TraceNotes } from './header.js';

/** An image that a trace needs is not there with its bytes. */
export class MissingImage extends TraceError {}

export class FoundImages {
  readonly #found = new Map<number, Uint8Array>();

  constructor(
    private readonly trace: string,
    private readonly header: TraceHeader,
    private readonly notes: TraceNotes,
  ) {}

  /** Bytes of a source (SourceBytes). @throws TraceError when the image is nowhere, Error when there is none of that number */
  readonly bytesOf = (source: number): Uint8Array => {
    const known = this.#found.get(source);
    if (known) return known;
    const bytes = source % 2 === 0 ? this.#read(source / 2) : this.#unpack(source - 1);
    this.#found.set(source, bytes);
    return bytes;
  };

  #read(n: number): Uint8Array {
    const image = this.header.images[n];
    if (!image) throw new Error(`there is no image ${n}`);
    const name = this.notes.names[n] ?? '';
    const reasons: string[] = [];
    for (const path of this.#places(name)) {
      try {
        // A file of another size need not be read, and a pipe would be waited for.
        const stat = statSync(path);
        const bytes = stat.isFile() && stat.size === image.size ? readFileSync(path) : undefined;
        if (bytes && sha256(bytes) === image.sha256) return bytes;
        reasons.push(`${path} has other bytes`);
      } catch (error) {
        reasons.push(`${path} cannot be read: ${systemReason(error)}`);
      }
    }
    const why = reasons.length > 0 ? reasons.join('; ') : 'it is neither there, nor beside the trace, nor in the cache';
    throw new MissingImage(
      this.trace,
      `it is not sealed and needs the ${image.role} ${name} (${image.size} bytes, sha256 ${image.sha256}): ${why}; ` +
        'put the file that was recorded beside the trace',
    );
  }

  #unpack(source: number): Uint8Array {
    const bytes = this.bytesOf(source);
    try {
      return unpackedImage(bytes);
    } catch {
      throw new Error(`image ${source / 2} is no packed kernel`);
    }
  }

  #places(name: string): string[] {
    const file = basename(name);
    const places = [name, join(dirname(this.trace), file), cachedImage(file)];
    return [...new Set(places.filter((path) => path !== undefined && path !== '' && existsSync(path)))] as string[];
  }
}
