// The six arithmetic flags, kept lazily as a result and a carry word (layout.ts: FLAG_RESULT, FLAG_AUX).
//
// ZF, SF and PF follow from the result. CF, OF and AF follow from the carry vector of the addition or the borrow
// vector of the subtraction: bit n of `(a & b) | ((a | b) & ~r)` is the carry out of bit n. AUX keeps its two top
// bits of the operand's width at 31 and 30 and bit 3 in place. AUX bits 8–15 and bit 0 correct parity and sign when
// the flags were loaded as such. All instructions set flags through here, so that a translator can drop dead ones.

import { FLAG_AUX, FLAG_RESULT } from '../layout.js';
import { type Expr, i32, i64 } from '../wasm/expr.js';
import type { FunctionBuilder } from '../wasm/function.js';
import type { Width } from './width.js';

export class Flags {
  constructor(protected readonly f: FunctionBuilder) {}

  result(): Expr {
    return i64.load(FLAG_RESULT);
  }
  aux(): Expr {
    return i32.load(FLAG_AUX);
  }
  /** i32: nonzero when the result is negative. */
  protected resultSign(): Expr {
    return i32.shrU(i32.load(FLAG_RESULT + 4), 31);
  }
  /** i32: the result's low byte; the rest may be anything. */
  protected resultByte(): Expr {
    return i32.load8U(FLAG_RESULT);
  }
  /** i32: bits 8–15 of the carry word in the low byte; the rest may be anything. */
  protected parityFlip(): Expr {
    return i32.load8U(FLAG_AUX + 1);
  }
  setResult(value: Expr): void {
    this.f.store64(FLAG_RESULT, value);
  }
  setAux(value: Expr): void {
    this.f.store32(FLAG_AUX, value);
  }

  /** AUX from a carry vector at width `w`. */
  protected auxOf(w: Width, carries: Expr): Expr {
    const c = this.f.let(carries);
    if (w.bits === 64) return i32.or(i32.and(i32.wrap(i64.shrU(c, 32n)), 0xc000_0000), i32.and(i32.wrap(c), 8));
    if (w.bits === 32) return i32.and(c, 0xc000_0008);
    return i32.or(i32.and(i32.shl(c, 32 - w.bits), 0xc000_0000), i32.and(c, 8));
  }

  protected addAux(w: Width, a: Expr, b: Expr, r: Expr): Expr {
    return this.auxOf(w, w.or(w.and(a, b), w.and(w.or(a, b), w.not(r))));
  }
  protected subAux(w: Width, a: Expr, b: Expr, r: Expr): Expr {
    return this.auxOf(w, w.or(w.and(w.not(a), b), w.and(w.or(w.not(a), b), r)));
  }

  /** r = a + b, or a + b + carry (`chained`). */
  add(w: Width, a: Expr, b: Expr, r: Expr, _chained = false): void {
    this.setResult(w.sext64(r));
    this.setAux(this.addAux(w, a, b, r));
  }
  /** r = a − b, or a − b − borrow (`chained`). */
  sub(w: Width, a: Expr, b: Expr, r: Expr, _chained = false): void {
    this.setResult(w.sext64(r));
    this.setAux(this.subAux(w, a, b, r));
  }
  /** AND, OR, XOR, TEST: CF = OF = 0; AF is undefined, left 0. */
  logic(w: Width, r: Expr): void {
    this.setResult(w.sext64(r));
    this.setAux(i32.const(0));
  }
  /** INC and DEC: as add/sub of 1 but CF stays. */
  incDec(w: Width, a: Expr, r: Expr, dec: boolean): void {
    const cf = this.f.let(i32.shrU(this.aux(), 31));
    this.setAux(this.incDecAux(w, a, r, dec, cf));
    this.setResult(w.sext64(r));
  }
  /** `cf`: a local, the carry that stays. */
  protected incDecAux(w: Width, a: Expr, r: Expr, dec: boolean, cf: Expr): Expr {
    const limit = 1n << BigInt(w.bits - 1);
    const of = this.f.let(w.eq(w.mask(r), w.mask(w.const(dec ? limit - 1n : limit))));
    const af = i32.shrU(i32.and(w.low32(w.xor(a, r)), 0x10), 1);
    return i32.or(af, i32.or(i32.shl(cf, 31), i32.shl(i32.xor(cf, of), 30)));
  }
  /** Result flags from `r`, with CF and OF given as i32 0/1 (locals or constants); AF = 0. */
  resultCfOf(w: Width, r: Expr, cf: Expr, of: Expr): void {
    this.setResult(w.sext64(r));
    this.setAux(i32.or(i32.shl(cf, 31), i32.shl(i32.xor(cf, of), 30)));
  }
  /** SF and PF from `r` with ZF = 0 whatever it is, CF = OF = `carry` (an i32 0/1 local or constant), AF = 0. */
  nonzero(w: Width, r: Expr, carry: Expr): void {
    // A bit that neither SF nor PF looks at.
    this.setResult(i64.or(w.sext64(r), 1n << 40n));
    this.setAux(i32.shl(carry, 31));
  }
  /** Result flags only; CF, OF and AF keep their values. */
  resultOnly(w: Width, r: Expr): void {
    const aux = this.aux();
    this.setAux(i32.and(aux, 0xc000_0008));
    this.setResult(w.sext64(r));
  }
  /** CF alone (i32 0/1). */
  setCf(cf: Expr): void {
    const c = this.f.let(cf);
    const aux = this.f.let(this.aux());
    const of = i32.and(i32.xor(i32.shrU(aux, 31), i32.shrU(aux, 30)), 1);
    this.setAux(i32.or(i32.and(aux, 0x3fff_ffff), i32.or(i32.shl(c, 31), i32.shl(i32.xor(c, of), 30))));
  }
  /** CF and OF (i32 0/1 locals), the others stay. */
  setCfOf(cf: Expr, of: Expr): void {
    this.setAux(i32.or(i32.and(this.aux(), 0x3fff_ffff), i32.or(i32.shl(cf, 31), i32.shl(i32.xor(cf, of), 30))));
  }

