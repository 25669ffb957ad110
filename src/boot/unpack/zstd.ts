// Zstandard (RFC 8878), decompression: frames of raw, run-length and compressed blocks; a compressed block is
// literals and sequences of "copy literals, then copy from history". Checked: bounds, lengths, and the size a
// frame states. Left out on purpose: dictionaries, which no kernel uses, and the content checksum (64-bit
// multiplications that would double the time; the kernel's ELF structure and the stated size are checked).

import { DamagedData } from './damaged-data.js';
import { Output } from './output.js';
import {
  BackwardBits,
  decodeHuffman,
  type FseTable,
  fseConstant,
  fseTable,
  type HuffmanTable,
  readFseTable,
  readHuffmanTable,
} from './zstd-entropy.js';

const FRAME_MAGIC = 0xfd2f_b528;
const SKIPPABLE_MAGIC = 0x184d_2a50;
const LARGEST_BLOCK = 128 << 10;

/** How the numbers of sequences are coded (3.1.1.3.2.1): base values and extra bits by code, and default tables. */
interface NumberCode {
  base: readonly number[];
  extra: readonly number[];
  largestAccuracy: number;
  predefined: FseTable;
}

/** Base values that follow from the count of extra bits of each code. */
function numberCode(
  first: number,
  extra: readonly number[],
  largestAccuracy: number,
  predefined: FseTable,
): NumberCode {
  const base: number[] = [];
  let value = first;
  for (const bits of extra) {
    base.push(value);
    value += 2 ** bits;
  }
  return { base, extra, largestAccuracy, predefined };
}

const repeat = (count: number, value: number): number[] => new Array(count).fill(value);

