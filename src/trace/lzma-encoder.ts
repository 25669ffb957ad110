// LZMA, the encoder: the counterpart of boot/unpack/lzma.ts. Takes positions in stretches and finds for each stretch the
// cheapest way through it, by what symbols cost at the moment (lzma-prices.ts): a literal, one of four repeated
// distances, or a match found before (match-finder.ts). The way is then coded (lzma-range-encoder.ts).
//
// Invariant: integers only, prices included, so that every host writes the same bytes for the same data.
// Left out: combinations of a match, a literal and a repetition as one step, which are worth less than a hundredth.

import * as M from '../boot/unpack/lzma-model.js';
import { Prices, priceOf0, priceOf1 } from './lzma-prices.js';
import { literalGroup, POSITION_MASK, PROPERTIES, RangeEncoder } from './lzma-range-encoder.js';
import { MATCH_MAX, MatchFinder } from './match-finder.js';

/** Places of a chain that are looked at, and the length of a match that is taken without further thought. */
const DEPTH = 8;
const NICE = 40;
/** Positions that are planned at once. */
const STRETCH = 1024;
/** Matches after which prices are worked out anew. */
const REPRICE = 128;
const INFINITE = 0x3fff_ffff;
/** Every so many bytes a look is taken at whether they become fewer at all. */
const LOOK = 0x1_0000;

/** Step kinds besides a distance + STEP_MATCH: a literal, a repeated distance 0 … 3, one byte at distance 0. */
const STEP_LITERAL = -1;
const STEP_SHORT = -2;
const STEP_MATCH = 4;

/** Properties, size of the dictionary, size of the data: what a .lzma file begins with. */
const HEADER_SIZE = 13;

/** @returns a .lzma file without an end marker, undefined when it would have no fewer bytes than the data */
export function encodeLzma(raw: Uint8Array): Uint8Array | undefined {
  return new LzmaEncoder(raw).encode();
}

class LzmaEncoder {
  readonly #finder: MatchFinder;
  readonly #out: Uint8Array;
  readonly #coder: RangeEncoder;
  readonly #prices: Prices;

  // The plan of a stretch: for each position the cheapest way to it.
  readonly #price = new Int32Array(STRETCH + MATCH_MAX + 1);
  readonly #from = new Int32Array(STRETCH + MATCH_MAX + 1);
  readonly #step = new Int32Array(STRETCH + MATCH_MAX + 1);
  readonly #state = new Int32Array(STRETCH + MATCH_MAX + 1);
  readonly #reps = new Int32Array(4 * (STRETCH + MATCH_MAX + 1));
  readonly #path = new Int32Array(STRETCH + MATCH_MAX + 1);

