// Moves, exchanges, conversions, stack and flag transfers (SDM vol. 2: MOV…XLAT, PUSH…POPF, LAHF, SETcc, CMOVcc).
// Stack accesses come before the stack pointer moves, so a fault leaves it alone. A CMOV reads its memory operand
// whatever the condition, as processors do. Loading a segment register is TypeScript (system/segments.ts)
// but in real-address mode.

import * as L from '../layout.js';
import { DF, MODE_PROTECTED, MODE_V86 } from '../state.js';
import { ATTR_DB, ATTR_G } from '../system/descriptors.js';
import { popf as popfSystem, pushf as pushfSystem } from '../system/flags-system.js';
import { moveToSegment } from '../system/segments.js';
import { REAL_ATTRIBUTES } from '../system/stack.js';
import { type Expr, I32, i32, i64, select } from '../wasm/expr.js';
import { ACCESS_READ, ACCESS_WRITE, type Body, type BodyContext, type SystemOperation } from './context.js';
import { width } from './width.js';

export const mov: Body = (c) => c.write(0, c.read(1));

/** MOV from a segment register: 16 bits to memory, zero-extended to a register of the operand size. */
export const movFromSegment: Body = (c) => {
  const segment = c.read(1);
  c.raiseIf(i32.gtU(segment, L.GS), 6);
  const selector = c.let(i32.load(i32.shl(segment, 5), L.SEGMENTS + L.SEG_SELECTOR));
  if (c.inMemory(0)) c.store(c.address(2, ACCESS_WRITE), 2, selector);
  else c.write(0, c.width(0).from32(selector));
};
/** MOV to a segment register (not CS: #UD). */
export const movToSegment: Body = (c) => {
  const segment = c.read(0);
  c.raiseIf(i32.or(i32.eq(segment, L.CS), i32.gtU(segment, L.GS)), 6);
  loadSegmentRegister(c, moveToSegment, c.let(segment), c.let(i32.and(c.read(1), 0xffff)));
};

/**
 * Load a segment register. In real-address mode, where firmware does so all the time, the base follows the selector and
 * all else stays. More may change, and is done in TypeScript, in the other modes, for SS, where protected mode has left
 * something else, and for a segment of 4 GiB without base, which is flat (mode.ts).
 */
export function loadSegmentRegister(c: BodyContext, operation: SystemOperation, segment: Expr, selector: Expr): void {
  const at = c.let(i32.shl(segment, 5));
  const attributes = i32.and(i32.load(at, L.SEGMENTS + L.SEG_ATTRIBUTES), ~(ATTR_DB | ATTR_G));
  const based = i32.and(i32.ne(i32.load(at, L.SEGMENTS + L.SEG_BASE), 0), i32.ne(selector, 0));
  const small = i32.ne(i32.load(at, L.SEGMENTS + L.SEG_LIMIT), -1);
  const real = i32.eqz(i32.and(i32.load(L.MODE), MODE_PROTECTED));
  c.if(
    i32.and(i32.and(real, i32.ne(segment, L.SS)), i32.and(i32.eq(attributes, REAL_ATTRIBUTES), i32.or(small, based))),
    () => {
      c.f.store32(at, selector, L.SEGMENTS + L.SEG_SELECTOR);
      c.f.store64(at, i64.extendU(i32.shl(selector, 4)), L.SEGMENTS + L.SEG_BASE);
    },
    () => c.js(operation, [segment, selector]),
  );
}

export const movsx: Body = (c) => {
  const from = c.width(1);
  const to = c.width(0);
  const v = c.read(1);
  c.write(0, to.bits === 64 ? from.sext64(v) : from.sext(v));
};
export const movzx: Body = (c) => c.write(0, c.width(0).from32(c.read(1)));

export const lea: Body = (c) => {
  const offset = c.effectiveOffset();
  c.write(0, c.osize === 64 ? offset : i32.wrap(offset));
};

export const xchg: Body = (c) => {
  const b = c.read(1);
  const a = c.modify(0);
  c.write(0, b);
  c.write(1, a);
};

export const nop: Body = () => {};
/** Reserved NOPs with a ModRM operand touch no memory. */
export const pause: Body = nop;

