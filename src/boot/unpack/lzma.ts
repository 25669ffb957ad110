// LZMA, as the "LZMA specification" of its author describes the decoder: a range coder over adaptive bits, and a
// state machine of literals, matches and four repeated distances. Two uses: the .lzma file ("LZMA alone", which
// Linux calls lzma) and the chunks of LZMA2 in .xz files, which keep decoder state from chunk to chunk.

import { DamagedData } from './damaged-data.js';
import * as M from './lzma-model.js';
import { Output } from './output.js';

/** Below this a byte is shifted into the range. */
const TOP = 0x100_0000;

export class LzmaDecoder {
  #probabilities = new Uint16Array(0);
  #literalContext = 0;
  #literalMask = 0;
  #positionMask = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  /** Unsigned words, as signed ones: the engine keeps those in fields without boxes. */
  #range = 0;
  #code = 0;
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Where the dictionary begins in the output. */
  #start = 0;

  /** @param dictionarySize farthest distance that a match may have, in bytes */
  constructor(
    readonly output: Output,
    readonly dictionarySize: number,
  ) {}

  /** Set lc, lp and pb from their byte and reset the state. */
  setProperties(byte: number): void {
    if (byte >= 9 * 5 * 5) throw new DamagedData(`LZMA properties ${byte} do not exist`);
    const literalContext = byte % 9;
    const literalPosition = Math.floor(byte / 9) % 5;
    this.#literalContext = literalContext;
    this.#literalMask = (1 << literalPosition) - 1;
    this.#positionMask = (1 << Math.floor(byte / 45)) - 1;
    this.#probabilities = new Uint16Array(M.LITERAL + (M.LITERAL_SIZE << (literalContext + literalPosition)));
    this.resetState();
  }

  resetState(): void {
    this.#probabilities.fill(M.HALF);
    this.#state = 0;
    this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
  }

  /** Forget what was put out so far: no match reaches before this point. */
  resetDictionary(): void {
    this.#start = this.output.length;
  }

