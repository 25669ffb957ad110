// LZO: the lzop file that Linux's build packs a kernel into, and LZO1X streams as the kernel's
// Documentation/staging/lzo.rst describes them (version 0; run-length version 1 is not used for kernels).
// Checked: bounds and lengths. Left out on purpose: lzop's checksums, since the size after the payload and the
// ELF parser that follows refuse what does not fit.

import { DamagedData } from './damaged-data.js';
import { Output } from './output.js';

const FLAG_ADLER32_UNPACKED = 0x1;
const FLAG_ADLER32_PACKED = 0x2;
const FLAG_CRC32_UNPACKED = 0x100;
const FLAG_CRC32_PACKED = 0x200;
const FLAG_EXTRA_FIELD = 0x40;
const FLAG_FILTER = 0x800;
const LARGEST_BLOCK = 64 << 20;

/**
 * @param data an lzop file
 * @param limit most bytes of result
 * @throws DamagedData
 */
export function unpackLzop(data: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const output = new Output(limit);
  let at = 9;
  const take = (size: 1 | 2 | 4): number => {
    if (size > data.length - at) throw new DamagedData('the lzop file is cut off');
    const value = size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getUint32(at);
    at += size;
    return value;
  };
  const skip = (count: number): void => {
    at += count;
  };
  const version = take(2);
  take(2);
  if (version >= 0x940) take(2);
  const method = take(1);
  if (method < 1 || method > 3) throw new DamagedData(`lzop method ${method} is not LZO1X`);
  if (version >= 0x940) take(1);
  const flags = take(4);
  if (flags & FLAG_FILTER) take(4);
  take(4);
  take(4);
  if (version >= 0x940) take(4);
  skip(take(1)); // the file's name
  take(4); // the header's checksum
  if (flags & FLAG_EXTRA_FIELD) {
    skip(take(4));
    take(4);
  }
  for (;;) {
    const unpacked = take(4);
    if (unpacked === 0) return output.result();
    const packed = take(4);
    if (unpacked > LARGEST_BLOCK || packed > unpacked) throw new DamagedData('an lzop block has impossible lengths');
    if (flags & FLAG_ADLER32_UNPACKED) take(4);
    if (flags & FLAG_CRC32_UNPACKED) take(4);
    if (packed < unpacked && flags & FLAG_ADLER32_PACKED) take(4);
    if (packed < unpacked && flags & FLAG_CRC32_PACKED) take(4);
    if (packed > data.length - at) throw new DamagedData('an lzop block is cut off');
    const block = data.subarray(at, at + packed);
    at += packed;
    const start = output.length;
    if (packed === unpacked) output.append(block);
    else unpackLzo1x(block, output);
    if (output.length - start !== unpacked) throw new DamagedData('an lzop block has the wrong length');
  }
}

/** One LZO1X stream, appended to `output`; it ends with its end marker. */
export function unpackLzo1x(input: Uint8Array, output: Output): void {
  const start = output.length;
  let at = 0;
  const next = (): number => {
    if (at >= input.length) throw new DamagedData('LZO data ends early');
    return input[at++]!;
  };
  const literals = (count: number): void => {
    if (count > input.length - at) throw new DamagedData('LZO data ends early');
    output.append(input.subarray(at, at + count));
    at += count;
  };
  /** A length whose bits are all 0 goes on in bytes: 255 for each zero byte, then the rest. */
  const extended = (length: number, base: number): number => {
    if (length !== 0) return length;
    let sum = base;
    for (;;) {
      const byte = next();
      if (byte !== 0) return sum + byte;
      sum += 255;
    }
  };
  /** Literals copied by the last instruction: 0, 1…3, or 4 for "a long run", which the next one depends on. */
  let state = 0;
  if (input.length > 0 && input[0]! > 17) {
    const count = next() - 17;
    literals(count);
    state = Math.min(count, 4);
  }
  for (;;) {
    const instruction = next();
    let length: number;
    let distance: number;
    let trailing: number;
    if (instruction >= 64) {
      length = (instruction >> 5) + 1;
      trailing = instruction & 3;
      distance = (next() << 3) + ((instruction >> 2) & 7) + 1;
    } else if (instruction >= 32) {
      length = extended(instruction & 31, 31) + 2;
      const word = next() | (next() << 8);
      distance = (word >> 2) + 1;
      trailing = word & 3;
    } else if (instruction >= 16) {
      length = extended(instruction & 7, 7) + 2;
      const word = next() | (next() << 8);
      distance = 16384 + ((instruction & 8) << 11) + (word >> 2);
      trailing = word & 3;
      if (distance === 16384) {
        if (length !== 3) throw new DamagedData('an LZO end marker is damaged');
        return;
      }
    } else if (state === 0) {
      literals(extended(instruction, 15) + 3);
      state = 4;
      continue;
    } else {
      trailing = instruction & 3;
      distance = (next() << 2) + (instruction >> 2) + (state === 4 ? 2049 : 1);
      length = state === 4 ? 3 : 2;
    }
    output.copy(distance, length, start);
    literals(trailing);
    state = trailing;
  }
}