export const movbe: Body = (c) => {
  const w = c.width(0);
  const v = c.read(1);
  const reversed =
    w.bits === 16
      ? i32.or(i32.shl(v, 8), i32.shrU(v, 8))
      : w.bits === 32
        ? i32.or(i32.and(i32.rotl(v, 8), 0x00ff00ff), i32.and(i32.rotr(v, 8), 0xff00ff00))
        : swap64(c, v);
  c.write(0, reversed);
};
function swap64(c: BodyContext, v: Expr): Expr {
  const m8 = 0x00ff00ff00ff00ffn;
  const m16 = 0x0000ffff0000ffffn;
  const a = c.let(i64.or(i64.shl(i64.and(v, m8), 8n), i64.and(i64.shrU(v, 8n), m8)));
  const b = c.let(i64.or(i64.shl(i64.and(a, m16), 16n), i64.and(i64.shrU(a, 16n), m16)));
  return i64.rotl(b, 32n);
}

// --- conversions of the accumulator -----------------------------------------------------------------------

/** CBW / CWDE / CDQE. */
export const cbw: Body = (c) => {
  const half = width(c.osize / 2);
  const a = c.let(c.gpr(0, half.bits));
  c.setGpr(0, c.osize, c.osize === 64 ? half.sext64(a) : half.sext(a));
};
/** CWD / CDQ / CQO. */
export const cwd: Body = (c) => {
  const w = width(c.osize);
  const a = c.let(c.gpr(0, w.bits));
  c.setGpr(2, w.bits, w.bits === 64 ? i64.shrS(a, 63n) : i32.shrS(w.sext(a), 31));
};

// --- stack ------------------------------------------------------------------------------------------------

export const push: Body = (c) => c.push(c.read(0), c.osize);
/** PUSH of a segment register: a 32- or 64-bit push zero-extends. */
export const pushSegment =
  (segment: number): Body =>
  (c) =>
    c.push(width(c.osize).from32(i32.load(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_SELECTOR)), c.osize);
/** POP of a segment register. The stack pointer moves by the width of the stack that was popped, also for POP SS. */
export const popSegment =
  (segment: number): Body =>
  (c) => {
    const v = c.peek(c.osize);
    const rsp = c.let(c.withStackPointer(i64.add(c.gpr(4, 64), BigInt(c.osize / 8))));
    loadSegmentRegister(c, moveToSegment, i32.const(segment), c.let(i32.and(width(c.osize).low32(v), 0xffff)));
    c.setGpr(4, 64, rsp);
  };

export const popRegister: Body = (c) => {
  const v = c.peek(c.osize);
  c.addToStackPointer(c.osize / 8);
  c.write(0, v);
};
/** POP Ev: the address is computed with the stack pointer already moved (SDM vol. 2, POP). */
export const popMemory: Body = (c) => {
  const v = c.peek(c.osize);
  if (!c.inMemory(0)) {
    c.addToStackPointer(c.osize / 8);
    c.write(0, v);
    return;
  }
  const before = c.let(c.gpr(4, 64));
  c.addToStackPointer(c.osize / 8);
  const moved = c.let(c.gpr(4, 64));
  const bytes = c.osize / 8;
  // The address, and the rights to store there, come first; on a fault the pointer is as before.
  const linear = c.addressRestoring(bytes, ACCESS_WRITE, () => c.setGpr(4, 64, before));
  c.setGpr(4, 64, before);
  c.store(linear, bytes, v);
  c.setGpr(4, 64, moved);
};
/** PUSHA: SP as it was before (SDM vol. 2). */
export const pusha: Body = (c) => {
  const bits = c.osize;
  const bytes = bits / 8;
  // A fault in the middle leaves SP alone: the instruction is restarted.
  for (let i = 0; i < 8; i++) c.poke(c.gpr(i, bits), bits, -bytes * (i + 1));
  c.addToStackPointer(-8 * bytes);
};
export const popa: Body = (c) => {
  const bits = c.osize;
  const bytes = bits / 8;
  const values: Expr[] = [];
  // Registers change only after all were read, the discarded SP too: an 80286 and AMD's processors fault on its word.
  for (let i = 0; i < 8; i++) values.push(c.peek(bits, bytes * i));
  for (let i = 0; i < 8; i++) if (i !== 3) c.setGpr(7 - i, bits, values[i]!);
  c.addToStackPointer(8 * bytes);
};

