// String instructions and their REP forms (SDM vol. 2: MOVS, CMPS, SCAS, LODS, STOS, INS, OUTS).
//
// One iteration is one cycle and retires one instruction; registers are written back after each, so an interrupt or
// fault in the middle restarts the instruction with what is left. The loop gives way when the budget is used up:
// RIP then stays on the instruction. INS and OUTS reach a device: they run an iteration at a time, with REP a run of
// items (system/ports.ts).

import * as L from '../layout.js';
import { DF } from '../state.js';
import { checkPort, portRead, portWrite, readRun, stringRun, writeRun } from '../system/ports.js';
import { type Expr, I32, i32, i64 } from '../wasm/expr.js';
import { ACCESS_COPY, ACCESS_READ, ACCESS_WRITE, type Body, type BodyContext } from './context.js';
import { emitRun } from './strings-bulk.js';
import { width } from './width.js';

const RCX = 1;
const RSI = 6;
const RDI = 7;

const pointer = (c: BodyContext, n: number): Expr => c.let(width(c.variant.asize).zext64(c.gpr(n, c.variant.asize)));

/** Move an index register by `step` (i64), at the address size. */
function advance(c: BodyContext, n: number, step: Expr): void {
  const w = width(c.variant.asize);
  c.setGpr(n, c.variant.asize, w.add(c.gpr(n, c.variant.asize), w.from64(step)));
}

/** ±bytes by DF. */
function stepOf(c: BodyContext, bytes: number): Expr {
  return c.let(i64.extendS(i32.sub(bytes, i32.mul(i32.ne(i32.and(i32.load(L.EFLAGS), DF), 0), 2 * bytes))));
}

/** Stop between two iterations, RIP on the instruction. */
function giveWay(c: BodyContext): void {
  c.f.store64(L.REPEATED_AT, i64.add(i64.load(L.INSTRUCTIONS), 1n));
  c.jump(c.ip(), true);
}

/** How a comparison ends: `goOn` is an i32, nonzero while the repetition may go on; `flags` sets them. */
interface Comparison {
  readonly goOn: Expr;
  flags(): void;
}

/**
 * The REP frame around one iteration. Comparisons set the flags once, when the repetition ends: an interrupt, a trap
 * or a fault in the middle finds those from before the instruction (SDM vol. 2, REP).
 */
function repeat(
  c: BodyContext,
  iteration: () => Comparison | undefined,
  run?: { bytes: number; kind: 'movs' | 'stos' },
): void {
  if (c.variant.rep === 0) {
    iteration()?.flags();
    return;
  }
  const w = width(c.variant.asize);
  c.block((done) => {
    const patience = run?.kind === 'movs' ? c.f.local(I32) : undefined;
    if (patience !== undefined) c.f.set(patience, i32.const(1));
    c.f.brIf(done, w.eqz(c.gpr(RCX, w.bits)));
    c.f.loop((again) => {
      if (run !== undefined)
        emitRun(c, run.bytes, run.kind, patience, () => {
          c.f.brIf(done, w.eqz(c.gpr(RCX, w.bits)));
          c.f.brIf(again, c.chargeIteration());
          giveWay(c);
        });
      const comparison = iteration();
      if (patience !== undefined) c.f.set(patience, i32.sub(patience, i32.ne(patience, 0)));
      const left = c.let(w.mask(w.sub(c.gpr(RCX, w.bits), w.const(1))));
      c.setGpr(RCX, w.bits, left);
      if (comparison === undefined) c.f.brIf(done, w.eqz(left));
      else
        c.if(i32.or(w.eqz(left), i32.eqz(comparison.goOn)), () => {
          comparison.flags();
          c.f.br(done);
        });
      c.f.brIf(again, c.chargeIteration());
      giveWay(c);
    });
  });
}

const sourceAt = (c: BodyContext, bytes: number): Expr => c.implicitAddress(L.DS, pointer(c, RSI), bytes, ACCESS_READ);
const source = (c: BodyContext, bytes: number, access = 0): Expr => c.load(sourceAt(c, bytes), bytes, access);
const counter = (c: BodyContext): Expr => width(c.variant.asize).zext64(c.gpr(RCX, c.variant.asize));
const destinationAt = (c: BodyContext, bytes: number, access: number): Expr =>
  c.fixedSegmentAddress(L.ES, pointer(c, RDI), bytes | access);

export const movs =
  (bits: number): Body =>
  (c) => {
    const bytes = (bits || c.osize) / 8;
    const step = stepOf(c, bytes);
    const iteration = () => {
      const v = source(c, bytes, c.variant.rep === 0 ? 0 : ACCESS_COPY);
      c.store(destinationAt(c, bytes, ACCESS_WRITE), bytes, v);
      advance(c, RSI, step);
      advance(c, RDI, step);
      return undefined;
    };
    repeat(c, iteration, { bytes, kind: 'movs' });
  };

