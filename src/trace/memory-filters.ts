// Filters for pages of initial memory. Both turn what is relative to its own place into what it points to, since that
// is what repeats: calls of one function from everywhere, tables of places in ascending order. They look at the bytes
// alone and know no guest; which one a page gets is chosen by what it would gain. FORMAT.md, section "MEMO".
//
// Invariant: a filter changes stored bytes only and decides by what its inverse sees too, so that it can be undone.

export const FILTER_NONE = 0;
/** Displacements of near calls and jumps become targets. */
export const FILTER_BRANCHES = 1;
/** Words become their distance to the one before, each counted from its own place. */
export const FILTER_PLACES = 2;
export const FILTER_COUNT = 3;

const PAGE = 4096;
/** Words that the places filter needs to be worth a try. */
const MIN_WORDS = 64;
const MIN_BRANCHES = 4;
const BRANCH_BITS = 25;

const scratch = new Uint8Array(PAGE);

/**
 * The filter that makes a page, or a part of one, cheapest.
 * @param address guest physical, of `bytes`
 * @param taken 1 for each byte that is stored
 */
export function chooseFilter(address: number, bytes: Uint8Array, taken: Uint8Array): number {
  const plain = costOfWords(address, bytes, taken);
  if (plain.words >= MIN_WORDS) {
    const filtered = filterPage(FILTER_PLACES, address, bytes, taken);
    if (costOfWords(address, filtered, taken).bits < plain.bits * 0.75) return FILTER_PLACES;
  }
  let near = 0;
  let far = 0;
  for (let at = 0; at < bytes.length; ) {
    const opcode = branchAt(bytes, taken, at, bytes.length);
    if (opcode === 0) at++;
    else {
      const top = bytes[at + opcode + 3]!;
      if (top === 0 || top === 0xff) near++;
      else far++;
      at += opcode + 4;
    }
  }
  return near >= MIN_BRANCHES && near > far ? FILTER_BRANCHES : FILTER_NONE;
}

/** The page filtered: a view of a buffer that the next call uses again. */
export function filterPage(filter: number, address: number, bytes: Uint8Array, taken: Uint8Array): Uint8Array {
  if (filter === FILTER_NONE) return bytes;
  const out = scratch.subarray(0, bytes.length);
  out.set(bytes);
  if (filter === FILTER_BRANCHES) branches(address, out, taken, toTarget);
  else {
    let before = 0;
    forEachWord(address, out, taken, (at) => {
      const place = (littleEndian(out, at) + address + at) | 0;
      putBigEndian(out, at, place - before);
      before = place;
    });
  }
  return out;
}

/** Undo filterPage(), in place. */
export function unfilterPage(filter: number, address: number, bytes: Uint8Array, taken: Uint8Array): void {
  if (filter === FILTER_BRANCHES) branches(address, bytes, taken, toDisplacement);
  else if (filter === FILTER_PLACES) {
    let before = 0;
    forEachWord(address, bytes, taken, (at) => {
      before = (before + bigEndian(bytes, at)) | 0;
      putLittleEndian(bytes, at, before - address - at);
    });
  }
}

/** Length of the opcode of a near branch with 32 bits of displacement, 0 when there is none or it is not stored whole. */
function branchAt(bytes: Uint8Array, taken: Uint8Array, at: number, end: number): number {
  const byte = bytes[at]!;
  let opcode = 0;
  if (byte === 0xe8 || byte === 0xe9) opcode = 1;
  else if (byte === 0x0f && at + 1 < end && (bytes[at + 1]! & 0xf0) === 0x80) opcode = 2;
  if (opcode === 0 || at + opcode + 4 > end) return 0;
  for (let i = 0; i < opcode + 4; i++) if (taken[at + i] === 0) return 0;
  return opcode;
}

function branches(
  address: number,
  bytes: Uint8Array,
  taken: Uint8Array,
  convert: (bytes: Uint8Array, at: number, next: number) => void,
): void {
  for (let at = 0; at < bytes.length; ) {
    const opcode = branchAt(bytes, taken, at, bytes.length);
    if (opcode === 0) at++;
    else {
      convert(bytes, at + opcode, address + at + opcode + 4);
      at += opcode + 4;
    }
  }
}

/** Sign-extended to 32 bits, the way it stays recognisable. */
const wrap = (value: number): number => (value << (32 - BRANCH_BITS)) >> (32 - BRANCH_BITS);

function toTarget(bytes: Uint8Array, at: number, next: number): void {
  const displacement = littleEndian(bytes, at);
  putBigEndian(bytes, at, wrap(displacement) === displacement ? wrap(displacement + next) : displacement);
}

function toDisplacement(bytes: Uint8Array, at: number, next: number): void {
  const target = bigEndian(bytes, at);
  putLittleEndian(bytes, at, wrap(target) === target ? wrap(target - next) : target);
}

/** The aligned 32-bit words that are stored whole. */
function forEachWord(address: number, bytes: Uint8Array, taken: Uint8Array, body: (at: number) => void): void {
  for (let at = -address & 3; at + 4 <= bytes.length; at += 4) {
    if (taken[at] && taken[at + 1] && taken[at + 2] && taken[at + 3]) body(at);
  }
}

const counts = new Uint16Array(4 * 256);

/** Entropy of the bytes of words, by their place in the word, in 1/256 bits. */
function costOfWords(address: number, bytes: Uint8Array, taken: Uint8Array): { words: number; bits: number } {
  counts.fill(0);
  let words = 0;
  forEachWord(address, bytes, taken, (at) => {
    words++;
    for (let i = 0; i < 4; i++) counts[(i << 8) | bytes[at + i]!]!++;
  });
  let bits = 0;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i]!;
    if (count > 0) bits += count * (logarithm(words) - logarithm(count));
  }
  return { words, bits };
}

/** To the base of 2, times 256, between powers along a line: in integers, so that all hosts choose alike. */
function logarithm(n: number): number {
  const power = 31 - Math.clz32(n);
  return (power << 8) + (((n << 8) >> power) - 256);
}

const littleEndian = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
const bigEndian = (bytes: Uint8Array, at: number): number =>
  bytes[at + 3]! | (bytes[at + 2]! << 8) | (bytes[at + 1]! << 16) | (bytes[at]! << 24);

function putLittleEndian(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
  bytes[at + 2] = value >> 16;
  bytes[at + 3] = value >> 24;
}
function putBigEndian(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24;
  bytes[at + 1] = value >> 16;
  bytes[at + 2] = value >> 8;
  bytes[at + 3] = value;
}
