// The surroundings of one floating-point operation: rounding, precision control, treatment of denormals and
// exception masks going in; exception flags and the "rounded up" bit coming out. MXCSR (SDM vol. 1 10.2.3) and the
// x87 control word (8.1.5) both load into it; flag bits have the same positions in both registers.
//
// Invariant: operations only ever add to `flags`. The owner clears it, and decides from `flags & ~masks` whether the
// result may be written: see faultsBeforeResult() and settleSimd().

/** Invalid operation. */
export const IE = 0x01;
/** Denormal operand. */
export const DE = 0x02;
/** Division by zero. */
export const ZE = 0x04;
/** Overflow. */
export const OE = 0x08;
/** Underflow. */
export const UE = 0x10;
/** Precision: the result is inexact. */
export const PE = 0x20;
/** The exceptions found before the computation; unmasked, they leave the destination alone. */
export const BEFORE_RESULT = IE | DE | ZE;

/** RC as MXCSR and the x87 control word encode it. */
export type Rounding = 0 | 1 | 2 | 3;
export const NEAREST: Rounding = 0;
export const DOWN: Rounding = 1;
export const UP: Rounding = 2;
export const TOWARD_ZERO: Rounding = 3;

/** Inputs and outputs of an operation besides its operands. One object is reused for many operations. */
export class FloatContext {
  rounding: Rounding = NEAREST;
  /** Significand bits that x87 add, subtract, multiply, divide and square root round to. */
  precision: 24 | 53 | 64 = 64;
  /** MXCSR.FTZ: tiny SSE results become zero while underflow is masked. */
  flushToZero = false;
  /** MXCSR.DAZ: denormal SSE operands count as zero. */
  denormalsAreZero = false;
  /** Masked exceptions, IE…PE. */
  masks = 0x3f;
  /** Exceptions raised so far, IE…PE. */
  flags = 0;
  /** The last rounding made the magnitude larger: C1 of x87. */
  roundedUp = false;

  /** Take the modes of an MXCSR value; its sticky flags are not taken. */
  setMxcsr(mxcsr: number): this {
    this.rounding = ((mxcsr >>> 13) & 3) as Rounding;
    this.flushToZero = (mxcsr & 0x8000) !== 0;
    this.denormalsAreZero = (mxcsr & 0x40) !== 0;
    this.masks = (mxcsr >>> 7) & 0x3f;
    this.precision = 64;
    return this;
  }

  /** Take the modes of an x87 control word. The reserved precision 1 acts as 64 bits. */
  setControlWord(control: number): this {
    this.rounding = ((control >>> 10) & 3) as Rounding;
    const pc = (control >>> 8) & 3;
    this.precision = pc === 0 ? 24 : pc === 2 ? 53 : 64;
    this.masks = control & 0x3f;
    this.flushToZero = false;
    this.denormalsAreZero = false;
    return this;
  }

  /** Forget the outputs of earlier operations. */
  clear(): this {
    this.flags = 0;
    this.roundedUp = false;
    return this;
  }

  /** Raise exceptions; true when one of them is unmasked. */
  raise(flags: number): boolean {
    this.flags |= flags;
    return (flags & ~this.masks) !== 0;
  }

  /** x87: an unmasked IE, DE or ZE was raised, so the destination must keep its value (SDM vol. 1 8.5). */
  faultsBeforeResult(): boolean {
    return (this.flags & ~this.masks & BEFORE_RESULT) !== 0;
  }

  /**
   * SSE: call once after all elements of an instruction, whose flags alone must be in `flags`. True when #XM is due
   * and no result is delivered. As SDM vol. 1 11.5.3 orders it: with an unmasked IE, DE or ZE in any element, no element gets as far as OE, UE or PE.
   */
  settleSimd(): boolean {
    if (this.faultsBeforeResult()) this.flags &= BEFORE_RESULT;
    return (this.flags & ~this.masks) !== 0;
  }
}
