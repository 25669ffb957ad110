// Which compression a kernel's payload has, by its magic (the kernel's scripts/Makefile.lib and
// lib/decompress.c name the same seven), and its unpacking. Except for gzip, Linux's build appends the unpacked
// size as 32 bits, which is checked: what unpacks to another size is damaged.

import { gunzipSync } from 'node:zlib';
import { unpackBzip2 } from './bzip2.js';
import { DamagedData } from './damaged-data.js';
import { unpackLz4 } from './lz4.js';
import { unpackLzma } from './lzma.js';
import { unpackLzop } from './lzo.js';
import { unpackXz } from './xz.js';
import { unpackZstd } from './zstd.js';

/** `size` is what the result should have; no more is ever allocated for it. */
type Unpacker = (data: Uint8Array, size: number) => Uint8Array;

const FORMATS: readonly { name: string; magic: readonly number[]; unpack: Unpacker }[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], unpack: (data, size) => gunzipSync(data, { maxOutputLength: size }) },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], unpack: unpackXz },
  { name: 'lz4', magic: [0x02, 0x21, 0x4c, 0x18], unpack: unpackLz4 },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: unpackZstd },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68], unpack: unpackBzip2 },
  { name: 'lzo', magic: [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a], unpack: unpackLzop },
  // .lzma has no magic; this is lc=3 lp=0 pb=2 and a dictionary size of whole 64 KiB, as the build writes it.
  { name: 'lzma', magic: [0x5d, 0x00, 0x00], unpack: unpackLzma },
];

export function compressionOf(payload: Uint8Array): string | undefined {
  return formatOf(payload)?.name;
}

function formatOf(payload: Uint8Array) {
  return FORMATS.find(({ magic }) => magic.every((byte, index) => payload[index] === byte));
}

/**
 * Unpack a kernel's payload.
 * @param payload from payload_offset, payload_length bytes, with the size field that the build appends
 * @param limit most bytes of result
 * @throws DamagedData with a clause on what is wrong
 */
export function unpackPayload(payload: Uint8Array, limit: number): Uint8Array {
  const format = formatOf(payload);
  if (!format) throw new DamagedData('its first bytes are those of no known compression');
  // gzip ends with the size by itself; the others have it after their own end.
  if (payload.length < 8) throw new DamagedData('it is shorter than any compressed data');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const size = view.getUint32(payload.length - 4, true);
  if (size > limit) throw new DamagedData(`it claims to unpack to ${size} bytes, of ${limit} possible`);
  const data = format.name === 'gzip' ? payload : payload.subarray(0, payload.length - 4);
  let result: Uint8Array;
  try {
    result = format.unpack(data, size);
  } catch (error) {
    // zlib throws errors of its own.
    throw error instanceof DamagedData ? error : new DamagedData(`${format.name} says ${(error as Error).message}`);
  }
  if (result.length !== size) throw new DamagedData(`it unpacks to ${result.length} bytes instead of ${size}`);
  return result;
}
