// The TLB fast path, emitted inline or as the shared functions. A hit compares the page of the access's last byte
// with the entry that its first byte selects, so an access that crosses a page always misses. A miss walks the tables
// (page-walk.ts) or calls TypeScript, which handles crossings, MMIO, code pages and faults, and passes data in SCRATCH.

import * as L from '../layout.js';
import { FS, SS } from '../layout.js';
import { ACCESS_READ, ACCESS_WRITE } from '../semantics/context.js';
import { dataTlbEntry } from '../semantics/tlb.js';
import { MODE_64BIT, MODE_PROTECTED, MODE_V86 } from '../state.js';
import { type Expr, I32, I64, i32, i64, type LocalGet, type Type, V128, v128 } from '../wasm/expr.js';
import type { FunctionBuilder } from '../wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../wasm/module.js';
import { definePageWalk } from './page-walk.js';
import { defineTracking } from './tracking.js';

export const IP_PAGE_MASK = 0xfffn;

export interface SlowPaths {
  /** (lo, hi, access, uop): data from SCRATCH. */
  readonly slowWrite: FunctionHandle;
  /** (linear, access, uop) → where the data is; ABORT may be set. */
  readonly missedRead: FunctionHandle;
  /** (linear, bytes) → where to store; SCRATCH: `slowWrite` is to follow. */
  readonly missedWrite: FunctionHandle;
}

const valueType = (bytes: number): Type => (bytes === 16 ? V128 : bytes === 8 ? I64 : I32);

export function loadAt(at: Expr, bytes: number): Expr {
  if (bytes === 1) return i32.load8U(at);
  if (bytes === 2) return i32.load16U(at);
  if (bytes === 4) return i32.load(at);
  if (bytes === 8) return i64.load(at);
  return v128.load(at);
}
export function storeAt(f: FunctionBuilder, at: Expr, bytes: number, value: Expr): void {
  if (bytes === 1) f.store8(at, value);
  else if (bytes === 2) f.store16(at, value);
  else if (bytes === 4) f.store32(at, value);
  else if (bytes === 8) f.store64(at, value);
  else f.storeV(at, value);
}

/** i32: address of the TLB entry for a linear address. */
function entryFor(f: FunctionBuilder, linear: Expr): Expr {
  return f.let(dataTlbEntry(linear, i32.load(L.DATA_TLB)));
}
/** i64: page of the last byte of an access. */
function lastPage(linear: Expr, bytes: number): Expr {
  return i64.and(i64.add(linear, BigInt(bytes - 1)), ~0xfffn);
}
const low = (linear: Expr) => i32.wrap(linear);
const high = (linear: Expr) => i32.wrap(i64.shrU(linear, 32n));

/** Emit `value = memory[linear]`. `linear` is a local. */
export function loadOf(
  f: FunctionBuilder,
  slow: SlowPaths,
  linear: Expr,
  bytes: number,
  uop: Expr,
  access: Expr,
  value: LocalGet,
  checkAbort: () => void,
): void {
  const entry = entryFor(f, linear);
  f.if(
    i64.eq(i64.load(entry, L.TLB_READ), lastPage(linear, bytes)),
    () => f.set(value, loadAt(i32.add(low(linear), i32.load(entry, L.TLB_ADDEND)), bytes)),
    () => {
      const host = f.let(slow.missedRead.call(linear, access, uop));
      checkAbort();
      f.set(value, loadAt(host, bytes));
    },
  );
}

/** Emit `memory[linear] = value`. Both are locals or constants. */
export function storeTo(
  f: FunctionBuilder,
  slow: SlowPaths,
  linear: Expr,
  bytes: number,
  uop: Expr,
  access: Expr,
  value: Expr,
  checkAbort: () => void,
): void {
  const entry = entryFor(f, linear);
  f.if(
    i64.eq(i64.load(entry, L.TLB_WRITE), lastPage(linear, bytes)),
    () => storeAt(f, i32.add(low(linear), i32.load(entry, L.TLB_ADDEND)), bytes, value),
    () => {
      const host = f.let(slow.missedWrite.call(linear, i32.const(bytes)));
      storeAt(f, host, bytes, value);
      f.if(i32.eq(host, L.SCRATCH), () => {
        f.call(slow.slowWrite, low(linear), high(linear), access, uop);
        checkAbort();
      });
    },
  );
}

/** A tracked read of the instruction with this record. */
function noteSite(f: FunctionBuilder, uop: Expr): void {
  const site = f.let(i32.and(i32.shrU(uop, 3), 2 * (L.SITES - 1)));
  const reads = f.let(i32.load16U(site, L.SITE_READS));
  f.store16(site, i32.add(reads, i32.ne(reads, 0xffff)), L.SITE_READS);
}

