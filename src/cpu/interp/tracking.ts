// Accesses to partial pages (observed.ts) without TypeScript: where a TLB entry's tag says so, the page's record is
// kept here, in the plain cases. What is not plain (the limits, accesses over a page's end, 16 bytes, the last unknown
// byte of a page that was copied to) goes the slow way, as a miss does. Invariant: the record is afterwards what ObservedMemory's `read` or `write` would have made it.

import * as L from '../layout.js';
import { MASK_SIZE, READ_LIMIT, WRITE_CHECK, WRITE_LIMIT } from '../observed.js';
import { dataTlbEntry } from '../semantics/tlb.js';
import { type Expr, I32, I64, i32, i64, select } from '../wasm/expr.js';
import type { FunctionBuilder } from '../wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../wasm/module.js';

export interface TrackingFunctions {
  /** (linear i64, bytes i32) → address in linear memory, 0 = the slow way. */
  readonly trackedRead: FunctionHandle;
  readonly trackedWrite: FunctionHandle;
}

/** The entry's record when its tag is that of a partial page; returns 0 from the function when it is not. */
function recordFor(f: FunctionBuilder, tag: number): { entry: Expr; record: Expr; offset: Expr } {
  const linear = f.param(0);
  const bytes = f.param(1);
  const entry = f.let(dataTlbEntry(linear, i32.load(L.DATA_TLB)));
  const last = i64.and(i64.add(linear, i64.sub(i64.extendU(bytes), 1n)), ~0xfffn);
  const other = i64.ne(i64.load(entry, tag), i64.or(last, BigInt(L.TLB_PARTIAL)));
  f.if(i32.or(other, i32.gtU(bytes, 8)), () => f.return(i32.const(0)));
  return {
    entry,
    record: f.let(i32.load(entry, L.TLB_TRACK)),
    offset: f.let(i32.and(i32.wrap(linear), 0xfff)),
  };
}
/** Bits of the access's bytes in the 16 bits of a mask that begin with the first byte's. */
const bitsOf = (f: FunctionBuilder, offset: Expr): Expr =>
  i32.shl(i32.sub(i32.shl(1, f.param(1)), 1), i32.and(offset, 7));
const hostOf = (f: FunctionBuilder, entry: Expr): Expr => i32.add(i32.wrap(f.param(0)), i32.load(entry, L.TLB_ADDEND));

/** An address behind a page's mask of unknown bytes. */
const MASK_END = L.TRACK_UNKNOWN + MASK_SIZE;

/**
 * (record) → 1 when every byte of its page is known. From the end on: pages are read forwards.
 */
function defineIsKnown(m: ModuleBuilder): FunctionHandle {
  const isKnown = m.declare([I32], I32);
  m.define(isKnown, (f) => {
    const at = f.local(I32);
    f.set(at, i32.add(f.param(0), MASK_END));
    f.loop((again) => {
      f.set(at, i32.sub(at, 8));
      f.if(i32.eqz(i64.eqz(i64.load(at))), () => f.return(i32.const(0)));
      f.brIf(again, i32.gtU(at, i32.add(f.param(0), L.TRACK_UNKNOWN)));
    });
    i32.const(1).write(f.body);
  });
  return isKnown;
}

export function defineTracking(m: ModuleBuilder): TrackingFunctions {
  const isKnown = defineIsKnown(m);
  /** Take bytes out of a copied page's unknown ones; the last ones are left, and to the slow way. */
  const learn = (f: FunctionBuilder, record: Expr, byte: Expr, unknown: Expr, bits: Expr) => {
    f.store16(byte, i32.xor(unknown, bits), L.TRACK_UNKNOWN);
    f.if(isKnown.call(record), () => {
      f.store16(byte, unknown, L.TRACK_UNKNOWN);
      f.return(i32.const(0));
    });
  };
  const trackedRead = m.declare([I64, I32], I32);
  m.define(trackedRead, (f) => {
    const { entry, record, offset } = recordFor(f, L.TLB_READ);
    const reads = f.let(i32.load(record, L.TRACK_READS));
    f.if(i32.geU(reads, READ_LIMIT), () => f.return(i32.const(0)));
    const byte = f.let(i32.add(record, i32.shrU(offset, 3)));
    const unknown = f.let(i32.load16U(byte, L.TRACK_UNKNOWN));
    const seen = f.let(i32.and(unknown, bitsOf(f, offset)));
    f.if(seen, () => {
      f.if(
        i32.load(record, L.TRACK_COPIED),
        () => {
          // The bytes that they stand for lie in one page.
          const from = f.let(i32.add(offset, i32.load(record, L.TRACK_SHIFT)));
          const over = i32.ne(i32.shrU(from, 12), i32.shrU(i32.sub(i32.add(from, f.param(1)), 1), 12));
          f.if(over, () => f.return(i32.const(0)));
          const behind = i32.shrU(from, 12);
          const mask = f.let(select(behind, i32.load(record, L.TRACK_SEEN_NEXT), i32.load(record, L.TRACK_SEEN)));
          f.if(i32.eqz(mask), () => f.return(i32.const(0)));
          learn(f, record, byte, unknown, seen);
          const bits = i32.shl(i32.shrU(seen, i32.and(offset, 7)), i32.and(from, 7));
          const at = f.let(i32.add(mask, i32.shrU(i32.and(from, 0xfff), 3)));
          f.store16(at, i32.or(i32.load16U(at), bits));
        },
        () => {
          f.store16(byte, i32.xor(unknown, seen), L.TRACK_UNKNOWN);
          f.store16(byte, i32.or(i32.load16U(byte, L.TRACK_OBSERVED), seen), L.TRACK_OBSERVED);
        },
      );
    });
    f.store32(record, i32.add(reads, 1), L.TRACK_READS);
    hostOf(f, entry).write(f.body);
  });
  const trackedWrite = m.declare([I64, I32], I32);
  m.define(trackedWrite, (f) => {
    const { entry, record, offset } = recordFor(f, L.TLB_WRITE);
    const writes = f.let(i32.add(i32.load(record, L.TRACK_WRITES), 1));
    const special = i32.or(i32.eqz(i32.remU(writes, WRITE_CHECK)), i32.eq(i32.add(offset, f.param(1)), 4096));
    f.if(i32.or(i32.gtU(writes, WRITE_LIMIT), special), () => f.return(i32.const(0)));
    const byte = f.let(i32.add(record, i32.shrU(offset, 3)));
    const unknown = f.let(i32.load16U(byte, L.TRACK_UNKNOWN));
    const newly = f.let(i32.and(unknown, bitsOf(f, offset)));
    f.if(newly, () => {
      f.if(
        i32.load(record, L.TRACK_COPIED),
        () => learn(f, record, byte, unknown, newly),
        () => f.store16(byte, i32.xor(unknown, newly), L.TRACK_UNKNOWN),
      );
    });
    f.store32(record, writes, L.TRACK_WRITES);
    hostOf(f, entry).write(f.body);
  });
  return { trackedRead, trackedWrite };
}
