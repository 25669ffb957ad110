// What a semantic body is given: operands, memory, flags, stack, control flow, all as expressions and statements.
//
// A body is emitted once for every variant (operand size, register or memory form, …). Where the operands come from
// is the tier's business (tier-context.ts): the interpreter reads them from a micro-op record, a region has constants
// and locals. Rules for bodies:
//  - whatever can fault comes before any change of architectural state;
//  - a value that is needed after a store, or twice, is put in a local with `c.let`;
//  - `c.read(n)` of a memory operand that is also written is `c.modify(n)`: the page is checked for writing first.

import type { Operand, Row } from '../isa/row.js';
import * as L from '../layout.js';
import { type Expr, I32, I64, type I64Like, i32, i64, lift64, type Type, V128, v128 } from '../wasm/expr.js';
import type { FunctionBuilder } from '../wasm/function.js';
import { Flags } from './flags.js';
import { ACCESS_READ, ACCESS_STACK, ACCESS_WRITE, TierContext, type Variant } from './tier-context.js';
import { type Width, width } from './width.js';

export {
  ABORT_FAULT,
  ABORT_REDO,
  ACCESS_COPY,
  ACCESS_READ,
  ACCESS_STACK,
  ACCESS_WRITE,
  type SystemOperation,
  type Variant,
} from './tier-context.js';

/** Emits the semantics of one instruction variant. */
export type Body = (c: BodyContext) => void;

export abstract class BodyContext extends TierContext {
  readonly flags: Flags;
  private modified: { host: Expr; bytes: number } | undefined;

  constructor(f: FunctionBuilder, variant: Variant, flags?: Flags) {
    super(f, variant);
    this.flags = flags ?? new Flags(f);
  }

  // --- operands ---------------------------------------------------------------------------------------------

  get osize(): 16 | 32 | 64 {
    return this.variant.osize;
  }

  operand(n: number): Operand {
    return this.variant.row.operands[n]!;
  }

  /** Width of operand `n` in bits, in this variant. */
  bits(n: number): number {
    return operandBits(this.operand(n), this.variant);
  }

  /** Arithmetic at the width of operand `n`. */
  width(n = 0): Width {
    return width(this.bits(n));
  }

  /** True when operand `n` is in memory in this variant. */
  inMemory(n: number): boolean {
    const k = this.operand(n).kind;
    return k === 'M' || k === 'O' || (this.variant.mem && (k === 'E' || k === 'W' || k === 'Q'));
  }

  /** Linear address of the memory operand, checked for an access of `bytes` bytes. A local. */
  address(bytes: number, access: number): Expr {
    const linear = this.f.local(I64);
    const offset = this.let(this.rawOffset());
    this.f.if(
      this.isSegmented(),
      () => {
        this.f.set(linear, this.segmentedAddress(offset, bytes | access));
        if (this.segmentsFault) this.checkAbort();
      },
      () => this.f.set(linear, i64.and(offset, this.addressMask())),
    );
    return linear;
  }

  /** As `address`, with `restore` emitted on the way out when the address itself faults. */
  addressRestoring(bytes: number, access: number, restore: () => void): Expr {
    const linear = this.f.local(I64);
    const offset = this.let(this.rawOffset());
    this.f.if(
      this.isSegmented(),
      () => {
        this.f.set(linear, this.segmentedAddress(offset, bytes | access));
        this.f.if(i32.load(L.ABORT), () => {
          restore();
          this.abort();
        });
      },
      () => this.f.set(linear, i64.and(offset, this.addressMask())),
    );
    return linear;
  }

  /**
   * Linear address of an implicit operand (string source, XLAT, MASKMOV): `offset` truncated to the address size, in
   * the record's segment. Destinations of string instructions use `fixedSegment`.
   */
  implicitAddress(_defaultSegment: number, offset: Expr, bytes: number, access: number): Expr {
    const linear = this.f.local(I64);
    const off = this.let(offset);
    this.f.if(
      this.isSegmented(),
      () => {
        this.f.set(linear, this.segmentedAddress(off, bytes | access));
        if (this.segmentsFault) this.checkAbort();
      },
      () => this.f.set(linear, i64.and(off, this.addressMask())),
    );
    return linear;
  }

