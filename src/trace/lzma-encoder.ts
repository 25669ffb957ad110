// LZMA, the encoder: the counterpart of boot/unpack/lzma.ts, whose names of things it shares. Takes positions in
// stretches and finds for each stretch the cheapest way through it, by what symbols cost at the moment: a literal, one
// of four repeated distances, or a match found before.
//
// Invariant: integers only, prices included, so that every host writes the same bytes for the same data.
// Left out: combinations of a match, a literal and a repetition as one step, which are worth less than a hundredth.

import { MATCH_MAX, MatchFinder } from './match-finder.js';

/** lc 3, lp 0, pb 2: literals know the byte before, everything else the place in a word. */
const LITERAL_CONTEXT = 3;
const POSITION_MASK = 3;
const PROPERTIES = (2 * 5 + 0) * 9 + LITERAL_CONTEXT;

const STATES = 12;
const POSITIONS = 16;
const HALF = 1024;
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POSITIONS;
const IS_REP0 = IS_REP + STATES;
const IS_REP1 = IS_REP0 + STATES;
const IS_REP2 = IS_REP1 + STATES;
const IS_REP0_LONG = IS_REP2 + STATES;
const DISTANCE_SLOT = IS_REP0_LONG + STATES * POSITIONS;
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64;
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128;
const LENGTH_SIZE = 2 + POSITIONS * 8 * 2 + 256;
const MATCH_LENGTH = DISTANCE_ALIGN + 16;
const REP_LENGTH = MATCH_LENGTH + LENGTH_SIZE;
const LITERAL = REP_LENGTH + LENGTH_SIZE;
const PROBABILITIES = LITERAL + (0x300 << LITERAL_CONTEXT);

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

/** What a bit costs by its probability / 16, in 1/16 bits: a table of -log2, from squaring. */
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

/** Step kinds besides a distance + STEP_MATCH: a literal, a repeated distance 0 … 3, one byte at distance 0. */
const STEP_LITERAL = -1;
const STEP_SHORT = -2;
const STEP_MATCH = 4;

const slotOf = (distance: number): number => {
  if (distance < 4) return distance;
  const top = 31 - Math.clz32(distance);
  return top * 2 + ((distance >>> (top - 1)) & 1);
};
const afterLiteral = (state: number): number => (state < 4 ? 0 : state < 10 ? state - 3 : state - 6);

/** Properties, size of the dictionary, size of the data: what a .lzma file begins with. */
const HEADER_SIZE = 13;

/** @returns a .lzma file without an end marker, undefined when it would have no fewer bytes than the data */
export function encodeLzma(raw: Uint8Array): Uint8Array | undefined {
  return new LzmaEncoder(raw).encode();
}

class LzmaEncoder {
  readonly #probabilities = new Uint16Array(PROBABILITIES).fill(HALF);
  readonly #finder: MatchFinder;
  readonly #out: Uint8Array;
  #used: number;
  #low = 0;
  #range = 0xffff_ffff;
  #cache = 0;
  #pending = 1;