  cf(): Expr {
    return i32.shrU(this.aux(), 31);
  }
  of(): Expr {
    const aux = this.f.let(this.aux());
    return i32.xor(i32.shrU(aux, 31), i32.and(i32.shrU(aux, 30), 1));
  }
  af(): Expr {
    return i32.and(i32.shrU(this.aux(), 3), 1);
  }
  zf(): Expr {
    return i64.eqz(this.result());
  }
  sf(): Expr {
    return i32.xor(this.resultSign(), i32.and(this.aux(), 1));
  }
  pf(): Expr {
    const byte = i32.and(i32.xor(this.resultByte(), this.parityFlip()), 0xff);
    return i32.xor(i32.and(i32.popcnt(byte), 1), 1);
  }

  /** Condition `cc` of the opcode's low four bits (SDM vol. 1, appendix B), as i32: zero or not. */
  condition(cc: number): Expr {
    const base = [
      () => this.of(),
      () => this.cf(),
      () => this.zf(),
      () => i32.or(this.cf(), this.zf()),
      () => this.sf(),
      () => this.pf(),
      () => i32.xor(this.sf(), this.of()),
      () => i32.or(i32.xor(this.sf(), this.of()), this.zf()),
    ][cc >> 1]!();
    return (cc & 1) !== 0 ? i32.eqz(base) : base;
  }

  /** The six flags as EFLAGS bits. */
  all(): Expr {
    const parts: [Expr, number][] = [
      [this.cf(), 0],
      [this.pf(), 2],
      [this.af(), 4],
      [this.zf(), 6],
      [this.sf(), 7],
      [this.of(), 11],
    ];
    return parts.map(([v, n]) => i32.shl(v, n)).reduce((a, b) => i32.or(a, b));
  }

  /** Load the six flags from an EFLAGS image (an i32 local). */
  load(image: Expr): void {
    const zf = this.f.let(i32.and(i32.shrU(image, 6), 1));
    // The result is 0 with ZF, else 1; sign and parity are corrected through AUX.
    this.setResult(i64.extendU(i32.xor(zf, 1)));
    const cf = this.f.let(i32.and(image, 1));
    const of = i32.and(i32.shrU(image, 11), 1);
    const pf = i32.and(i32.shrU(image, 2), 1);
    // The byte 0 has even parity, the byte 1 odd: flip when that is not what PF says.
    const flip = i32.xor(pf, zf);
    const aux = [
      i32.shl(cf, 31),
      i32.shl(i32.xor(cf, of), 30),
      i32.shrU(i32.and(image, 0x10), 1),
      i32.shl(flip, 8),
      i32.and(i32.shrU(image, 7), 1),
    ].reduce((a, b) => i32.or(a, b));
    this.setAux(aux);
  }
}
