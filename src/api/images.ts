// Files that a boot is given: read, bounded, hashed, and named for the trace. A name without a slash that is no file
// here is looked up in the cache. Traces identify images by hash; the name serves people, and live replay.
// Every failure is a UserError that names the option.

import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { cachedImage } from '../fetch/cache.js';
import { systemReason } from '../trace/error.js';
import type { ImageRecord } from '../trace/header.js';
import { UserError } from './user-error.js';

/** Largest file that is read as an image, in bytes. */
const MAX_IMAGE = 1024 ** 3;

export interface ImageFile {
  readonly role: string;
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly record: ImageRecord;
}

/** Where the file of a name is. @throws UserError when there is none */
export function findImage(option: string, path: string): string {
  if (existsSync(path)) return path;
  const cached = path.includes('/') ? undefined : cachedImage(path);
  if (cached !== undefined) return cached;
  const where = path.includes('/') ? '' : ' here or in the cache (vmreplay fetch fills it)';
  throw new UserError(`${path}: there is no such file${where}; check --${option}`);
}

/** Read an image. @throws UserError when there is no such file, or it is no file, or absurdly large. */
export function readImage(role: string, path: string): ImageFile {
  const found = findImage(role, path);
  let bytes: Uint8Array;
  try {
    const stat = statSync(found);
    if (!stat.isFile()) {
      const what = stat.isDirectory() ? 'a directory' : 'no regular file';
      throw new UserError(`${path}: this is ${what}; give a file with --${role}`);
    }
    if (stat.size > MAX_IMAGE) {
      throw new UserError(`${path}: ${stat.size} bytes are too many for an image (most: 1 GiB); check --${role}`);
    }
    bytes = readShared(found, stat.size);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path}: cannot be read: ${systemReason(error)}; check --${role}`);
  }
  return { role, name: path, bytes, record: imageRecord(role, bytes) };
}

/** In memory that threads share: a recorder's thread takes from there what the guest saw of it. */
function readShared(path: string, size: number): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(size));
  const file = openSync(path, 'r');
  try {
    let done = 0;
    for (let n = -1; n !== 0 && done < size; done += n) n = readSync(file, bytes, done, size - done, done);
    return bytes.subarray(0, done);
  } finally {
    closeSync(file);
  }
}

export function imageRecord(role: string, bytes: Uint8Array): ImageRecord {
  return { role, sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length };
}
