// What the LZMA encoder's steps cost, in 1/16 bits. Literals and choices are priced by the probabilities as they are
// (lzma-plan.ts); lengths and distances, which are asked for at every position, by tables made of the probabilities now
// and then.
//
// Invariant: integers only, so that every host plans the same steps.

import * as M from '../boot/unpack/lzma-model.js';
import * as L from './lzma-layout.js';

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
const priceOf0 = (probability: number): number => PRICES[probability >> 4]!;
const priceOf1 = (probability: number): number => PRICES[(2048 - probability) >> 4]!;

/** Prices of bits, for BIT_PRICES. */
export const bitPrices = (): Uint8Array =>
  Uint8Array.from({ length: 2 * 2048 }, (_, i) => (i < 2048 ? priceOf0(i) : priceOf1(i - 2048)));

export class Prices {
  readonly #probabilities: Uint16Array;
  readonly #matchLengths: Int32Array;
  readonly #repLengths: Int32Array;
  readonly #slots: Int32Array;
  readonly #nearDistances: Int32Array;
  readonly #aligns: Int32Array;
  /** Of the nodes of a tree, 1 first. */
  readonly #sums = new Int32Array(512);
  /** Of what follows the slot of a distance below 128. */
  readonly #rests = new Int32Array(128);

  /** @param longest length that is ever priced */
  constructor(
    memory: ArrayBuffer,
    private readonly longest: number,
  ) {
    const rows = (L.POSITION_MASK + 1) * L.LENGTH_ROW;
    this.#probabilities = new Uint16Array(memory, L.PROBABILITIES, L.PROBABILITY_COUNT);
    this.#matchLengths = new Int32Array(memory, L.MATCH_LENGTHS, rows);
    this.#repLengths = new Int32Array(memory, L.REP_LENGTHS, rows);
    this.#slots = new Int32Array(memory, L.SLOTS, 4 * 64);
    this.#nearDistances = new Int32Array(memory, L.NEAR_DISTANCES, 4 * 128);
    this.#aligns = new Int32Array(memory, L.ALIGNS, 16);
  }

  /**
   * Make the tables anew.
   * @param slots of distances that come up
   */
  update(slots: number): void {
    this.#updateLengths(M.MATCH_LENGTH, this.#matchLengths);
    this.#updateLengths(M.REP_LENGTH, this.#repLengths);
    this.#updateRests(M.DISTANCE_ALIGN, 4, this.#aligns, 0);
    for (let slot = 4; slot < 14; slot++) {
      const bits = (slot >> 1) - 1;
      const base = (2 | (slot & 1)) << bits;
      this.#updateRests(M.DISTANCE_SPECIAL + base - slot, bits, this.#rests, base);
    }
    for (let set = 0; set < 4; set++) {
      const sums = this.#tree(M.DISTANCE_SLOT + (set << 6), 6);
      for (let slot = 0; slot < slots; slot++) {
        const direct = slot < 14 ? 0 : ((slot >> 1) - 5) << 4;
        this.#slots[(set << 6) + slot] = sums[64 + slot]! + direct;
      }
      let distance = 0;
      for (let slot = 0; slot < 14; slot++) {
        const end = slot < 4 ? slot + 1 : (3 + (slot & 1)) << ((slot >> 1) - 1);
        for (; distance < end; distance++) {
          this.#nearDistances[(set << 7) + distance] = sums[64 + slot]! + this.#rests[distance]!;
        }
      }
    }
  }

  #updateLengths(base: number, table: Int32Array): void {
    const choice = this.#probabilities[base]!;
    const choice2 = this.#probabilities[base + 1]!;
    const low = priceOf0(choice);
    const middle = priceOf1(choice) + priceOf0(choice2);
    const high = priceOf1(choice) + priceOf1(choice2);
    for (let place = 0; place <= L.POSITION_MASK; place++) {
      const at = place * L.LENGTH_ROW + 2;
      const lows = this.#tree(base + M.LENGTH_LOW + (place << 3), 3);
      for (let n = 0; n < 8; n++) table[at + n] = low + lows[8 + n]!;
      const middles = this.#tree(base + M.LENGTH_MIDDLE + (place << 3), 3);
      for (let n = 0; n < 8; n++) table[at + 8 + n] = middle + middles[8 + n]!;
    }
    const highs = this.#tree(base + M.LENGTH_HIGH, 8, this.longest - 17);
    for (let n = 0; n + 18 <= this.longest; n++) {
      for (let place = 0; place <= L.POSITION_MASK; place++) {
        table[place * L.LENGTH_ROW + 18 + n] = high + highs[256 + n]!;
      }
    }
  }

  /**
   * Prices of the ways to the nodes of a tree: of a value to 2^bits + the value.
   * @param values that are wanted, from 0 on
   */
  #tree(base: number, bits: number, values = 1 << bits): Int32Array {
    const sums = this.#sums;
    sums[1] = 0;
    for (let depth = 0; depth < bits; depth++) {
      const first = 1 << depth;
      const last = first + ((values - 1) >> (bits - depth));
      for (let node = first; node <= last; node++) {
        const p = this.#probabilities[base + node]!;
        sums[2 * node] = sums[node]! + priceOf0(p);
        sums[2 * node + 1] = sums[node]! + priceOf1(p);
      }
    }
    return sums;
  }

  /** The same of a tree that takes the lowest bit first, by value. */
  #updateRests(base: number, bits: number, table: Int32Array, at: number): void {
    const sums = this.#tree(base, bits);
    for (let value = 0; value < 1 << bits; value++) {
      let node = 1;
      for (let i = 0; i < bits; i++) node = (node << 1) | ((value >> i) & 1);
      table[at + value] = sums[node]!;
    }
  }
}
