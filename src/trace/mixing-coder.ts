// A context-mixing coder for initial memory: each bit is predicted from the bits that followed the same contexts before,
// the predictions are mixed by weights that learn, and the result drives an arithmetic coder. Decoding does the same
// work as encoding, about 1 µs a byte, so it is for payloads where size matters more. FORMAT.md, section "Mixing coder",
// names the contexts and every constant: they are the format.
//
// Invariant: integers only (tables included, squash() apart, which is made of exact operations), so that every host
// codes alike. The decoder makes exactly the bytes that it was asked for, or throws; it never reads past its input.

import { bitHistories } from './bit-history.js';

/** Hashed contexts: each has slots in the table and a map from bit history to probability. */
const HASHED = 5;
/** With order 1, which has a table of its own, and the match. */
const INPUTS = HASHED + 2;
/** Groups of a check byte and 15 bit histories, as a power of two. */
const GROUP_BITS = 18;
const GROUP_MASK = (1 << GROUP_BITS) - 1;
const MATCH_BITS = 18;
/** Bytes that must have agreed before a match counts, and before it is coded as a flag instead of bits. */
const MATCH_MIN = 6;
const MATCH_SURE = 16;
const MATCH_MAX = 500;
const WEIGHT_SETS = 16 * 8;
const LEARNING = 10;
/** Every so many bytes the encoder looks whether it saves at least an eighth; what is packed already is not worth its time. */
const LOOK = 0x2_0000;

/** Probability of a one, of 65536, by a logit in 1/256, offset 2048. */
const SQUASH = new Uint16Array(4096);
/** Logit by a probability of 4096. */
const STRETCH = new Int16Array(4096);

/** Small traces are not mixed: the tables are made when something is. */
function fillTables(): void {
  if (SQUASH[0] !== 0) return;
  const exp = (x: number): number => {
    let term = 1;
    let sum = 1;
    for (let i = 1; i < 60; i++) {
      term = (term * x) / i;
      sum += term;
    }
    return sum;
  };
  for (let i = 0; i < 4096; i++) {
    const e = exp(Math.abs(i - 2048) / 256);
    SQUASH[i] = Math.round(i < 2048 ? 65536 / (1 + e) : 65536 - 65536 / (1 + e));
  }
  for (let p = 0, i = 0; p < 4096; p++) {
    while (i < 4095 && SQUASH[i]! < p * 16 + 8) i++;
    STRETCH[p] = Math.max(i, 1) - 2048;
  }
}

/** @returns the coded bytes, undefined when there would be no fewer of them */
export function mix(raw: Uint8Array): Uint8Array | undefined {
  const coded = new Uint8Array(raw.length);
  // Writes past the end of an array go nowhere, but are counted.
  const length = run(raw, coded, false);
  return length < raw.length ? coded.subarray(0, length) : undefined;
}

/** @throws Error when the coded bytes do not make `length` bytes */
export function unmix(coded: Uint8Array, length: number): Uint8Array {
  const raw = new Uint8Array(length);
  if (run(raw, coded, true) !== coded.length) throw new Error('mixed data is longer than what it makes');
  return raw;
}

/**
 * Encode `raw` into `coded`, or decode `coded` into `raw`: one loop, so that the two cannot differ.
 * @returns bytes of `coded` that were written or read
 */
