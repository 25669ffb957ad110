// Files that are whole or not there: written beside their place under another name, flushed to the disk, and renamed.
// A process that is killed, and a disk that is full, leave the old file as it was and at most a remnant that the next
// writer of the folder clears away. What is there and no file (a device, a pipe) is written to and stays what it is.

import { randomBytes } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

const REMNANT = /^\.vmreplay-tmp-/;
/** A file that another process may still be writing is left alone, in ms. */
const FRESH = 3_600_000;

/** Write a file, or leave everything as it is. @throws the operating system's error */
export function writeWhole(path: string, data: Uint8Array | string): void {
  const old = statSync(path, { throwIfNoEntry: false });
  if (old && !old.isFile()) {
    writeFileSync(path, data);
    return;
  }
  if (old) accessSync(path, constants.W_OK);
  const place = old ? realpathSync(path) : path;
  const directory = dirname(place);
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const temporary = join(directory, `.vmreplay-tmp-${randomBytes(6).toString('hex')}-${basename(place).slice(0, 80)}`);
  try {
    const file = openSync(temporary, 'wx', old ? old.mode & 0o777 : 0o666);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, place);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(directory);
}

/** Remove what writers that were killed have left in a folder. */
export function clearRemnants(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!REMNANT.test(name)) continue;
    const path = join(directory, name);
    const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > FRESH) rmSync(path, { force: true });
  }
}

/** The rename is on the disk too, where the file system knows directories as files. */
function syncDirectory(directory: string): void {
  try {
    const file = openSync(directory, 'r');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch {
    // Some file systems have no such thing; the rename is whole all the same.
  }
}
