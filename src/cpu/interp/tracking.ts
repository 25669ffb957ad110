// Accesses to partial pages (observed.ts) without TypeScript: where a TLB entry's tag says so, the page's record is
// kept here, in the plain cases. What is not plain (the limits, accesses over a page's end, an access by which the page
// becomes known, unknown bytes that are only copied) goes the slow way, as a miss does. Invariant: the record is
// afterwards what ObservedMemory's `read` or `write` would have made it; where 0 is returned, what it was.

import * as L from '../layout.js';
import { READ_LIMIT, WRITE_CHECK, WRITE_LIMIT } from '../observed.js';
import { MASK_SIZE } from '../page-masks.js';
import { ACCESS_COPY } from '../semantics/context.js';
import { dataTlbEntry } from '../semantics/tlb.js';
import { type Expr, I32, I64, i32, i64, select } from '../wasm/expr.js';
import type { FunctionBuilder } from '../wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../wasm/module.js';

/** (linear i64, access i32) → address in linear memory, 0 = the slow way. */
export interface TrackingFunctions {
  readonly trackedRead: FunctionHandle;
  readonly trackedWrite: FunctionHandle;
  /** Read, and then written. */
  readonly trackedModify: FunctionHandle;
  /**
   * (linear i64, bytes i32, items i32): items of a fill, upwards in one page → how many of them are to be stored now, the
   * record being kept. None of them is one that `trackedWrite` might leave to the slow way: 0 where the first one is.
   */
  readonly trackedFill: FunctionHandle;
}

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

/** i32: the tag of a TLB entry is not that of a page which is partial. */
const isNotTracked = (entry: Expr, tag: number, page: Expr): Expr =>
  i64.ne(i64.load(entry, tag), i64.or(page, BigInt(L.TLB_PARTIAL)));

/** An access, in locals or constants: where, of how many bytes, its TLB entry and the page of its last byte (i64). */
interface Access {
  readonly linear: Expr;
  readonly bytes: Expr;
  readonly entry: Expr;
  readonly last: Expr;
}

/** One access to the page of a TLB entry. */
class TrackedAccess {
  readonly record: Expr;
  protected readonly offset: Expr;
  /** Where 32 bits of the page's masks begin with the first byte's eight, and which of them are the access's unknown bytes. */
  protected readonly byte: Expr;
  protected readonly unknown: Expr;
  readonly found: Expr;

  /**
   * Gives up where the entry's tag is not that of a partial page.
   * @param giveUpIf leaves the access to the slow way where its condition holds
   */
  constructor(
    readonly f: FunctionBuilder,
    protected readonly access: Access,
    tag: number,
    readonly giveUpIf: (condition: Expr) => void,
  ) {
    const { linear, bytes, entry, last } = access;
    this.giveUpIf(isNotTracked(entry, tag, last));
    this.record = f.let(i32.load(entry, L.TLB_TRACK));
    this.offset = f.let(i32.and(i32.wrap(linear), 0xfff));
    this.byte = f.let(i32.add(this.record, i32.shrU(this.offset, 3)));
    this.unknown = f.let(i32.load(this.byte, L.TRACK_UNKNOWN));
    const bits = i32.shl(i32.sub(i32.shl(1, bytes), 1), i32.and(this.offset, 7));
    this.found = f.let(i32.and(this.unknown, bits));
  }

  /** Take the bytes out of the unknown ones. */
  protected learn(): void {
    this.f.store32(this.byte, i32.xor(this.unknown, this.found), L.TRACK_UNKNOWN);
  }

  /** Bytes of a page that a loader filled are seen. */
  readLoaded(): void {
    const { f, byte, found } = this;
    this.learn();
    f.store32(byte, i32.or(i32.load(byte, L.TRACK_OBSERVED), found), L.TRACK_OBSERVED);
  }
  /** How often the page was read until now; gives up at the limit. */
  reads(): Expr {
    const reads = this.f.let(i32.load(this.record, L.TRACK_READS));
    this.giveUpIf(i32.geU(reads, READ_LIMIT));
    return reads;
  }
  countRead(reads: Expr): void {
    this.f.store32(this.record, i32.add(reads, 1), L.TRACK_READS);
  }
}

/**
 * Emit what a read notes of a partial page that a loader filled, where it does not note it by a call.
 * @param giveUpIf branches away where its condition holds: nothing has been noted
 */