export const enter: Body = (c) => {
  // imm: size (16 bits) | nesting level (5 bits used) << 16.
  const bits = c.osize;
  const bytes = bits / 8;
  const size = c.let(i32.and(c.imm(), 0xffff));
  const level = c.let(i32.and(i32.shrU(c.imm(), 16), 31));
  const bp = c.let(c.gpr(5, bits));
  const rsp = c.let(c.gpr(4, 64));
  c.poke(bp, bits, -bytes);
  const frame = c.let(c.withStackPointer(i64.sub(rsp, BigInt(bytes))));
  c.if(level, () => {
    // Copy level − 1 frame pointers, then push the new one.
    const i = c.f.local(I32);
    c.f.set(i, i32.const(1));
    c.block((done) => {
      c.f.loop((again) => {
        c.f.brIf(done, i32.geU(i, level));
        const from = c.let(i64.sub(c.gpr(5, 64), i64.extendU(i32.mul(i, bytes))));
        const value = c.stackRead(from, bits);
        c.stackWrite(c.let(i64.sub(frame, i64.extendU(i32.mul(i, bytes)))), value, bits);
        c.f.set(i, i32.add(i, 1));
        c.f.br(again);
      });
    });
    const fp = bits === 64 ? frame : i32.wrap(frame);
    c.stackWrite(c.let(i64.sub(frame, i64.extendU(i32.mul(level, bytes)))), fp, bits);
  });
  const below = i64.sub(i64.sub(frame, i64.extendU(i32.mul(level, bytes))), i64.extendU(size));
  const sp = c.let(below);
  // The final stack pointer must be writable (SDM: #PF or #SS otherwise).
  c.stackProbe(sp, bytes);
  c.setGpr(5, bits, bits === 64 ? frame : i32.wrap(frame));
  c.setStackPointer(sp);
};
export const leave: Body = (c) => {
  const bits = c.osize;
  const at = c.let(c.gpr(5, 64));
  const v = c.stackRead(at, bits);
  c.setStackPointer(i64.add(at, BigInt(bits / 8)));
  c.setGpr(5, bits, v);
};

export const pushf: Body = (c) => {
  c.if(
    i32.and(i32.load(L.MODE), MODE_V86),
    () => c.push(width(c.osize).from32(c.jsResult(pushfSystem, I32, [i32.const(c.osize)])), c.osize),
    // VM and RF are pushed as 0.
    () => c.push(width(c.osize).from32(i32.or(i32.and(i32.load(L.EFLAGS), ~0x3_0000), c.flags.all())), c.osize),
  );
};
export const popf: Body = (c) => {
  const v = c.peek(c.osize);
  c.js(popfSystem, [i32.const(c.osize), width(c.osize).low32(v)]);
  c.addToStackPointer(c.osize / 8);
};

// --- flags ------------------------------------------------------------------------------------------------

export const clc: Body = (c) => c.flags.setCf(i32.const(0));
export const stc: Body = (c) => c.flags.setCf(i32.const(1));
export const cmc: Body = (c) => c.flags.setCf(i32.xor(c.flags.cf(), 1));
export const cld: Body = (c) => c.f.store32(L.EFLAGS, i32.and(i32.load(L.EFLAGS), ~DF));
export const std: Body = (c) => c.f.store32(L.EFLAGS, i32.or(i32.load(L.EFLAGS), DF));
export const lahf: Body = (c) => c.setHighByte(0, i32.or(i32.and(c.flags.all(), 0xd5), 2));
export const sahf: Body = (c) => {
  const ah = c.let(i32.and(i32.shrU(c.gpr(0, 16), 8), 0xff));
  const image = c.let(i32.or(i32.and(ah, 0xd5), i32.shl(c.flags.of(), 11)));
  c.flags.load(image);
};
/** SALC (undocumented): AL = CF ? FF : 0. */
export const salc: Body = (c) => c.setGpr(0, 8, i32.sub(0, c.flags.cf()));

export const setcc =
  (cc: number): Body =>
  (c) =>
    c.write(0, c.let(i32.ne(c.flags.condition(cc), 0)));
export const cmovcc =
  (cc: number): Body =>
  (c) => {
    // The source is read (and may fault) whatever the condition; a 32-bit destination is zero-extended always.
    const v = c.read(1);
    const old = c.read(0);
    c.write(0, select(c.flags.condition(cc), v, old));
  };

export const xlat: Body = (c) => {
  const linear = c.implicitAddress(L.DS, i64.add(c.gpr(3, 64), i64.extendU(c.gpr(0, 8))), 1, ACCESS_READ);
  c.setGpr(0, 8, c.load(linear, 1));
};