  /** Read `bits` bits at a stack offset (i64), which is truncated to the stack's width. */
  stackRead(offset: Expr, bits: number): Expr {
    const sp = this.let(i64.and(offset, this.stackMask()));
    return this.load(this.stackAddress(sp, bits / 8, ACCESS_READ), bits / 8, ACCESS_STACK);
  }
  stackWrite(offset: Expr, value: Expr, bits: number): void {
    const v = this.let(value);
    const sp = this.let(i64.and(offset, this.stackMask()));
    this.store(this.stackAddress(sp, bits / 8, ACCESS_WRITE), bits / 8, v, ACCESS_STACK);
  }
  /** Check that `bytes` bytes could be written at a stack offset. */
  stackProbe(offset: Expr, bytes: number): void {
    const sp = this.let(i64.and(offset, this.stackMask()));
    this.let(this.hostForWrite(this.stackAddress(sp, bytes, ACCESS_WRITE), bytes));
  }

  /** The same at a displacement from the operand's address (bit strings, second halves). `extra` is an i64. */
  addressPlus(extra: Expr, bytes: number, access: number): Expr {
    const linear = this.f.local(I64);
    const offset = this.let(i64.add(this.rawOffset(), extra));
    this.f.if(
      this.isSegmented(),
      () => {
        this.f.set(linear, this.segmentedAddress(offset, bytes | access));
        if (this.segmentsFault) this.checkAbort();
      },
      () => this.f.set(linear, i64.and(offset, this.addressMask())),
    );
    return linear;
  }

  /** Value of operand `n` in a local: i32 (zero-extended) up to 32 bits, i64, or v128. Vector registers of less than 128 bits give their low part. */
  read(n: number): Expr {
    const o = this.operand(n);
    const bits = this.bits(n);
    switch (o.kind) {
      case 'G':
      case 'Z':
      case 'R':
        return this.let(this.readRegister(o.kind === 'R' ? 'rm' : 'reg', bits));
      case 'E':
        if (this.variant.mem) return this.load(this.address(bits / 8, ACCESS_READ), bits / 8);
        return this.let(this.readRegister('rm', bits));
      case 'M':
      case 'O':
        return this.load(this.address(bits / 8, ACCESS_READ), bits / 8);
      case 'I':
      case 'sI':
      case 'J':
        if (bits === 64)
          return o.text === 'Iq' || o.text === 'Iv' ? this.imm64OrExtended(o) : this.let(i64.extendS(this.imm()));
        return this.let(this.imm());
      case 'S':
      case 'C':
      case 'D':
        return this.let(this.registerField('reg'));
      case 'fixed':
        if (o.fixed < 0) return i32.const(1);
        return this.let(this.gpr(o.fixed, bits));
      case 'V':
      case 'P':
        return this.let(this.readVector('reg', o, bits));
      case 'U':
      case 'N':
        return this.let(this.readVector('rm', o, bits));
      case 'W':
      case 'Q':
        if (!this.variant.mem) return this.let(this.readVector('rm', o, bits));
        return this.load(this.vectorAddressOf(bits, ACCESS_READ), bits / 8);
      default:
        throw new Error(`operand ${o.text} of ${this.variant.row.mnemonic} has no value`);
    }
  }

  private imm64OrExtended(o: Operand): Expr {
    return this.let(o.text === 'Iq' ? this.imm64() : i64.extendS(this.imm()));
  }

  protected readRegister(field: 'reg' | 'rm', bits: number): Expr {
    const at = this.registerField(field);
    if (bits === 8) return i32.load8U(at, L.REGS);
    if (bits === 16) return i32.load16U(at, L.REGS);
    if (bits === 32) return i32.load(at, L.REGS);
    return i64.load(at, L.REGS);
  }

  protected writeRegister(field: 'reg' | 'rm', bits: number, value: Expr): void {
    const at = this.registerField(field);
    if (bits === 8) this.f.store8(at, value, L.REGS);
    else if (bits === 16) this.f.store16(at, value, L.REGS);
    else if (bits === 32) this.f.store64(at, value.type === I64 ? value : i64.extendU(value), L.REGS);
    else this.f.store64(at, value, L.REGS);
  }

