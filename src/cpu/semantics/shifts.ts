// Shifts, rotates, double shifts, bit tests and scans (SDM vol. 2: RCL…ROR, SAL…SHR, SHLD, SHRD, BT…, BSF, BSR).
// A count of 0 (after masking) changes no flag. OF for counts other than 1 and AF are undefined in the manual; the
// values here are those that Intel processors were measured to give: AF is 0, OF is that of the first step, as if the
// count were 1. The one exception are ROL and ROR of a register by an immediate other than 1: they leave OF alone.

import { type Expr, i32, i64 } from '../wasm/expr.js';
import type { Body, BodyContext } from './context.js';
import { ACCESS_READ, ACCESS_WRITE } from './context.js';
import { type Width, width } from './width.js';

/** Count operand masked to 5 or 6 bits: an i32 local. */
function maskedCount(c: BodyContext, w: Width, n: number): Expr {
  return c.let(i32.and(c.read(n), w.bits === 64 ? 63 : 31));
}

/** Run `emit` when the count is not zero; a memory operand is still checked for writing, a 32-bit register zero-extended. */
function whenNonzero(c: BodyContext, count: Expr, value: Expr, emit: () => void): void {
  c.if(count, emit, () => {
    if (!c.inMemory(0) && c.bits(0) === 32) c.write(0, value);
  });
}

/** The value as i64, zero- or sign-extended: shifts by up to 31 of narrow operands then need no case distinctions. */
const wide = (w: Width, a: Expr, signed: boolean) => (signed ? w.sext64(a) : w.zext64(a));
const count64 = (n: Expr) => i64.extendU(n);
const bit = (v: Expr, n: Expr) => i32.and(i32.wrap(i64.shrU(v, n)), 1);
/** Whether the two top bits of an operand (a local) differ: OF of a shift to the left by one. */
const topBitsDiffer = (w: Width, a: Expr) => w.sign(w.xor(a, w.shl(a, w.const(1))));

export const shl: Body = (c) => {
  const w = c.width(0);
  const n = maskedCount(c, w, 1);
  const a = c.modify(0);
  whenNonzero(c, n, a, () => {
    const v = c.let(wide(w, a, false));
    const k = c.let(count64(n));
    const r = c.let(i64.shl(v, k));
    // Last bit shifted out: bit (bits − n) of the operand; shifted to bit `bits` of the result for narrow widths.
    const cf = c.let(w.bits === 64 ? bit(v, i64.sub(64n, k)) : bit(r, i64.const(w.bits)));
    const out = c.let(w.from64(r));
    c.write(0, out);
    c.flags.resultCfOf(w, out, cf, c.let(topBitsDiffer(w, a)));
  });
};

const shiftRight =
  (signed: boolean): Body =>
  (c) => {
    const w = c.width(0);
    const n = maskedCount(c, w, 1);
    const a = c.modify(0);
    whenNonzero(c, n, a, () => {
      const v = c.let(wide(w, a, signed));
      const k = c.let(count64(n));
      const shift = signed ? i64.shrS : i64.shrU;
      const cf = c.let(i32.and(i32.wrap(shift(v, i64.sub(k, 1n))), 1));
      const out = c.let(w.from64(shift(v, k)));
      c.write(0, out);
      // SHR: OF is the top bit of the original operand.
      const of = signed ? i32.const(0) : c.let(w.sign(a));
      c.flags.resultCfOf(w, out, cf, of);
    });
  };
export const shr = shiftRight(false);
export const sar = shiftRight(true);

/** CF and OF of ROL and ROR; `of` is that of a rotate by one. */
function rotateFlags(c: BodyContext, count: Expr, cf: Expr, of: Expr): void {
  if (c.operand(1).kind !== 'I' || c.inMemory(0)) c.flags.setCfOf(cf, c.let(of));
  else
    c.if(
      i32.eq(count, 1),
      () => c.flags.setCfOf(cf, c.let(of)),
      () => c.flags.setCf(cf),
    );
}

export const rol: Body = (c) => {
  const w = c.width(0);
  const n = maskedCount(c, w, 1);
  const a = c.modify(0);
  whenNonzero(c, n, a, () => {
    const v = c.let(w.zext64(a));
    const k = c.let(i64.and(count64(n), BigInt(w.bits - 1)));
    const r =
      w.bits === 64 ? c.let(i64.rotl(v, k)) : c.let(i64.or(i64.shl(v, k), i64.shrU(v, i64.sub(BigInt(w.bits), k))));
    const out = c.let(w.from64(r));
    c.write(0, out);
    const cf = c.let(i32.and(w.low32(out), 1));
    rotateFlags(c, n, cf, topBitsDiffer(w, a));
  });
};
export const ror: Body = (c) => {
  const w = c.width(0);
  const n = maskedCount(c, w, 1);
  const a = c.modify(0);
  whenNonzero(c, n, a, () => {
    const v = c.let(w.zext64(a));
    const k = c.let(i64.and(count64(n), BigInt(w.bits - 1)));
    const r =
      w.bits === 64 ? c.let(i64.rotr(v, k)) : c.let(i64.or(i64.shrU(v, k), i64.shl(v, i64.sub(BigInt(w.bits), k))));
    const out = c.let(w.from64(r));
    c.write(0, out);
    const cf = c.let(w.sign(out));
    rotateFlags(c, n, cf, i32.xor(w.sign(a), i32.and(w.low32(a), 1)));
  });
};