  // What steps cost, of the probabilities some time ago.
  readonly #matchLengths = new Int32Array(4 * (MATCH_MAX + 1));
  readonly #repLengths = new Int32Array(4 * (MATCH_MAX + 1));
  readonly #slots = new Int32Array(4 * 64);
  readonly #nearDistances = new Int32Array(4 * 128);
  readonly #aligns = new Int32Array(16);

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
    this.#used = HEADER_SIZE;
  }

  encode(): Uint8Array | undefined {
    const { raw } = this;
    this.#reps.fill(1, 0, 4);
    let looked = 0;
    let sinceRepriced = REPRICE;
    for (let pos = 0; pos < raw.length; ) {
      if (pos - looked > LOOK) {
        looked = pos;
        if (this.#used > pos - (pos >> 4)) return undefined;
      }
      if (sinceRepriced >= REPRICE) {
        this.#reprice();
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
    for (let i = 0; i < 5; i++) this.#shiftLow();
    return this.#used < raw.length ? this.#out.subarray(0, this.#used) : undefined;
  }

  /** Plan from a position of which state and distances stand at 0. @returns positions planned */
  #plan(start: number): number {
    const { raw } = this;
    const finder = this.#finder;
    const price = this.#price;
    const states = this.#state;
    const reps = this.#reps;
    const p = this.#probabilities;
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
      const match = p[IS_MATCH + (state << 4) + place]!;
      const asMatch = here + PRICES[(2048 - match) >> 4]!;
      const rep = p[IS_REP + state]!;
      const asRep = asMatch + PRICES[(2048 - rep) >> 4]!;
      const rep0 = reps[cur * 4]!;

      // A literal.
      const byte = raw[pos]!;
      const likely = pos >= rep0 ? raw[pos - rep0]! : -1;
      const literal = here + PRICES[match >> 4]! + this.#literalPrice(pos, state, byte, likely);
      if (literal < price[cur + 1]!) {
        price[cur + 1] = literal;
        this.#from[cur + 1] = cur;
        this.#step[cur + 1] = STEP_LITERAL;
      }
      if (likely === byte) {
        const short = asRep + PRICES[p[IS_REP0 + state]! >> 4]! + PRICES[p[IS_REP0_LONG + (state << 4) + place]! >> 4]!;
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
        const base = asRep + this.#repPrice(i, state, place);
        if (length >= NICE) return this.#finish(cur, length, i);
        while (end < cur + length) price[++end] = INFINITE;
        const table = place * (MATCH_MAX + 1);
        for (let n = length; n >= 2; n--) {
          const cost = base + this.#repLengths[table + n]!;
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
      const base = asMatch + PRICES[rep >> 4]!;
      const table = place * (MATCH_MAX + 1);
      let n = longestRep + 1;
      for (let i = 0; i < found; i++) {
        const distance = finder.distances[i]! - 1;
        const most = finder.lengths[i]!;
        for (; n <= most; n++) {
          const cost = base + this.#matchLengths[table + n]! + this.#distancePrice(distance, n);
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
      this.#state[cur] = step === STEP_LITERAL ? afterLiteral(state) : state < 7 ? 9 : 11;
      reps[b] = reps[a]!;
      reps[b + 1] = reps[a + 1]!;
      reps[b + 2] = reps[a + 2]!;
      reps[b + 3] = reps[a + 3]!;
      return;
    }
    if (step >= STEP_MATCH) {
      this.#state[cur] = state < 7 ? 7 : 10;
      reps[b] = step - STEP_MATCH + 1;
      reps[b + 1] = reps[a]!;
      reps[b + 2] = reps[a + 1]!;
      reps[b + 3] = reps[a + 2]!;
      return;
    }
    this.#state[cur] = state < 7 ? 8 : 11;
    reps[b] = reps[a + step]!;
    reps[b + 1] = reps[step > 0 ? a : a + 1]!;
    reps[b + 2] = reps[step > 1 ? a + 1 : a + 2]!;
    reps[b + 3] = reps[step > 2 ? a + 2 : a + 3]!;
  }

  // --- prices -----------------------------------------------------------------------------------------------

  #literalPrice(pos: number, state: number, byte: number, likely: number): number {
    const p = this.#probabilities;
    const base = LITERAL + 0x300 * (pos === 0 ? 0 : this.raw[pos - 1]! >> (8 - LITERAL_CONTEXT));
    let symbol = 1;
    let sum = 0;
    let bit = 7;
    if (state >= 7 && likely >= 0) {
      for (; bit >= 0; bit--) {
        const expected = (likely >> bit) & 1;
        const y = (byte >> bit) & 1;
        const q = p[base + ((1 + expected) << 8) + symbol]!;
        sum += PRICES[(y === 0 ? q : 2048 - q) >> 4]!;
        symbol = (symbol << 1) | y;
        if (expected !== y) {
          bit--;
          break;
        }
      }
    }
    for (; bit >= 0; bit--) {
      const y = (byte >> bit) & 1;
      const q = p[base + symbol]!;
      sum += PRICES[(y === 0 ? q : 2048 - q) >> 4]!;
      symbol = (symbol << 1) | y;
    }
    return sum;
  }

  #repPrice(i: number, state: number, place: number): number {
    const p = this.#probabilities;
    const q0 = p[IS_REP0 + state]!;
    if (i === 0) return PRICES[q0 >> 4]! + PRICES[(2048 - p[IS_REP0_LONG + (state << 4) + place]!) >> 4]!;
    const q1 = p[IS_REP1 + state]!;
    const sum = PRICES[(2048 - q0) >> 4]!;
    if (i === 1) return sum + PRICES[q1 >> 4]!;
    const q2 = p[IS_REP2 + state]!;
    return sum + PRICES[(2048 - q1) >> 4]! + PRICES[(i === 2 ? q2 : 2048 - q2) >> 4]!;
  }

  #distancePrice(distance: number, length: number): number {
    const set = length < 5 ? length - 2 : 3;
    if (distance < 128) return this.#nearDistances[(set << 7) + distance]!;
    return this.#slots[(set << 6) + slotOf(distance)]! + this.#aligns[distance & 15]!;
  }

  #treePrice(base: number, bits: number, value: number): number {
    const p = this.#probabilities;
    let symbol = 1;
    let sum = 0;
    for (let i = bits - 1; i >= 0; i--) {
      const y = (value >> i) & 1;
      const q = p[base + symbol]!;
      sum += PRICES[(y === 0 ? q : 2048 - q) >> 4]!;
      symbol = (symbol << 1) | y;
    }
    return sum;
  }

  #reversePrice(base: number, bits: number, value: number): number {
    const p = this.#probabilities;
    let symbol = 1;
    let sum = 0;
    for (let i = 0; i < bits; i++) {
      const y = (value >> i) & 1;
      const q = p[base + symbol]!;
      sum += PRICES[(y === 0 ? q : 2048 - q) >> 4]!;
      symbol = (symbol << 1) | y;
    }
    return sum;
  }

  #reprice(): void {
    const p = this.#probabilities;
    for (const [base, table] of [
      [MATCH_LENGTH, this.#matchLengths],
      [REP_LENGTH, this.#repLengths],
    ] as const) {
      const choice = p[base]!;
      const choice2 = p[base + 1]!;
      const low = PRICES[choice >> 4]!;
      const high = PRICES[(2048 - choice) >> 4]!;
      for (let place = 0; place <= POSITION_MASK; place++) {
        const at = place * (MATCH_MAX + 1);
        for (let n = 0; n < 8; n++) table[at + 2 + n] = low + this.#treePrice(base + 2 + (place << 3), 3, n);
        const middle = high + PRICES[choice2 >> 4]!;
        for (let n = 0; n < 8; n++) table[at + 10 + n] = middle + this.#treePrice(base + 130 + (place << 3), 3, n);
      }
      const top = high + PRICES[(2048 - choice2) >> 4]!;
      // What is longer than a nice match is taken without asking for its price.
      for (let n = 0; n + 18 <= NICE; n++) {
        const sum = top + this.#treePrice(base + 258, 8, n);
        for (let place = 0; place <= POSITION_MASK; place++) table[place * (MATCH_MAX + 1) + 18 + n] = sum;
      }
    }
    for (let i = 0; i < 16; i++) this.#aligns[i] = this.#reversePrice(DISTANCE_ALIGN, 4, i);
    const last = slotOf(this.raw.length);
    for (let set = 0; set < 4; set++) {
      for (let slot = 0; slot <= last; slot++) {
        const direct = slot < 14 ? 0 : ((slot >> 1) - 5) << 4;
        this.#slots[(set << 6) + slot] = this.#treePrice(DISTANCE_SLOT + (set << 6), 6, slot) + direct;
      }
      for (let distance = 0; distance < 128; distance++) {
        const slot = slotOf(distance);
        let sum = this.#slots[(set << 6) + slot]!;
        if (slot >= 4) {
          const bits = (slot >> 1) - 1;
          const base = (2 | (slot & 1)) << bits;
          sum += this.#reversePrice(DISTANCE_SPECIAL + base - slot, bits, distance - base);
        }
        this.#nearDistances[(set << 7) + distance] = sum;
      }
    }
  }

  // --- coding -----------------------------------------------------------------------------------------------

  #emit(pos: number, from: number, length: number, step: number): void {
    const state = this.#state[from]!;
    const place = pos & POSITION_MASK;
    if (step === STEP_LITERAL) {
      this.#bit(IS_MATCH + (state << 4) + place, 0);
      this.#literal(pos, state, this.#reps[from * 4]!);
      return;
    }
    this.#bit(IS_MATCH + (state << 4) + place, 1);
    if (step >= STEP_MATCH) {
      this.#bit(IS_REP + state, 0);
      this.#length(MATCH_LENGTH, place, length);
      this.#distance(step - STEP_MATCH, length);
      return;
    }
    this.#bit(IS_REP + state, 1);
    const rep = step === STEP_SHORT ? 0 : step;
    this.#bit(IS_REP0 + state, rep === 0 ? 0 : 1);
    if (rep === 0) this.#bit(IS_REP0_LONG + (state << 4) + place, step === STEP_SHORT ? 0 : 1);
    else {
      this.#bit(IS_REP1 + state, rep === 1 ? 0 : 1);
      if (rep > 1) this.#bit(IS_REP2 + state, rep - 2);
    }
    if (step !== STEP_SHORT) this.#length(REP_LENGTH, place, length);
  }

  #literal(pos: number, state: number, rep0: number): void {
    const { raw } = this;
    const byte = raw[pos]!;
    const base = LITERAL + 0x300 * (pos === 0 ? 0 : raw[pos - 1]! >> (8 - LITERAL_CONTEXT));
    let symbol = 1;
    let bit = 7;
    if (state >= 7) {
      const likely = raw[pos - rep0]!;
      for (; bit >= 0; bit--) {
        const expected = (likely >> bit) & 1;
        const y = (byte >> bit) & 1;
        this.#bit(base + ((1 + expected) << 8) + symbol, y);
        symbol = (symbol << 1) | y;
        if (expected !== y) {
          bit--;
          break;
        }
      }
    }
    for (; bit >= 0; bit--) {
      const y = (byte >> bit) & 1;
      this.#bit(base + symbol, y);
      symbol = (symbol << 1) | y;
    }
  }

  #length(base: number, place: number, length: number): void {
    const n = length - 2;
    if (n < 8) {
      this.#bit(base, 0);
      this.#tree(base + 2 + (place << 3), 3, n);
    } else {
      this.#bit(base, 1);
      this.#bit(base + 1, n < 16 ? 0 : 1);
      if (n < 16) this.#tree(base + 130 + (place << 3), 3, n - 8);
      else this.#tree(base + 258, 8, n - 16);
    }
  }

  #distance(distance: number, length: number): void {
    const slot = slotOf(distance);
    this.#tree(DISTANCE_SLOT + (Math.min(length - 2, 3) << 6), 6, slot);
    if (slot < 4) return;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) << bits;
    if (slot < 14) {
      this.#reverseTree(DISTANCE_SPECIAL + base - slot, bits, distance - base);
      return;
    }
    for (let i = bits - 1; i >= 4; i--) {
      this.#range >>>= 1;
      if ((distance >>> i) & 1) this.#low += this.#range;
      if (this.#range < 0x100_0000) this.#renormalize();
    }
    this.#reverseTree(DISTANCE_ALIGN, 4, distance & 15);
  }

  #tree(base: number, bits: number, value: number): void {
    let symbol = 1;
    for (let i = bits - 1; i >= 0; i--) {
      const y = (value >> i) & 1;
      this.#bit(base + symbol, y);
      symbol = (symbol << 1) | y;
    }
  }

  #reverseTree(base: number, bits: number, value: number): void {
    let symbol = 1;
    for (let i = 0; i < bits; i++) {
      const y = (value >> i) & 1;
      this.#bit(base + symbol, y);
      symbol = (symbol << 1) | y;
    }
  }

  #bit(index: number, y: number): void {
    const probability = this.#probabilities[index]!;
    const bound = Math.imul(this.#range >>> 11, probability) >>> 0;
    if (y === 0) {
      this.#range = bound;
      this.#probabilities[index] = probability + ((2048 - probability) >> 5);
    } else {
      this.#low += bound;
      this.#range = (this.#range - bound) >>> 0;
      this.#probabilities[index] = probability - (probability >> 5);
    }
    if (this.#range < 0x100_0000) this.#renormalize();
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
        // Past the end of an array writes go nowhere, but are counted.
        this.#out[this.#used++] = byte + carry;
        byte = 0xff;
      } while (--this.#pending > 0);
      this.#cache = Math.floor(this.#low / 0x100_0000) & 0xff;
    }
    this.#pending++;
    this.#low = ((this.#low & 0xff_ffff) << 8) >>> 0;
  }
}
