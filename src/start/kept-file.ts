// Files with something that takes long to make and can be made again, kept from run to run: beside what they are made
// from by the build, in the cache directory by a run. Invariants: a file under its final name is complete; what is
// damaged is not read; and nothing here throws, since everything goes on without.

import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writevSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** CRC-32 of what follows, then its length; both little-endian. */
const HEAD = 8;
const checkSum = (data: Uint8Array, before = 0): number => process.getBuiltinModule('node:zlib').crc32(data, before);
/** Pieces that are written at once: systems take 1,024. */
const AT_ONCE = 512;

/** What is kept at the path, an array buffer of its own; undefined when there is nothing whole. */
export function readKept(path: string): Buffer<ArrayBuffer> | undefined {
  try {
    const file = openSync(path, 'r');
    try {
      const head = Buffer.alloc(HEAD);
      const data = Buffer.allocUnsafeSlow(Math.max(0, fstatSync(file).size - HEAD));
      if (readSync(file, head) !== HEAD || head.readUInt32LE(4) !== data.length) return undefined;
      let read = 0;
      while (read < data.length) {
        const more = readSync(file, data, read, data.length - read, null);
        if (more === 0) return undefined;
        read += more;
      }
      return head.readUInt32LE(0) === checkSum(data) ? data : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

/** Keep data, piece after piece, if that is possible. Not put together first: translations are megabytes. */
export function writeKept(path: string, ...pieces: readonly Uint8Array[]): void {
  const temporary = `${path}.${process.pid}.part`;
  try {
    const head = Buffer.alloc(HEAD);
    head.writeUInt32LE(
      pieces.reduce((sum, piece) => checkSum(piece, sum), 0),
      0,
    );
    head.writeUInt32LE(
      pieces.reduce((sum, { length }) => sum + length, 0),
      4,
    );
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, 'w');
    try {
      for (let n = 0; n < pieces.length || n === 0; n += AT_ONCE) {
        const some = [...(n === 0 ? [head] : []), ...pieces.slice(n, n + AT_ONCE)];
        const size = some.reduce((sum, { length }) => sum + length, 0);
        if (writevSync(file, some) !== size) throw new Error('the disk is full');
      }
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch {
    // A read-only place, a full disk.
    try {
      rmSync(temporary, { force: true });
    } catch {
      // There is nothing to take away.
    }
  }
}

/** The file counts as used now. */
export function touchKept(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // It is dropped sooner.
  }
}

/** Take files out of a directory, what was used longest ago first, until no more than so many bytes and files are left. */
export function trimKept(directory: string, bytes: number, files = Number.POSITIVE_INFINITY): void {
  try {
    const entries = readdirSync(directory).flatMap((name) => {
      const path = join(directory, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat ? [{ path, size: stat.size, used: stat.mtimeMs }] : [];
    });
    entries.sort((a, b) => b.used - a.used);
    let size = 0;
    for (const [n, entry] of entries.entries()) {
      size += entry.size;
      if (n >= files || size > bytes) rmSync(entry.path, { force: true });
    }
  } catch {
    // They take room, and nothing else.
  }
}

/** Where the build keeps something for this Node. @param content names what the file is made from: a part of its hash */
export const builtPath = (file: string, content: string): string =>
  `${file}-${content}-${process.version}-${process.arch}.cache`;