  /**
   * Decode until `count` bytes are out or, with `count` undefined, until the end marker.
   * @returns bytes of `input` used
   */
  decode(input: Uint8Array, count: number | undefined): number {
    if (input.length < 5 || input[0] !== 0) throw new DamagedData('the range coder does not start');
    if (this.#probabilities.length === 0) throw new DamagedData('LZMA data comes before its properties');
    this.#input = input;
    this.#range = -1;
    this.#code = new DataView(input.buffer, input.byteOffset).getInt32(1, false);
    this.#at = 5;
    const { output } = this;
    const end = count === undefined ? Number.POSITIVE_INFINITY : output.length + count;
    while (output.length < end) {
      const position = output.length - this.#start;
      const positionState = position & this.#positionMask;
      if (this.#bit(M.IS_MATCH + (this.#state << 4) + positionState) === 0) {
        this.#literal(position);
        continue;
      }
      let length: number;
      if (this.#bit(M.IS_REP + this.#state) === 0) {
        this.#rep3 = this.#rep2;
        this.#rep2 = this.#rep1;
        this.#rep1 = this.#rep0;
        length = this.#length(M.MATCH_LENGTH, positionState);
        this.#state = M.afterMatch(this.#state);
        this.#rep0 = this.#distance(length);
        if (this.#rep0 === 0xffff_ffff) {
          if (count !== undefined) throw new DamagedData('an end marker comes too early');
          return this.#at;
        }
        length += 2;
      } else {
        if (position === 0) throw new DamagedData('a match comes before any byte');
        if (this.#bit(M.IS_REP0 + this.#state) === 0) {
          if (this.#bit(M.IS_REP0_LONG + (this.#state << 4) + positionState) === 0) {
            this.#state = M.afterShortRep(this.#state);
            output.copy(this.#rep0 + 1, 1, this.#start);
            continue;
          }
        } else {
          let distance: number;
          if (this.#bit(M.IS_REP1 + this.#state) === 0) distance = this.#rep1;
          else {
            if (this.#bit(M.IS_REP2 + this.#state) === 0) distance = this.#rep2;
            else {
              distance = this.#rep3;
              this.#rep3 = this.#rep2;
            }
            this.#rep2 = this.#rep1;
          }
          this.#rep1 = this.#rep0;
          this.#rep0 = distance;
        }
        length = this.#length(M.REP_LENGTH, positionState) + 2;
        this.#state = M.afterRep(this.#state);
      }
      if (length > end - output.length) throw new DamagedData('a match runs past the end');
      if (this.#rep0 >= this.dictionarySize) throw new DamagedData('a match reaches out of the dictionary');
      output.copy(this.#rep0 + 1, length, this.#start);
    }
    // The coder leaves its last byte to be shifted in when it is next needed; a chunk's length counts it.
    if (this.#range >>> 0 < TOP) this.#normalize();
    return this.#at;
  }

  /** Keep the range coder's range above 2^24: shift in a byte. */
  #normalize(): void {
    this.#range <<= 8;
    this.#code = (this.#code << 8) | this.#nextByte(this.#at++);
  }

  /** Reading past the end is caught here. */
  #nextByte(at: number): number {
    if (at >= this.#input.length) throw new DamagedData('LZMA data ends early');
    return this.#input[at]!;
  }

  #bit(index: number): number {
    if (this.#range >>> 0 < TOP) this.#normalize();
    const probability = this.#probabilities[index]!;
    const bound = Math.imul(this.#range >>> 11, probability);
    if (this.#code >>> 0 < bound >>> 0) {
      this.#range = bound;
      this.#probabilities[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.#range = (this.#range - bound) | 0;
    this.#code = (this.#code - bound) | 0;
    this.#probabilities[index] = probability - (probability >> 5);
    return 1;
  }

  /** Go down a tree of which the probabilities begin at `base`, from a node on. @returns the first node past `end` */
  #descend(base: number, node: number, end: number): number {
    const probabilities = this.#probabilities;
    let range = this.#range;
    let code = this.#code;
    while (node < end) {
      if (range >>> 0 < TOP) {
        range <<= 8;
        code = (code << 8) | this.#nextByte(this.#at++);
      }
      const probability = probabilities[base + node]!;
      const bound = Math.imul(range >>> 11, probability);
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        probabilities[base + node] = probability + ((2048 - probability) >> 5);
        node <<= 1;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        probabilities[base + node] = probability - (probability >> 5);
        node = (node << 1) | 1;
      }
    }
    this.#range = range;
    this.#code = code;
    return node;
  }

  #tree(base: number, bits: number): number {
    return this.#descend(base, 1, 1 << bits) - (1 << bits);
  }

  #reverseTree(base: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  #literal(position: number): void {
    const { output } = this;
    const before = position === 0 ? 0 : output.bytes[output.length - 1]!;
    const context = ((position & this.#literalMask) << this.#literalContext) + (before >> (8 - this.#literalContext));
    const base = M.LITERAL + M.LITERAL_SIZE * context;
    let symbol = 1;
    if (this.#state >= 7) {
      if (this.#rep0 >= position) throw new DamagedData('a match reaches before the start');
      let matched = output.bytes[output.length - this.#rep0 - 1]!;
      do {
        const expected = (matched >> 7) & 1;
        matched <<= 1;
        const bit = this.#bit(base + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (expected !== bit) break;
      } while (symbol < 0x100);
    }
    symbol = this.#descend(base, symbol, 0x100);
    if (output.length === output.bytes.length) output.reserve(1);
    output.bytes[output.length++] = symbol;
    this.#state = M.afterLiteral(this.#state);
  }

  #length(base: number, positionState: number): number {
    if (this.#bit(base) === 0) return this.#tree(base + M.LENGTH_LOW + (positionState << 3), 3);
    if (this.#bit(base + 1) === 0) return 8 + this.#tree(base + M.LENGTH_MIDDLE + (positionState << 3), 3);
    return 16 + this.#tree(base + M.LENGTH_HIGH, 8);
  }

  #distance(length: number): number {
    const slot = this.#tree(M.DISTANCE_SLOT + (Math.min(length, 3) << 6), 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < 14) return base + this.#reverseTree(M.DISTANCE_SPECIAL + base - slot, bits);
    let direct = 0;
    for (let i = 0; i < bits - 4; i++) {
      if (this.#range >>> 0 < TOP) this.#normalize();
      const half = this.#range >>> 1;
      this.#range = half;
      let bit = 0;
      if (this.#code >>> 0 >= half) {
        this.#code = (this.#code - half) | 0;
        bit = 1;
      }
      direct = direct * 2 + bit;
    }
    return base + direct * 16 + this.#reverseTree(M.DISTANCE_ALIGN, 4);
  }
}

/**
 * Unpack a .lzma file.
 * @param limit most bytes of result
 * @throws DamagedData
 */
export function unpackLzma(data: Uint8Array, limit: number): Uint8Array {
  if (data.length < 13) throw new DamagedData('the LZMA header is cut off');
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const size = view.getBigUint64(5, true);
  const output = new Output(limit);
  const decoder = new LzmaDecoder(output, Math.max(view.getUint32(1, true), 4096));
  decoder.setProperties(data[0]!);
  const known = size !== 0xffff_ffff_ffff_ffffn;
  if (known && size > BigInt(limit)) throw new DamagedData(`it unpacks to ${size} bytes, more than ${limit}`);
  decoder.decode(data.subarray(13), known ? Number(size) : undefined);
  return output.result();
}