export function emitTrackedRead(f: FunctionBuilder, access: Access, giveUpIf: (condition: Expr) => void): void {
  const a = new TrackedAccess(f, access, L.TLB_READ, giveUpIf);
  const reads = a.reads();
  f.if(a.found, () => {
    giveUpIf(i32.load(a.record, L.TRACK_COPIED));
    a.readLoaded();
  });
  a.countRead(reads);
}

/** One access in a function of (linear, access), which returns 0 where it gives up. */
class TrackedCall extends TrackedAccess {
  constructor(
    f: FunctionBuilder,
    tag: number,
    private readonly isKnown: FunctionHandle,
  ) {
    const linear = f.param(0);
    const bytes = f.let(i32.and(f.param(1), 0xff));
    const entry = f.let(dataTlbEntry(linear, i32.load(L.DATA_TLB)));
    const last = i64.and(i64.add(linear, i64.sub(i64.extendU(bytes), 1n)), ~0xfffn);
    super(f, { linear, bytes, entry, last }, tag, (condition) => f.if(condition, () => f.return(i32.const(0))));
  }

  /** The slow way translates again: not to be left out where that counts. */
  giveUpIfCounted(): void {
    this.giveUpIf(i32.and(i32.load(this.access.entry, L.TLB_FLAGS), L.TLB_COUNTED));
  }

  /** Where the page is known by that, it is left as it was, to the slow way. */
  private learnUnlessLast(): void {
    const { f, byte, unknown } = this;
    this.learn();
    f.if(this.isKnown.call(this.record), () => {
      f.store32(byte, unknown, L.TRACK_UNKNOWN);
      f.return(i32.const(0));
    });
  }

  /** The bytes are seen. */
  read(): void {
    const { f, record, offset, found } = this;
    f.if(found, () => {
      this.giveUpIf(i32.and(f.param(1), ACCESS_COPY));
      f.if(
        i32.load(record, L.TRACK_COPIED),
        () => {
          // The bytes that they stand for lie in one page.
          const from = f.let(i32.add(offset, i32.load(record, L.TRACK_SHIFT)));
          const over = i32.ne(i32.shrU(from, 12), i32.shrU(i32.sub(i32.add(from, this.access.bytes), 1), 12));
          this.giveUpIf(over);
          const behind = i32.shrU(from, 12);
          const mask = f.let(select(behind, i32.load(record, L.TRACK_SEEN_NEXT), i32.load(record, L.TRACK_SEEN)));
          this.giveUpIf(i32.eqz(mask));
          this.learnUnlessLast();
          const bits = i32.shl(i32.shrU(found, i32.and(offset, 7)), i32.and(from, 7));
          const at = f.let(i32.add(mask, i32.shrU(i32.and(from, 0xfff), 3)));
          f.store32(at, i32.or(i32.load(at), bits));
        },
        () => this.readLoaded(),
      );
    });
  }

  /** The bytes are overwritten. `checks`: it is looked whether the page is known by now. */
  write(checks: Expr): void {
    const { f, record, found } = this;
    const careful = i32.or(checks, i32.and(i32.ne(found, 0), i32.load(record, L.TRACK_COPIED)));
    f.if(
      careful,
      () => {
        f.if(checks, () => this.giveUpIfCounted());
        this.learnUnlessLast();
      },
      () => f.if(found, () => this.learn()),
    );
  }
  /** How often it was written, this time included, and whether that is a time to look; gives up behind the limit. */
  writes(): [writes: Expr, checks: Expr] {
    const { f } = this;
    const writes = f.let(i32.add(i32.load(this.record, L.TRACK_WRITES), 1));
    this.giveUpIf(i32.gtU(writes, WRITE_LIMIT));
    const atEnd = i32.eq(i32.add(this.offset, this.access.bytes), 4096);
    return [writes, f.let(i32.or(i32.eqz(i32.remU(writes, WRITE_CHECK)), atEnd))];
  }

  host(): Expr {
    return i32.add(i32.wrap(this.f.param(0)), i32.load(this.access.entry, L.TLB_ADDEND));
  }
}