/** Define the shared load and store functions. In them an abort is a plain return: the caller checks ABORT. */
function defineMemoryFunctions(
  m: ModuleBuilder,
  imports: { slowRead: FunctionHandle; slowWrite: FunctionHandle; slowModify: FunctionHandle },
) {
  const { trackedRead, trackedWrite, trackedModify, trackedFill } = defineTracking(m);
  const fill = definePageWalk(m);
  /** The page's entry has just been filled: return where the data is, unless it is a partial page's. */
  const returnHit = (f: FunctionBuilder, tag: number) => {
    const entry = entryFor(f, f.param(0));
    f.if(i64.eq(i64.load(entry, tag), i64.and(f.param(0), ~0xfffn)), () =>
      f.return(i32.add(low(f.param(0)), i32.load(entry, L.TLB_ADDEND))),
    );
  };
  const missedRead = m.declare([I64, I32, I32], I32);
  m.define(missedRead, (f) => {
    const linear = f.param(0);
    const host = f.local(I32);
    const returnTracked = () => {
      f.set(host, trackedRead.call(linear, f.param(1)));
      f.if(host, () => {
        noteSite(f, f.param(2));
        f.return(host);
      });
    };
    returnTracked();
    f.if(fill.call(linear, f.param(1)), () => {
      returnHit(f, L.TLB_READ);
      returnTracked();
    });
    f.call(imports.slowRead, low(linear), high(linear), f.param(1), f.param(2));
    i32.const(L.SCRATCH).write(f.body);
  });
  const missedWrite = m.declare([I64, I32], I32);
  m.define(missedWrite, (f) => {
    const host = f.local(I32);
    f.set(host, trackedWrite.call(f.param(0), f.param(1)));
    f.if(host, () => f.return(host));
    f.if(fill.call(f.param(0), i32.or(f.param(1), ACCESS_WRITE)), () => {
      returnHit(f, L.TLB_WRITE);
      f.set(host, trackedWrite.call(f.param(0), f.param(1)));
      f.if(host, () => f.return(host));
    });
    i32.const(L.SCRATCH).write(f.body);
  });
  const slow = { ...imports, missedRead, missedWrite };
  const load = new Map<number, FunctionHandle>();
  const store = new Map<number, FunctionHandle>();
  for (const bytes of [1, 2, 4, 8, 16]) {
    const type = valueType(bytes);
    const l = m.declare([I64, I32, I32], type);
    m.define(l, (f) => {
      const value = f.local(type);
      loadOf(f, slow, f.param(0), bytes, f.param(1), f.param(2), value, () => {});
      value.write(f.body);
    });
    load.set(bytes, l);
    const s = m.declare([I64, I32, I32, type]);
    m.define(s, (f) => storeTo(f, slow, f.param(0), bytes, f.param(1), f.param(2), f.param(3), () => {}));
    store.set(bytes, s);
  }
  const hostForWrite = m.declare([I64, I32, I32], I32);
  m.define(hostForWrite, (f) => {
    const linear = f.param(0);
    const entry = entryFor(f, linear);
    const last = i64.and(i64.add(linear, i64.sub(i64.extendU(f.param(2)), 1n)), ~0xfffn);
    // Read permission follows from write permission on x86 pages.
    f.if(i64.eq(i64.load(entry, L.TLB_WRITE), last), () =>
      f.return(i32.add(low(linear), i32.load(entry, L.TLB_ADDEND))),
    );
    const access = f.let(i32.or(f.param(2), ACCESS_READ | ACCESS_WRITE));
    const host = f.let(trackedModify.call(linear, f.param(2)));
    f.if(host, () => f.return(host));
    f.if(fill.call(linear, access), () => f.return(i32.add(low(linear), i32.load(entry, L.TLB_ADDEND))));
    slow.slowModify.call(low(linear), high(linear), access, f.param(1)).write(f.body);
  });
  return { load, store, hostForWrite, missedRead, missedWrite, trackedFill };
}

/**
 * Segmented addresses: base added, and outside 64-bit mode limit and rights checked (SDM vol. 3A, 5.3). A violation
 * calls `fault(uop, stack)`, which sets ABORT to #GP(0) or #SS(0).
 */
