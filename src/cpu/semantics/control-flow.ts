// Near jumps, calls, returns, loops, and the far ones handed to TypeScript (SDM vol. 2: JMP, CALL, RET, Jcc, LOOP).
// A target is checked before anything changes: outside 64-bit mode against the code segment's limit, in it for the
// canonical form. Branches within a page are linked from block to block (`c.jumpRelative`, `c.branchIf`).

import { farCall, farJump, farReturn } from '../system/far-transfers.js';
import { iret as iretSystem } from '../system/iret.js';
import { type Expr, i32, i64 } from '../wasm/expr.js';
import { ACCESS_READ, type Body, type BodyContext, type SystemOperation } from './context.js';
import { width } from './width.js';

export const jcc =
  (cc: number): Body =>
  (c) => {
    c.checkRelative(c.flags.condition(cc));
    c.branchIf(c.flags.condition(cc));
  };

export const jmpRelative: Body = (c) => {
  c.checkRelative();
  c.jumpRelative();
};
export const callRelative: Body = (c) => {
  c.checkRelative();
  c.push(width(c.osize).from64(c.nextIp()), c.osize);
  c.jumpRelative();
};

const toIp = (c: BodyContext, n: number) => width(c.osize).zext64(c.read(n));

export const jmpIndirect: Body = (c) => {
  const target = c.let(toIp(c, 0));
  c.checkTarget(target);
  c.jump(target);
};
export const callIndirect: Body = (c) => {
  const target = c.let(toIp(c, 0));
  c.checkTarget(target);
  c.push(width(c.osize).from64(c.nextIp()), c.osize);
  c.jump(target);
};

const returnNear =
  (releases: boolean): Body =>
  (c) => {
    const target = c.let(width(c.osize).zext64(c.peek(c.osize)));
    c.checkTarget(target);
    const bytes = i64.const(c.osize / 8);
    c.addToStackPointer(releases ? i64.add(bytes, i64.extendU(i32.and(c.imm(), 0xffff))) : bytes);
    c.jump(target);
  };
export const ret = returnNear(false);
export const retImmediate = returnNear(true);

/** rCX by the address size. */
function counter(c: BodyContext, value = c.gpr(1, c.variant.asize)) {
  return value;
}
/** LOOP (any), LOOPE (ZF = 1), LOOPNE (ZF = 0). */
export const loop =
  (condition: 'any' | 'z' | 'nz'): Body =>
  (c) => {
    const w = width(c.variant.asize);
    const n = c.let(w.mask(w.sub(counter(c), w.const(1))));
    const taken =
      condition === 'any'
        ? i32.eqz(w.eqz(n))
        : i32.and(i32.eqz(w.eqz(n)), condition === 'z' ? c.flags.zf() : i32.eqz(c.flags.zf()));
    const go = c.let(taken);
    c.checkRelative(go);
    c.setGpr(1, c.variant.asize, n);
    c.branchIf(go);
  };
export const jcxz: Body = (c) => {
  const w = width(c.variant.asize);
  const zero = c.let(w.eqz(counter(c)));
  c.checkRelative(zero);
  c.branchIf(zero);
};

// --- far --------------------------------------------------------------------------------------------------

const pointerOffset = (c: BodyContext) => i64.extendU(i32.wrap(c.imm64()));
/** A far transfer in TypeScript, as a branch. */
function far(c: BodyContext, operation: SystemOperation, operands: readonly Expr[]): void {
  const arrived = c.farBranch();
  c.js(operation, [i32.const(c.osize), ...operands]);
  arrived();
}
export const jmpFar: Body = (c) => far(c, farJump, [i32.and(c.imm(), 0xffff), pointerOffset(c)]);
export const callFar: Body = (c) => far(c, farCall, [i32.and(c.imm(), 0xffff), pointerOffset(c)]);

/** m16:16, m16:32 or m16:64: offset first. */
export function loadFarPointer(c: BodyContext) {
  const bytes = c.osize / 8;
  const linear = c.address(bytes + 2, ACCESS_READ);
  const offset = c.load(linear, bytes);
  const selector = c.load(c.let(i64.add(linear, BigInt(bytes))), 2);
  return { offset: c.osize === 64 ? offset : i64.extendU(offset), selector };
}
export const jmpFarMemory: Body = (c) => {
  const { offset, selector } = loadFarPointer(c);
  far(c, farJump, [selector, offset]);
};
export const callFarMemory: Body = (c) => {
  const { offset, selector } = loadFarPointer(c);
  far(c, farCall, [selector, offset]);
};
export const retFar: Body = (c) => far(c, farReturn, [i32.const(0)]);
export const retFarImmediate: Body = (c) => far(c, farReturn, [i32.and(c.imm(), 0xffff)]);
export const iret: Body = (c) => c.js(iretSystem, [i32.const(c.osize)]);
