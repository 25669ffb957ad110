// Flags in a translated region: result and carry word are locals, and the carry word of an addition, a subtraction, INC
// or DEC is worked out only where somebody asks for it: mostly nobody does before the next instruction sets the flags
// anew. Conditions after a compare become one comparison of its operands.
//
// What is pending is known at translation time and holds along straight code: `settle` emits it, at the latest where
// a block ends or code branches; on a rare way out (a fault) it is emitted there alone (`settleAside`).

import { Flags } from '../semantics/flags.js';
import { type Width, width } from '../semantics/width.js';
import { type Expr, I32, i32, i64, type LocalGet } from '../wasm/expr.js';
import type { RegionFrame } from './frame.js';

/** What is known of the flags' values. */
type Known = { readonly w: Width; readonly a: Expr; readonly b: Expr } | 'logic' | undefined;

export class RegionFlags extends Flags {
  private pending: (() => Expr) | undefined;
  private known: Known;
  /** Set when anything changes; for code that branches. */
  private touched = false;

  constructor(private readonly frame: RegionFrame) {
    super(frame.f);
  }

  /** Emit what is pending. */
  settle(): void {
    if (this.pending === undefined) return;
    this.settleAside();
    this.pending = undefined;
  }
  /** Emit what is pending on a way out; for the way on it stays pending. */
  settleAside(): void {
    if (this.pending !== undefined) this.f.set(this.frame.flagAux, this.pending());
  }
  /** Nothing is known of the flags: another block may have set them. */
  forget(): void {
    this.pending = undefined;
    this.known = undefined;
  }

  /** What is pending and known, to go back to it. */
  save(): () => void {
    const { pending, known, touched } = this;
    return () => {
      this.pending = pending;
      this.known = known;
      this.touched = touched;
    };
  }
  /** They were changed by a call. */
  changed(): void {
    this.forget();
    this.touched = true;
  }

  /** A branch in the code; each side settles its own changes. */
  branch(then: () => void, otherwise: (() => void) | undefined, emit: (a: () => void, b?: () => void) => void): void {
    this.settle();
    const { known, touched } = this;
    let changed = false;
    const side = (code: () => void) => () => {
      this.known = known;
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
    this.settle();
    return this.frame.flagAux;
  }
  protected override resultSign(): Expr {
    return i64.ltS(this.result(), 0n);
  }
  protected override resultByte(): Expr {
    return i32.wrap(this.result());
  }
  protected override parityFlip(): Expr {
    return this.known === undefined ? i32.shrU(this.aux(), 8) : i32.const(0);
  }
  override setResult(value: Expr): void {
    this.settle();
    this.replace(value);
  }
  override setAux(value: Expr): void {
    this.f.set(this.frame.flagAux, value);
    this.forget();
    this.touched = true;
  }

  /** A new result; the carry word is to follow. */
  private replace(result: Expr): void {
    this.f.set(this.frame.flagResult, result);
    this.forget();
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
    this.pending = () => this.addAux(w, x, y, w.from64(this.frame.flagResult));
  }
  override sub(w: Width, a: Expr, b: Expr, r: Expr, chained = false): void {
    this.replace(w.sext64(r));
    const x = this.keep(0, a);
    const y = this.keep(1, b);
    this.pending = () => this.subAux(w, x, y, w.from64(this.frame.flagResult));
    if (!chained) this.known = { w, a: x, b: y };
  }
  override logic(w: Width, r: Expr): void {
    this.replace(w.sext64(r));
    this.f.set(this.frame.flagAux, i32.const(0));
    this.known = 'logic';
  }
  override incDec(w: Width, a: Expr, r: Expr, dec: boolean): void {
    this.f.set(this.frame.keptCarry, this.cf());
    this.replace(w.sext64(r));
    const x = this.keep(0, a);
    this.pending = () => this.incDecAux(w, x, w.from64(this.frame.flagResult), dec, this.frame.keptCarry);
  }
  override resultCfOf(w: Width, r: Expr, cf: Expr, of: Expr): void {
    this.pending = undefined;
    super.resultCfOf(w, r, cf, of);
  }
  override nonzero(w: Width, r: Expr, carry: Expr): void {
    this.pending = undefined;
    super.nonzero(w, r, carry);
  }
  override load(image: Expr): void {
    this.pending = undefined;
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
    return this.known === undefined ? super.sf() : this.resultSign();
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