/** Take bits [start, end) out of a record's unknown bytes; `end` lies in the page, too. */
function emitForget(f: FunctionBuilder, record: Expr, start: Expr, end: Expr): void {
  const first = f.let(i32.add(record, i32.shrU(start, 3)));
  const last = f.let(i32.add(record, i32.shrU(end, 3)));
  const before = i32.sub(i32.shl(1, i32.and(start, 7)), 1);
  const head = f.let(i32.and(i32.load8U(first, L.TRACK_UNKNOWN), before));
  const tail = f.let(i32.and(i32.load8U(last, L.TRACK_UNKNOWN), i32.shl(0xff, i32.and(end, 7))));
  f.store8(first, head, L.TRACK_UNKNOWN);
  f.memoryFill(i32.add(first, L.TRACK_UNKNOWN + 1), i32.const(0), i32.sub(last, first));
  f.store8(last, i32.or(i32.load8U(last, L.TRACK_UNKNOWN), tail), L.TRACK_UNKNOWN);
}

function defineTrackedFill(m: ModuleBuilder): FunctionHandle {
  const trackedFill = m.declare([I64, I32, I32], I32);
  m.define(trackedFill, (f) => {
    const [linear, bytes] = [f.param(0), f.param(1)];
    const giveUpIf = (condition: Expr) => f.if(condition, () => f.return(i32.const(0)));
    const entry = f.let(dataTlbEntry(linear, i32.load(L.DATA_TLB)));
    giveUpIf(isNotTracked(entry, L.TLB_WRITE, i64.and(linear, ~0xfffn)));
    const record = f.let(i32.load(entry, L.TLB_TRACK));
    const start = f.let(i32.and(i32.wrap(linear), 0xfff));
    const items = f.local(I32);
    f.set(items, f.param(2));
    const atMost = (n: Expr) => f.set(items, select(i32.ltS(n, items), n, items));
    // Up to the next time to look whether the page is known: behind that many writes, at the page's end.
    const writes = f.let(i32.load(record, L.TRACK_WRITES));
    giveUpIf(i32.geU(writes, WRITE_LIMIT));
    atMost(f.let(i32.sub(WRITE_CHECK - 1, i32.remU(writes, WRITE_CHECK))));
    atMost(f.let(i32.divU(i32.sub(4095, start), bytes)));
    f.if(i32.load(record, L.TRACK_COPIED), () => {
      // The page is known with its last unknown byte: not up to the 64 bytes where that is, unless it is before these.
      const at = f.local(I32);
      f.set(at, i32.const(MASK_SIZE));
      f.loop((again) => {
        giveUpIf(i32.eqz(at));
        f.set(at, i32.sub(at, 8));
        f.brIf(again, i64.eqz(i64.load(i32.add(record, at), L.TRACK_UNKNOWN)));
      });
      const group = f.let(i32.shl(at, 3));
      f.if(i32.gtU(i32.add(group, 64), start), () => {
        giveUpIf(i32.leU(group, start));
        atMost(f.let(i32.divU(i32.sub(group, start), bytes)));
      });
    });
    giveUpIf(i32.eqz(items));
    f.store32(record, i32.add(writes, items), L.TRACK_WRITES);
    emitForget(f, record, start, f.let(i32.add(start, i32.mul(items, bytes))));
    items.write(f.body);
  });
  return trackedFill;
}

export function defineTracking(m: ModuleBuilder): TrackingFunctions {
  const isKnown = defineIsKnown(m);
  const trackedRead = m.declare([I64, I32], I32);
  m.define(trackedRead, (f) => {
    const a = new TrackedCall(f, L.TLB_READ, isKnown);
    f.if(i32.and(f.param(1), ACCESS_COPY), () => a.giveUpIfCounted());
    const reads = a.reads();
    a.read();
    a.countRead(reads);
    a.host().write(f.body);
  });
  const trackedWrite = m.declare([I64, I32], I32);
  m.define(trackedWrite, (f) => {
    const a = new TrackedCall(f, L.TLB_WRITE, isKnown);
    const [writes, checks] = a.writes();
    a.write(checks);
    f.store32(a.record, writes, L.TRACK_WRITES);
    a.host().write(f.body);
  });
  const trackedModify = m.declare([I64, I32], I32);
  m.define(trackedModify, (f) => {
    const a = new TrackedCall(f, L.TLB_WRITE, isKnown);
    a.giveUpIfCounted();
    const reads = a.reads();
    const [writes, checks] = a.writes();
    a.giveUpIf(checks);
    a.read();
    a.countRead(reads);
    f.store32(a.record, writes, L.TRACK_WRITES);
    a.host().write(f.body);
  });
  return { trackedRead, trackedWrite, trackedModify, trackedFill: defineTrackedFill(m) };
}
