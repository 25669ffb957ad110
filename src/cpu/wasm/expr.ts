// Typed expression trees of WebAssembly (core specification 1.0, 5.4, and the SIMD proposal's 0xfd space).
//
// A semantic body combines expressions; constants fold, so the same body yields general code when its operands
// are fields of a micro-op record and specialised code when they are constants. An expression is evaluated where
// it is written out, and once for each place it appears: what must be evaluated once, or before a later store, is
// put in a local first (FunctionBuilder.let). Nothing here knows x86.

import type { Bytes } from './bytes.js';

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export type Type = typeof I32 | typeof I64 | typeof F32 | typeof F64 | typeof V128;

export interface Expr {
  readonly type: Type;
  /** Value when the expression is a constant. */
  readonly value?: number | bigint | undefined;
  write(out: Bytes): void;
}
/** What builders accept where an i32 or f64 is wanted. */
export type I32Like = Expr | number;
export type I64Like = Expr | bigint | number;

class Const implements Expr {
  constructor(
    readonly type: Type,
    readonly value: number | bigint,
  ) {}
  write(out: Bytes): void {
    if (this.type === I32) out.u8(0x41).sleb32(Number(this.value));
    else out.u8(0x42).sleb64(BigInt(this.value));
  }
}

class FloatConst implements Expr {
  constructor(
    readonly type: Type,
    private readonly bits: Uint8Array,
  ) {}
  write(out: Bytes): void {
    out.u8(this.type === F32 ? 0x43 : 0x44).raw(this.bits);
  }
}

class V128Const implements Expr {
  readonly type = V128;
  constructor(private readonly bits: Uint8Array) {}
  write(out: Bytes): void {
    out.u8(0xfd).uleb(12).raw(this.bits);
  }
}

export class LocalGet implements Expr {
  constructor(
    readonly type: Type,
    readonly index: number,
  ) {}
  write(out: Bytes): void {
    out.u8(0x20).uleb(this.index);
  }
}

class Op implements Expr {
  constructor(
    readonly type: Type,
    private readonly code: number,
    private readonly args: readonly Expr[],
  ) {}
  write(out: Bytes): void {
    for (const a of this.args) a.write(out);
    out.u8(this.code);
  }
}

/** Prefixed instruction: 0xfc (saturating truncation) or 0xfd (SIMD), with trailing immediate bytes. */
class PrefixedOp implements Expr {
  constructor(
    readonly type: Type,
    private readonly prefix: number,
    private readonly code: number,
    private readonly args: readonly Expr[],
    private readonly immediates: readonly number[] = [],
  ) {}
  write(out: Bytes): void {
    for (const a of this.args) a.write(out);
    out.u8(this.prefix).uleb(this.code).raw(this.immediates);
  }
}

class Load implements Expr {
  constructor(
    readonly type: Type,
    private readonly code: number,
    private readonly align: number,
    private readonly address: Expr,
    private readonly offset: number,
  ) {}
  write(out: Bytes): void {
    this.address.write(out);
    if (this.code >= 0x100) out.u8(0xfd).uleb(this.code - 0x100);
    else out.u8(this.code);
    out.uleb(this.align).uleb(this.offset);
  }
}

/** What a call names: an imported function (its index is final) or one of the module's own (relocated). */
export interface Callee {
  readonly imported: boolean;
  readonly index: number;
}

export function writeCall(out: Bytes, callee: Callee, args: readonly Expr[]): void {
  for (const a of args) a.write(out);
  out.u8(0x10);
  if (callee.imported) out.uleb(callee.index);
  else out.functionIndex(callee.index);
}

class Call implements Expr {
  constructor(
    readonly type: Type,
    private readonly callee: Callee,
    private readonly args: readonly Expr[],
  ) {}
  write(out: Bytes): void {
    writeCall(out, this.callee, this.args);
  }
}

class Select implements Expr {
  constructor(
    readonly type: Type,
    private readonly yes: Expr,
    private readonly no: Expr,
    private readonly condition: Expr,
  ) {}
  write(out: Bytes): void {
    this.yes.write(out);
    this.no.write(out);
    this.condition.write(out);
    if (this.type === V128) out.u8(0x1c).u8(1).u8(V128);
    else out.u8(0x1b);
  }
}