const LITERAL_LENGTH = numberCode(
  0,
  [...repeat(16, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  9,
  fseTable([4, 3, ...repeat(11, 2), 1, 1, 1, ...repeat(9, 2), 3, 2, ...repeat(5, 1), -1, -1, -1, -1], 6),
);
const MATCH_LENGTH = numberCode(
  3,
  [...repeat(32, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  9,
  fseTable([1, 4, 3, ...repeat(6, 2), ...repeat(37, 1), ...repeat(7, -1)], 6),
);
/** Code n stands for 2^n and n extra bits. */
const OFFSET = numberCode(
  1,
  Array.from({ length: 32 }, (_, code) => code),
  8,
  fseTable([...repeat(6, 1), 2, 2, 2, ...repeat(15, 1), ...repeat(5, -1)], 5),
);

/** What later blocks of a frame may use again. */
interface FrameState {
  start: number;
  huffman: HuffmanTable | undefined;
  literalLength: FseTable | undefined;
  matchLength: FseTable | undefined;
  offset: FseTable | undefined;
  /** The three last offsets, newest first. */
  recent: [number, number, number];
}

/**
 * @param data frames, one after the other
 * @param limit most bytes of result
 * @throws DamagedData
 */
export function unpackZstd(data: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const output = new Output(limit);
  let at = 0;
  while (at < data.length) {
    if (data.length - at < 8) throw new DamagedData('a zstd frame is cut off');
    const magic = view.getUint32(at, true);
    if ((magic & ~15) >>> 0 === SKIPPABLE_MAGIC) at += 8 + view.getUint32(at + 4, true);
    else if (magic === FRAME_MAGIC) at += 4 + unpackFrame(data.subarray(at + 4), output);
    else throw new DamagedData('there is no zstd magic');
  }
  return output.result();
}

/** Returns the bytes used, after the magic. */
function unpackFrame(data: Uint8Array, output: Output): number {
  const descriptor = data[0]!;
  if (descriptor & 8) throw new DamagedData('a zstd frame has an unknown flag');
  const single = (descriptor & 0x20) !== 0;
  const idSize = [0, 1, 2, 4][descriptor & 3]!;
  const sizeSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  let at = single ? 1 : 2;
  const number = (count: number): number => {
    if (count > data.length - at) throw new DamagedData('a zstd frame is cut off');
    let value = 0;
    for (let i = count - 1; i >= 0; i--) value = value * 256 + data[at + i]!;
    at += count;
    return value;
  };
  if (number(idSize) !== 0) throw new DamagedData('a zstd frame needs a dictionary');
  const stated = sizeSize === 0 ? undefined : number(sizeSize) + (sizeSize === 2 ? 256 : 0);
  const state: FrameState = {
    start: output.length,
    huffman: undefined,
    literalLength: undefined,
    matchLength: undefined,
    offset: undefined,
    recent: [1, 4, 8],
  };
  for (let last = false; !last; ) {
    const header = number(3);
    last = (header & 1) !== 0;
    const kind = (header >> 1) & 3;
    const size = header >> 3;
    const stored = kind === 1 ? 1 : size;
    if (stored > data.length - at || (kind === 2 && size > LARGEST_BLOCK)) {
      throw new DamagedData('a zstd block is cut off');
    }
    const block = data.subarray(at, at + stored);
    at += stored;
    const before = output.length;
    if (kind === 0) output.append(block);
    else if (kind === 1) {
      if (size > LARGEST_BLOCK) throw new DamagedData('a zstd block is too large');
      output.reserve(size);
      output.bytes.fill(block[0]!, output.length, output.length + size);
      output.length += size;
    } else if (kind === 2) unpackBlock(block, output, state);
    else throw new DamagedData('a zstd block has an unknown kind');
    if (output.length - before > LARGEST_BLOCK) throw new DamagedData('a zstd block is too large');
  }
  if (descriptor & 4) number(4);
  if (stated !== undefined && output.length - state.start !== stated) {
    throw new DamagedData('a zstd frame has the wrong length');
  }
  return at;
}

function unpackBlock(block: Uint8Array, output: Output, state: FrameState): void {
  const { literals, used } = readLiterals(block, state);
  let at = used;
  const byte = (): number => {
    if (at >= block.length) throw new DamagedData('a zstd block is cut off');
    return block[at++]!;
  };
  let count = byte();
  if (count === 0) {
    output.append(literals);
    return;
  }
  if (count === 255) count = byte() + (byte() << 8) + 0x7f00;
  else if (count >= 128) count = ((count - 128) << 8) + byte();
  const modes = byte();
  const table = (mode: number, code: NumberCode, previous: FseTable | undefined): FseTable => {
    if (mode === 0) return code.predefined;
    if (mode === 1) {
      const symbol = byte();
      if (symbol >= code.base.length) throw new DamagedData('a zstd code does not exist');
      return fseConstant(symbol);
    }
    if (mode === 2) {
      const described = readFseTable(block.subarray(at), code.largestAccuracy, code.base.length);
      at += described.used;
      return described.table;
    }
    if (!previous) throw new DamagedData('a zstd block repeats a table before there is one');
    return previous;
  };
  const lengths = table(modes >> 6, LITERAL_LENGTH, state.literalLength);
  const offsets = table((modes >> 4) & 3, OFFSET, state.offset);
  const matches = table((modes >> 2) & 3, MATCH_LENGTH, state.matchLength);
  state.literalLength = lengths;
  state.offset = offsets;
  state.matchLength = matches;

  const bits = new BackwardBits(block.subarray(at));
  let lengthState = bits.read(lengths.accuracy);
  let offsetState = bits.read(offsets.accuracy);
  let matchState = bits.read(matches.accuracy);
  let literalAt = 0;
  for (let i = 0; i < count; i++) {
    const offsetCode = offsets.symbols[offsetState]!;
    const offsetValue = OFFSET.base[offsetCode]! + bits.readLong(offsetCode);
    const matchCode = matches.symbols[matchState]!;
    const matchLength = MATCH_LENGTH.base[matchCode]! + bits.read(MATCH_LENGTH.extra[matchCode]!);
    const lengthCode = lengths.symbols[lengthState]!;
    const literalLength = LITERAL_LENGTH.base[lengthCode]! + bits.read(LITERAL_LENGTH.extra[lengthCode]!);
    if (i < count - 1) {
      lengthState = lengths.base[lengthState]! + bits.read(lengths.bits[lengthState]!);
      matchState = matches.base[matchState]! + bits.read(matches.bits[matchState]!);
      offsetState = offsets.base[offsetState]! + bits.read(offsets.bits[offsetState]!);
    }
    if (bits.left < 0 || literalLength > literals.length - literalAt) throw new DamagedData('zstd sequences run out');
    output.append(literals.subarray(literalAt, literalAt + literalLength));
    literalAt += literalLength;
    output.copy(distance(offsetValue, literalLength, state.recent), matchLength, state.start);
  }
  if (bits.left !== 0) throw new DamagedData('zstd sequences have the wrong length');
  output.append(literals.subarray(literalAt));
}

/** Offsets 1…3 name recent ones, shifted by one when no literals precede (3.1.1.5). */
function distance(value: number, literalLength: number, recent: [number, number, number]): number {
  const index = value > 3 ? 3 : value - 1 + (literalLength === 0 ? 1 : 0);
  const offset = value > 3 ? value - 3 : index === 3 ? recent[0] - 1 : recent[index]!;
  if (index >= 2) recent[2] = recent[1];
  if (index >= 1) recent[1] = recent[0];
  recent[0] = offset;
  return offset;
}

/** The literals section (3.1.1.3.1). */
function readLiterals(block: Uint8Array, state: FrameState): { literals: Uint8Array; used: number } {
  const need = (end: number): void => {
    if (end > block.length) throw new DamagedData('zstd literals are cut off');
  };
  need(1);
  const kind = block[0]! & 3;
  const format = (block[0]! >> 2) & 3;
  const headerSize = kind < 2 ? [1, 2, 1, 3][format]! : [3, 3, 4, 5][format]!;
  need(headerSize);
  let header = 0;
  for (let i = headerSize - 1; i >= 0; i--) header = header * 256 + block[i]!;
  if (kind < 2) {
    const size = header >> (format & 1 ? 4 : 3);
    if (size > LARGEST_BLOCK) throw new DamagedData('zstd literals are too many');
    const end = headerSize + (kind === 0 ? size : 1);
    need(end);
    const literals = kind === 0 ? block.subarray(headerSize, end) : new Uint8Array(size).fill(block[headerSize]!);
    return { literals, used: end };
  }
  const width = [10, 10, 14, 18][format]!;
  const size = Math.floor(header / 16) % 2 ** width;
  const end = headerSize + Math.floor(header / 2 ** (4 + width));
  need(end);
  if (size > LARGEST_BLOCK) throw new DamagedData('zstd literals are too many');
  let at = headerSize;
  if (kind === 2) {
    const { table, used } = readHuffmanTable(block.subarray(at, end));
    state.huffman = table;
    at += used;
  }
  const { huffman } = state;
  if (!huffman) throw new DamagedData('a zstd block repeats a Huffman tree before there is one');
  const literals = new Uint8Array(size);
  if (format === 0) {
    decodeHuffman(block.subarray(at, end), huffman, literals);
    return { literals, used: end };
  }
  // Four streams of equal shares, the first three with their lengths before them.
  if (end - at < 6) throw new DamagedData('zstd literals are cut off');
  const share = (size + 3) >> 2;
  let from = at + 6;
  for (let stream = 0; stream < 4; stream++) {
    const length = stream < 3 ? block[at + 2 * stream]! | (block[at + 2 * stream + 1]! << 8) : end - from;
    if (length > end - from || stream * share > size) throw new DamagedData('zstd literals are cut off');
    const target = literals.subarray(stream * share, stream < 3 ? (stream + 1) * share : size);
    decodeHuffman(block.subarray(from, from + length), huffman, target);
    from += length;
  }
  return { literals, used: end };
}
