// Files with something that takes long to make and can be made again, kept from run to run: beside what they are made
// from by the build, in the cache directory by a run. Invariants: a file under its final name is complete; what is
// damaged is not read; and nothing here throws, since everything goes on without.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** CRC-32 of what follows, then its length; both little-endian. */
const HEAD = 8;
const checkSum = (data: Uint8Array): number => process.getBuiltinModule('node:zlib').crc32(data);

/** What is kept at the path; undefined when there is nothing whole. */
export function readKept(path: string): Buffer<ArrayBuffer> | undefined {
  try {
    const bytes = readFileSync(path);
    const data = bytes.subarray(HEAD);
    return bytes.readUInt32LE(4) === data.length && bytes.readUInt32LE(0) === checkSum(data) ? data : undefined;
  } catch {
    return undefined;
  }
}

/** Keep data, if that is possible. */
export function writeKept(path: string, data: Uint8Array): void {
  const temporary = `${path}.${process.pid}.part`;
  try {
    const head = Buffer.alloc(HEAD);
    head.writeUInt32LE(checkSum(data), 0);
    head.writeUInt32LE(data.length, 4);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, Buffer.concat([head, data]));
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

/** Where the build keeps something for this Node. @param content names what the file is made from: a part of its hash */
export const builtPath = (file: string, content: string): string =>
  `${file}-${content}-${process.version}-${process.arch}.cache`;
