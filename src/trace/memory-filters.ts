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
  if (gainsByPlaces(address, bytes, taken)) return FILTER_PLACES;
  let near = 0;
  let far = 0;
  forEachBranch(bytes, taken, (at, opcode) => {
    const top = bytes[at + opcode + 3]!;
    if (top === 0 || top === 0xff) near++;
    else far++;
  });
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

/**
 * What looks like a near branch and is stored whole, in ascending order; `body` may change its displacement. Their first
 * bytes are looked for with what the engine has built in: a short boot is over before a loop here runs optimised.
 */
function forEachBranch(bytes: Uint8Array, taken: Uint8Array, body: (at: number, opcode: number) => void): void {
  const next = (value: number, from: number): number => {
    const at = bytes.indexOf(value, from);
    return at < 0 ? bytes.length : at;
  };
  let [call, jump, two] = [-1, -1, -1];
  for (let at = 0; ; ) {
    if (call < at) call = next(0xe8, at);
    if (jump < at) jump = next(0xe9, at);
    if (two < at) two = next(0x0f, at);
    at = Math.min(call, jump, two);
    if (at >= bytes.length) return;
    const opcode = branchAt(bytes, taken, at, bytes.length);
    if (opcode === 0) at++;
    else {
      body(at, opcode);
      at += opcode + 4;
    }
  }
}

function branches(
  address: number,
  bytes: Uint8Array,
  taken: Uint8Array,
  convert: (bytes: Uint8Array, at: number, next: number) => void,
): void {
  forEachBranch(bytes, taken, (at, opcode) => convert(bytes, at + opcode, address + at + opcode + 4));
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

const WORDS = PAGE / 4;
const words = new Int32Array(WORDS);
const takenWords = new Int32Array(WORDS);
const WHOLE = 0x0101_0101;
/** How often each byte stands at each place of a word, as it is and as a difference of places. */
const plainCounts = new Uint16Array(4 * 256);
const placeCounts = new Uint16Array(4 * 256);
/** n · log n, and by how much it grows from n to n + 1; of counts in a page. */
let growth: Int32Array | undefined;

/**
 * Whether words as differences of places have less entropy, by their place in the word, by a quarter. One loop for both,
 * without calls: it runs before the engine has compiled it, once for each page of a short boot.
 */
function gainsByPlaces(address: number, bytes: Uint8Array, taken: Uint8Array): boolean {
  const first = -address & 3;
  const count = (bytes.length - first) >> 2;
  if (count < MIN_WORDS) return false;
  copyWords(bytes, first, count, words);
  copyWords(taken, first, count, takenWords);
  plainCounts.fill(0);
  placeCounts.fill(0);
  growth ??= Int32Array.from({ length: WORDS + 1 }, (_, n) => entropyTerm(n + 1) - entropyTerm(n));
  let found = 0;
  let plain = 0;
  let placed = 0;
  let before = 0;
  for (let i = 0, place = address + first; i < count; i++, place += 4) {
    if (takenWords[i] !== WHOLE) continue;
    const word = words[i]!;
    const here = (word + place) | 0;
    const step = (here - before) | 0;
    before = here;
    found++;
    plain +=
      growth[plainCounts[word & 0xff]!++]! +
      growth[plainCounts[0x100 | ((word >> 8) & 0xff)]!++]! +
      growth[plainCounts[0x200 | ((word >> 16) & 0xff)]!++]! +
      growth[plainCounts[0x300 | (word >>> 24)]!++]!;
    placed +=
      growth[placeCounts[step & 0xff]!++]! +
      growth[placeCounts[0x100 | ((step >> 8) & 0xff)]!++]! +
      growth[placeCounts[0x200 | ((step >> 16) & 0xff)]!++]! +
      growth[placeCounts[0x300 | (step >>> 24)]!++]!;
  }
  const whole = 4 * entropyTerm(found);
  return found >= MIN_WORDS && whole - placed < (whole - plain) * 0.75;
}

function copyWords(bytes: Uint8Array, from: number, count: number, into: Int32Array): void {
  new Uint8Array(into.buffer).set(bytes.subarray(from, from + 4 * count));
}

/** In 1/256 bits. */
const entropyTerm = (n: number): number => (n === 0 ? 0 : n * logarithm(n));

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
