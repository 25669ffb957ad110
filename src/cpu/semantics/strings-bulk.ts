// REP MOVS and REP STOS by runs: iterations that stay within a page on each side, whose translations are at hand, and
// that the budget covers are done at once. The outcome is that of the single iterations, cycle for cycle: each is
// charged and retired, the registers say how far the instruction came. Everything else (16-bit addresses, segments with
// a base or limit, TLB misses, sources that the run itself would overwrite) is left to them.

import type { CpuCore } from '../core.js';
import * as L from '../layout.js';
import { DF, MODE_64BIT } from '../state.js';
import { type Expr, I32, I64, i32, i64, type LocalGet, select } from '../wasm/expr.js';
import type { BodyContext } from './context.js';
import { dataTlbEntry } from './tlb.js';
import { width } from './width.js';

const RCX = 1;
const RSI = 6;
const RDI = 7;

/** i32: nonzero when a segment adds and forbids nothing. */
function isPlain(segment: number): Expr {
  const at = L.SEGMENTS + L.SEGMENT_SIZE * segment;
  const flat = i32.and(
    i32.and(i64.eqz(i64.load(at + L.SEG_BASE)), i32.eqz(i32.load(at + L.SEG_MIN))),
    i32.and(i32.eq(i32.load(at + L.SEG_MAX), -1), i32.eq(i32.load(at + L.SEG_ACCESS), 3)),
  );
  return i32.or(i32.ne(i32.and(i32.load(L.MODE), MODE_64BIT), 0), flat);
}

/** i32: where `bytes` bytes (an i32) at a linear address (i64) are in linear memory, 0 when no TLB entry says so. */
function hostOf(c: BodyContext, linear: Expr, bytes: Expr, tag: number): Expr {
  const entry = c.let(dataTlbEntry(linear, i32.load(L.DATA_TLB)));
  const last = i64.and(i64.sub(i64.add(linear, i64.extendU(bytes)), 1n), ~0xfffn);
  const hit = i64.eq(i64.load(entry, tag), last);
  return c.let(select(hit, i32.add(i32.wrap(linear), i32.load(entry, L.TLB_ADDEND)), i32.const(0)));
}

/** Items of `bytes` bytes up to the end of the page, or with `down` (an i32, 0 or 1) from this one on to its beginning. */
function room(c: BodyContext, at: Expr, bytes: number, down: Expr): Expr {
  const offset = c.let(i32.and(i32.wrap(at), 0xfff));
  const up = c.let(i32.divU(i32.sub(4096, offset), bytes));
  return select(i32.and(down, i32.ne(up, 0)), i32.add(i32.divU(offset, bytes), 1), up);
}
const least = (c: BodyContext, a: Expr, b: Expr): Expr => {
  const [x, y] = [c.let(a), c.let(b)];
  return c.let(select(i32.ltU(x, y), x, y));
};

/** Store an item again and again; every item here is stored with i64 or i32 stores of its size. */
function fill(c: BodyContext, to: Expr, length: Expr, bytes: number): void {
  const { f } = c;
  const value = c.let(c.gpr(0, bytes * 8));
  if (bytes === 1) {
    f.memoryFill(to, value, length);
    return;
  }
  const store = () => {
    const at = f.local(I32);
    const end = c.let(i32.add(to, length));
    f.set(at, to);
    f.loop((again) => {
      if (bytes === 2) f.store16(at, value);
      else if (bytes === 4) f.store32(at, value);
      else f.store64(at, value);
      f.set(at, i32.add(at, bytes));
      f.brIf(again, i32.ltU(at, end));
    });
  };
  f.if(width(bytes * 8).eqz(value), () => f.memoryFill(to, i32.const(0), length), store);
}

/**
 * Emitted at the start of an iteration that is charged already: do as many as go at once, then `goOn`, which does not
 * come back. When none go at once, nothing happens. `patience`: single items to do before
 * asking whether a run from tracked memory may be copied.
 */
