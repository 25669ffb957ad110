// Finds what occurred before, for the LZMA encoder: the nearest place with the same 2 and the same 3 bytes, and a chain
// of places with the same 4, of which a few are looked at. Longer matches that are nearer hide the others.
// Invariant: every position is entered once, in order, so that the same data finds the same matches everywhere.

const HASH2 = 1 << 16;
const HASH3_BITS = 16;
/** Fewer for little data, whose tables would take longer than the search. */
const MAX_HASH4_BITS = 20;
export const MATCH_MAX = 273;

/** Tables of the last finder, which are large and take long to come back from the heap. One finder works at a time. */
let kept = new Int32Array(0);

export class MatchFinder {
  /** Of the position last searched: matches by ascending length, at ascending distance. */
  readonly lengths = new Int32Array(32);
  readonly distances = new Int32Array(32);
  /** The next position to enter. */
  at = 0;
  readonly #near2 = new Int32Array(HASH2).fill(-1);
  readonly #near3 = new Int32Array(1 << HASH3_BITS).fill(-1);
  readonly #shift4: number;
  readonly #heads: Int32Array;
  readonly #chain: Int32Array;

  /**
   * @param depth places looked at for each position
   * @param nice length that is good enough to look no further
   */
  constructor(
    private readonly raw: Uint8Array,
    private readonly depth: number,
    private readonly nice: number,
  ) {
    const bits = Math.max(12, Math.min(MAX_HASH4_BITS, 33 - Math.clz32(raw.length)));
    this.#shift4 = 32 - bits;
    if (kept.length < (1 << bits) + raw.length) kept = new Int32Array((1 << bits) + raw.length);
    this.#heads = kept.subarray(0, 1 << bits).fill(-1);
    this.#chain = kept.subarray(1 << bits);
  }

  /** Enter the position and find matches for it. @returns how many; a length never leads past the end */
  search(): number {
    const { raw, lengths, distances, nice } = this;
    const pos = this.at++;
    const left = Math.min(MATCH_MAX, raw.length - pos);
    if (left < 4) return 0;
    const h2 = raw[pos]! | (raw[pos + 1]! << 8);
    const h3 = Math.imul(h2 | (raw[pos + 2]! << 16), 0x9e3779b1) >>> (32 - HASH3_BITS);
    const word = h2 | (raw[pos + 2]! << 16) | (raw[pos + 3]! << 24);
    const h4 = Math.imul(word, 0x85ebca6b) >>> this.#shift4;
    const near2 = this.#near2[h2]!;
    const near3 = this.#near3[h3]!;
    let other = this.#heads[h4]!;
    this.#near2[h2] = pos;
    this.#near3[h3] = pos;
    this.#heads[h4] = pos;
    this.#chain[pos] = other;
    let count = 0;
    let best = 1;
    if (near2 >= 0) {
      best = 2;
      if (near2 === near3) while (best < left && raw[near2 + best] === raw[pos + best]) best++;
      lengths[count] = best;
      distances[count++] = pos - near2;
    }
    if (near3 !== near2 && near3 >= 0 && best < 3 && raw[near3] === raw[pos] && raw[near3 + 1] === raw[pos + 1]) {
      let length = 2;
      while (length < left && raw[near3 + length] === raw[pos + length]) length++;
      if (length > best) {
        best = length;
        lengths[count] = length;
        distances[count++] = pos - near3;
      }
    }
    for (let n = this.depth; n > 0 && other >= 0 && best < nice && best < left; n--) {
      if (raw[other + best] === raw[pos + best] && raw[other] === raw[pos] && raw[other + 1] === raw[pos + 1]) {
        let length = 2;
        while (length < left && raw[other + length] === raw[pos + length]) length++;
        if (length > best) {
          best = length;
          lengths[count] = length;
          distances[count++] = pos - other;
        }
      }
      other = this.#chain[other]!;
    }
    return count;
  }

  /** Enter positions without looking for matches. */
  skip(count: number): void {
    const { raw } = this;
    const shift4 = this.#shift4;
    const end = Math.min(this.at + count, raw.length - 3);
    for (let pos = this.at; pos < end; pos++) {
      const h2 = raw[pos]! | (raw[pos + 1]! << 8);
      const h3 = Math.imul(h2 | (raw[pos + 2]! << 16), 0x9e3779b1) >>> (32 - HASH3_BITS);
      const h4 = Math.imul(h2 | (raw[pos + 2]! << 16) | (raw[pos + 3]! << 24), 0x85ebca6b) >>> shift4;
      this.#near2[h2] = pos;
      this.#near3[h3] = pos;
      this.#chain[pos] = this.#heads[h4]!;
      this.#heads[h4] = pos;
    }
    this.at += count;
  }
}
