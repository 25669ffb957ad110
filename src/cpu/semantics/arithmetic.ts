// Integer arithmetic and logic (SDM vol. 2: ADD…XOR, INC, DEC, NEG, NOT, CMP, TEST, MUL, DIV, decimal adjustment).
// Flags: add/sub through the carry vector (flags.ts); logic clears CF and OF. What the manual leaves undefined is
// given the value of recent Intel processors where that is cheap.

import type { CpuCore } from '../core.js';
import { Fault } from '../state.js';
import { type Expr, i32, i64 } from '../wasm/expr.js';
import type { Body, BodyContext } from './context.js';
import { type Width, width } from './width.js';

/** A two-operand operation: `compute` gives the result, `flags` sets them from it. */
function twoOperand(
  compute: (c: BodyContext, w: Width, a: Expr, b: Expr) => Expr,
  flags: (c: BodyContext, w: Width, a: Expr, b: Expr, r: Expr) => void,
  writes = true,
  compares = false,
): Body {
  return (c) => {
    const w = c.width(0);
    let a: Expr;
    let b: Expr;
    if (c.inMemory(1)) {
      b = c.read(1);
      a = c.read(0);
    } else {
      b = c.read(1);
      a = writes ? c.modify(0) : c.read(0);
    }
    const r = c.let(compute(c, w, a, b));
    if (writes) c.write(0, r);
    if (compares) c.compares(w, a, b);
    flags(c, w, a, b, r);
  };
}

const carryIn = (c: BodyContext, w: Width) => w.from32(c.flags.cf());

export const add = twoOperand(
  (_c, w, a, b) => w.add(a, b),
  (c, w, a, b, r) => c.flags.add(w, a, b, r),
);
export const adc = twoOperand(
  (c, w, a, b) => w.add(w.add(a, b), carryIn(c, w)),
  (c, w, a, b, r) => c.flags.add(w, a, b, r, true),
);
export const sub = twoOperand(
  (_c, w, a, b) => w.sub(a, b),
  (c, w, a, b, r) => c.flags.sub(w, a, b, r),
  true,
  true,
);
export const sbb = twoOperand(
  (c, w, a, b) => w.sub(w.sub(a, b), carryIn(c, w)),
  (c, w, a, b, r) => c.flags.sub(w, a, b, r, true),
);
export const cmp = twoOperand(
  (_c, w, a, b) => w.sub(a, b),
  (c, w, a, b, r) => c.flags.sub(w, a, b, r),
  false,
  true,
);
const logicFlags = (c: BodyContext, w: Width, _a: Expr, _b: Expr, r: Expr) => c.flags.logic(w, r);
export const and = twoOperand((_c, w, a, b) => w.and(a, b), logicFlags);
export const or = twoOperand((_c, w, a, b) => w.or(a, b), logicFlags);
export const xor = twoOperand((_c, w, a, b) => w.xor(a, b), logicFlags);
export const test = twoOperand((_c, w, a, b) => w.and(a, b), logicFlags, false, true);

const step =
  (dec: boolean): Body =>
  (c) => {
    const w = c.width(0);
    const a = c.modify(0);
    const r = c.let(dec ? w.sub(a, w.const(1)) : w.add(a, w.const(1)));
    c.write(0, r);
    c.flags.incDec(w, a, r, dec);
  };
export const inc = step(false);
export const dec = step(true);

export const not: Body = (c) => {
  const w = c.width(0);
  c.write(0, w.not(c.modify(0)));
};
export const neg: Body = (c) => {
  const w = c.width(0);
  const a = c.modify(0);
  const zero = w.const(0);
  const r = c.let(w.sub(zero, a));
  c.write(0, r);
  c.flags.sub(w, zero, a, r);
};

export const xadd: Body = (c) => {
  const w = c.width(0);
  const b = c.read(1);
  const a = c.modify(0);
  const r = c.let(w.add(a, b));
  // With equal registers the sum is what stays: the source is written first.
  if (c.inMemory(0)) {
    c.write(0, r);
    c.write(1, a);
  } else {
    c.write(1, a);
    c.write(0, r);
  }
  c.flags.add(w, a, b, r);
};