export const lift32 = (v: I32Like): Expr => (typeof v === 'number' ? new Const(I32, v | 0) : v);
export const lift64 = (v: I64Like): Expr =>
  typeof v === 'bigint' || typeof v === 'number' ? new Const(I64, BigInt.asIntN(64, BigInt(v))) : v;

/** `condition ? yes : no`, both sides evaluated. */
export const select = (condition: I32Like, yes: Expr, no: Expr): Expr => {
  const c = lift32(condition);
  if (c.value !== undefined) return c.value ? yes : no;
  return new Select(yes.type, yes, no, c);
};

/** Call of a function that has a result, as an expression. */
export const call = (type: Type, callee: Callee, args: readonly Expr[]): Expr => new Call(type, callee, args);

type Fold32 = (a: number, b: number) => number;
const bin32 =
  (code: number, fold: Fold32, identity?: number) =>
  (x: I32Like, y: I32Like): Expr => {
    const a = lift32(x);
    const b = lift32(y);
    if (a.value !== undefined && b.value !== undefined)
      return new Const(I32, fold(Number(a.value), Number(b.value)) | 0);
    if (identity !== undefined && b.value === identity) return a;
    return new Op(I32, code, [a, b]);
  };
type Fold64 = (a: bigint, b: bigint) => bigint;
const bin64 =
  (code: number, fold: Fold64, identity?: bigint) =>
  (x: I64Like, y: I64Like): Expr => {
    const a = lift64(x);
    const b = lift64(y);
    if (a.value !== undefined && b.value !== undefined)
      return new Const(I64, BigInt.asIntN(64, fold(BigInt(a.value), BigInt(b.value))));
    if (identity !== undefined && b.value === identity) return a;
    return new Op(I64, code, [a, b]);
  };
const cmp64 =
  (code: number) =>
  (x: I64Like, y: I64Like): Expr =>
    new Op(I32, code, [lift64(x), lift64(y)]);
const un =
  (type: Type, code: number) =>
  (x: Expr): Expr =>
    new Op(type, code, [x]);
const u = (v: number) => v >>> 0;
const load =
  (type: Type, code: number, align: number) =>
  (address: I32Like, offset = 0): Expr => {
    const a = lift32(address);
    // Constant addresses live in the offset, where they are free.
    if (a.value !== undefined) return new Load(type, code, align, new Const(I32, 0), (Number(a.value) + offset) >>> 0);
    return new Load(type, code, align, a, offset);
  };

/** Operations on i32. Counts of shifts are taken mod 32, as wasm does. */
export const i32 = {
  type: I32 as Type,
  const: (v: number): Expr => new Const(I32, v | 0),
  add: bin32(0x6a, (a, b) => a + b, 0),
  sub: bin32(0x6b, (a, b) => a - b, 0),
  mul: bin32(0x6c, Math.imul),
  divS: bin32(0x6d, (a, b) => (b === 0 ? 0 : a / b)),
  divU: bin32(0x6e, (a, b) => (u(b) === 0 ? 0 : u(a) / u(b))),
  remS: bin32(0x6f, (a, b) => (b === 0 ? 0 : a % b)),
  remU: bin32(0x70, (a, b) => (u(b) === 0 ? 0 : u(a) % u(b))),
  and: bin32(0x71, (a, b) => a & b, -1),
  or: bin32(0x72, (a, b) => a | b, 0),
  xor: bin32(0x73, (a, b) => a ^ b, 0),
  shl: bin32(0x74, (a, b) => a << b, 0),
  shrS: bin32(0x75, (a, b) => a >> b, 0),
  shrU: bin32(0x76, (a, b) => a >>> b, 0),
  rotl: bin32(0x77, (a, b) => (a << (b & 31)) | (a >>> (-b & 31)), 0),
  rotr: bin32(0x78, (a, b) => (a >>> (b & 31)) | (a << (-b & 31)), 0),
  eq: bin32(0x46, (a, b) => +(a === b)),
  ne: bin32(0x47, (a, b) => +(a !== b)),
  ltS: bin32(0x48, (a, b) => +(a < b)),
  ltU: bin32(0x49, (a, b) => +(u(a) < u(b))),
  gtS: bin32(0x4a, (a, b) => +(a > b)),
  gtU: bin32(0x4b, (a, b) => +(u(a) > u(b))),
  leS: bin32(0x4c, (a, b) => +(a <= b)),
  leU: bin32(0x4d, (a, b) => +(u(a) <= u(b))),
  geS: bin32(0x4e, (a, b) => +(a >= b)),
  geU: bin32(0x4f, (a, b) => +(u(a) >= u(b))),
  eqz: (x: I32Like): Expr => {
    const a = lift32(x);
    return a.value !== undefined ? new Const(I32, a.value ? 0 : 1) : new Op(I32, 0x45, [a]);
  },
  clz: un(I32, 0x67),
  ctz: un(I32, 0x68),
  popcnt: un(I32, 0x69),
  wrap: (x: Expr): Expr =>
    x.value !== undefined ? new Const(I32, Number(BigInt.asIntN(32, BigInt(x.value)))) : new Op(I32, 0xa7, [x]),
  extend8: un(I32, 0xc0),
  extend16: un(I32, 0xc1),
  reinterpretF32: un(I32, 0xbc),
  truncSatF64S: (x: Expr): Expr => new PrefixedOp(I32, 0xfc, 2, [x]),
  truncSatF32S: (x: Expr): Expr => new PrefixedOp(I32, 0xfc, 0, [x]),
  load: load(I32, 0x28, 0),
  load8U: load(I32, 0x2d, 0),
  load8S: load(I32, 0x2c, 0),
  load16U: load(I32, 0x2f, 0),
  load16S: load(I32, 0x2e, 0),
};

