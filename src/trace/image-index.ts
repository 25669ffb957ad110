// Finds where bytes of a payload lie in the images that a boot was given. A window of 32 bytes has a hash that moves on
// byte by byte; of the images those windows are known that begin at multiples of a step. What is found has been compared.
//
// Invariant: the outcome follows from the bytes alone: of equal windows the first one counts.

/** Bytes that are looked up together. */
const WINDOW = 32;
/** Windows that are known, at most: larger images are known in larger steps. */
const MAX_WINDOWS = 1 << 19;
/** Bytes for which the built-in comparison is called, and that are compared at once. */
const LONG = 64;
const MOST_AT_ONCE = 0x1_0000;
const BASE = 0x0100_0193;
/** BASE to the power of WINDOW - 1: what the byte that leaves a window counted. */
const LEAVING = power(BASE, WINDOW - 1);

/** Bytes of images under numbers. */
export interface Source {
  readonly source: number;
  readonly bytes: Uint8Array;
}

/** Bytes of a payload from `at` on are those of a source from `offset` on, for WINDOW at least. */
export interface Found {
  readonly at: number;
  readonly source: number;
  readonly bytes: Uint8Array;
  readonly offset: number;
}

export class ImageIndex {
  readonly #step: number;
  /** By hash: 1 + number of a window, counted through all sources. */
  readonly #table: Uint32Array;
  readonly #shift: number;

  constructor(private readonly sources: readonly Source[]) {
    const total = sources.reduce((sum, { bytes }) => sum + bytes.length, 0);
    let step = WINDOW;
    while (total / step > MAX_WINDOWS) step *= 2;
    this.#step = step;
    const bits = Math.max(8, 34 - Math.clz32(Math.ceil(total / step)));
    this.#table = new Uint32Array(2 ** bits);
    this.#shift = 32 - bits;
    let first = 1;
    for (const { bytes } of sources) {
      this.#add(bytes, first);
      first += Math.ceil(bytes.length / step);
    }
  }

  /** The first window between two offsets of a payload that an image has. */
  find(data: Uint8Array, from: number, end: number): Found | undefined {
    if (from + WINDOW > end) return undefined;
    let hash = hashOf(data, from);
    for (let at = from; ; at++) {
      const window = this.#table[slotOf(hash, this.#shift)]!;
      const found = window === 0 ? undefined : this.#compare(data, at, window - 1);
      if (found) return found;
      if (at + WINDOW >= end) return undefined;
      hash = (Math.imul(hash - Math.imul(data[at]!, LEAVING), BASE) + data[at + WINDOW]!) | 0;
    }
  }

  #add(bytes: Uint8Array, first: number): void {
    const [table, shift, step] = [this.#table, this.#shift, this.#step];
    for (let at = 0, window = first; at + WINDOW <= bytes.length; at += step, window++) {
      if (isUniform(bytes, at)) continue;
      const slot = slotOf(hashOf(bytes, at), shift);
      if (table[slot] === 0) table[slot] = window;
    }
  }

  #compare(data: Uint8Array, at: number, window: number): Found | undefined {
    let n = window;
    for (const { source, bytes } of this.sources) {
      const windows = Math.ceil(bytes.length / this.#step);
      if (n < windows) {
        const offset = n * this.#step;
        return sameBytes(data, at, bytes, offset, WINDOW) ? { at, source, bytes, offset } : undefined;
      }
      n -= windows;
    }
    return undefined;
  }
}

/** Whether two pieces are equal, and within their arrays. */
export function sameBytes(a: Uint8Array, at: number, b: Uint8Array, offset: number, length: number): boolean {
  if (offset < 0 || offset + length > b.length || at + length > a.length) return false;
  // The comparison that is built in is quick from the first call on.
  if (length >= LONG) return Buffer.compare(a.subarray(at, at + length), b.subarray(offset, offset + length)) === 0;
  for (let i = 0; i < length; i++) if (a[at + i] !== b[offset + i]) return false;
  return true;
}

/** How many bytes from two places on are equal. */
export function equalBytes(a: Uint8Array, at: number, b: Uint8Array, offset: number): number {
  let length = 0;
  for (let step = MOST_AT_ONCE; step >= 1; step /= 2)
    while (sameBytes(a, at + length, b, offset + length, step)) length += step;
  return length;
}

/** One byte again and again is everywhere, and so says nothing about where it comes from. */
function isUniform(bytes: Uint8Array, at: number): boolean {
  for (let i = 1; i < WINDOW; i++) if (bytes[at + i] !== bytes[at]) return false;
  return true;
}

function hashOf(bytes: Uint8Array, at: number): number {
  let hash = 0;
  for (let i = 0; i < WINDOW; i++) hash = (Math.imul(hash, BASE) + bytes[at + i]!) | 0;
  return hash;
}

const slotOf = (hash: number, shift: number): number => Math.imul(hash ^ (hash >>> 15), 0x9e37_79b1) >>> shift;

function power(base: number, exponent: number): number {
  let value = 1;
  for (let i = 0; i < exponent; i++) value = Math.imul(value, base);
  return value;
}