/** Rotates through carry, a step at a time: their counts are small in practice. */
const rotateCarry =
  (left: boolean): Body =>
  (c) => {
    const w = c.width(0);
    const n = maskedCount(c, w, 1);
    const a = c.modify(0);
    // 8- and 16-bit forms rotate through 9 and 17 bits: the count is taken modulo that.
    const steps = w.bits < 32 ? c.let(i32.remU(n, w.bits + 1)) : n;
    whenNonzero(c, steps, a, () => {
      const v = c.let(w.zext64(a));
      const k = c.let(count64(steps));
      const carry = c.let(c.flags.cf());
      const cf64 = c.let(i64.extendU(carry));
      const bits = BigInt(w.bits);
      let r: Expr;
      let cf: Expr;
      if (left) {
        cf = c.let(bit(v, i64.sub(bits, k)));
        // v << k | carry << (k − 1) | v >> (bits + 1 − k); the last term is 0 for k = 1 even at 64 bits.
        const tail = i64.shrU(i64.shrU(v, 1n), i64.sub(bits, k));
        r = c.let(i64.or(i64.or(i64.shl(v, k), i64.shl(cf64, i64.sub(k, 1n))), tail));
      } else {
        cf = c.let(bit(v, i64.sub(k, 1n)));
        const head = i64.shl(i64.shl(v, 1n), i64.sub(bits, k));
        r = c.let(i64.or(i64.or(i64.shrU(v, k), i64.shl(cf64, i64.sub(bits, k))), head));
      }
      const out = c.let(w.from64(r));
      c.write(0, out);
      const of = left ? topBitsDiffer(w, a) : i32.xor(carry, w.sign(a));
      c.flags.setCfOf(cf, c.let(of));
    });
  };
export const rcl = rotateCarry(true);
export const rcr = rotateCarry(false);

/** SHLD / SHRD. Counts above 16 for 16-bit operands are undefined; the pair is treated as dest:src:dest as Intel does. */
const doubleShift =
  (left: boolean): Body =>
  (c) => {
    const w = c.width(0);
    const n = maskedCount(c, w, 2);
    const source = c.read(1);
    const a = c.modify(0);
    whenNonzero(c, n, a, () => {
      const k = c.let(count64(n));
      let r: Expr;
      let cf: Expr;
      if (w.bits === 64) {
        r = left
          ? c.let(i64.or(i64.shl(a, k), i64.shrU(source, i64.sub(64n, k))))
          : c.let(i64.or(i64.shrU(a, k), i64.shl(source, i64.sub(64n, k))));
        cf = c.let(left ? bit(a, i64.sub(64n, k)) : bit(a, i64.sub(k, 1n)));
      } else if (w.bits === 32) {
        const x = w.zext64(a);
        const y = w.zext64(source);
        const pair = c.let(left ? i64.or(i64.shl(x, 32n), y) : i64.or(i64.shl(y, 32n), x));
        r = c.let(left ? i64.shrU(i64.shl(pair, k), 32n) : i64.shrU(pair, k));
        cf = c.let(left ? bit(pair, i64.sub(64n, k)) : bit(pair, i64.sub(k, 1n)));
      } else {
        const x = c.let(w.zext64(a));
        const y = w.zext64(source);
        if (left) {
          // dest:src:dest in 48 bits
          const triple = c.let(i64.or(i64.or(i64.shl(x, 32n), i64.shl(y, 16n)), x));
          r = c.let(i64.shrU(i64.shl(triple, k), 32n));
          cf = c.let(bit(triple, i64.sub(48n, k)));
        } else {
          const triple = c.let(i64.or(i64.or(i64.shl(x, 32n), i64.shl(y, 16n)), x));
          r = c.let(i64.shrU(triple, k));
          cf = c.let(bit(triple, i64.sub(k, 1n)));
        }
      }
      const out = c.let(w.mask(w.from64(r)));
      c.write(0, out);
      const of = c.let(left ? topBitsDiffer(w, a) : i32.xor(w.sign(a), i32.and(w.low32(source), 1)));
      c.flags.resultCfOf(w, out, cf, of);
    });
  };
export const shld = doubleShift(true);
export const shrd = doubleShift(false);