export const cmpxchg: Body = (c) => {
  const w = c.width(0);
  const source = c.read(1);
  const a = c.modify(0);
  const acc = c.let(c.gpr(0, w.bits));
  const r = c.let(w.sub(acc, a));
  c.if(
    w.eq(acc, a),
    () => c.write(0, source),
    () => {
      // The destination is written back unchanged (SDM); a register destination of 32 bits is zero-extended only on success.
      if (c.inMemory(0)) c.writeBack(a);
      c.setGpr(0, w.bits, a);
    },
  );
  c.flags.sub(w, acc, a, r);
};

/** CMPXCHG8B / CMPXCHG16B; the 16-byte form must be aligned. */
export const cmpxchgPair: Body = (c) => {
  const wide = c.osize === 64;
  const half = wide ? 8 : 4;
  const w = width(half * 8);
  const linear = c.address(half * 2, 0x300);
  if (wide) c.raiseIf(i32.and(i32.wrap(linear), 15), 13);
  const [low, high] = c.modifyPair(linear, half);
  const same = i32.and(w.eq(low, c.gpr(0, w.bits)), w.eq(high, c.gpr(2, w.bits)));
  const matched = c.let(same);
  c.if(
    matched,
    () => {
      c.writeBackPair(c.gpr(3, w.bits), c.gpr(1, w.bits));
    },
    () => {
      c.writeBackPair(low, high);
      c.setGpr(0, w.bits, low);
      c.setGpr(2, w.bits, high);
    },
  );
  const image = c.let(i32.or(i32.and(c.flags.all(), ~0x40), i32.shl(matched, 6)));
  c.flags.load(image);
};

// --- multiplication and division --------------------------------------------------------------------------

/** High half of the unsigned 64×64 product (i64 locals). */
function mulHighU(c: BodyContext, a: Expr, b: Expr): Expr {
  const mask = 0xffff_ffffn;
  const al = c.let(i64.and(a, mask));
  const ah = c.let(i64.shrU(a, 32n));
  const bl = c.let(i64.and(b, mask));
  const bh = c.let(i64.shrU(b, 32n));
  const mid = c.let(i64.add(i64.mul(ah, bl), i64.shrU(i64.mul(al, bl), 32n)));
  const mid2 = c.let(i64.add(i64.mul(al, bh), i64.and(mid, mask)));
  return c.let(i64.add(i64.add(i64.mul(ah, bh), i64.shrU(mid, 32n)), i64.shrU(mid2, 32n)));
}
function mulHighS(c: BodyContext, a: Expr, b: Expr): Expr {
  const u = mulHighU(c, a, b);
  const t = i64.sub(u, i64.and(i64.shrS(a, 63n), b));
  return c.let(i64.sub(t, i64.and(i64.shrS(b, 63n), a)));
}

/** MUL and IMUL with one operand: rDX:rAX = rAX × operand. */
const wideMultiply =
  (signed: boolean): Body =>
  (c) => {
    const w = c.width(0);
    const b = c.read(0);
    const a = c.let(c.gpr(0, w.bits));
    let low: Expr;
    let overflow: Expr;
    if (w.bits === 64) {
      low = c.let(i64.mul(a, b));
      const high = signed ? mulHighS(c, a, b) : mulHighU(c, a, b);
      c.setGpr(0, 64, low);
      c.setGpr(2, 64, high);
      overflow = signed ? i64.ne(high, i64.shrS(low, 63n)) : i64.ne(high, 0n);
    } else {
      const extend = signed ? w.sext64 : w.zext64;
      const product = c.let(i64.mul(extend(a), extend(b)));
      low = c.let(i32.wrap(product));
      if (w.bits === 8) c.setGpr(0, 16, low);
      else {
        c.setGpr(0, w.bits, low);
        c.setGpr(2, w.bits, c.let(i32.wrap(i64.shrU(product, BigInt(w.bits)))));
      }
      overflow = signed ? i64.ne(product, w.sext64(low)) : i64.ne(i64.shrU(product, BigInt(w.bits)), 0n);
    }
    // ZF is undefined: Intel's processors clear it.
    c.flags.nonzero(w, low, c.let(overflow));
  };
