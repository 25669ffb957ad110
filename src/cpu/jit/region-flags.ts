// Flags in a translated region: result and carry word are locals, and the carry word of an addition, a subtraction, INC
// or DEC is worked out only where somebody asks for it: mostly nobody does before the next instruction sets the flags
// anew. Conditions after a compare become one comparison of its operands.
//
// Along straight code it is known at translation time what the carry word would be. Where a block ends or code branches,
// `settle` leaves the first operand of an addition or a subtraction in a local and says so in another (`lazy`, 0 = the
// carry word is there); the second one follows from it and the result. The next block mostly drops it, else a function
// works the carry word out (`defineCarryWord`). So it is at the region's end, too. On a rare way out (a fault) the locals
// are made true there alone (`settleAside`).

import { Flags } from '../semantics/flags.js';
import { type Width, width } from '../semantics/width.js';
import { type Callee, call, type Expr, I32, I64, i32, i64, type LocalGet, select } from '../wasm/expr.js';
import type { FunctionBuilder } from '../wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../wasm/module.js';
import type { RegionFrame } from './frame.js';

/** What is known of the flags' values. */
type Known = { readonly w: Width; readonly a: Expr; readonly b: Expr } | 'logic' | undefined;

/** A carry word that is not there yet. */
interface Pending {
  word(): Expr;
  /** What `lazy` says of it, and the first operand (i64); undefined when it cannot be left to later. */
  readonly later?: { readonly lazy: number; readonly a: Expr };
}

/** Of `lazy`, besides the width in bits: the log of it. */
const SUBTRACTION = 7;

/** What a carry word that is not there yet follows from: `lazy`, the first operand, the result. */
type Operands = readonly [lazy: Expr, a: Expr, result: Expr];

/** Operands → carry word, as a function. */
export function defineCarryWord(m: ModuleBuilder): FunctionHandle {
  const handle = m.declare([I32, I64, I64], I32);
  m.define(handle, (f) => carryWordOf(f, [f.param(0), f.param(1), f.param(2)]).write(f.body));
  return handle;
}
function carryWordOf(f: FunctionBuilder, [lazy, a, result]: Operands): Expr {
  const subtracted = f.let(i64.extendS(i32.sub(0, i32.shrU(lazy, SUBTRACTION))));
  const added = f.let(i64.xor(subtracted, -1n));
  // a − r, or for an addition r − a.
  const b = f.let(i64.sub(i64.xor(i64.sub(a, result), added), added));
  const x = f.let(i64.xor(a, subtracted));
  const c = f.let(i64.or(i64.and(x, b), i64.and(i64.or(x, b), i64.xor(result, added))));
  // The width's top bit comes to bit 63: a shift takes its count mod 64.
  const top = i64.shrU(i64.shl(c, i64.extendU(i32.sub(0, lazy))), 32n);
  return i32.or(i32.and(i32.wrap(top), 0xc000_0000), i32.and(i32.wrap(c), 8));
}

export class RegionFlags extends Flags {
  /** The carry word: in the locals as `lazy` says, in its own local whatever `lazy` says, or not there yet. */
  private carry: 'settled' | 'there' | Pending = 'settled';
  private known: Known;
  /** Set when anything changes; for code that branches. */
  private touched = false;

  constructor(
    private readonly frame: RegionFrame,
    /** `defineCarryWord` of the module. */
    private readonly carryWord: () => Callee,
  ) {
    super(frame.f);
  }

