// What an execution tier gives to semantic bodies: fields of the instruction, registers, memory, control flow and calls
// of TypeScript. The interpreter's context reads a micro-op record (interp/context.ts), a region's knows it beforehand
// (jit/region-context.ts). BodyContext builds operands, stack and flags on it, and knows no tier.

import type { CpuCore } from '../core.js';
import { type CoverageFunction, compareStrings } from '../coverage/notes.js';
import type { Row } from '../isa/row.js';
import * as L from '../layout.js';
import { type Expr, type I32Like, i32, i64, type Type } from '../wasm/expr.js';
import type { FunctionBuilder, Label } from '../wasm/function.js';
import type { Width } from './width.js';

/** A rare operation in TypeScript. i32 operands arrive as signed numbers, i64 ones as signed bigints. */
// biome-ignore lint/suspicious/noExplicitAny: operands differ by operation; the row's body gives the right ones
export type SystemOperation = (cpu: CpuCore, ...operands: any[]) => unknown;

/** One way a row is executed. */
export interface Variant {
  readonly row: Row;
  readonly osize: 16 | 32 | 64;
  readonly mem: boolean;
  /** 0 none, 1 F3 (REP, REPE), 2 F2 (REPNE). */
  readonly rep: 0 | 1 | 2;
  readonly asize: 16 | 32 | 64;
  /** Branch target in the same page: linked block to block. */
  readonly near: boolean;
}

/** Kinds of access, as the slow paths take them: bytes | READ/WRITE | STACK. */
export const ACCESS_READ = 0x100;
export const ACCESS_WRITE = 0x200;
export const ACCESS_STACK = 0x400;
/** The load of a string copy: its value only goes to the store that follows, so it need not be observed. */
export const ACCESS_COPY = 0x800;

/** ABORT values: a fault to raise, or "execute this instruction alone" (device access, self-modification). */
export const ABORT_FAULT = 1;
export const ABORT_REDO = 2;

export abstract class TierContext {
  constructor(
    readonly f: FunctionBuilder,
    readonly variant: Variant,
  ) {}

  // --- what a tier provides ---------------------------------------------------------------------------------

  /** Byte offset of the register operand in a field of the record, as an expression. */
  protected abstract registerField(field: 'reg' | 'rm'): Expr;
  /** The 32-bit immediate, extended by the decoder to the operand size. */
  abstract imm(): Expr;
  /** The 64-bit immediate (MOV r64, imm64; far pointers as offset | selector << 32). */
  abstract imm64(): Expr;
  /** Effective offset of the memory operand: i64 before truncation to the address size. */
  protected abstract rawOffset(): Expr;
  /** i32, nonzero when the address takes the segmented path. */
  protected abstract isSegmented(): Expr;
  /** i64: linear address by the segmented path; may set ABORT. */
  protected abstract segmentedAddress(offset: Expr, access: number): Expr;
  /** i64: offset truncated to the address size, without a segment (LEA). */
  abstract effectiveOffset(): Expr;
  /** Load/store through the TLB at a linear address (an i64 local); may leave the instruction. */
  abstract load(linear: Expr, bytes: number, access?: number): Expr;
  abstract store(linear: Expr, bytes: number, value: Expr, access?: number): void;
  /** Address in linear memory where `bytes` bytes can be read and then written; storeModified commits. */
  protected abstract hostForWrite(linear: Expr, bytes: number): Expr;
  protected abstract commitModified(host: Expr): void;
  /**
   * i32: of a run of stores upwards in a page that not all is known of, items that are accounted for and may be stored;
   * 0 where the first is to be stored by itself.
   */
  abstract trackedFill(linear: Expr, bytes: number, items: Expr): Expr;
  /** Leave the instruction when ABORT is set. */
  abstract checkAbort(): void;
  /** Leave the instruction at once. */
  abstract abort(): void;
  /** i32: address of the micro-op record, for TypeScript operations. */
  abstract uop(): Expr;
  /** i64: IP of this instruction and of the next (masked to the mode's width). */
  abstract ip(): Expr;
  abstract nextIp(): Expr;
  /** End the block at an IP. Nothing may follow. `stays`: not a branch, the instruction goes on later. */
  abstract jump(target: Expr, stays?: boolean): void;
  /** Relative branch to nextIp + imm, truncated to the operand size. Nothing may follow the unconditional form. */
  abstract jumpRelative(): void;
  abstract branchIf(condition: Expr): void;
  /** #GP(0) when the target lies outside the code segment, or is not canonical; before anything changes. */
  abstract checkTarget(target: Expr): void;
  /** The same for the relative target, when `taken` (i32; default always). */
  abstract checkRelative(taken?: Expr): void;
  /** Linear address in a named segment whatever the prefix says (ES:rDI). `offset` is truncated to the address size by the caller. */
  abstract fixedSegmentAddress(segment: number, offset: Expr, access: number): Expr;