  /** Address in linear memory of a vector operand's register (xmm or mmx): i32. */
  vectorRegister(n: number): Expr {
    const o = this.operand(n);
    const field = o.kind === 'V' || o.kind === 'P' ? 'reg' : 'rm';
    const base = o.kind === 'P' || o.kind === 'N' || o.kind === 'Q' ? L.FPU_REGS : L.XMM;
    return i32.add(this.registerField(field), base);
  }

  private readVector(field: 'reg' | 'rm', o: Operand, bits: number): Expr {
    const base = o.kind === 'P' || o.kind === 'N' || o.kind === 'Q' ? L.FPU_REGS : L.XMM;
    const at = this.registerField(field);
    if (bits === 128) return v128.load(at, base);
    if (bits === 64) return i64.load(at, base);
    if (bits === 32) return i32.load(at, base);
    if (bits === 16) return i32.load16U(at, base);
    return i32.load8U(at, base);
  }

  /** Address of a vector memory operand, #GP when it must be aligned and is not. */
  private vectorAddressOf(bits: number, access: number): Expr {
    const linear = this.address(bits / 8, access);
    if (bits === 128 && this.variant.row.options.aligned)
      this.f.if(i32.and(i32.wrap(linear), 15), () => this.raise(13, 0));
    return linear;
  }

  /** As `read`, for an operand that `write(n)` will store back: a memory page is checked for writing first. */
  modify(n: number): Expr {
    if (!this.inMemory(n)) return this.read(n);
    const bytes = this.bits(n) / 8;
    const linear = this.address(bytes, ACCESS_READ | ACCESS_WRITE);
    return this.modifyAt(linear, bytes);
  }

  /** Read-modify-write at a linear address; `writeBack` stores. */
  modifyAt(linear: Expr, bytes: number): Expr {
    const host = this.let(this.hostForWrite(linear, bytes));
    this.modified = { host, bytes };
    const value =
      bytes === 1 ? i32.load8U(host) : bytes === 2 ? i32.load16U(host) : bytes === 4 ? i32.load(host) : i64.load(host);
    return this.let(value);
  }

  /** Read-modify-write of two values of `half` bytes (4 or 8) side by side; `writeBackPair` stores them. */
  modifyPair(linear: Expr, half: 4 | 8): [Expr, Expr] {
    const host = this.let(this.hostForWrite(linear, half * 2));
    this.modified = { host, bytes: half * 2 };
    const at = (offset: number) => this.let(half === 8 ? i64.load(host, offset) : i32.load(host, offset));
    return [at(0), at(half)];
  }
  writeBackPair(low: Expr, high: Expr): void {
    const { host, bytes } = this.modified!;
    for (const [value, offset] of [[low, 0] as const, [high, bytes / 2] as const]) {
      if (bytes === 16) this.f.store64(host, value, offset);
      else this.f.store32(host, value, offset);
    }
    this.commitModified(host);
  }

  /** Store the result of `modifyAt`. */
  writeBack(value: Expr): void {
    const m = this.modified!;
    if (m.bytes === 1) this.f.store8(m.host, value);
    else if (m.bytes === 2) this.f.store16(m.host, value);
    else if (m.bytes === 4) this.f.store32(m.host, value);
    else this.f.store64(m.host, value);
    this.commitModified(m.host);
  }

  /** Write operand `n`. 32-bit general registers clear their upper half; 8- and 16-bit ones keep it. xmm: writes the given bits only. */
  write(n: number, value: Expr): void {
    const o = this.operand(n);
    const bits = this.bits(n);
    switch (o.kind) {
      case 'G':
      case 'Z':
        this.writeRegister('reg', bits, value);
        return;
      case 'R':
        this.writeRegister('rm', bits, value);
        return;
      case 'E':
      case 'M':
      case 'O':
        if (!this.inMemory(n)) this.writeRegister('rm', bits, value);
        else if (this.modified !== undefined) this.writeBack(value);
        else {
          const v = this.let(value);
          this.store(this.address(bits / 8, ACCESS_WRITE), bits / 8, v);
        }
        return;
      case 'fixed':
        this.setGpr(o.fixed, bits, value);
        return;
      case 'V':
      case 'U':
      case 'P':
      case 'N':
        this.writeVector(n, bits, value);
        return;
      case 'W':
      case 'Q':
        if (!this.variant.mem) this.writeVector(n, bits, value);
        else {
          const v = this.let(value);
          this.store(this.vectorAddressOf(bits, ACCESS_WRITE), bits / 8, v);
        }
        return;
      default:
        throw new Error(`operand ${o.text} of ${this.variant.row.mnemonic} cannot be written`);
    }
  }

