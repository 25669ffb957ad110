// The two entropy coders of Zstandard: finite state entropy (RFC 8878, 4.1) and Huffman (4.2), and the streams of
// bits they read, backwards from a marker bit. Invariant: every state and table index is masked or checked, so
// damaged data gives wrong bytes or DamagedData, never a read outside a table.

import { DamagedData } from './damaged-data.js';

/** Reads bits from the end of a byte range towards its start; the highest set bit of the last byte is the marker. */
export class BackwardBits {
  /** Bits not read yet; negative once more were read than there are, which read as zeros. */
  left: number;

  constructor(readonly data: Uint8Array) {
    const last = data.length > 0 ? data[data.length - 1]! : 0;
    if (last === 0) throw new DamagedData('a zstd bit stream has no end mark');
    this.left = data.length * 8 - (Math.clz32(last) - 24) - 1;
  }

  /** @param count 0…24 */
  read(count: number): number {
    this.left -= count;
    return this.#at(this.left) & ((1 << count) - 1);
  }

  /** @param count 0…31 */
  readLong(count: number): number {
    if (count <= 24) return this.read(count);
    const high = this.read(count - 16);
    return high * 65536 + this.read(16);
  }

  /** The next `count` (1…24) bits, without reading them. */
  peek(count: number): number {
    return this.#at(this.left - count) & ((1 << count) - 1);
  }

  #at(bit: number): number {
    const { data } = this;
    const byte = bit >> 3;
    if (byte >= 0 && byte + 3 < data.length) {
      const word = data[byte]! | (data[byte + 1]! << 8) | (data[byte + 2]! << 16) | (data[byte + 3]! << 24);
      return word >>> (bit & 7);
    }
    let word = 0;
    for (let i = 0; i < 4; i++) word |= (data[byte + i] ?? 0) << (8 * i);
    return word >>> (bit & 7);
  }
}

/** A decoding table: for each state its symbol, and how the next state is made. */
export interface FseTable {
  accuracy: number;
  symbols: Uint8Array;
  bits: Uint8Array;
  base: Uint16Array;
}

/** Build a table from probabilities (-1: "less than one"). Throws DamagedData unless they add up. */
export function fseTable(probabilities: readonly number[], accuracy: number): FseTable {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size);
  const next = probabilities.map((one) => Math.abs(one));
  if (next.reduce((sum, one) => sum + one, 0) !== size) throw new DamagedData('zstd probabilities do not add up');
  let high = size;
  probabilities.forEach((probability, symbol) => {
    if (probability === -1) symbols[--high] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  probabilities.forEach((probability, symbol) => {
    for (let i = 0; i < probability; i++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  });
  const bits = new Uint8Array(size);
  const base = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const count = next[symbols[state]!]!++;
    bits[state] = accuracy - (31 - Math.clz32(count));
    base[state] = (count << bits[state]!) - size;
  }
  return { accuracy, symbols, bits, base };
}

/** A table that always gives one symbol and reads nothing. */
export function fseConstant(symbol: number): FseTable {
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bits: Uint8Array.of(0), base: Uint16Array.of(0) };
}

/** Read a table's description (4.1.1). Returns the table and the bytes used. */
export function readFseTable(
  data: Uint8Array,
  largestAccuracy: number,
  symbolCount: number,
): { table: FseTable; used: number } {
  let bit = 0;
  const read = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++, bit++) {
      if (bit >> 3 >= data.length) throw new DamagedData('a zstd table is cut off');
      value |= ((data[bit >> 3]! >> (bit & 7)) & 1) << i;
    }
    return value;
  };
  const accuracy = read(4) + 5;
  if (accuracy > largestAccuracy) throw new DamagedData('a zstd table is too large');
  const probabilities: number[] = [];
  for (let remaining = 1 << accuracy; remaining > 0; ) {
    // One of remaining + 2 values, the lowest of which save a bit.
    const width = 32 - Math.clz32(remaining + 1);
    const short = (1 << width) - 2 - remaining;
    const low = (1 << (width - 1)) - 1;
    let value = read(width - 1);
    if (value >= short && read(1) === 1) value += low + 1 - short;
    const probability = value - 1;
    probabilities.push(probability);
    remaining -= Math.abs(probability);
    if (probability === 0) {
      for (let repeat = 3; repeat === 3; ) {
        repeat = read(2);
        for (let i = 0; i < repeat; i++) probabilities.push(0);
      }
    }
    if (probabilities.length > symbolCount) throw new DamagedData('a zstd table has too many symbols');
  }
  return { table: fseTable(probabilities, accuracy), used: (bit + 7) >> 3 };
}