  constructor(private readonly raw: Uint8Array) {
    this.#finder = new MatchFinder(raw, DEPTH, NICE);
    this.#out = new Uint8Array(raw.length + HEADER_SIZE);
    const view = new DataView(this.#out.buffer);
    view.setUint8(0, PROPERTIES);
    view.setUint32(1, 2 ** Math.max(12, 32 - Math.clz32(raw.length - 1)), true);
    view.setBigUint64(5, BigInt(raw.length), true);
    this.#coder = new RangeEncoder(this.#out, HEADER_SIZE);
    // What is longer than a nice match is taken without asking for its price.
    this.#prices = new Prices(this.#coder.probabilities, NICE, raw.length);
  }

  encode(): Uint8Array | undefined {
    const { raw } = this;
    this.#reps.fill(1, 0, 4);
    let looked = 0;
    let sinceRepriced = REPRICE;
    for (let pos = 0; pos < raw.length; ) {
      if (pos - looked > LOOK) {
        looked = pos;
        if (this.#coder.used > pos - (pos >> 4)) return undefined;
      }
      if (sinceRepriced >= REPRICE) {
        this.#prices.update();
        sinceRepriced = 0;
      }
      const end = this.#plan(pos);
      let steps = 0;
      for (let at = end; at > 0; at = this.#from[at]!) this.#path[steps++] = at;
      let from = 0;
      while (steps-- > 0) {
        const to = this.#path[steps]!;
        this.#emit(pos + from, from, to - from, this.#step[to]!);
        from = to;
        sinceRepriced++;
      }
      // The stretch's end is the next one's start.
      this.#state[0] = this.#state[end]!;
      for (let i = 0; i < 4; i++) this.#reps[i] = this.#reps[end * 4 + i]!;
      pos += end;
    }
    this.#coder.finish();
    const { used } = this.#coder;
    return used < raw.length ? this.#out.subarray(0, used) : undefined;
  }

  /** Plan from a position of which state and distances stand at 0. @returns positions planned */
  #plan(start: number): number {
    const { raw } = this;
    const finder = this.#finder;
    const price = this.#price;
    const states = this.#state;
    const reps = this.#reps;
    const prices = this.#prices;
    const p = this.#coder.probabilities;
    const limit = Math.min(STRETCH, raw.length - start);
    let end = 0;
    price[0] = 0;
    for (let cur = 0; cur < limit; cur++) {
      if (cur > 0) {
        this.#arrive(cur);
        // Every way leads through here: no later one can be cheaper.
        if (cur === end && cur >= 64) return cur;
      }
      const pos = start + cur;
      const state = states[cur]!;
      const place = pos & POSITION_MASK;
      const here = price[cur]!;
      const left = Math.min(MATCH_MAX, raw.length - pos);
      if (cur + 1 > end) price[++end] = INFINITE;
      const found = finder.search();
      const match = p[M.IS_MATCH + (state << 4) + place]!;
      const asMatch = here + priceOf1(match);
      const rep = p[M.IS_REP + state]!;
      const asRep = asMatch + priceOf1(rep);
      const rep0 = reps[cur * 4]!;

      // A literal.
      const byte = raw[pos]!;
      const likely = pos >= rep0 ? raw[pos - rep0]! : -1;
      const group = literalGroup(pos === 0 ? 0 : raw[pos - 1]!);
      const literal = here + priceOf0(match) + prices.literal(group, byte, state < 7 ? -1 : likely);
      if (literal < price[cur + 1]!) {
        price[cur + 1] = literal;
        this.#from[cur + 1] = cur;
        this.#step[cur + 1] = STEP_LITERAL;
      }
      if (likely === byte) {
        const short = asRep + priceOf0(p[M.IS_REP0 + state]!) + priceOf0(p[M.IS_REP0_LONG + (state << 4) + place]!);
        if (short < price[cur + 1]!) {
          price[cur + 1] = short;
          this.#from[cur + 1] = cur;
          this.#step[cur + 1] = STEP_SHORT;
        }
      }
      if (left < 2) continue;

      // A distance that was used before.
      let longestRep = 1;
      for (let i = 0; i < 4; i++) {
        const distance = reps[cur * 4 + i]!;
        if (distance > pos || raw[pos - distance] !== byte || raw[pos - distance + 1] !== raw[pos + 1]) continue;
        let length = 2;
        while (length < left && raw[pos + length] === raw[pos + length - distance]) length++;
        if (length > longestRep) longestRep = length;
        const base = asRep + prices.rep(i, state, place);
        if (length >= NICE) return this.#finish(cur, length, i);
        while (end < cur + length) price[++end] = INFINITE;
        const table = place * (MATCH_MAX + 1);
        for (let n = length; n >= 2; n--) {
          const cost = base + prices.repLengths[table + n]!;
          if (cost < price[cur + n]!) {
            price[cur + n] = cost;
            this.#from[cur + n] = cur;
            this.#step[cur + n] = i;
          }
        }
      }

      // A match.
      if (found === 0) continue;
      const longest = finder.lengths[found - 1]!;
      if (longest >= NICE) return this.#finish(cur, longest, finder.distances[found - 1]! - 1 + STEP_MATCH);
      if (longest <= longestRep) continue;
      while (end < cur + longest) price[++end] = INFINITE;
      const base = asMatch + priceOf0(rep);
      const table = place * (MATCH_MAX + 1);
      let n = longestRep + 1;
      for (let i = 0; i < found; i++) {
        const distance = finder.distances[i]! - 1;
        const most = finder.lengths[i]!;
        for (; n <= most; n++) {
          const cost = base + prices.matchLengths[table + n]! + prices.distance(distance, n);
          if (cost < price[cur + n]!) {
            price[cur + n] = cost;
            this.#from[cur + n] = cur;
            this.#step[cur + n] = distance + STEP_MATCH;
          }
        }
      }
    }
    // Past the last planned position there may be ways that reach further: they end where it stands.
    this.#arrive(limit);
    return limit;
  }

  /** The stretch ends with a match that is long enough. */
  #finish(cur: number, length: number, step: number): number {
    this.#finder.skip(length - 1);
    const end = cur + length;
    this.#from[end] = cur;
    this.#step[end] = step;
    this.#arrive(end);
    return end;
  }

  /** State and distances at a position, by the cheapest way to it. */
  #arrive(cur: number): void {
    const from = this.#from[cur]!;
    const step = this.#step[cur]!;
    const state = this.#state[from]!;
    const reps = this.#reps;
    const a = from * 4;
    const b = cur * 4;
    if (step === STEP_LITERAL || step === STEP_SHORT) {
      this.#state[cur] = step === STEP_LITERAL ? M.afterLiteral(state) : M.afterShortRep(state);
      reps[b] = reps[a]!;
      reps[b + 1] = reps[a + 1]!;
      reps[b + 2] = reps[a + 2]!;
      reps[b + 3] = reps[a + 3]!;
      return;
    }
    if (step >= STEP_MATCH) {
      this.#state[cur] = M.afterMatch(state);
      reps[b] = step - STEP_MATCH + 1;
      reps[b + 1] = reps[a]!;
      reps[b + 2] = reps[a + 1]!;
      reps[b + 3] = reps[a + 2]!;
      return;
    }
    this.#state[cur] = M.afterRep(state);
    reps[b] = reps[a + step]!;
    reps[b + 1] = reps[step > 0 ? a : a + 1]!;
    reps[b + 2] = reps[step > 1 ? a + 1 : a + 2]!;
    reps[b + 3] = reps[step > 2 ? a + 2 : a + 3]!;
  }