  private writeVector(n: number, bits: number, value: Expr): void {
    const at = this.vectorRegister(n);
    if (bits === 128) this.f.storeV(at, value);
    else if (bits === 64) this.f.store64(at, value);
    else if (bits === 32) this.f.store32(at, value);
    else throw new Error(`vector operand of ${bits} bits in ${this.variant.row.mnemonic}`);
  }

  // --- stack ------------------------------------------------------------------------------------------------

  /** RSP with its low `STACK_MASK` bits replaced. */
  setStackPointer(sp: Expr): void {
    this.setGpr(4, 64, this.withStackPointer(sp));
  }
  /** What `setStackPointer` would make of RSP: i64. */
  withStackPointer(sp: Expr): Expr {
    const mask = this.stackMask();
    return i64.or(i64.and(this.gpr(4, 64), i64.xor(mask, -1n)), i64.and(sp, mask));
  }
  /** RSP truncated to the stack's width: i64. */
  stackPointer(): Expr {
    return i64.and(this.gpr(4, 64), this.stackMask());
  }

  /** Push a value of `bits` bits (i32 or i64 accordingly). */
  push(value: Expr, bits: number): void {
    const v = this.let(value);
    const sp = this.let(i64.and(i64.sub(this.gpr(4, 64), BigInt(bits / 8)), this.stackMask()));
    this.store(this.stackAddress(sp, bits / 8, ACCESS_WRITE), bits / 8, v, ACCESS_STACK);
    this.setStackPointer(sp);
  }

  /** Read `bits` bits at the stack pointer plus `displacement` bytes without moving it. */
  peek(bits: number, displacement = 0): Expr {
    const sp = this.let(i64.and(i64.add(this.gpr(4, 64), BigInt(displacement)), this.stackMask()));
    return this.load(this.stackAddress(sp, bits / 8, ACCESS_READ), bits / 8, ACCESS_STACK);
  }

  /** Write at the stack pointer plus `displacement` without moving it. */
  poke(value: Expr, bits: number, displacement: number): void {
    const v = this.let(value);
    const sp = this.let(i64.and(i64.add(this.gpr(4, 64), BigInt(displacement)), this.stackMask()));
    this.store(this.stackAddress(sp, bits / 8, ACCESS_WRITE), bits / 8, v, ACCESS_STACK);
  }

  /** Linear address for `bytes` bytes at stack offset `sp` (already masked). */
  private stackAddress(sp: Expr, bytes: number, access: number): Expr {
    const linear = this.f.local(I64);
    this.f.if(
      this.stackChecked(),
      () => {
        this.f.set(linear, this.stackSegmented(sp, bytes | access | ACCESS_STACK));
        this.checkAbort();
      },
      () => this.f.set(linear, sp),
    );
    return linear;
  }
  /** Move the stack pointer. */
  addToStackPointer(bytes: I64Like): void {
    this.setStackPointer(i64.add(this.gpr(4, 64), lift64(bytes)));
  }

  protected typeOf(bytes: number): Type {
    return bytes === 16 ? V128 : bytes === 8 ? I64 : I32;
  }
}

/** Width of an operand in bits under a variant's sizes. */
export function operandBits(o: Operand, v: { osize: number; mem?: boolean; asize?: number; row?: Row }): number {
  switch (o.size) {
    case 'b':
      return o.kind === 'sI' || o.kind === 'I' || o.kind === 'J' ? (o.kind === 'sI' ? v.osize : 8) : 8;
    case 'w':
      return 16;
    case 'd':
    case 'ss':
      return 32;
    case 'q':
      return o.kind === 'I' ? v.osize : 64;
    case 'sd':
      return 64;
    case 'v':
      return v.osize;
    case 'z':
      return o.kind === 'I' || o.kind === 'J' ? v.osize : Math.min(v.osize, 32);
    case 'y':
      return v.osize === 64 ? 64 : 32;
    case 'dq':
    case 'ps':
    case 'pd':
    case 'x':
      return 128;
    case 't':
      return 80;
    default:
      return v.osize;
  }
}