  /** i64: linear address of a stack access by the segmented path; may set ABORT. */
  protected abstract stackSegmented(sp: Expr, access: number): Expr;
  /** Call a TypeScript operation; checks ABORT after it. */
  abstract js(operation: SystemOperation, args: readonly Expr[]): void;
  abstract jsResult(operation: SystemOperation, result: Type, args: readonly Expr[]): Expr;
  /** General register `n` by number: its low `bits` bits, zero-extended (i32) or i64. */
  abstract gpr(n: number, bits: number): Expr;
  abstract setGpr(n: number, bits: number, value: Expr): void;
  /** Bits 8–15 of general register `n` (AH for 0); i32. */
  abstract setHighByte(n: number, value: Expr): void;
  /** i32: cycles that may still be charged, as BUDGET counts them. */
  abstract budget(): Expr;
  /** Charge one more cycle and retire one more instruction (REP iterations after the first). i32: 0 when the budget is used up. */
  abstract chargeIteration(): Expr;

  /** i32, nonzero when the record's memory operand needs a segment's base, limit or rights. */
  takesSegment(): Expr {
    return this.isSegmented();
  }

  /** i32: number of the general register in ModRM.reg. */
  registerNumber(): Expr {
    return i32.shrU(this.registerField('reg'), 3);
  }

  // --- coverage: nothing is emitted where there is none -------------------------------------------------------

  /** True when what is executed is noted. */
  protected get covers(): boolean {
    return false;
  }
  /** Call a function of coverage.ts, with i64 and i32 arguments. */
  protected note(_what: CoverageFunction, _args: readonly Expr[]): void {}

  private linearOf(ip: Expr): Expr {
    const csBase = i64.load(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE);
    return i64.and(i64.add(ip, csBase), i64.load(L.LINEAR_MASK));
  }
  /** This branch goes to an IP, in the same code segment. */
  protected noteBranch(to: () => Expr): void {
    if (this.covers) this.note('edge', [this.linearOf(this.ip()), this.linearOf(to())]);
  }
  /** A far branch: to be called before it, and what it returns after it. */
  farBranch(): () => void {
    if (!this.covers) return () => {};
    const from = this.let(this.linearOf(this.ip()));
    return () => this.note('edge', [from, this.linearOf(i64.load(L.RIP))]);
  }
  /** The instruction compares two values; behind whatever can abort it. */
  compares(w: Width, left: Expr, right: Expr): void {
    if (!this.covers || left.value !== undefined) return;
    const operands = [w.zext64(left), w.zext64(right)];
    this.note('comparison', [this.linearOf(this.ip()), i32.const(w.bytes), ...operands]);
  }
  /** The instruction compares up to `items` (i64) items of `bytes` bytes, from two linear addresses on. */
  comparesStrings(left: Expr, right: Expr, bytes: number, items: Expr): void {
    if (!this.covers) return;
    this.f.if(i32.load(L.COMPARING), () => this.js(compareStrings, [left, right, i32.const(bytes), items]));
  }

  // --- what a tier may know beforehand ----------------------------------------------------------------------

  /** i64 AND mask of effective addresses in the current mode. */
  protected addressMask(): Expr {
    return i64.load(L.ADDRESS_MASK);
  }
  /** i64 mask of the stack pointer. */
  protected stackMask(): Expr {
    return i64.load(L.STACK_MASK);
  }
  /** i32, nonzero when stack accesses need the segmented path. */
  protected stackChecked(): Expr {
    return i32.load(L.STACK_CHECKED);
  }
  /** False where the segmented path only adds a base. */
  protected get segmentsFault(): boolean {
    return true;
  }

  // --- locals -----------------------------------------------------------------------------------------------

  let(value: Expr): Expr {
    return this.f.let(value);
  }
  if(condition: I32Like, then: () => void, otherwise?: () => void): void {
    this.f.if(condition, then, otherwise);
  }
  block(emit: (end: Label) => void): void {
    this.f.block(emit);
  }

  // --- exceptions and modes ---------------------------------------------------------------------------------

  /** Raise an exception from emitted code. */
  raise(vector: number, errorCode = 0): void {
    this.f.store32(L.FAULT_VECTOR, i32.const(vector));
    this.f.store32(L.FAULT_ERROR, i32.const(errorCode));
    this.f.store32(L.ABORT, i32.const(ABORT_FAULT));
    this.abort();
  }

  /** Raise when the i32 condition is nonzero. */
  raiseIf(condition: Expr, vector: number, errorCode = 0): void {
    this.f.if(condition, () => this.raise(vector, errorCode));
  }

  /** #GP(0) unless CPL is 0. */
  requireCpl0(): void {
    this.raiseIf(i32.load(L.CPL), 13);
  }

  /** EFLAGS bit test: i32, nonzero when set. */
  eflag(mask: number): Expr {
    return i32.and(i32.load(L.EFLAGS), mask);
  }
}
