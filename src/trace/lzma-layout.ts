// The linear memory that the LZMA encoder's wasm module works on: what JavaScript and its functions agree on. Tables have
// fixed places, which are free in wasm's addresses; the data and what grows with it come behind them.
//
// Invariant: a function may read up to 16 bytes past the data; what stands there changes no result.

import * as M from '../boot/unpack/lzma-model.js';

/** lc 3, lp 0, pb 2: literals know the byte before, everything else the place in a word. */
export const LITERAL_CONTEXT = 3;
export const POSITION_MASK = 3;
export const PROPERTIES = (2 * 5 + 0) * 9 + LITERAL_CONTEXT;
export const MATCH_MAX = 273;
/** Positions that are planned at once. */
export const STRETCH = 1024;
export const PROBABILITY_COUNT = M.LITERAL + (M.LITERAL_SIZE << LITERAL_CONTEXT);
/** Longest list of matches at a position: one by 2 bytes, one by 3, and as many as places are looked at. */
const MOST_FOUND = 16;

let next = 0;
const place = (bytes: number): number => {
  const at = next;
  next += (bytes + 15) & ~15;
  return at;
};

/** Range coder: i64 low, then i32 range, the byte held back, bytes that wait behind it, bytes put out. */
export const LOW = place(8);
export const RANGE = place(4);
export const CACHE = place(4);
export const PENDING = place(4);
export const USED = place(4);
/** Places of the output, its end, the ranks and the buckets; bytes of data. */
export const OUT = place(4);
export const OUT_END = place(4);
export const RANKS = place(4);
export const ENTRIES = place(4);
export const LENGTH = place(4);
/** Matches of a position: length and distance of each. */
export const FOUND = place(8 * MOST_FOUND);
/** By kind of step (KIND_*) and state: the state behind it, a byte each. */
export const NEXT_STATE = place(4 * 16);
/** By bit and probability: a byte each. */
export const BIT_PRICES = place(2 * 2048);
/** Half-words. */
export const PROBABILITIES = place(2 * PROBABILITY_COUNT);
/** Prices, in words: of lengths by place and length, of distances by length. */
export const LENGTH_ROW = MATCH_MAX + 1;
export const MATCH_LENGTHS = place(4 * (POSITION_MASK + 1) * LENGTH_ROW);
export const REP_LENGTHS = place(4 * (POSITION_MASK + 1) * LENGTH_ROW);
export const SLOTS = place(4 * 4 * 64);
export const NEAR_DISTANCES = place(4 * 4 * 128);
export const ALIGNS = place(4 * 16);

/** The plan: a node for each position of a stretch, with the cheapest way to it. */
export const NODE_SIZE = 32;
export const NODES = place(NODE_SIZE * (STRETCH + MATCH_MAX + 1));
export const NODE_PRICE = 0;
export const NODE_FROM = 4;
export const NODE_STEP = 8;
export const NODE_STATE = 12;
export const NODE_REPS = 16;
/** Nodes of the way, from its end. */
export const PATH = place(4 * (STRETCH + MATCH_MAX + 1));

/** Last places of 2 and of 3 bytes. */
export const NEAR2_BITS = 16;
export const NEAR3_BITS = 16;
export const NEAR2 = place(4 << NEAR2_BITS);
export const NEAR3 = place(4 << NEAR3_BITS);

export const DATA = next + 16;

/** Steps besides a distance + STEP_MATCH: a literal, a repeated distance 0 … 3, one byte at distance 0. */
export const STEP_LITERAL = -1;
export const STEP_SHORT = -2;
export const STEP_MATCH = 4;

export const KIND_LITERAL = 0;
export const KIND_MATCH = 1;
export const KIND_REP = 2;
export const KIND_SHORT = 3;
