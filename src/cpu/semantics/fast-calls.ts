// SYSCALL and SYSRET between rings of 64-bit code as emitted code, where nothing stands in the way: no trap, no
// interrupt that waits, no breakpoint on data, no alignment check. All else is TypeScript's (system/fast-calls.ts).
//
// SDM vol. 2, SYSCALL and SYSRET. Invariant: what is done here is what is done there, with what Cpu.modeChanged derives.
// The call comes first in each body: a region has tier 0 do the instruction then, and there are all sixteen registers.

import * as L from '../layout.js';
import { AC, ARITHMETIC_FLAGS, CR4_SMAP, EFER_SCE, IF, MODE_64BIT, MODE_SS32, RF, TF } from '../state.js';
import {
  flatCode,
  flatData,
  SYSRET_FLAGS,
  syscall as syscallInFull,
  sysret as sysretInFull,
} from '../system/fast-calls.js';
import { type Expr, i32, i64, select } from '../wasm/expr.js';
import type { Body, BodyContext } from './context.js';

const RCX = 1;
const R11 = 11;

const STAR_HIGH = L.MSR_STAR + 4;

/**
 * i32, nonzero when 64-bit code runs, calls are enabled, and no event or breakpoint has to be looked at.
 * @param flags EFLAGS that are to be, a local
 */
function isQuiet(c: BodyContext, flags: Expr): Expr {
  const interrupt = i32.and(i32.load(L.INTR), i32.shrU(flags, Math.log2(IF)));
  const waiting = i32.or(i32.or(interrupt, i32.load(L.NMI_PENDING)), i32.load(L.SMI_PENDING));
  const watched = i32.eq(i32.load(L.DATA_TLB), L.DATA_TLB_NONE);
  const enabled = i32.and(i32.load(L.EFER), EFER_SCE);
  const quiet = i32.eqz(i32.or(i32.or(waiting, watched), c.eflag(TF)));
  return i32.and(i32.and(enabled, quiet), i32.ne(i32.and(i32.load(L.MODE), MODE_64BIT), 0));
}

function setFlat(c: BodyContext, segment: number, selector: Expr, attributes: number, access: number): void {
  const at = L.SEGMENTS + L.SEGMENT_SIZE * segment;
  c.f.store32(at + L.SEG_SELECTOR, i32.and(selector, 0xffff));
  c.f.store32(at + L.SEG_ATTRIBUTES, i32.const(attributes));
  c.f.store32(at + L.SEG_LIMIT, i32.const(-1));
  c.f.store32(at + L.SEG_MIN, i32.const(0));
  c.f.store64(at + L.SEG_BASE, i64.const(0));
  c.f.store32(at + L.SEG_MAX, i32.const(-1));
  c.f.store32(at + L.SEG_ACCESS, i32.const(access));
}

/** Flat segments of a ring, with what follows from them in 64-bit code; then the flags. Both are locals. */
function enterRing(c: BodyContext, cpl: 0 | 3, code: Expr, stack: Expr, flags: Expr): void {
  setFlat(c, L.CS, i32.or(i32.and(code, ~3), cpl), flatCode(cpl, true), 1);
  setFlat(c, L.SS, i32.or(i32.and(stack, ~3), cpl), flatData(cpl), 3);
  c.f.store32(L.CPL, i32.const(cpl));
  c.f.store32(L.MODE, i32.or(i32.load(L.MODE), MODE_SS32));
  c.f.store32(L.CODE_KEY, i32.or(i32.and(i32.load(L.CODE_KEY), ~1), cpl & 1));
  c.flags.load(flags);
  c.f.store32(L.EFLAGS, i32.or(i32.and(flags, 0x3f_ffff & ~0x8028 & ~ARITHMETIC_FLAGS), 2));
}

/** SYSCALL. */
export const syscall: Body = (c) => {
  const old = c.let(i32.and(i32.or(i32.load(L.EFLAGS), c.flags.all()), ~RF));
  const flags = c.let(i32.and(old, i32.xor(i32.load(L.MSR_SFMASK), -1)));
  c.if(
    i32.eqz(isQuiet(c, flags)),
    () => c.js(syscallInFull, []),
    () => {
      c.setGpr(RCX, 64, c.nextIp());
      c.setGpr(R11, 32, old);
      const selector = c.let(i32.load16U(STAR_HIGH));
      enterRing(c, 0, selector, i32.add(selector, 8), flags);
      const open = i32.or(i32.eqz(i32.and(i32.load(L.CR4), CR4_SMAP)), i32.and(flags, AC));
      c.f.store32(L.DATA_TLB, select(open, i32.const(L.DATA_TLB_OPEN), i32.const(L.DATA_TLB_SUPERVISOR)));
      c.f.store64(L.RIP, i64.load(L.MSR_LSTAR));
    },
  );
};

/** SYSRET; to 64-bit code in its plain case. */
export const sysret: Body = (c) => {
  const inFull = () => c.js(sysretInFull, [i32.const(c.osize)]);
  if (c.osize !== 64) {
    inFull();
    return;
  }
  const target = c.let(c.gpr(RCX, 64));
  const flags = c.let(i32.and(c.gpr(R11, 32), SYSRET_FLAGS));
  const canonical = i64.eq(i64.shrS(i64.shl(target, 16n), 16n), target);
  const plain = i32.and(i32.eqz(i32.or(i32.load(L.CPL), i32.and(flags, TF | AC))), canonical);
  // Who reaches ring 3 for the first time is told of.
  c.if(i32.eqz(i32.and(i32.and(isQuiet(c, flags), plain), i32.load(L.USER_REACHED))), inFull, () => {
    const selector = c.let(i32.load16U(STAR_HIGH + 2));
    enterRing(c, 3, i32.add(selector, 16), i32.add(selector, 8), flags);
    c.f.store32(L.DATA_TLB, i32.const(L.DATA_TLB_USER));
    c.f.store64(L.RIP, target);
  });
};
