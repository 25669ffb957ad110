// Filters for pages of initial memory. Both turn what is relative to its own place into what it points to, since that
// is what repeats: calls of one function from everywhere, tables of places in ascending order. They look at the bytes
// alone and know no guest; which one a page gets is chosen by what it would gain, and put on, in page-packer.ts; they are
// taken off here. FORMAT.md, section "MEMO".
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

/** Take a filter off a page, or a part of one, in place. `taken` is 1 for each byte that is stored. */
export function unfilterPage(filter: number, address: number, bytes: Uint8Array, taken: Uint8Array): void {
  if (filter === FILTER_BRANCHES) {
    for (let at = 0; at < bytes.length; at++) {
      const opcode = branchAt(bytes, taken, at, bytes.length);
      if (opcode === 0) continue;
      toDisplacement(bytes, at + opcode, address + at + opcode + 4);
      at += opcode + 3;
    }
  } else if (filter === FILTER_PLACES) {
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

/** Sign-extended to 32 bits, the way it stays recognisable. */
const wrap = (value: number): number => (value << (32 - BRANCH_BITS)) >> (32 - BRANCH_BITS);

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

const bigEndian = (bytes: Uint8Array, at: number): number =>
  bytes[at + 3]! | (bytes[at + 2]! << 8) | (bytes[at + 1]! << 16) | (bytes[at]! << 24);

function putLittleEndian(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
  bytes[at + 2] = value >> 16;
  bytes[at + 3] = value >> 24;
}