export function emitRun(
  c: BodyContext,
  bytes: number,
  kind: 'movs' | 'stos',
  patience: LocalGet | undefined,
  goOn: () => void,
): void {
  const { asize } = c.variant;
  if (asize === 16) return;
  const { f } = c;
  const w = width(asize);
  const pointer = (n: number) => c.let(w.zext64(c.gpr(n, asize)));
  const moves = kind === 'movs';
  const usable = isPlain(L.ES);
  f.if(moves ? i32.and(usable, i32.eqz(c.takesSegment())) : usable, () => {
    const down = c.let(i32.ne(i32.and(i32.load(L.EFLAGS), DF), 0));
    const to = pointer(RDI);
    const from = moves ? pointer(RSI) : to;
    const count = f.local(I64);
    f.set(count, w.zext64(c.gpr(RCX, asize)));
    const roomAt = (at: Expr) => room(c, at, bytes, down);
    const inPage = moves ? least(c, roomAt(to), roomAt(from)) : c.let(roomAt(to));
    // The first item is paid for; a budget below 0 pays for no other.
    const budget = c.let(i32.load(L.BUDGET));
    const items = f.local(I32);
    f.set(items, least(c, inPage, select(i32.gtS(budget, 0), i32.add(budget, 1), i32.const(1))));
    f.if(i64.ltU(count, i64.extendU(items)), () => f.set(items, i32.wrap(count)));
    f.if(i32.gtS(items, 1), () => {
      const length = f.local(I32);
      f.set(length, i32.mul(items, bytes));
      // The run's lowest byte lies so far below its first item.
      const below = c.let(i64.extendU(select(down, i32.sub(length, bytes), i32.const(0))));
      const target = f.local(I32);
      f.set(target, hostOf(c, c.let(i64.sub(to, below)), length, L.TLB_WRITE));
      // It may be memory not all of which is known.
      if (!moves)
        f.if(i32.eqz(i32.or(target, down)), () => {
          f.set(items, c.trackedFill(to, bytes, items));
          f.set(length, i32.mul(items, bytes));
          const host = i32.add(i32.wrap(to), i32.load(dataTlbEntry(to, i32.load(L.DATA_TLB)), L.TLB_ADDEND));
          f.if(items, () => f.set(target, host));
        });
      const source = moves ? hostOf(c, c.let(i64.sub(from, below)), length, L.TLB_READ) : target;
      const apart = moves
        ? i32.geU(select(down, i32.sub(source, target), i32.sub(target, source)), length)
        : i32.const(1);
      const done = (length: Expr) => {
        const by = c.let(select(down, i32.sub(0, length), length));
        const step = c.let(asize === 64 ? i64.extendS(by) : by);
        const advance = (n: number) => c.setGpr(n, asize, w.add(c.gpr(n, asize), step));
        advance(RDI);
        if (moves) advance(RSI);
        c.setGpr(RCX, asize, w.sub(c.gpr(RCX, asize), w.from32(items)));
        const more = c.let(i32.sub(items, 1));
        f.store32(L.BUDGET, i32.sub(i32.load(L.BUDGET), more));
        f.store64(L.INSTRUCTIONS, i64.add(i64.load(L.INSTRUCTIONS), i64.extendU(more)));
        goOn();
      };
      f.if(i32.and(i32.and(i32.ne(target, 0), i32.ne(source, 0)), apart), () => {
        if (moves) f.memoryCopy(target, source, length);
        else fill(c, target, length, bytes);
        done(length);
      });
      // A source that has no plain translation even after an item was read may be memory not all of which was observed.
      if (moves)
        f.if(i32.and(i32.eqz(source), i32.eqz(patience!)), () => {
          const copied = c.jsResult(copyTracked, I32, [from, to, i32.const(bytes), items, down]);
          f.set(patience!, select(copied, i32.const(1), items));
          f.if(copied, () => {
            f.set(items, copied);
            done(c.let(i32.mul(items, bytes)));
          });
        });
    });
  });
}

/** As LinearMemory has it. */
export function copyTracked(
  cpu: CpuCore,
  from: bigint,
  to: bigint,
  bytes: number,
  items: number,
  down: number,
): number {
  return cpu.memory.copyTracked(from, to, bytes, items, cpu.state.reg32(RCX) * bytes, down !== 0);
}