function defineSegmentFunctions(m: ModuleBuilder, fault: FunctionHandle) {
  const check = (f: FunctionBuilder, segment: Expr, offset: Expr, access: Expr, onFault: () => void) => {
    const bytes = i64.extendU(i32.and(access, 0xff));
    const last = f.let(i64.sub(i64.add(offset, bytes), 1n));
    const min = f.let(i64.load32U(segment, L.SEG_MIN));
    const max = f.let(i64.load32U(segment, L.SEG_MAX));
    // An access that runs over the end of a segment of 4 GiB wraps around.
    const whole = i64.eq(i64.sub(max, min), 0xffff_ffffn);
    const bad = i32.or(i64.ltU(offset, min), i32.and(i64.gtU(last, max), i32.eqz(whole)));
    const mode = i32.and(i32.load(L.MODE), MODE_PROTECTED | MODE_V86);
    const need = i32.and(i32.shrU(access, 8), 3);
    const lacking = i32.and(need, i32.xor(i32.load(segment, L.SEG_ACCESS), -1));
    f.if(i32.or(bad, i32.and(i32.eq(mode, MODE_PROTECTED), i32.ne(lacking, 0))), onFault);
  };
  const segmented = m.declare([I32, I64, I32], I64);
  m.define(segmented, (f) => {
    const how = f.let(i32.load8U(f.param(0), L.UOP_ADDRESS));
    const number = f.let(i32.and(i32.shrU(how, 2), 7));
    const segment = f.let(i32.add(i32.shl(number, 5), L.SEGMENTS));
    const drop = f.let(i64.sub(64n, i64.shl(16n, i64.extendU(i32.and(i32.shrU(how, 5), 3)))));
    const offset = f.let(i64.shrU(i64.shl(f.param(1), drop), drop));
    f.if(i32.and(i32.load(L.MODE), MODE_64BIT), () => {
      f.if(i32.geU(number, FS), () => f.return(i64.add(offset, i64.load(segment, L.SEG_BASE))));
      f.return(offset);
    });
    check(f, segment, offset, f.param(2), () => {
      f.call(fault, f.param(0), i32.eq(number, SS));
      f.return(i64.const(0));
    });
    i64.and(i64.add(offset, i64.load(segment, L.SEG_BASE)), 0xffff_ffffn).write(f.body);
  });
  const badTarget = m.declare([I64], I32);
  m.define(badTarget, (f) => {
    f.if(i32.and(i32.load(L.MODE), MODE_64BIT), () =>
      f.return(i64.ne(i64.shrS(i64.shl(f.param(0), 16n), 16n), f.param(0))),
    );
    i64.gtU(f.param(0), i64.load32U(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_LIMIT)).write(f.body);
  });
  const segmentedIn = m.declare([I32, I64, I32, I32], I64);
  m.define(segmentedIn, (f) => {
    const offset = f.param(1);
    f.if(i32.and(i32.load(L.MODE), MODE_64BIT), () => f.return(offset));
    const segment = f.let(i32.add(i32.shl(f.param(0), 5), L.SEGMENTS));
    check(f, segment, offset, f.param(2), () => {
      f.call(fault, f.param(3), i32.eq(f.param(0), SS));
      f.return(i64.const(0));
    });
    i64.and(i64.add(offset, i64.load(segment, L.SEG_BASE)), 0xffff_ffffn).write(f.body);
  });
  const stackSegmented = m.declare([I32, I64, I32], I64);
  m.define(stackSegmented, (f) => {
    const segment = i32.const(L.SEGMENTS + L.SEGMENT_SIZE * SS);
    check(f, segment, f.param(1), f.param(2), () => {
      f.call(fault, f.param(0), i32.const(1));
      f.return(i64.const(0));
    });
    i64.and(i64.add(f.param(1), i64.load(segment, L.SEG_BASE)), 0xffff_ffffn).write(f.body);
  });
  return { badTarget, segmented, segmentedIn, stackSegmented };
}

/** Import the slow paths, and define all that emitted code shares for memory and segments. */
export function defineAccessFunctions(m: ModuleBuilder) {
  const slowRead = m.importFunction('slow', 'read', [I32, I32, I32, I32]);
  const slowWrite = m.importFunction('slow', 'write', [I32, I32, I32, I32]);
  const slowModify = m.importFunction('slow', 'modify', [I32, I32, I32, I32], I32);
  const slowCommit = m.importFunction('slow', 'commit', []);
  const segmentFault = m.importFunction('slow', 'segmentFault', [I32, I32]);
  return {
    ...defineMemoryFunctions(m, { slowRead, slowWrite, slowModify }),
    ...defineSegmentFunctions(m, segmentFault),
    slowWrite,
    slowModify,
    slowCommit,
  };
}
