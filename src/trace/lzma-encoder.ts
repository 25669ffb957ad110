// LZMA, the encoder: the counterpart of boot/unpack/lzma.ts. Takes positions in stretches, plans each (lzma-plan.ts) and
// codes the way that was found (lzma-range-encoder.ts). Both are wasm, since they compute on bytes and words alone and
// are most of the first recording of a large guest; what is done now and then is left here.
//
// Invariant: the result follows from the data alone, on every host and whatever was encoded before.

import * as M from '../boot/unpack/lzma-model.js';
import { ModuleBuilder } from '../cpu/wasm/module.js';
import * as L from './lzma-layout.js';
import { bucketBits, ENTRY_SIZE, emitSkip, emitSorting, NICE } from './lzma-matches.js';
import { emitPlan } from './lzma-plan.js';
import { bitPrices, Prices } from './lzma-prices.js';
import { emitCoder } from './lzma-range-encoder.js';

/** Symbols after which prices are worked out anew. */
const REPRICE = 128;
/** Every so many bytes a look is taken at whether they become fewer at all. */
const LOOK = 0x1_0000;
/** Positions that are sorted at once. */
const SORT = 0x1_0000;
const WASM_PAGE = 0x1_0000;

/** Properties, size of the dictionary, size of the data: what a .lzma file begins with. */
const HEADER_SIZE = 13;

interface EncoderFunctions {
  countBuckets(from: number, to: number, heads: number, shift: number): void;
  sumBuckets(from: number, to: number, start: number): number;
  fillBuckets(from: number, to: number, heads: number, shift: number): void;
  plan(start: number): number;
  code(start: number, end: number): number;
  finish(): void;
}

interface Encoder {
  readonly memory: WebAssembly.Memory;
  readonly functions: EncoderFunctions;
}

/** Of the last encoder, which is large and takes long to come back. One encoder works at a time. */
let kept: Encoder | undefined;

/**
 * @param pause called every 64 KiB; nothing is encoded in it
 * @returns a .lzma file without an end marker, undefined when it would have no fewer bytes than the data
 */
export function encodeLzma(raw: Uint8Array, pause?: () => void): Uint8Array | undefined {
  if (raw.length <= HEADER_SIZE) return undefined;
  kept ??= makeEncoder();
  return encode(raw, kept, pause);
}

function makeEncoder(): Encoder {
  const module = new ModuleBuilder();
  emitSorting(module);
  emitPlan(module, emitSkip(module));
  emitCoder(module);
  const pages = Math.ceil(L.DATA / WASM_PAGE);
  const memory = new WebAssembly.Memory({ initial: pages });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode(pages)), { env: { memory } });
  const bytes = new Uint8Array(memory.buffer);
  bytes.set(bitPrices(), L.BIT_PRICES);
  for (let state = 0; state < M.STATES; state++) {
    bytes[L.NEXT_STATE + 16 * L.KIND_LITERAL + state] = M.afterLiteral(state);
    bytes[L.NEXT_STATE + 16 * L.KIND_MATCH + state] = M.afterMatch(state);
    bytes[L.NEXT_STATE + 16 * L.KIND_REP + state] = M.afterRep(state);
    bytes[L.NEXT_STATE + 16 * L.KIND_SHORT + state] = M.afterShortRep(state);
  }
  return { memory, functions: instance.exports as unknown as EncoderFunctions };
}

function encode(raw: Uint8Array, { memory, functions }: Encoder, pause?: () => void): Uint8Array | undefined {
  const { length } = raw;
  const bits = bucketBits(length);
  const align = (at: number): number => (at + 31) & ~15;
  const ranks = align(L.DATA + length);
  const entries = align(ranks + 4 * length);
  // Counters of buckets are done with when the output begins.
  const heads = align(entries + ENTRY_SIZE * length);
  const end = heads + Math.max(4 << bits, length);
  const missing = Math.ceil((end - memory.buffer.byteLength) / WASM_PAGE);
  if (missing > 0) memory.grow(missing);

  const bytes = new Uint8Array(memory.buffer);
  const words = new Int32Array(memory.buffer);
  bytes.set(raw, L.DATA);
  bytes.fill(0, L.DATA + length, ranks);
  words.fill(-1, L.NEAR2 >> 2, (L.NEAR3 >> 2) + (1 << L.NEAR3_BITS));
  new Uint16Array(memory.buffer, L.PROBABILITIES, L.PROBABILITY_COUNT).fill(M.HALF);
  bytes.fill(0, L.NODES, L.NODES + L.NODE_SIZE);
  words.fill(1, (L.NODES + L.NODE_REPS) >> 2, (L.NODES + L.NODE_SIZE) >> 2);
  words.fill(0, L.LOW >> 2, L.FOUND >> 2);
  const set = (at: number, value: number) => {
    words[at >> 2] = value;
  };
  set(L.RANGE, -1);
  set(L.PENDING, 1);
  set(L.USED, HEADER_SIZE);
  set(L.OUT, heads);
  set(L.OUT_END, heads + length);
  set(L.RANKS, ranks);
  set(L.ENTRIES, entries);
  set(L.LENGTH, length);
  const used = (): number => words[L.USED >> 2]!;

  const sorted = Math.max(0, length - 3);
  bytes.fill(0, heads, heads + (4 << bits));
  const shift = 32 - bits;
  const eachPart = (body: (from: number, to: number) => void): void => {
    for (let at = 0; at < sorted; at += SORT) {
      body(at, Math.min(at + SORT, sorted));
      pause?.();
    }
  };
  eachPart((from, to) => functions.countBuckets(from, to, heads, shift));
  for (let at = heads, sum = 0; at < heads + (4 << bits); at += SORT) {
    sum = functions.sumBuckets(at, Math.min(at + SORT, heads + (4 << bits)), sum);
  }
  eachPart((from, to) => functions.fillBuckets(from, to, heads, shift));

  // What is longer than a nice match is taken without asking for its price.
  const prices = new Prices(memory.buffer, NICE);
  const slots = 2 * (32 - Math.clz32(length));
  let looked = 0;
  let sinceRepriced = REPRICE;
  for (let pos = 0; pos < length; ) {
    if (pos - looked > LOOK) {
      looked = pos;
      pause?.();
      if (used() > pos - (pos >> 4)) return undefined;
    }
    if (sinceRepriced >= REPRICE) {
      prices.update(slots);
      sinceRepriced = 0;
    }
    const planned = functions.plan(pos);
    sinceRepriced += functions.code(pos, planned);
    pos += planned;
  }
  functions.finish();
  if (used() >= length) return undefined;
  const view = new DataView(memory.buffer, heads);
  view.setUint8(0, L.PROPERTIES);
  view.setUint32(1, 2 ** Math.max(12, 32 - Math.clz32(length - 1)), true);
  view.setBigUint64(5, BigInt(length), true);
  return bytes.slice(heads, heads + used());
}