export const mul = wideMultiply(false);
export const imulWide = wideMultiply(true);

function imulInto(c: BodyContext, a: Expr, b: Expr): void {
  const w = c.width(0);
  let r: Expr;
  let o: Expr;
  if (w.bits === 64) {
    r = c.let(i64.mul(a, b));
    o = c.let(i64.ne(mulHighS(c, a, b), i64.shrS(r, 63n)));
  } else {
    const product = c.let(i64.mul(w.sext64(a), w.sext64(b)));
    r = c.let(i32.wrap(product));
    o = c.let(i64.ne(product, w.sext64(r)));
  }
  c.write(0, r);
  c.flags.nonzero(w, r, o);
}
/** IMUL Gv,Ev. */
export const imul: Body = (c) => {
  const b = c.read(1);
  imulInto(c, c.read(0), b);
};
/** IMUL Gv,Ev,I. */
export const imul3: Body = (c) => {
  const a = c.read(1);
  imulInto(c, a, c.read(2));
};

/** 128 by 64 division in TypeScript; the quotient was checked to fit. Results through registers. */
export function divide128(cpu: CpuCore, divisor: bigint, signed: number): void {
  const s = cpu.state;
  const d = signed ? divisor : BigInt.asUintN(64, divisor);
  if (d === 0n) throw new Fault(0);
  const high = signed ? BigInt.asIntN(64, s.reg(2)) : s.reg(2);
  const n = (high << 64n) | s.reg(0);
  const q = n / d;
  if (signed ? BigInt.asIntN(64, q) !== q : q >> 64n !== 0n) throw new Fault(0);
  s.setReg(0, BigInt.asUintN(64, q));
  s.setReg(2, BigInt.asUintN(64, n % d));
}

const divide =
  (signed: boolean): Body =>
  (c) => {
    const w = c.width(0);
    const d = c.read(0);
    if (w.bits === 64) {
      // The common case: the dividend fits 64 bits.
      const high = c.let(c.gpr(2, 64));
      const low = c.let(c.gpr(0, 64));
      const small = signed
        ? i32.and(
            i64.eq(high, i64.shrS(low, 63n)),
            i32.and(i64.ne(d, 0n), i32.or(i64.ne(d, -1n), i64.ne(low, -0x8000_0000_0000_0000n))),
          )
        : i32.and(i64.eqz(high), i64.ne(d, 0n));
      c.if(
        small,
        () => {
          c.setGpr(0, 64, signed ? i64.divS(low, d) : i64.divU(low, d));
          c.setGpr(2, 64, signed ? i64.remS(low, d) : i64.remU(low, d));
        },
        () => c.js(divide128, [d, i32.const(signed ? 1 : 0)]),
      );
      return;
    }
    const extend = signed ? w.sext64 : w.zext64;
    const divisor = c.let(extend(d));
    c.raiseIf(i64.eqz(divisor), 0);
    const bits = BigInt(w.bits);
    const dividend =
      w.bits === 8
        ? c.let(signed ? width(16).sext64(c.gpr(0, 16)) : width(16).zext64(c.gpr(0, 16)))
        : w.bits === 16
          ? c.let((signed ? width(32).sext64 : width(32).zext64)(i32.or(i32.shl(c.gpr(2, 16), 16), c.gpr(0, 16))))
          : c.let(i64.or(i64.shl(i64.extendU(c.gpr(2, 32)), bits), i64.extendU(c.gpr(0, 32))));
    if (signed && w.bits === 32) c.raiseIf(i32.and(i64.eq(divisor, -1n), i64.eq(dividend, -0x8000_0000_0000_0000n)), 0);
    const q = c.let(signed ? i64.divS(dividend, divisor) : i64.divU(dividend, divisor));
    const low = c.let(i32.wrap(q));
    c.raiseIf(i64.ne(q, extend(low)), 0);
    const r = c.let(i32.wrap(signed ? i64.remS(dividend, divisor) : i64.remU(dividend, divisor)));
    if (w.bits === 8) {
      c.setGpr(0, 16, i32.or(i32.and(low, 0xff), i32.shl(i32.and(r, 0xff), 8)));
    } else {
      c.setGpr(0, w.bits, low);
      c.setGpr(2, w.bits, r);
    }
  };