/** Operations on i64. */
export const i64 = {
  type: I64 as Type,
  const: (v: bigint | number): Expr => lift64(v),
  add: bin64(0x7c, (a, b) => a + b, 0n),
  sub: bin64(0x7d, (a, b) => a - b, 0n),
  mul: bin64(0x7e, (a, b) => a * b),
  divS: (x: I64Like, y: I64Like): Expr => new Op(I64, 0x7f, [lift64(x), lift64(y)]),
  divU: (x: I64Like, y: I64Like): Expr => new Op(I64, 0x80, [lift64(x), lift64(y)]),
  remS: (x: I64Like, y: I64Like): Expr => new Op(I64, 0x81, [lift64(x), lift64(y)]),
  remU: (x: I64Like, y: I64Like): Expr => new Op(I64, 0x82, [lift64(x), lift64(y)]),
  and: bin64(0x83, (a, b) => a & b, -1n),
  or: bin64(0x84, (a, b) => a | b, 0n),
  xor: bin64(0x85, (a, b) => a ^ b, 0n),
  shl: bin64(0x86, (a, b) => a << (b & 63n), 0n),
  shrS: bin64(0x87, (a, b) => a >> (b & 63n), 0n),
  shrU: bin64(0x88, (a, b) => BigInt.asUintN(64, a) >> (b & 63n), 0n),
  rotl: (x: I64Like, y: I64Like): Expr => new Op(I64, 0x89, [lift64(x), lift64(y)]),
  rotr: (x: I64Like, y: I64Like): Expr => new Op(I64, 0x8a, [lift64(x), lift64(y)]),
  eqz: un(I32, 0x50),
  eq: cmp64(0x51),
  ne: cmp64(0x52),
  ltS: cmp64(0x53),
  ltU: cmp64(0x54),
  gtS: cmp64(0x55),
  gtU: cmp64(0x56),
  leS: cmp64(0x57),
  leU: cmp64(0x58),
  geS: cmp64(0x59),
  geU: cmp64(0x5a),
  clz: un(I64, 0x79),
  ctz: un(I64, 0x7a),
  popcnt: un(I64, 0x7b),
  extendS: (x: I32Like): Expr => {
    const a = lift32(x);
    return a.value !== undefined ? lift64(BigInt(Number(a.value) | 0)) : new Op(I64, 0xac, [a]);
  },
  extendU: (x: I32Like): Expr => {
    const a = lift32(x);
    return a.value !== undefined ? lift64(BigInt(u(Number(a.value)))) : new Op(I64, 0xad, [a]);
  },
  extend8: un(I64, 0xc2),
  extend16: un(I64, 0xc3),
  extend32: un(I64, 0xc4),
  reinterpretF64: un(I64, 0xbd),
  truncSatF64S: (x: Expr): Expr => new PrefixedOp(I64, 0xfc, 6, [x]),
  truncSatF32S: (x: Expr): Expr => new PrefixedOp(I64, 0xfc, 4, [x]),
  load: load(I64, 0x29, 0),
  load8U: load(I64, 0x31, 0),
  load8S: load(I64, 0x30, 0),
  load16U: load(I64, 0x33, 0),
  load16S: load(I64, 0x32, 0),
  load32U: load(I64, 0x35, 0),
  load32S: load(I64, 0x34, 0),
};