function run(raw: Uint8Array, coded: Uint8Array, decoding: boolean): number {
  fillTables();
  const { states, nextState, stateProbability } = bitHistories();
  const table = new Uint8Array(16 << GROUP_BITS);
  const order1 = new Uint8Array(0x10000);
  const maps = new Uint16Array((HASHED + 1) * 256);
  for (let i = 0; i < maps.length; i++) maps[i] = stateProbability(Math.min(i & 255, states - 1));
  const weights = new Int32Array(WEIGHT_SETS * INPUTS).fill(0x4000);
  const matchMap = new Uint16Array(128).fill(0x8000);
  const sureMap = new Uint16Array(64 * 256).fill(60000);
  const matches = new Int32Array(1 << MATCH_BITS);
  const limit = coded.length;
  let at = 0;
  let low = 0;
  let high = 0xffff_ffff;
  let code = 0;

  const take = (): number => {
    if (at >= limit) throw new Error('mixed data ends too early');
    return coded[at++]!;
  };
  if (decoding) for (let i = 0; i < 4; i++) code = ((code << 8) | take()) >>> 0;

  /** Code a bit; `p` is the probability of a one, of 65536. */
  const bitOf = (bit: number, p: number): number => {
    const range = (high - low) >>> 0;
    const middle = (low + Math.imul(range >>> 16, p) + (Math.imul(range & 0xffff, p) >>> 16)) >>> 0;
    const y = decoding ? (code <= middle ? 1 : 0) : bit;
    if (y !== 0) high = middle;
    else low = (middle + 1) >>> 0;
    while (((low ^ high) & 0xff00_0000) === 0) {
      if (decoding) code = ((code << 8) | take()) >>> 0;
      else coded[at++] = high >>> 24;
      low = (low << 8) >>> 0;
      high = ((high << 8) | 0xff) >>> 0;
    }
    return y;
  };

  /** Place of the group for a context, taken over from a less used one when it is new. */
  const groupOf = (context: number): number => {
    let hash = context ^ (context >>> 15);
    hash = Math.imul(hash, 0x2c1b3c6d);
    hash ^= hash >>> 13;
    const check = hash >>> 24;
    const first = (hash & GROUP_MASK) << 4;
    if (table[first] === check) return first;
    const second = first ^ 16;
    if (table[second] === check) return second;
    const group = table[second + 1]! < table[first + 1]! ? second : first;
    for (let i = 1; i < 16; i++) table[group + i] = 0;
    table[group] = check;
    return group;
  };

  // The last bytes, the last one lowest; where a match goes on, and how many bytes it has agreed.
  let c4 = 0;
  let c8 = 0;
  let from = 0;
  let agreed = 0;
  for (let pos = 0; pos < raw.length; pos++) {
    if (!decoding && pos > 0 && pos % LOOK === 0 && at > pos - (pos >> 3)) return raw.length;
    const known = decoding ? 0 : raw[pos]!;
    let byte = -1;
    if (agreed >= MATCH_SURE) {
      const expected = raw[from]!;
      const i = (Math.min(63, agreed >> 3) << 8) | expected;
      const p = sureMap[i]!;
      if (bitOf(known === expected ? 1 : 0, p) !== 0) {
        sureMap[i] = p + ((65535 - p) >> 6);
        byte = expected;
      } else {
        sureMap[i] = p - (p >> 6);
        agreed = 0;
      }
    }
    if (byte < 0) {
      const expected = agreed > 0 ? raw[from]! | 0x100 : 0;
      const h0 = Math.imul((c4 & 0xffff) + 0x1_0000, 0x3d4d51cb);
      const h1 = Math.imul((c4 & 0xff_ffff) + 0x200_0000, 0x2545f491);
      const h2 = Math.imul(c4, 0x9e3779b1) ^ 0x1234567;
      const h3 = Math.imul(c4, 0x85ebca6b) + Math.imul((c8 & 0xffff) + 77, 0xc2b2ae35);
      const h4 = Math.imul(((c4 >>> 24) | ((c8 >>> 24) << 8) | ((pos & 3) << 16)) + 0x600_0000, 0x165667b1);
      const set = ((agreed === 0 ? 0 : agreed < 8 ? 1 : 2) << 2) | (pos & 3);
      const o1 = (c4 & 0xff) << 8;
      let g0 = groupOf(h0);
      let g1 = groupOf(h1);
      let g2 = groupOf(h2);
      let g3 = groupOf(h3);
      let g4 = groupOf(h4);
      // Bits so far with a one in front: of the byte, and of its half.
      let c0 = 1;
      let node = 1;
      for (let bit = 7; bit >= 0; bit--) {
        if (bit === 3) {
          const salt = Math.imul(c0, 0x5bd1e995);
          g0 = groupOf(h0 + salt);
          g1 = groupOf(h1 + salt);
          g2 = groupOf(h2 + salt);
          g3 = groupOf(h3 + salt);
          g4 = groupOf(h4 + salt);
          node = 1;
        }
        const s0 = table[g0 + node]!;
        const s1 = table[g1 + node]! | 0x100;
        const s2 = table[g2 + node]! | 0x200;
        const s3 = table[g3 + node]! | 0x300;
        const s4 = table[g4 + node]! | 0x400;
        const s5 = order1[o1 | c0]! | 0x500;
        const p0 = maps[s0]!;
        const p1 = maps[s1]!;
        const p2 = maps[s2]!;
        const p3 = maps[s3]!;
        const p4 = maps[s4]!;
        const p5 = maps[s5]!;
        const x0 = STRETCH[p0 >> 4]!;
        const x1 = STRETCH[p1 >> 4]!;
        const x2 = STRETCH[p2 >> 4]!;
        const x3 = STRETCH[p3 >> 4]!;
        const x4 = STRETCH[p4 >> 4]!;
        const x5 = STRETCH[p5 >> 4]!;
        let m = -1;
        let x6 = 0;
        if (expected >> (bit + 1) === c0) {
          m = (Math.min(agreed, 63) << 1) | ((expected >> bit) & 1);
          x6 = STRETCH[matchMap[m]! >> 4]!;
        }
        const w = ((set << 3) | bit) * INPUTS;
        const sum =
          Math.imul(x0, weights[w]! >> 3) +
          Math.imul(x1, weights[w + 1]! >> 3) +
          Math.imul(x2, weights[w + 2]! >> 3) +
          Math.imul(x3, weights[w + 3]! >> 3) +
          Math.imul(x4, weights[w + 4]! >> 3) +
          Math.imul(x5, weights[w + 5]! >> 3) +
          Math.imul(x6, weights[w + 6]! >> 3);
        const logit = Math.max(-2047, Math.min(2047, sum >> 13));
        const p = SQUASH[logit + 2048]!;
        const y = bitOf((known >> bit) & 1, p);
        const error = Math.imul((y << 12) - (p >> 4), LEARNING);
        weights[w]! += (Math.imul(x0, error) + 0x8000) >> 16;
        weights[w + 1]! += (Math.imul(x1, error) + 0x8000) >> 16;
        weights[w + 2]! += (Math.imul(x2, error) + 0x8000) >> 16;
        weights[w + 3]! += (Math.imul(x3, error) + 0x8000) >> 16;
        weights[w + 4]! += (Math.imul(x4, error) + 0x8000) >> 16;
        weights[w + 5]! += (Math.imul(x5, error) + 0x8000) >> 16;
        weights[w + 6]! += (Math.imul(x6, error) + 0x8000) >> 16;
        const target = y * 65535;
        maps[s0] = p0 + ((target - p0) >> 7);
        maps[s1] = p1 + ((target - p1) >> 7);
        maps[s2] = p2 + ((target - p2) >> 7);
        maps[s3] = p3 + ((target - p3) >> 7);
        maps[s4] = p4 + ((target - p4) >> 7);
        maps[s5] = p5 + ((target - p5) >> 7);
        table[g0 + node] = nextState[(s0 << 1) | y]!;
        table[g1 + node] = nextState[((s1 & 0xff) << 1) | y]!;
        table[g2 + node] = nextState[((s2 & 0xff) << 1) | y]!;
        table[g3 + node] = nextState[((s3 & 0xff) << 1) | y]!;
        table[g4 + node] = nextState[((s4 & 0xff) << 1) | y]!;
        order1[o1 | c0] = nextState[((s5 & 0xff) << 1) | y]!;
        if (m >= 0) matchMap[m]! += (target - matchMap[m]!) >> 6;
        c0 = (c0 << 1) | y;
        node = (node << 1) | y;
      }
      byte = c0 & 0xff;
    }
    if (decoding) raw[pos] = byte;
    c8 = (c8 << 8) | (c4 >>> 24);
    c4 = (c4 << 8) | byte;
    if (agreed > 0 && raw[from] === byte) {
      from++;
      if (agreed < MATCH_MAX) agreed++;
    } else agreed = 0;
    if (pos < MATCH_MIN) continue;
    const slot = (Math.imul(c4, 0x9e3779b1) + Math.imul(c8 & 0xffff, 0x85ebca6b)) >>> (32 - MATCH_BITS);
    if (agreed === 0) {
      from = matches[slot]!;
      if (from > 0) while (agreed < 32 && agreed < from && raw[from - 1 - agreed] === raw[pos - agreed]) agreed++;
      if (agreed < MATCH_MIN) agreed = 0;
    }
    matches[slot] = pos + 1;
  }
  if (!decoding) for (let i = 0; i < 4; i++, low = (low << 8) >>> 0) coded[at++] = low >>> 24;
  return at;
}
