// The .xz container ("The .xz File Format", version 1.1.0): streams of blocks, each LZMA2 behind filters. Linux
// kernels for x86 put the x86 branch filter before it, which turns relative branch targets into absolute ones;
// it is undone here. Checked: header CRCs, the CRC32 of the content, and structure. Left out on purpose: other
// filters, CRC64 and SHA-256 of the content (kernels use CRC32), the index, which only repeats what was read.

import { crc32 } from 'node:zlib';
import { DamagedData } from './damaged-data.js';
import { LzmaDecoder } from './lzma.js';
import { Output } from './output.js';

const FILTER_LZMA2 = 0x21;
const FILTER_X86 = 0x04;

/**
 * @param data a .xz file, perhaps of several streams
 * @param limit most bytes of result
 * @throws DamagedData
 */
export function unpackXz(data: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const output = new Output(limit);
  if (data.length < 12 || view.getUint32(8, true) !== crc32(data.subarray(6, 8))) {
    throw new DamagedData('the xz stream header has a wrong checksum');
  }
  const check = data[7]! & 0xf;
  const checkSize = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64][check]!;
  let at = 12;
  for (;;) {
    if (at >= data.length) throw new DamagedData('the xz stream ends before its index');
    // A zero byte where a block header's size would be is the index: all blocks were read.
    if (data[at] === 0) return output.result();
    const headerSize = (data[at]! + 1) * 4;
    if (headerSize > data.length - at) throw new DamagedData('an xz block header is cut off');
    const header = data.subarray(at, at + headerSize - 4);
    if (view.getUint32(at + headerSize - 4, true) !== crc32(header)) {
      throw new DamagedData('an xz block header has a wrong checksum');
    }
    const { branches, dictionarySize } = readFilters(header);
    const start = output.length;
    const used = unpackLzma2(data.subarray(at + headerSize), output, dictionarySize);
    at += headerSize + used;
    at += (4 - (used % 4)) % 4;
    const content = output.bytes.subarray(start, output.length);
    if (branches) undoX86(content);
    if (at + checkSize > data.length) throw new DamagedData('the xz stream ends inside a block');
    if (check === 1 && view.getUint32(at, true) !== crc32(content)) {
      throw new DamagedData('the content of an xz block has a wrong checksum');
    }
    at += checkSize;
  }
}

function readFilters(header: Uint8Array): { branches: boolean; dictionarySize: number } {
  let at = 2;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= header.length || shift > 42) throw new DamagedData('an xz block header is cut off');
      const byte = header[at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const flags = header[1]!;
  if (flags & 0x3c) throw new DamagedData('an xz block header has unknown flags');
  if (flags & 0x40) number();
  if (flags & 0x80) number();
  let branches = false;
  for (let i = 0; i <= (flags & 3); i++) {
    const filter = number();
    const size = number();
    if (size > header.length - at) throw new DamagedData('an xz block header is cut off');
    if (filter === FILTER_X86 && size === 0 && i < (flags & 3)) branches = true;
    else if (filter === FILTER_LZMA2 && size === 1 && i === (flags & 3)) {
      const bits = header[at]! & 0x3f;
      if (bits > 40) throw new DamagedData('an xz dictionary is too large');
      return { branches, dictionarySize: bits === 40 ? 0xffff_ffff : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11) };
    } else throw new DamagedData(`an xz block uses filter ${filter}, which is not known`);
    at += size;
  }
  throw new DamagedData('an xz block does not end with LZMA2');
}

/** LZMA2: chunks, stored or LZMA, each saying what to reset. Returns the bytes of input used. */
function unpackLzma2(input: Uint8Array, output: Output, dictionarySize: number): number {
  const decoder = new LzmaDecoder(output, dictionarySize);
  let at = 0;
  const need = (count: number): void => {
    if (count > input.length - at) throw new DamagedData('an LZMA2 chunk is cut off');
  };
  for (let first = true; ; first = false) {
    need(1);
    const control = input[at++]!;
    if (control === 0) return at;
    if (control === 1 || control >= 0xe0) decoder.resetDictionary();
    else if (first) throw new DamagedData('the first LZMA2 chunk does not reset the dictionary');
    if (control < 0x80) {
      if (control > 2) throw new DamagedData(`an LZMA2 chunk has the unknown kind ${control}`);
      need(2);
      const size = ((input[at]! << 8) | input[at + 1]!) + 1;
      at += 2;
      need(size);
      output.append(input.subarray(at, at + size));
      at += size;
      continue;
    }
    need(4);
    const unpacked = (((control & 0x1f) << 16) | (input[at]! << 8) | input[at + 1]!) + 1;
    const packed = ((input[at + 2]! << 8) | input[at + 3]!) + 1;
    at += 4;
    if (control >= 0xc0) {
      need(1);
      decoder.setProperties(input[at++]!);
    } else if (control >= 0xa0) decoder.resetState();
    need(packed);
    if (decoder.decode(input.subarray(at, at + packed), unpacked) !== packed) {
      throw new DamagedData('an LZMA2 chunk has the wrong length');
    }
    at += packed;
  }
}

/** Bytes since the only unconverted opcode among the last three; undefined when there are several. */
const AGE: readonly (number | undefined)[] = [0, 1, 2, undefined, 3];

/**
 * Undo the x86 branch filter in place: the 32-bit operands of CALL (e8) and JMP (e9) whose top byte is 00 or ff
 * were made absolute. The encoder left an opcode byte alone where it might be part of an earlier one's operand;
 * `history` remembers those of the last three bytes, the newest in bit 0.
 */
function undoX86(data: Uint8Array): void {
  const extendsSign = (byte: number) => byte === 0 || byte === 0xff;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let history = 0;
  for (let at = 0; at + 5 <= data.length; at++) {
    if ((data[at]! & 0xfe) !== 0xe8) {
      history = (history << 1) & 7;
      continue;
    }
    const age = AGE[history];
    const insideOther = age === undefined || (age > 0 && extendsSign(data[at + 4 - age]!));
    if (insideOther || !extendsSign(data[at + 4]!)) {
      history = ((history << 1) | 1) & 7;
      continue;
    }
    const next = at + 5;
    let relative = view.getInt32(at + 1, true) - next;
    // After a nearby opcode the encoder also flipped the bits below the byte that would look like a sign again.
    const flipped = 32 - 8 * age;
    while (age > 0 && extendsSign((relative >>> (flipped - 8)) & 0xff)) {
      relative = (relative ^ ((1 << flipped) - 1)) - next;
    }
    // 25 bits count: the top byte repeats bit 24.
    view.setInt32(at + 1, (relative << 7) >> 7, true);
    at += 4;
    history = 0;
  }
}