export const div = divide(false);
export const idiv = divide(true);

// --- decimal adjustment (SDM vol. 2: AAA, AAD, AAM, AAS, DAA, DAS) ------------------------------------------

/** Write AL and set SF ZF PF from it, with CF and AF given; OF = 0. */
function decimalResult(c: BodyContext, al: Expr, cf: Expr, af: Expr): void {
  const w = width(8);
  c.setGpr(0, 8, al);
  const carry = c.let(cf);
  const half = c.let(af);
  c.flags.resultCfOf(w, al, carry, i32.const(0));
  c.flags.setAux(i32.or(c.flags.aux(), i32.shl(half, 3)));
}

const daAdjust =
  (subtract: boolean): Body =>
  (c) => {
    const al = c.let(c.gpr(0, 8));
    const cf = c.let(c.flags.cf());
    const low = c.let(i32.or(i32.gtU(i32.and(al, 15), 9), c.flags.af()));
    const high = c.let(i32.or(i32.gtU(al, 0x99), cf));
    const delta = i32.or(i32.mul(low, 6), i32.mul(high, 0x60));
    const r = c.let(i32.and(subtract ? i32.sub(al, delta) : i32.add(al, delta), 0xff));
    // DAS also carries when the low adjustment borrows out of AL.
    const borrow = subtract ? i32.and(low, i32.ltU(al, 6)) : i32.const(0);
    decimalResult(c, r, i32.or(high, borrow), low);
  };
export const daa = daAdjust(false);
export const das = daAdjust(true);

const aaAdjust =
  (subtract: boolean): Body =>
  (c) => {
    const ax = c.let(c.gpr(0, 16));
    const adjust = c.let(i32.or(i32.gtU(i32.and(ax, 15), 9), c.flags.af()));
    const delta = i32.mul(adjust, 0x106);
    const sum = c.let(subtract ? i32.sub(ax, delta) : i32.add(ax, delta));
    c.setGpr(0, 16, i32.and(sum, 0xff0f));
    // SF, ZF and PF are undefined; set from AL as Intel processors do.
    c.flags.resultCfOf(width(8), c.let(i32.and(sum, 15)), adjust, i32.const(0));
    c.flags.setAux(i32.or(c.flags.aux(), i32.shl(adjust, 3)));
  };
export const aaa = aaAdjust(false);
export const aas = aaAdjust(true);

export const aam: Body = (c) => {
  const base = c.read(0);
  c.raiseIf(i32.eqz(base), 0);
  const al = c.let(c.gpr(0, 8));
  const r = c.let(i32.remU(al, base));
  c.setGpr(0, 16, i32.or(i32.shl(i32.divU(al, base), 8), r));
  c.flags.logic(width(8), r);
};
export const aad: Body = (c) => {
  const ax = c.let(c.gpr(0, 16));
  // CF, OF and AF are undefined: Intel's processors give those of the 8-bit addition.
  const al = c.let(i32.and(ax, 0xff));
  const product = c.let(i32.and(i32.mul(i32.shrU(ax, 8), c.read(0)), 0xff));
  const r = c.let(i32.and(i32.add(al, product), 0xff));
  c.setGpr(0, 16, r);
  c.flags.add(width(8), al, product, r);
};