  #emit(pos: number, from: number, length: number, step: number): void {
    const { raw } = this;
    const coder = this.#coder;
    const state = this.#state[from]!;
    const place = pos & POSITION_MASK;
    if (step === STEP_LITERAL) {
      coder.bit(M.IS_MATCH + (state << 4) + place, 0);
      const likely = state < 7 ? -1 : raw[pos - this.#reps[from * 4]!]!;
      coder.literal(literalGroup(pos === 0 ? 0 : raw[pos - 1]!), raw[pos]!, likely);
      return;
    }
    coder.bit(M.IS_MATCH + (state << 4) + place, 1);
    if (step >= STEP_MATCH) {
      coder.bit(M.IS_REP + state, 0);
      coder.length(M.MATCH_LENGTH, place, length);
      coder.distance(step - STEP_MATCH, length);
      return;
    }
    coder.bit(M.IS_REP + state, 1);
    const rep = step === STEP_SHORT ? 0 : step;
    coder.bit(M.IS_REP0 + state, rep === 0 ? 0 : 1);
    if (rep === 0) coder.bit(M.IS_REP0_LONG + (state << 4) + place, step === STEP_SHORT ? 0 : 1);
    else {
      coder.bit(M.IS_REP1 + state, rep === 1 ? 0 : 1);
      if (rep > 1) coder.bit(M.IS_REP2 + state, rep - 2);
    }
    if (step !== STEP_SHORT) coder.length(M.REP_LENGTH, place, length);
  }
}
