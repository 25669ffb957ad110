// What the LZMA encoder's steps cost, in 1/16 bits. Literals and choices are priced by the probabilities as they are;
// lengths and distances, which are asked for at every position, by tables made of the probabilities now and then.
//
// Invariant: integers only, so that every host plans the same steps.

import * as M from '../boot/unpack/lzma-model.js';
import { POSITION_MASK, slotOf } from './lzma-range-encoder.js';
import { MATCH_MAX } from './match-finder.js';

/** What a bit costs by its probability / 16: a table of -log2, from squaring. */
const PRICES = new Int32Array(128);
for (let i = 0; i < 128; i++) {
  let w = i * 16 + 8;
  let bits = 0;
  for (let j = 0; j < 4; j++) {
    w *= w;
    bits <<= 1;
    while (w >= 0x1_0000) {
      w = Math.floor(w / 2);
      bits++;
    }
  }
  PRICES[i] = 11 * 16 - 15 - bits;
}

/** The price of a 0 and of a 1, by the probability of a 0. */
export const priceOf0 = (probability: number): number => PRICES[probability >> 4]!;
export const priceOf1 = (probability: number): number => PRICES[(2048 - probability) >> 4]!;

export class Prices {
  /** By place and length: of a length behind a match, and behind a repeated distance. */
  readonly matchLengths = new Int32Array((POSITION_MASK + 1) * (MATCH_MAX + 1));
  readonly repLengths = new Int32Array((POSITION_MASK + 1) * (MATCH_MAX + 1));
  readonly #slots = new Int32Array(4 * 64);
  readonly #nearDistances = new Int32Array(4 * 128);
  readonly #aligns = new Int32Array(16);

  /**
   * @param longest length that is ever priced
   * @param farthest distance
   */
  constructor(
    private readonly probabilities: Uint16Array,
    private readonly longest: number,
    private readonly farthest: number,
  ) {}

  /** @param likely the byte at the last distance, -1 when it says nothing */
  literal(base: number, byte: number, likely: number): number {
    const p = this.probabilities;
    let symbol = 1;
    let sum = 0;
    let bit = 7;
    if (likely >= 0) {
      for (; bit >= 0; bit--) {
        const expected = (likely >> bit) & 1;
        const y = (byte >> bit) & 1;
        const q = p[base + ((1 + expected) << 8) + symbol]!;
        sum += y === 0 ? priceOf0(q) : priceOf1(q);
        symbol = (symbol << 1) | y;
        if (expected !== y) {
          bit--;
          break;
        }
      }
    }
    return sum + this.#tree(base, bit + 1, byte, symbol);
  }

  /** Of choosing one of the four repeated distances, for more than one byte. */
  rep(i: number, state: number, place: number): number {
    const p = this.probabilities;
    const q0 = p[M.IS_REP0 + state]!;
    if (i === 0) return priceOf0(q0) + priceOf1(p[M.IS_REP0_LONG + (state << 4) + place]!);
    const q1 = p[M.IS_REP1 + state]!;
    if (i === 1) return priceOf1(q0) + priceOf0(q1);
    const q2 = p[M.IS_REP2 + state]!;
    return priceOf1(q0) + priceOf1(q1) + (i === 2 ? priceOf0(q2) : priceOf1(q2));
  }

  distance(distance: number, length: number): number {
    const set = length < 5 ? length - 2 : 3;
    if (distance < 128) return this.#nearDistances[(set << 7) + distance]!;
    return this.#slots[(set << 6) + slotOf(distance)]! + this.#aligns[distance & 15]!;
  }

  /** Make the tables anew. */
  update(): void {
    this.#updateLengths(M.MATCH_LENGTH, this.matchLengths);
    this.#updateLengths(M.REP_LENGTH, this.repLengths);
    for (let i = 0; i < 16; i++) this.#aligns[i] = this.#reverseTree(M.DISTANCE_ALIGN, 4, i);
    const last = slotOf(this.farthest);
    for (let set = 0; set < 4; set++) {
      for (let slot = 0; slot <= last; slot++) {
        const direct = slot < 14 ? 0 : ((slot >> 1) - 5) << 4;
        this.#slots[(set << 6) + slot] = this.#tree(M.DISTANCE_SLOT + (set << 6), 6, slot) + direct;
      }
      for (let distance = 0; distance < 128; distance++) {
        const slot = slotOf(distance);
        let sum = this.#slots[(set << 6) + slot]!;
        if (slot >= 4) {
          const bits = (slot >> 1) - 1;
          const base = (2 | (slot & 1)) << bits;
          sum += this.#reverseTree(M.DISTANCE_SPECIAL + base - slot, bits, distance - base);
        }
        this.#nearDistances[(set << 7) + distance] = sum;
      }
    }
  }

  #updateLengths(base: number, table: Int32Array): void {
    const choice = this.probabilities[base]!;
    const choice2 = this.probabilities[base + 1]!;
    const middle = priceOf1(choice) + priceOf0(choice2);
    const high = priceOf1(choice) + priceOf1(choice2);
    for (let place = 0; place <= POSITION_MASK; place++) {
      const at = place * (MATCH_MAX + 1) + 2;
      for (let n = 0; n < 8; n++) {
        table[at + n] = priceOf0(choice) + this.#tree(base + M.LENGTH_LOW + (place << 3), 3, n);
        table[at + 8 + n] = middle + this.#tree(base + M.LENGTH_MIDDLE + (place << 3), 3, n);
      }
    }
    for (let n = 0; n + 18 <= this.longest; n++) {
      const sum = high + this.#tree(base + M.LENGTH_HIGH, 8, n);
      for (let place = 0; place <= POSITION_MASK; place++) table[place * (MATCH_MAX + 1) + 18 + n] = sum;
    }
  }

  /** The lowest `bits` bits of a value; `symbol` is where the bits before led. */
  #tree(base: number, bits: number, value: number, symbol = 1): number {
    const p = this.probabilities;
    let sum = 0;
    for (let i = bits - 1; i >= 0; i--) {
      const y = (value >> i) & 1;
      const q = p[base + symbol]!;
      sum += y === 0 ? priceOf0(q) : priceOf1(q);
      symbol = (symbol << 1) | y;
    }
    return sum;
  }

  #reverseTree(base: number, bits: number, value: number): number {
    const p = this.probabilities;
    let symbol = 1;
    let sum = 0;
    for (let i = 0; i < bits; i++) {
      const y = (value >> i) & 1;
      const q = p[base + symbol]!;
      sum += y === 0 ? priceOf0(q) : priceOf1(q);
      symbol = (symbol << 1) | y;
    }
    return sum;
  }
}