export const stos =
  (bits: number): Body =>
  (c) => {
    const size = bits || c.osize;
    const bytes = size / 8;
    const step = stepOf(c, bytes);
    const iteration = () => {
      c.store(destinationAt(c, bytes, ACCESS_WRITE), bytes, c.let(c.gpr(0, size)));
      advance(c, RDI, step);
      return undefined;
    };
    repeat(c, iteration, { bytes, kind: 'stos' });
  };

export const lods =
  (bits: number): Body =>
  (c) => {
    const size = bits || c.osize;
    const step = stepOf(c, size / 8);
    repeat(c, () => {
      c.setGpr(0, size, source(c, size / 8));
      advance(c, RSI, step);
      return undefined;
    });
  };

/** A comparison of two locals, and whether REPE (rep 1) or REPNE (rep 2) goes on after it. */
const comparison = (c: BodyContext, size: number, a: Expr, b: Expr): Comparison => {
  const w = width(size);
  return {
    goOn: c.variant.rep === 0 ? i32.const(0) : c.let(i32.eq(w.eq(a, b), i32.const(c.variant.rep === 1 ? 1 : 0))),
    flags: () => c.flags.sub(w, a, b, c.let(w.sub(a, b))),
  };
};

export const cmps =
  (bits: number): Body =>
  (c) => {
    const size = bits || c.osize;
    const bytes = size / 8;
    const step = stepOf(c, bytes);
    repeat(c, () => {
      // When both operands fault, it is the second that processors report.
      const to = destinationAt(c, bytes, ACCESS_READ);
      const b = c.load(to, bytes);
      const from = sourceAt(c, bytes);
      const a = c.load(from, bytes);
      c.comparesStrings(from, to, bytes, c.variant.rep === 0 ? i64.const(1) : counter(c));
      advance(c, RSI, step);
      advance(c, RDI, step);
      return comparison(c, size, a, b);
    });
  };

export const scas =
  (bits: number): Body =>
  (c) => {
    const size = bits || c.osize;
    const bytes = size / 8;
    const step = stepOf(c, bytes);
    repeat(c, () => {
      const a = c.let(c.gpr(0, size));
      const b = c.load(destinationAt(c, bytes, ACCESS_READ), bytes);
      c.compares(width(size), a, b);
      advance(c, RDI, step);
      return comparison(c, size, a, b);
    });
  };

/** What INS or OUTS does at a linear address: one item, or a run of them. */
interface PortString {
  readonly register: number;
  readonly write: boolean;
  address(): Expr;
  one(linear: Expr): void;
  run(linear: Expr, items: Expr): void;
}

/** One item, or with REP a run of items; RIP stays on the instruction until rCX is used up. */
function portString(c: BodyContext, bytes: number, string: PortString): void {
  // All checks come before the port is reached, for a device read cannot be taken back; the permission even at count 0.
  c.js(checkPort, [c.gpr(2, 16), i32.const(bytes)]);
  const w = width(c.variant.asize);
  if (c.variant.rep === 0) {
    const step = stepOf(c, bytes);
    string.one(string.address());
    advance(c, string.register, step);
    return;
  }
  c.if(i32.eqz(w.eqz(c.gpr(RCX, w.bits))), () => {
    const step = stepOf(c, bytes);
    const linear = string.address();
    const left = c.let(w.zext64(c.gpr(RCX, w.bits)));
    const items = c.jsResult(stringRun, I32, [
      linear,
      pointer(c, string.register),
      left,
      i32.const(bytes),
      i32.const(c.variant.asize),
      i32.const(string.write ? 1 : 0),
    ]);
    c.if(
      i32.gtU(items, 1),
      () => string.run(linear, items),
      () => string.one(linear),
    );
    advance(c, string.register, i64.mul(step, i64.extendU(items)));
    const after = c.let(w.mask(w.sub(c.gpr(RCX, w.bits), w.from64(i64.extendU(items)))));
    c.setGpr(RCX, w.bits, after);
    c.if(i32.eqz(w.eqz(after)), () => giveWay(c));
  });
}

export const ins =
  (bits: number): Body =>
  (c) => {
    const bytes = (bits || Math.min(c.osize, 32)) / 8;
    portString(c, bytes, {
      register: RDI,
      write: true,
      address: () => destinationAt(c, bytes, ACCESS_READ | ACCESS_WRITE),
      one: (linear) => {
        c.modifyAt(linear, bytes);
        c.writeBack(c.jsResult(portRead, I32, [c.gpr(2, 16), i32.const(bytes)]));
      },
      run: (linear, items) => c.js(readRun, [c.gpr(2, 16), linear, i32.const(bytes), items]),
    });
  };

export const outs =
  (bits: number): Body =>
  (c) => {
    const bytes = (bits || Math.min(c.osize, 32)) / 8;
    portString(c, bytes, {
      register: RSI,
      write: false,
      address: () => c.let(c.implicitAddress(L.DS, pointer(c, RSI), bytes, ACCESS_READ)),
      one: (linear) => c.js(portWrite, [c.gpr(2, 16), i32.const(bytes), c.load(linear, bytes)]),
      run: (linear, items) => c.js(writeRun, [c.gpr(2, 16), linear, i32.const(bytes), items]),
    });
  };
