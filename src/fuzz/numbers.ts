// Numbers as fields of structures hold them, and picking an element for a break. Shrinking leads to small numbers.

import fc from 'fast-check';
import { offerable, offerableText } from './coverage/offers.js';

const upTo = (max: number): fc.Arbitrary<number> => offerable(fc.integer({ min: 0, max }), BigInt(max));
export const u8: fc.Arbitrary<number> = upTo(0xff);
export const u16: fc.Arbitrary<number> = upTo(0xffff);
export const u32: fc.Arbitrary<number> = upTo(0xffff_ffff);
const MAX_U64 = 0xffff_ffff_ffff_ffffn;
export const u64: fc.Arbitrary<bigint> = offerable(fc.bigInt(0n, MAX_U64), MAX_U64);

/** A lie in a field of 32, 16 or 8 bits. */
export const low32 = (value: bigint): number => Number(BigInt.asUintN(32, value));
export const low16 = (value: bigint): number => Number(BigInt.asUintN(16, value));
export const low8 = (value: bigint): number => Number(BigInt.asUintN(8, value));

/** Change one of several elements, if there is one. */
export function pick<T>(list: readonly T[], at: number, change: (one: T, index: number) => void): void {
  if (list.length > 0) change(list[at % list.length]!, at % list.length);
}

/** Printable ASCII without what a name cannot have. */
export const word = (maxLength: number, minLength = 1): fc.Arbitrary<string> =>
  offerableText('abcdefghijklmnopqrstuvwxyz0123456789_-', minLength, maxLength);

/** The bytes of a number as characters, from the lowest up to a zero: eight at most, one at least. */
export function textOf(value: bigint): string {
  let text = '';
  for (let rest = BigInt.asUintN(64, value); text === '' || (rest & 0xffn) !== 0n; rest >>= 8n)
    text += String.fromCharCode(Number(rest & 0xffn));
  return text;
}