  /** Make the locals true. */
  settle(): void {
    this.settleAside();
    this.carry = 'settled';
  }
  /** The same on a way out; for the way on nothing changes. */
  settleAside(): void {
    const { f, frame, carry } = this;
    if (carry === 'settled') return;
    if (carry === 'there') {
      f.set(frame.lazy, i32.const(0));
      return;
    }
    const { later } = carry;
    if (later === undefined) {
      f.set(frame.flagAux, carry.word());
      f.set(frame.lazy, i32.const(0));
      return;
    }
    if (later.a !== frame.first) f.set(frame.first, later.a);
    f.set(frame.lazy, i32.const(later.lazy));
  }
  /** Have the carry word in its local. */
  force(): void {
    const { f, frame, carry } = this;
    if (carry === 'there') return;
    if (carry === 'settled') {
      this.workOut();
    } else f.set(frame.flagAux, carry.word());
    this.carry = 'there';
  }
  /** The carry word, where the locals are true; at the region's end without a call. */
  workOut(atEnd = false): void {
    const { f, frame } = this;
    const { lazy, first, flagResult, flagAux } = frame;
    const operands: Operands = [lazy, first, flagResult];
    f.if(lazy, () => {
      if (atEnd) f.set(flagAux, carryWordOf(f, operands));
      else {
        f.set(flagAux, call(I32, this.carryWord(), operands));
        f.set(lazy, i32.const(0));
      }
    });
  }
  /** A block begins: nothing is known of the flags. */
  begin(): void {
    this.carry = 'settled';
    this.known = undefined;
  }

  /** What is pending and known, to go back to it. */
  save(): () => void {
    const { carry, known, touched } = this;
    return () => {
      this.carry = carry;
      this.known = known;
      this.touched = touched;
    };
  }
  /** They were changed by a call, and taken over from memory. */
  changed(): void {
    this.carry = 'there';
    this.known = undefined;
    this.touched = true;
  }

  /** A branch in the code; each side settles its own changes. */
  branch(then: () => void, otherwise: (() => void) | undefined, emit: (a: () => void, b?: () => void) => void): void {
    this.settle();
    const { known, touched } = this;
    let changed = false;
    const side = (code: () => void) => () => {
      this.known = known;
      this.carry = 'settled';
      this.touched = false;
      code();
      this.settle();
      changed ||= this.touched;
    };
    emit(side(then), otherwise && side(otherwise));
    this.known = changed ? undefined : known;
    this.touched = touched || changed;
  }

  override result(): Expr {
    return this.frame.flagResult;
  }
  override aux(): Expr {
    this.force();
    return this.frame.flagAux;
  }
  protected override resultSign(): Expr {
    return i64.ltS(this.result(), 0n);
  }
  protected override resultByte(): Expr {
    return i32.wrap(this.result());
  }
  /** The carry word, where only those bits of it are asked for that are 0 in one that is worked out. */
  private corrections(): Expr {
    const { carry, frame } = this;
    if (typeof carry === 'object') return i32.const(0);
    return carry === 'there' ? frame.flagAux : select(frame.lazy, i32.const(0), frame.flagAux);
  }
  protected override parityFlip(): Expr {
    return this.known === undefined ? i32.shrU(this.corrections(), 8) : i32.const(0);
  }
  override setResult(value: Expr): void {
    this.force();
    this.f.set(this.frame.flagResult, value);
    this.known = undefined;
    this.touched = true;
  }
  override setAux(value: Expr): void {
    this.f.set(this.frame.flagAux, value);
    this.carry = 'there';
    this.known = undefined;
    this.touched = true;
  }

  /** A new result; what is said of the carry word is to follow. */
  private replace(result: Expr): void {
    this.f.set(this.frame.flagResult, result);
    this.known = undefined;
    this.touched = true;
  }
  /** Keep an operand beyond the end of its instruction. */
  private keepFirst(value: Expr): Expr {
    if (value.value !== undefined) return value;
    const { first } = this.frame;
    this.f.set(first, value.type === I32 ? i64.extendU(value) : value);
    return value.type === I32 ? i32.wrap(first) : first;
  }
  private keepSecond(value: Expr): Expr {
    if (value.value !== undefined) return value;
    const local: LocalGet = this.frame.second[value.type === I32 ? 'i32' : 'i64'];
    this.f.set(local, value);
    return local;
  }
  /** What is left to later. `a`: what `keepFirst` gave. */
  private later(w: Width, kind: number, a: Expr): NonNullable<Pending['later']> {
    return { lazy: w.bits | kind, a: a.value === undefined ? this.frame.first : a.type === I32 ? i64.extendU(a) : a };
  }

