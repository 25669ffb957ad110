// Filters for pages of initial memory. Both turn what is relative to its own place into what it points to, since that
// is what repeats: calls of one function from everywhere, tables of places in ascending order. They look at the bytes
// alone and know no guest; which one a page gets is chosen by what it would gain, and put on, in page-packer.ts. They are
// taken off here, and put on where the choice has been made. FORMAT.md, section "MEMO".
//
// Invariant: a filter changes stored bytes only and decides by what its inverse sees too, so that it can be undone.

export const FILTER_NONE = 0;
/** Displacements of near calls and jumps become targets. */
export const FILTER_BRANCHES = 1;
/** Words become their distance to the one before, each counted from its own place. */
export const FILTER_PLACES = 2;
export const FILTER_COUNT = 3;

/** Bits of a displacement that is taken for a near branch's. */
export const BRANCH_BITS = 25;

/**
 * Take a filter off, or put it on, stored bytes that lie side by side in one page, in place. Runs of a page one after the other.
 * @param address of the first byte, its low 32 bits
 * @param before what this came to for the run before it in the page, 0 for the first
 */
export type RunFilter = (
  filter: number,
  address: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  before: number,
) => number;

/** @param words changes a run of words, @param branch the 32 bits of a near branch in front of `next` */
const runFilter =
  (
    words: (address: number, bytes: Uint8Array, start: number, end: number, before: number) => number,
    branch: (bytes: Uint8Array, at: number, next: number) => void,
  ): RunFilter =>
  (filter, address, bytes, start, end, before) => {
    if (filter === FILTER_PLACES) return words(address, bytes, start, end, before);
    if (filter === FILTER_BRANCHES)
      eachBranch(bytes, start, end, (at) => branch(bytes, at, (address + (at - start) + 4) | 0));
    return before;
  };

/** Takes a filter off. */
export const unfilterRun = runFilter(placesToWords, toDisplacement);
/** Puts it on. */
export const filterRun = runFilter(wordsToPlaces, toTarget);

/** What looks like a near branch with 32 bits of displacement. @param take given where they are; may change them */
function eachBranch(bytes: Uint8Array, start: number, end: number, take: (at: number) => void): void {
  for (let at = start; at + 5 <= end; at++) {
    const byte = bytes[at]!;
    let opcode = 1;
    if (byte === 0x0f) {
      if ((bytes[at + 1]! & 0xf0) !== 0x80 || at + 6 > end) continue;
      opcode = 2;
    } else if (byte !== 0xe8 && byte !== 0xe9) continue;
    at += opcode;
    take(at);
    at += 3;
  }
}

function placesToWords(address: number, bytes: Uint8Array, start: number, end: number, before: number): number {
  for (let at = start + (-address & 3); at + 4 <= end; at += 4) {
    before = (before + bigEndian(bytes, at)) | 0;
    putLittleEndian(bytes, at, (before - address - (at - start)) | 0);
  }
  return before;
}

function wordsToPlaces(address: number, bytes: Uint8Array, start: number, end: number, before: number): number {
  for (let at = start + (-address & 3); at + 4 <= end; at += 4) {
    const place = (littleEndian(bytes, at) + address + (at - start)) | 0;
    putBigEndian(bytes, at, (place - before) | 0);
    before = place;
  }
  return before;
}

/** Sign-extended to 32 bits, the way it stays recognisable. */
const wrap = (value: number): number => (value << (32 - BRANCH_BITS)) >> (32 - BRANCH_BITS);

function toDisplacement(bytes: Uint8Array, at: number, next: number): void {
  const target = bigEndian(bytes, at);
  putLittleEndian(bytes, at, wrap(target) === target ? wrap(target - next) : target);
}

function toTarget(bytes: Uint8Array, at: number, next: number): void {
  const displacement = littleEndian(bytes, at);
  putBigEndian(bytes, at, wrap(displacement) === displacement ? wrap(displacement + next) : displacement);
}

const littleEndian = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);

function putBigEndian(bytes: Uint8Array, at: number, value: number): void {
  putLittleEndian(bytes, at, (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24) | 0);
}

const bigEndian = (bytes: Uint8Array, at: number): number =>
  bytes[at + 3]! | (bytes[at + 2]! << 8) | (bytes[at + 1]! << 16) | (bytes[at]! << 24);

function putLittleEndian(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
  bytes[at + 2] = value >> 16;
  bytes[at + 3] = value >> 24;
}
