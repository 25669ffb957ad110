// Masks of a page's bytes: 512 bytes, one bit for each byte of the page, lowest first. Which of them have been observed,
// which still stand for initial memory (observed.ts).

/** Bytes of a mask. */
export const MASK_SIZE = 512;

/** True when every bit is set. */
export function isFull(mask: Uint8Array): boolean {
  for (let i = 0; i < MASK_SIZE; i++) if (mask[i] !== 0xff) return false;
  return true;
}

/** True when no bit is set. */
export function isEmpty(mask: Uint8Array): boolean {
  for (let i = 0; i < MASK_SIZE; i++) if (mask[i] !== 0) return false;
  return true;
}

/** Bits of a byte of a mask that stand for addresses outside [start, end). */
const beside = (at: number, start: number, end: number): number => {
  if (at < start >> 3 || at > (end - 1) >> 3) return 0xff;
  const before = at === start >> 3 ? (1 << (start & 7)) - 1 : 0;
  const behind = at === (end - 1) >> 3 ? 0xff & ~(0xff >> (7 - ((end - 1) & 7))) : 0;
  return before | behind;
};
/** Whether the byte at `at` of a mask has a bit for an address outside [start, end). */
export const isBeside = (mask: Uint8Array, at: number, start: number, end: number): boolean =>
  (mask[at]! & beside(at, start, end)) !== 0;
/** The first byte of a mask with a bit for an address outside [start, end); −1 where there is none. */
export function firstBeside(mask: Uint8Array, start: number, end: number): number {
  for (let at = 0; at < MASK_SIZE; at++) if (mask[at] !== 0 && isBeside(mask, at, start, end)) return at;
  return -1;
}

/** Whether bits for some bytes, 8 at most, are set. */
export function hasBits(mask: Uint8Array, offset: number, bytes: number): boolean {
  const at = offset >> 3;
  const two = at === MASK_SIZE - 1 ? mask[at]! : mask[at]! | (mask[at + 1]! << 8);
  return ((two >> (offset & 7)) & ((1 << bytes) - 1)) !== 0;
}

/**
 * The next byte of a mask, upwards from `byte` or downwards where `step` is below 0, in which items of up to 8 bytes may begin
 * that differ: until there all have a bit (`some`), or all have none.
 */
export function alikeFrom(mask: Uint8Array, byte: number, step: number, some: boolean): number {
  let at = byte;
  const by = step < 0 ? -1 : 1;
  if (some) while (mask[at] === 0xff) at += by;
  // An item reaches into the byte behind the one that it begins in.
  else while (mask[at] === 0 && (mask[at + 1] ?? 0) === 0) at += by;
  return at;
}

/** Copy bits from one mask to another, from and to any bit. */
export function copyBits(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
  for (let done = 0; done < length; ) {
    // Up to a byte of the target.
    const low = (to + done) & 7;
    const n = Math.min(8 - low, length - done);
    const at = (from + done) >> 3;
    const phase = (from + done) & 7;
    const two = at === MASK_SIZE - 1 ? source[at]! : source[at]! | (source[at + 1]! << 8);
    const bits = ((1 << n) - 1) << low;
    const byte = (to + done) >> 3;
    target[byte] = (target[byte]! & ~bits) | (((two >> phase) << low) & bits);
    done += n;
  }
}