  override add(w: Width, a: Expr, b: Expr, r: Expr, chained = false): void {
    this.replace(w.sext64(r));
    const x = this.keepFirst(a);
    const y = this.keepSecond(b);
    const word = () => this.addAux(w, x, y, w.from64(this.frame.flagResult));
    this.carry = chained ? { word } : { word, later: this.later(w, 0, x) };
  }
  override sub(w: Width, a: Expr, b: Expr, r: Expr, chained = false): void {
    this.replace(w.sext64(r));
    const x = this.keepFirst(a);
    const y = this.keepSecond(b);
    const word = () => this.subAux(w, x, y, w.from64(this.frame.flagResult));
    // With a borrow, the second operand does not follow from the result.
    this.carry = chained ? { word } : { word, later: this.later(w, 1 << SUBTRACTION, x) };
    if (!chained) this.known = { w, a: x, b: y };
  }
  override logic(w: Width, r: Expr): void {
    this.replace(w.sext64(r));
    // As if 0 had been added to the result.
    this.carry = { word: () => i32.const(0), later: { lazy: 64, a: this.frame.flagResult } };
    this.known = 'logic';
  }
  override incDec(w: Width, a: Expr, r: Expr, dec: boolean): void {
    this.f.set(this.frame.keptCarry, this.cf());
    this.replace(w.sext64(r));
    const x = this.keepFirst(a);
    this.carry = { word: () => this.incDecAux(w, x, w.from64(this.frame.flagResult), dec, this.frame.keptCarry) };
  }
  override resultCfOf(w: Width, r: Expr, cf: Expr, of: Expr): void {
    this.carry = 'there'; // it will be
    super.resultCfOf(w, r, cf, of);
  }
  override nonzero(w: Width, r: Expr, carry: Expr): void {
    this.carry = 'there'; // it will be
    super.nonzero(w, r, carry);
  }
  override load(image: Expr): void {
    this.carry = 'there'; // it will be
    super.load(image);
  }

  override cf(): Expr {
    const k = this.known;
    if (k === 'logic') return i32.const(0);
    if (k !== undefined) return unsigned(k.w, k.a, k.b, false);
    return super.cf();
  }
  override of(): Expr {
    return this.known === 'logic' ? i32.const(0) : super.of();
  }
  override sf(): Expr {
    if (this.known !== undefined) return this.resultSign();
    return i32.xor(this.resultSign(), i32.and(this.corrections(), 1));
  }

  override condition(cc: number): Expr {
    const k = this.known;
    if (k === undefined) return super.condition(cc);
    const result = this.result();
    let base: Expr | undefined;
    if (k === 'logic') {
      if (cc >> 1 === 3) base = this.zf();
      else if (cc >> 1 === 6) base = i64.ltS(result, 0n);
      else if (cc >> 1 === 7) base = i64.leS(result, 0n);
    } else if (cc >> 1 === 3) base = unsigned(k.w, k.a, k.b, true);
    else if (cc >> 1 >= 6) base = signed(k.w, k.a, k.b, cc >> 1 === 7);
    if (base === undefined) return super.condition(cc);
    return (cc & 1) !== 0 ? i32.eqz(base) : base;
  }
}

/** a < b, or a ≤ b, as unsigned numbers. */
function unsigned(w: Width, a: Expr, b: Expr, orEqual: boolean): Expr {
  if (w.bits === 64) return orEqual ? i64.leU(a, b) : i64.ltU(a, b);
  return orEqual ? i32.leU(w.mask(a), w.mask(b)) : i32.ltU(w.mask(a), w.mask(b));
}
function signed(w: Width, a: Expr, b: Expr, orEqual: boolean): Expr {
  if (w.bits === 64) return orEqual ? i64.leS(a, b) : i64.ltS(a, b);
  const s = width(w.bits).sext;
  return orEqual ? i32.leS(s(a), s(b)) : i32.ltS(s(a), s(b));
}
