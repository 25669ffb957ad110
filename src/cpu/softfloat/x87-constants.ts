// The constants of FLD1, FLDZ, FLDL2T, FLDL2E, FLDPI, FLDLG2 and FLDLN2 (SDM vol. 2). Hardware holds them with more
// than 64 bits and rounds by RC, without raising PE. Each is written as its significand cut to 64 bits; all of them
// have further bits, so rounding up adds one, and whether nearest does is noted.

import { DOWN, type FloatContext, NEAREST, TOWARD_ZERO } from './context.js';
import type { F80 } from './format.js';

export const FLD1 = 0;
export const FLDL2T = 1;
export const FLDL2E = 2;
export const FLDPI = 3;
export const FLDLG2 = 4;
export const FLDLN2 = 5;
export const FLDZ = 6;

/** Significand cut off, biased exponent, whether nearest rounds up; in opcode order D9 E9…ED. */
const CUT: readonly (readonly [significand: bigint, exponent: number, up: boolean])[] = [
  [0xd49a784bcd1b8afen, 0x4000, false], // log2(10) = 3.32…
  [0xb8aa3b295c17f0bbn, 0x3fff, true], // log2(e) = 1.44…
  [0xc90fdaa22168c234n, 0x4000, true], // π
  [0x9a209a84fbcff798n, 0x3ffd, true], // log10(2) = 0.30…
  [0xb17217f7d1cf79abn, 0x3ffe, true], // ln(2) = 0.69…
];

/** @param index FLD1…FLDZ: the low three bits of the opcode's second byte, E8…EE. */
export function x87Constant(context: FloatContext, index: number): F80 {
  if (index === FLD1) return { significand: 1n << 63n, signExponent: 0x3fff };
  if (index === FLDZ) return { significand: 0n, signExponent: 0 };
  const [significand, signExponent, up] = CUT[index - 1]!;
  const rounding = context.rounding;
  const down = rounding === NEAREST ? !up : rounding === DOWN || rounding === TOWARD_ZERO;
  return { significand: down ? significand : significand + 1n, signExponent };
}