// --- bit tests --------------------------------------------------------------------------------------------

type BitChange = 'none' | 'set' | 'reset' | 'complement';

function changed(w: Width, value: Expr, mask: Expr, change: BitChange): Expr {
  if (change === 'set') return w.or(value, mask);
  if (change === 'reset') return w.and(value, w.not(mask));
  return w.xor(value, mask);
}

const bitTest =
  (change: BitChange): Body =>
  (c) => {
    const w = c.width(0);
    const immediate = c.operand(1).kind === 'I';
    const index = c.read(1);
    const low = c.let(i32.and(immediate ? index : w.low32(index), w.bits - 1));
    const writes = change !== 'none';
    let value: Expr;
    if (c.inMemory(0) && !immediate) {
      // The bit string reaches beyond the operand: the signed index selects the word (SDM vol. 1, 3.1.1.9).
      const bytes = w.bits / 8;
      const word = i64.shrS(w.sext64(index), BigInt(Math.log2(w.bits)));
      const displacement = i64.mul(word, BigInt(bytes));
      const linear = c.addressPlus(displacement, bytes, writes ? ACCESS_READ | ACCESS_WRITE : ACCESS_READ);
      value = writes ? c.modifyAt(linear, bytes) : c.load(linear, bytes);
    } else value = writes ? c.modify(0) : c.read(0);
    const shift = w.from32(low);
    const cf = c.let(i32.and(w.low32(w.shrU(value, shift)), 1));
    if (writes) {
      const mask = w.shl(w.const(1), shift);
      const r = c.let(changed(w, value, mask, change));
      c.write(0, r);
    }
    c.flags.setCf(cf);
  };
export const bt = bitTest('none');
export const bts = bitTest('set');
export const btr = bitTest('reset');
export const btc = bitTest('complement');

/** BSF / BSR: with a zero source ZF is set and the destination keeps its value (Intel and AMD alike). */
const bitScan =
  (reverse: boolean): Body =>
  (c) => {
    const w = c.width(0);
    const v = c.read(1);
    c.if(
      w.eqz(v),
      () => {
        // ZF = 1; the other flags are undefined: Intel's processors clear them and set PF by the result.
        c.flags.logic(w, w.const(0));
        // A 32-bit destination's upper half is left alone as well (as recent processors do).
      },
      () => {
        const z = c.let(w.zext64(v));
        const r = c.let(i32.wrap(reverse ? i64.sub(63n, i64.clz(z)) : i64.ctz(z)));
        c.write(0, w.from32(r));
        c.flags.nonzero(width(32), r, i32.const(0));
      },
    );
  };
export const bsf = bitScan(false);
export const bsr = bitScan(true);

/** TZCNT / LZCNT: CF = source is zero, ZF = result is zero. */
const countZeros =
  (leading: boolean): Body =>
  (c) => {
    const w = c.width(0);
    const v = c.read(1);
    const z = c.let(w.zext64(v));
    const r = c.let(
      i32.wrap(
        leading
          ? i64.sub(i64.clz(z), BigInt(64 - w.bits))
          : i64.ctz(w.bits === 64 ? z : i64.or(z, 1n << BigInt(w.bits))),
      ),
    );
    const cf = c.let(i64.eqz(z));
    c.write(0, w.from32(r));
    c.flags.resultCfOf(width(32), r, cf, i32.const(0));
  };
export const tzcnt = countZeros(false);
export const lzcnt = countZeros(true);

export const popcnt: Body = (c) => {
  const w = c.width(0);
  const v = c.read(1);
  const r = c.let(i32.wrap(i64.popcnt(w.zext64(v))));
  c.write(0, w.from32(r));
  // ZF from the source; the rest is cleared, PF among them.
  c.flags.setResult(i64.extendU(i32.ne(r, 0)));
  c.flags.setAux(i32.shl(i32.eqz(r), 8));
};

export const bswap: Body = (c) => {
  const w = c.width(0);
  const v = c.read(0);
  if (w.bits === 64) {
    const a = c.let(
      i64.or(i64.shl(i64.and(v, 0x00ff00ff00ff00ffn), 8n), i64.and(i64.shrU(v, 8n), 0x00ff00ff00ff00ffn)),
    );
    const b = c.let(
      i64.or(i64.shl(i64.and(a, 0x0000ffff0000ffffn), 16n), i64.and(i64.shrU(a, 16n), 0x0000ffff0000ffffn)),
    );
    c.write(0, i64.rotl(b, 32n));
  } else if (w.bits === 32) {
    c.write(0, i32.or(i32.and(i32.rotl(v, 8), 0x00ff00ff), i32.and(i32.rotr(v, 8), 0xff00ff00)));
  } else c.write(0, i32.const(0)); // undefined; Intel processors give 0
};
