// Flags in a translated region: result and carry word are locals, and the carry word of an addition, a subtraction, INC
// or DEC is worked out only where somebody asks for it: mostly nobody does before the next instruction sets the flags
// anew. Conditions after a compare become one comparison of its operands.
//
// Along straight code it is known at translation time what the carry word would be. Where a block ends or code branches,
// `settle` leaves the operands of an addition or a subtraction in locals and says so in another (`lazy`, 0 = the carry
// word is there); the next block mostly drops them, else a function works the carry word out (`defineCarryWord`). So it
// is at the region's end, too. On a rare way out (a fault) the locals are made true there alone (`settleAside`).

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
  /** What `lazy` says of it, and its operands; undefined when it cannot be left to later. */
  readonly operands?: { readonly lazy: number; readonly a: Expr; readonly b: Expr };
}

const SUBTRACTION = 1;
/** Of `lazy`: never 0. */
const lazyOf = (w: Width, kind: 0 | typeof SUBTRACTION): number => (w.bits >> 2) | kind;

/** Operands of a carry word that is not there yet: `lazy`, up to 32 bits wide, 64 bits wide, and the result. */
type Operands = readonly [lazy: Expr, a: Expr, b: Expr, a64: Expr, b64: Expr, result: Expr];

/** Operands → carry word, as a function. */
export function defineCarryWord(m: ModuleBuilder): FunctionHandle {
  const handle = m.declare([I32, I32, I32, I64, I64, I64], I32);
  m.define(handle, (f) => {
    const word = f.local(I32);
    const [lazy, a, b, a64, b64, result] = [f.param(0), f.param(1), f.param(2), f.param(3), f.param(4), f.param(5)];
    workOut(f, word, [lazy, a, b, a64, b64, result]);
    word.write(f.body);
  });
  return handle;
}
/** Set `word` to the carry word. */
function workOut(f: FunctionBuilder, word: LocalGet, [lazy, a, b, a64, b64, result]: Operands): void {
  const subtraction = f.let(i32.sub(0, i32.and(lazy, SUBTRACTION)));
  f.if(
    i32.and(lazy, 64 >> 2),
    () => {
      const s = f.let(i64.extendS(subtraction));
      const x = f.let(i64.xor(a64, s));
      const r = i64.xor(result, i64.xor(s, -1n));
      const c = f.let(i64.or(i64.and(x, b64), i64.and(i64.or(x, b64), r)));
      f.set(word, i32.or(i32.and(i32.wrap(i64.shrU(c, 32n)), 0xc000_0000), i32.and(i32.wrap(c), 8)));
    },
    () => {
      const x = f.let(i32.xor(a, subtraction));
      const r = i32.xor(i32.wrap(result), i32.xor(subtraction, -1));
      const c = f.let(i32.or(i32.and(x, b), i32.and(i32.or(x, b), r)));
      // The width's top bit comes to bit 31.
      const shift = i32.sub(32, i32.shl(i32.and(lazy, 14), 2));
      f.set(word, i32.or(i32.and(i32.shl(c, shift), 0xc000_0000), i32.and(c, 8)));
    },
  );
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
    const { operands } = carry;
    if (operands === undefined) {
      f.set(frame.flagAux, carry.word());
      f.set(frame.lazy, i32.const(0));
      return;
    }
    const { lazy, a, b } = operands;
    const kept = frame.kept[a.type === I32 ? 'i32' : 'i64'];
    if (a.value !== undefined) f.set(kept[0], a);
    if (b.value !== undefined) f.set(kept[1], b);
    f.set(frame.lazy, i32.const(lazy));
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
    const { lazy, kept, flagResult, flagAux } = frame;
    const operands: Operands = [lazy, ...kept.i32, ...kept.i64, flagResult];
    f.if(lazy, () => {
      if (atEnd) workOut(f, flagAux, operands);
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
  private keep(n: 0 | 1, value: Expr): Expr {
    if (value.value !== undefined) return value;
    const local: LocalGet = this.frame.kept[value.type === I32 ? 'i32' : 'i64'][n];
    this.f.set(local, value);
    return local;
  }

  override add(w: Width, a: Expr, b: Expr, r: Expr): void {
    this.replace(w.sext64(r));
    const x = this.keep(0, a);
    const y = this.keep(1, b);
    const word = () => this.addAux(w, x, y, w.from64(this.frame.flagResult));
    this.carry = { word, operands: { lazy: lazyOf(w, 0), a: x, b: y } };
  }
  override sub(w: Width, a: Expr, b: Expr, r: Expr, chained = false): void {
    this.replace(w.sext64(r));
    const x = this.keep(0, a);
    const y = this.keep(1, b);
    const word = () => this.subAux(w, x, y, w.from64(this.frame.flagResult));
    this.carry = { word, operands: { lazy: lazyOf(w, SUBTRACTION), a: x, b: y } };
    if (!chained) this.known = { w, a: x, b: y };
  }
  override logic(w: Width, r: Expr): void {
    this.replace(w.sext64(r));
    this.f.set(this.frame.flagAux, i32.const(0));
    this.carry = 'there';
    this.known = 'logic';
  }
  override incDec(w: Width, a: Expr, r: Expr, dec: boolean): void {
    this.f.set(this.frame.keptCarry, this.cf());
    this.replace(w.sext64(r));
    const x = this.keep(0, a);
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