const fop =
  (type: Type, code: number) =>
  (a: Expr, b: Expr): Expr =>
    new Op(type, code, [a, b]);
const float = (type: Type, base: { arith: number; cmp: number; unary: number }) => ({
  type,
  eq: fop(I32, base.cmp),
  ne: fop(I32, base.cmp + 1),
  lt: fop(I32, base.cmp + 2),
  gt: fop(I32, base.cmp + 3),
  le: fop(I32, base.cmp + 4),
  ge: fop(I32, base.cmp + 5),
  abs: un(type, base.unary),
  neg: un(type, base.unary + 1),
  ceil: un(type, base.unary + 2),
  floor: un(type, base.unary + 3),
  trunc: un(type, base.unary + 4),
  nearest: un(type, base.unary + 5),
  sqrt: un(type, base.unary + 6),
  add: fop(type, base.arith),
  sub: fop(type, base.arith + 1),
  mul: fop(type, base.arith + 2),
  div: fop(type, base.arith + 3),
});
/** Operations on f32. A NaN result has unspecified bits: semantic bodies must never let one reach the guest. */
export const f32 = {
  ...float(F32, { arith: 0x92, cmp: 0x5b, unary: 0x8b }),
  const: (v: number): Expr => new FloatConst(F32, new Uint8Array(new Float32Array([v]).buffer)),
  convertI32S: un(F32, 0xb2),
  convertI64S: un(F32, 0xb4),
  demote: un(F32, 0xb6),
  reinterpretI32: un(F32, 0xbe),
  load: load(F32, 0x2a, 0),
};
/** Operations on f64; the same caution. */
export const f64 = {
  ...float(F64, { arith: 0xa0, cmp: 0x61, unary: 0x99 }),
  const: (v: number): Expr => new FloatConst(F64, new Uint8Array(new Float64Array([v]).buffer)),
  convertI32S: un(F64, 0xb7),
  convertI64S: un(F64, 0xb9),
  promote: un(F64, 0xbb),
  reinterpretI64: un(F64, 0xbf),
  load: load(F64, 0x2b, 0),
};

/** SIMD by opcode number in the 0xfd space (SIMD proposal, BinarySIMD.md); bodies name the few they need. */
export const v128 = {
  type: V128 as Type,
  const: (bits: Uint8Array): Expr => new V128Const(bits),
  zero: (): Expr => new V128Const(new Uint8Array(16)),
  op: (code: number, ...args: Expr[]): Expr => new PrefixedOp(V128, 0xfd, code, args),
  /** An operation whose result is i32 (any_true, all_true, bitmask) or another scalar type. */
  to: (type: Type, code: number, ...args: Expr[]): Expr => new PrefixedOp(type, 0xfd, code, args),
  /** An operation with a lane immediate (extract, replace). */
  lane: (type: Type, code: number, lane: number, ...args: Expr[]): Expr =>
    new PrefixedOp(type, 0xfd, code, args, [lane]),
  /** i8x16.shuffle with 16 lane indices, 0–31. */
  shuffle: (a: Expr, b: Expr, lanes: readonly number[]): Expr => new PrefixedOp(V128, 0xfd, 13, [a, b], lanes),
  load: load(V128, 0x100, 0),
  /** Load 32 or 64 bits into the low lane, the rest zero. */
  load32Zero: load(V128, 0x100 + 92, 0),
  load64Zero: load(V128, 0x100 + 93, 0),
};
