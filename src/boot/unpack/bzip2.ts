// bzip2: blocks of run-length coding, Burrows-Wheeler transform, move-to-front and up to six Huffman tables that
// take turns every 50 symbols. There is no specification but the reference program; the layout here follows its
// manual and "bzip2: Format Specification" by Joe Tsai. Left out on purpose: the blocks' checksums (the caller
// compares the size, the ELF parser judges the rest), and randomised blocks, obsolete since version 0.9.5.

import { DamagedData } from './damaged-data.js';
import { Output } from './output.js';

const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;
const GROUP = 50;
const LONGEST_CODE = 20;

/** Most significant bit first. */
class BitReader {
  #at = 0;
  #bits = 0;
  #count = 0;

  constructor(readonly data: Uint8Array) {}

  /** @param count 1…24 */
  read(count: number): number {
    while (this.#count < count) {
      if (this.#at >= this.data.length) throw new DamagedData('bzip2 data ends early');
      this.#bits = ((this.#bits << 8) | this.data[this.#at++]!) >>> 0;
      this.#count += 8;
    }
    this.#count -= count;
    const value = (this.#bits >>> this.#count) & ((1 << count) - 1);
    this.#bits &= (1 << this.#count) - 1;
    return value;
  }

  read48(): number {
    return this.read(24) * 2 ** 24 + this.read(24);
  }
}

/** A canonical Huffman code: for each length the last code and the offset into `symbols`. */
interface HuffmanCode {
  shortest: number;
  last: Int32Array;
  offset: Int32Array;
  symbols: Uint16Array;
}

/**
 * @param limit most bytes of result
 * @throws DamagedData
 */
export function unpackBzip2(data: Uint8Array, limit: number): Uint8Array {
  const bits = new BitReader(data);
  const output = new Output(limit);
  if (bits.read(24) !== 0x425a68) throw new DamagedData('there is no bzip2 magic');
  const level = bits.read(8) - 0x30;
  if (level < 1 || level > 9) throw new DamagedData(`bzip2 block size ${level} does not exist`);
  const block = new Uint32Array(level * 100_000);
  for (;;) {
    const magic = bits.read48();
    if (magic === END_MAGIC) return output.result();
    if (magic !== BLOCK_MAGIC) throw new DamagedData('a bzip2 block has no magic');
    bits.read(16);
    bits.read(16);
    if (bits.read(1) !== 0) throw new DamagedData('a bzip2 block is randomised, which is obsolete');
    const origin = bits.read(24);
    const length = readBlock(bits, block);
    if (origin >= length) throw new DamagedData('a bzip2 block starts outside itself');
    undoTransform(block, length, origin, output);
  }
}

/** Huffman and move-to-front stages; symbols of the transformed block go into the low bytes of `block`. */
function readBlock(bits: BitReader, block: Uint32Array): number {
  const used = bits.read(16);
  const list: number[] = [];
  for (let high = 0; high < 16; high++) {
    if (!(used & (0x8000 >> high))) continue;
    const low = bits.read(16);
    for (let i = 0; i < 16; i++) if (low & (0x8000 >> i)) list.push(high * 16 + i);
  }
  if (list.length === 0) throw new DamagedData('a bzip2 block uses no symbol');
  const tables = bits.read(3);
  const selectorCount = bits.read(15);
  if (tables < 2 || tables > 6 || selectorCount === 0) throw new DamagedData('a bzip2 block has no codes');
  const order = Array.from({ length: tables }, (_, index) => index);
  const selectors = new Uint8Array(selectorCount);
  for (let i = 0; i < selectorCount; i++) {
    let rank = 0;
    while (bits.read(1) === 1) if (++rank >= tables) throw new DamagedData('a bzip2 selector is too large');
    selectors[i] = order[rank]!;
    order.splice(rank, 1);
    order.unshift(selectors[i]!);
  }
  const alphabet = list.length + 2;
  const codes = Array.from({ length: tables }, () => readCode(bits, alphabet));

  const endOfBlock = alphabet - 1;
  let length = 0;
  let run = 0;
  let weight = 1;
  for (let group = 0; ; group++) {
    if (group >= selectorCount) throw new DamagedData('a bzip2 block has too few selectors');
    const code = codes[selectors[group]!]!;
    for (let i = 0; i < GROUP; i++) {
      const symbol = readSymbol(bits, code);
      if (symbol <= 1) {
        // Runs of the front symbol are numbers in bijective base 2.
        run += weight << symbol;
        weight <<= 1;
        if (run > block.length) throw new DamagedData('a bzip2 run is too long');
        continue;
      }
      if (run > 0) {
        if (run > block.length - length) throw new DamagedData('a bzip2 block is too long');
        block.fill(list[0]!, length, length + run);
        length += run;
        run = 0;
        weight = 1;
      }
      if (symbol === endOfBlock) return length;
      if (length >= block.length) throw new DamagedData('a bzip2 block is too long');
      const [byte] = list.splice(symbol - 1, 1);
      list.unshift(byte!);
      block[length++] = byte!;
    }
  }
}

function readCode(bits: BitReader, alphabet: number): HuffmanCode {
  const lengths = new Uint8Array(alphabet);
  let length = bits.read(5);
  for (let i = 0; i < alphabet; i++) {
    for (;;) {
      if (length < 1 || length > LONGEST_CODE) throw new DamagedData('a bzip2 code has an impossible length');
      if (bits.read(1) === 0) break;
      length += bits.read(1) === 0 ? 1 : -1;
    }
    lengths[i] = length;
  }
  const symbols = new Uint16Array(alphabet);
  const last = new Int32Array(LONGEST_CODE + 1);
  const offset = new Int32Array(LONGEST_CODE + 1);
  const shortest = lengths.reduce((least, one) => Math.min(least, one));
  let code = 0;
  let index = 0;
  for (let n = shortest; n <= LONGEST_CODE; n++) {
    offset[n] = index - code;
    for (let i = 0; i < alphabet; i++) {
      if (lengths[i] !== n) continue;
      symbols[index++] = i;
      code++;
    }
    last[n] = code - 1;
    code *= 2;
  }
  return { shortest, last, offset, symbols };
}

function readSymbol(bits: BitReader, code: HuffmanCode): number {
  let value = bits.read(code.shortest);
  for (let n = code.shortest; n <= LONGEST_CODE; n++) {
    if (value <= code.last[n]!) {
      const symbol = code.symbols[value + code.offset[n]!];
      if (symbol === undefined) break;
      return symbol;
    }
    value = value * 2 + bits.read(1);
  }
  throw new DamagedData('a bzip2 code word does not exist');
}

/** Burrows-Wheeler: follow the chain from `origin`; then undo the run lengths after four equal bytes. */
function undoTransform(block: Uint32Array, length: number, origin: number, output: Output): void {
  const starts = new Uint32Array(257);
  for (let i = 0; i < length; i++) starts[(block[i]! & 0xff) + 1]!++;
  for (let i = 1; i < 257; i++) starts[i]! += starts[i - 1]!;
  for (let i = 0; i < length; i++) block[starts[block[i]! & 0xff]!++]! |= i << 8;
  let next = block[origin]! >>> 8;
  let previous = -1;
  let repeated = 0;
  for (let i = 0; i < length; i++) {
    const entry = block[next]!;
    const byte = entry & 0xff;
    next = entry >>> 8;
    if (repeated === 4) {
      output.reserve(byte);
      output.bytes.fill(previous, output.length, output.length + byte);
      output.length += byte;
      repeated = 0;
      previous = -1;
      continue;
    }
    repeated = byte === previous ? repeated + 1 : 1;
    previous = byte;
    output.reserve(1);
    output.bytes[output.length++] = byte;
  }
}
