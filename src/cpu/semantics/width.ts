// Arithmetic by operand width, so that a semantic body is written once for 8, 16, 32 and 64 bits.
//
// Values of 8 and 16 bits travel as i32 whose upper bits are zero when read; a result may carry garbage above its
// width (stores and flags ignore it) until `mask` clears it. 64-bit values are i64.

import { type Expr, I32, I64, i32, i64, type Type } from '../wasm/expr.js';

export type Bits = 8 | 16 | 32 | 64;

type Binary = (a: Expr, b: Expr) => Expr;

export interface Width {
  readonly bits: Bits;
  readonly type: Type;
  readonly bytes: number;
  const(v: bigint | number): Expr;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly and: Binary;
  readonly or: Binary;
  readonly xor: Binary;
  readonly shl: Binary;
  /** Logical right shift; the operand must be masked. */
  readonly shrU: Binary;
  readonly not: (a: Expr) => Expr;
  /** Clear what lies above the width. */
  readonly mask: (a: Expr) => Expr;
  /** Sign-extend within the carrier type. */
  readonly sext: (a: Expr) => Expr;
  /** Sign- or zero-extend to i64. */
  readonly sext64: (a: Expr) => Expr;
  readonly zext64: (a: Expr) => Expr;
  /** From an i64, the low bits (garbage above the width allowed). */
  readonly from64: (a: Expr) => Expr;
  /** From an i32 (zero-extended). */
  readonly from32: (a: Expr) => Expr;
  /** The low 32 bits as i32. */
  readonly low32: (a: Expr) => Expr;
  readonly eqz: (a: Expr) => Expr;
  readonly eq: Binary;
  /** i32 0/1: the sign bit. */
  readonly sign: (a: Expr) => Expr;
}

function narrow(bits: 8 | 16 | 32): Width {
  const all = bits === 32 ? -1 : (1 << bits) - 1;
  const sext = bits === 8 ? i32.extend8 : bits === 16 ? i32.extend16 : (a: Expr) => a;
  const mask = (a: Expr) => (bits === 32 ? a : i32.and(a, all));
  return {
    bits,
    type: I32,
    bytes: bits / 8,
    const: (v) => i32.const(Number(BigInt.asIntN(32, BigInt(v)))),
    add: i32.add,
    sub: i32.sub,
    mul: i32.mul,
    and: i32.and,
    or: i32.or,
    xor: i32.xor,
    shl: i32.shl,
    shrU: i32.shrU,
    not: (a) => i32.xor(a, -1),
    mask,
    sext,
    sext64: (a) => i64.extendS(sext(a)),
    zext64: (a) => i64.extendU(mask(a)),
    from64: i32.wrap,
    from32: (a) => a,
    low32: (a) => a,
    eqz: (a) => i32.eqz(mask(a)),
    eq: (a, b) => i32.eq(a, b),
    sign: (a) => (bits === 32 ? i32.shrU(a, 31) : i32.and(i32.shrU(a, bits - 1), 1)),
  };
}

const W64: Width = {
  bits: 64,
  type: I64,
  bytes: 8,
  const: (v) => i64.const(v),
  add: i64.add,
  sub: i64.sub,
  mul: i64.mul,
  and: i64.and,
  or: i64.or,
  xor: i64.xor,
  shl: i64.shl,
  shrU: i64.shrU,
  not: (a) => i64.xor(a, -1n),
  mask: (a) => a,
  sext: (a) => a,
  sext64: (a) => a,
  zext64: (a) => a,
  from64: (a) => a,
  from32: i64.extendU,
  low32: i32.wrap,
  eqz: i64.eqz,
  eq: i64.eq,
  sign: (a) => i32.wrap(i64.shrU(a, 63)),
};

const WIDTHS: Record<Bits, Width> = { 8: narrow(8), 16: narrow(16), 32: narrow(32), 64: W64 };

/** The arithmetic of a width. */
export const width = (bits: number): Width => WIDTHS[bits as Bits];
