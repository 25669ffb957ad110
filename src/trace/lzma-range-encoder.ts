// The range coder of the LZMA encoder: bits by adaptive probabilities, trees of them, and the groups that a literal, a
// length or a distance is made of. boot/unpack/lzma.ts reads what this writes.
//
// Invariant: writing ends at the end of the output, counting does not, so that too much is noticed in the end.

import * as M from '../boot/unpack/lzma-model.js';

/** lc 3, lp 0, pb 2: literals know the byte before, everything else the place in a word. */
export const LITERAL_CONTEXT = 3;
export const POSITION_MASK = 3;
export const PROPERTIES = (2 * 5 + 0) * 9 + LITERAL_CONTEXT;

/** The slot of a distance: its two highest bits and how many follow. */
export const slotOf = (distance: number): number => {
  if (distance < 4) return distance;
  const top = 31 - Math.clz32(distance);
  return top * 2 + ((distance >>> (top - 1)) & 1);
};

/** Probabilities of a literal behind a byte. */
export const literalGroup = (before: number): number => M.LITERAL + M.LITERAL_SIZE * (before >> (8 - LITERAL_CONTEXT));

export class RangeEncoder {
  readonly probabilities = new Uint16Array(M.LITERAL + (M.LITERAL_SIZE << LITERAL_CONTEXT)).fill(M.HALF);
  #low = 0;
  #range = 0xffff_ffff;
  #cache = 0;
  #pending = 1;

  /** @param used bytes of the output that are written already, counted on from there */
  constructor(
    private readonly out: Uint8Array,
    public used: number,
  ) {}

  bit(index: number, y: number): void {
    const probability = this.probabilities[index]!;
    const bound = Math.imul(this.#range >>> 11, probability) >>> 0;
    if (y === 0) {
      this.#range = bound;
      this.probabilities[index] = probability + ((2048 - probability) >> 5);
    } else {
      this.#low += bound;
      this.#range = (this.#range - bound) >>> 0;
      this.probabilities[index] = probability - (probability >> 5);
    }
    if (this.#range < 0x100_0000) this.#renormalize();
  }

  /** @param likely the byte at the last distance, -1 when it says nothing */
  literal(base: number, byte: number, likely: number): void {
    let symbol = 1;
    let bit = 7;
    if (likely >= 0) {
      for (; bit >= 0; bit--) {
        const expected = (likely >> bit) & 1;
        const y = (byte >> bit) & 1;
        this.bit(base + ((1 + expected) << 8) + symbol, y);
        symbol = (symbol << 1) | y;
        if (expected !== y) {
          bit--;
          break;
        }
      }
    }
    for (; bit >= 0; bit--) {
      const y = (byte >> bit) & 1;
      this.bit(base + symbol, y);
      symbol = (symbol << 1) | y;
    }
  }

  length(base: number, place: number, length: number): void {
    const n = length - 2;
    if (n < 8) {
      this.bit(base, 0);
      this.#tree(base + M.LENGTH_LOW + (place << 3), 3, n);
    } else {
      this.bit(base, 1);
      this.bit(base + 1, n < 16 ? 0 : 1);
      if (n < 16) this.#tree(base + M.LENGTH_MIDDLE + (place << 3), 3, n - 8);
      else this.#tree(base + M.LENGTH_HIGH, 8, n - 16);
    }
  }

  distance(distance: number, length: number): void {
    const slot = slotOf(distance);
    this.#tree(M.DISTANCE_SLOT + (Math.min(length - 2, 3) << 6), 6, slot);
    if (slot < 4) return;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) << bits;
    if (slot < 14) {
      this.#reverseTree(M.DISTANCE_SPECIAL + base - slot, bits, distance - base);
      return;
    }
    for (let i = bits - 1; i >= 4; i--) {
      this.#range >>>= 1;
      if ((distance >>> i) & 1) this.#low += this.#range;
      if (this.#range < 0x100_0000) this.#renormalize();
    }
    this.#reverseTree(M.DISTANCE_ALIGN, 4, distance & 15);
  }

  /** What is still held back. */
  finish(): void {
    for (let i = 0; i < 5; i++) this.#shiftLow();
  }

  #tree(base: number, bits: number, value: number): void {
    let symbol = 1;
    for (let i = bits - 1; i >= 0; i--) {
      const y = (value >> i) & 1;
      this.bit(base + symbol, y);
      symbol = (symbol << 1) | y;
    }
  }

  #reverseTree(base: number, bits: number, value: number): void {
    let symbol = 1;
    for (let i = 0; i < bits; i++) {
      const y = (value >> i) & 1;
      this.bit(base + symbol, y);
      symbol = (symbol << 1) | y;
    }
  }

  #renormalize(): void {
    this.#range = (this.#range << 8) >>> 0;
    this.#shiftLow();
  }

  /** Put out the top byte of low; one of 0xff waits, since a carry may still come. */
  #shiftLow(): void {
    if (this.#low < 0xff00_0000 || this.#low > 0xffff_ffff) {
      const carry = this.#low > 0xffff_ffff ? 1 : 0;
      let byte = this.#cache;
      do {
        this.out[this.used++] = byte + carry;
        byte = 0xff;
      } while (--this.#pending > 0);
      this.#cache = Math.floor(this.#low / 0x100_0000) & 0xff;
    }
    this.#pending++;
    this.#low = ((this.#low & 0xff_ffff) << 8) >>> 0;
  }
}
