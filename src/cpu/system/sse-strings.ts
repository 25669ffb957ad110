// The string comparisons of SSE4.2: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM vol. 1, 12.10; vol. 2, 4.1).
//
// Operands come in SCRATCH as sse-slow.ts says: first (the "reference" one) at +0, second at +16. The steps have the
// manual's names: comparison of every pair, aggregation (IntRes1), polarity (IntRes2), output.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { CF, type CpuState, OF, SF, ZF } from '../state.js';

/** Immediate bits 0–1: unsigned bytes, unsigned words, signed bytes, signed words. */
function elementsAt(s: CpuState, at: number, format: number): number[] {
  const words = (format & 1) !== 0;
  const signed = (format & 2) !== 0;
  return Array.from({ length: words ? 8 : 16 }, (_, i) => {
    if (words) return signed ? s.view.getInt16(at + 2 * i, true) : s.view.getUint16(at + 2 * i, true);
    return signed ? s.view.getInt8(at + i) : s.view.getUint8(at + i);
  });
}

/** Number of valid elements: the given length, or up to the first 0 when it is negative. */
function validLength(elements: readonly number[], explicit: number): number {
  if (explicit >= 0) return Math.min(explicit, elements.length);
  const end = elements.indexOf(0);
  return end < 0 ? elements.length : end;
}

/** Immediate bits 2–3. `a` and `b` are cut to their valid elements; the result has a bit for each of `count` places. */
function aggregate(mode: number, a: readonly number[], b: readonly number[], count: number): number {
  let result = 0;
  for (let j = 0; j < count; j++) {
    let holds: boolean;
    const x = b[j];
    switch (mode) {
      case 0: // equal any
        holds = x !== undefined && a.includes(x);
        break;
      case 1: // ranges: pairs of bounds; an incomplete pair holds for nothing
        holds = x !== undefined && a.some((low, i) => (i & 1) === 0 && low <= x && i + 1 < a.length && x <= a[i + 1]!);
        break;
      case 2: // equal each: two invalid elements are equal
        holds = x === a[j];
        break;
      default: // equal ordered: `a` is found at this place, as far as the second operand's elements go
        holds = a.every((y, i) => j + i >= count || b[j + i] === y);
    }
    if (holds) result |= 1 << j;
  }
  return result;
}

/**
 * Compare as the immediate says.
 * @param toIndex 1: the result is an index; 0: a mask, which goes to SCRATCH.
 * @param lengthA number of valid elements of the first operand, −1 = up to its first zero; `lengthB` the same.
 * @returns EFLAGS image in bits 0–15, index in bits 16 and up.
 */
export function compareStrings(
  cpu: CpuCore,
  immediate: number,
  toIndex: number,
  lengthA: number,
  lengthB: number,
): number {
  const s = cpu.state;
  const first = elementsAt(s, L.SCRATCH, immediate & 3);
  const second = elementsAt(s, L.SCRATCH + 16, immediate & 3);
  const count = first.length;
  const a = first.slice(0, validLength(first, lengthA));
  const b = second.slice(0, validLength(second, lengthB));
  const all = 2 ** count - 1;

  let result = aggregate((immediate >> 2) & 3, a, b, count);
  // Polarity: negate everything, or only where the second operand is valid.
  if ((immediate & 0x30) === 0x10) result ^= all;
  else if ((immediate & 0x30) === 0x30) result ^= 2 ** b.length - 1;

  const flags =
    (result !== 0 ? CF : 0) | (b.length < count ? ZF : 0) | (a.length < count ? SF : 0) | (result & 1 ? OF : 0);
  const high = (immediate & 0x40) !== 0;
  if (toIndex) {
    const index = result === 0 ? count : high ? 31 - Math.clz32(result) : 31 - Math.clz32(result & -result);
    return flags | (index << 16);
  }
  for (let i = 0; i < 16; i++) {
    const bit = high ? (result >> (count === 16 ? i : i >> 1)) & 1 : 0;
    s.u8[L.SCRATCH + i] = high ? bit * 0xff : i < 2 ? (result >> (8 * i)) & 0xff : 0;
  }
  return flags;
}