/** A Huffman code as a table over `bits` bits: the symbol and the length of the code that a prefix starts with. */
export interface HuffmanTable {
  bits: number;
  symbols: Uint8Array;
  lengths: Uint8Array;
}

const LONGEST_CODE = 11;

/** Read a Huffman tree description (4.2.1). Returns the table and the bytes used. */
export function readHuffmanTable(data: Uint8Array): { table: HuffmanTable; used: number } {
  if (data.length === 0) throw new DamagedData('a zstd Huffman tree is cut off');
  const header = data[0]!;
  const used = 1 + (header < 128 ? header : (header - 126) >> 1);
  if (used > data.length) throw new DamagedData('a zstd Huffman tree is cut off');
  const weights: number[] = [];
  if (header < 128) readWeights(data.subarray(1, used), weights);
  else {
    for (let i = 0; i < header - 127; i++) {
      const byte = data[1 + (i >> 1)]!;
      weights.push(i & 1 ? byte & 15 : byte >> 4);
    }
  }
  // The last weight is what completes the sum to a power of two.
  const sum = weights.reduce((total, weight) => total + (weight > 0 ? 2 ** (weight - 1) : 0), 0);
  const bits = 32 - Math.clz32(sum);
  const rest = 2 ** bits - sum;
  if (sum === 0 || bits > LONGEST_CODE || (rest & (rest - 1)) !== 0) {
    throw new DamagedData('a zstd Huffman tree is not complete');
  }
  weights.push(32 - Math.clz32(rest));
  const symbols = new Uint8Array(1 << bits);
  const lengths = new Uint8Array(1 << bits);
  let at = 0;
  for (let weight = 1; weight <= bits; weight++) {
    weights.forEach((one, symbol) => {
      if (one !== weight) return;
      const span = 1 << (weight - 1);
      symbols.fill(symbol, at, at + span);
      lengths.fill(bits + 1 - weight, at, at + span);
      at += span;
    });
  }
  return { table: { bits, symbols, lengths }, used };
}

/** Weights come from two alternating states, until the bits run out. */
function readWeights(data: Uint8Array, weights: number[]): void {
  const { table, used } = readFseTable(data, 6, 256);
  const bits = new BackwardBits(data.subarray(used));
  const states = [bits.read(table.accuracy), bits.read(table.accuracy)];
  if (bits.left < 0) throw new DamagedData('zstd Huffman weights are cut off');
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn]!;
    weights.push(table.symbols[state]!);
    states[turn] = table.base[state]! + bits.read(table.bits[state]!);
    if (bits.left < 0) {
      weights.push(table.symbols[states[turn ^ 1]!]!);
      break;
    }
    if (weights.length > 254) throw new DamagedData('a zstd Huffman tree has too many symbols');
  }
  if (weights.length > 255) throw new DamagedData('a zstd Huffman tree has too many symbols');
}

/** Decode one stream of a Huffman code into the whole of `target`. */
export function decodeHuffman(data: Uint8Array, table: HuffmanTable, target: Uint8Array): void {
  const stream = new BackwardBits(data);
  const { bits, symbols, lengths } = table;
  for (let i = 0; i < target.length; i++) {
    const prefix = stream.peek(bits);
    target[i] = symbols[prefix]!;
    stream.left -= lengths[prefix]!;
  }
  if (stream.left !== 0) throw new DamagedData('a zstd literal stream has the wrong length');
}
