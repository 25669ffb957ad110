// The page walk as emitted code, for the plain case of a miss in the data TLB: 4-level and 32-bit paging, or none; every
// entry present, accessed and below 4 GiB; rights that suffice; a target in RAM or ROM that is dirty where it is to be
// written. The TLB entry is filled, and whoever asked makes the access. All else is left to Mmu, with nothing changed.
//
// SDM vol. 3A, 4.3, 4.5, 4.6. Invariant: what is filled is what Mmu.walkTo and Mmu.install would have filled, and no table
// is read whose reads are counted (observed.ts). Left out: PAE paging, accessed and dirty bits to be set, A20 off.

import * as L from '../layout.js';
import { PAGE_CODE, PAGE_DIRTY, PAGE_PARTIAL, PAGE_ROM, PAGE_WRITE_ENTRY } from '../physical.js';
import { ACCESS_COPY, ACCESS_READ, ACCESS_WRITE } from '../semantics/context.js';
import { dataTlbEntry } from '../semantics/tlb.js';
import { CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, EFER_NXE, MODE_LONG, MODE_PAGING } from '../state.js';
import { type Expr, I32, I64, i32, i64, type LocalGet, select } from '../wasm/expr.js';
import type { FunctionBuilder } from '../wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../wasm/module.js';

// Bits of entries.
const PRESENT_ACCESSED = 0x21;
const RW = 2;
const US = 4;
const DIRTY = 0x40;
const PS = 0x80;
const GLOBAL = 0x100;
/** Address bits 51:32: those that exist lead beyond 4 GiB, the others are reserved. */
const HIGH_ADDRESS = 0x000f_ffff_0000_0000n;
const RESERVED_2M = 0x1f_e000;
const RESERVED_4M = 0x20_0000;
const HIGH_4M = 0x1f_e000;

/** One walk: its locals, and how it gives up. */
class Walk {
  /** Low half of the last entry that was read, and the AND of all of them. */
  readonly entry: LocalGet;
  readonly rights: LocalGet;
  readonly frame: LocalGet;
  private readonly host: LocalGet;
  private readonly wide: LocalGet;

  constructor(
    readonly f: FunctionBuilder,
    readonly linear: Expr,
  ) {
    this.entry = f.local(I32);
    this.rights = f.local(I32);
    this.frame = f.local(I32);
    this.host = f.local(I32);
    this.wide = f.local(I64);
  }

  giveUpIf(condition: Expr): void {
    this.f.if(condition, () => this.f.return(i32.const(0)));
  }

  /** The entry at a physical address goes into `entry`, if it is a plain one. */
  read(address: Expr, bytes: 4 | 8): void {
    const { f, entry, host, wide } = this;
    const at = f.let(address);
    const page = f.let(i32.shrU(at, 12));
    this.giveUpIf(i32.and(i32.load8U(page, L.PAGE_FLAGS), PAGE_PARTIAL));
    f.set(host, i32.load(i32.shl(page, 2), L.PAGE_HOSTS));
    this.giveUpIf(i32.eqz(host));
    f.set(host, i32.add(host, i32.and(at, 0xfff)));
    if (bytes === 4) f.set(entry, i32.load(host));
    else {
      f.set(wide, i64.load(host));
      this.giveUpIf(i64.ne(i64.and(wide, HIGH_ADDRESS), i64.const(0)));
      this.giveUpIf(i32.and(i64.ltS(wide, 0n), i32.eqz(i32.and(i32.load(L.EFER), EFER_NXE))));
      f.set(entry, i32.wrap(wide));
    }
    this.giveUpIf(i32.ne(i32.and(entry, PRESENT_ACCESSED), PRESENT_ACCESSED));
    f.set(this.rights, i32.and(this.rights, entry));
  }

  /** The table that the last entry leads to, and in it the entry for bits `shift` and up of the linear address. */
  next(shift: number, bytes: 4 | 8): void {
    const index = i32.wrap(i64.shrU(this.linear, BigInt(shift)));
    const table = i32.and(this.entry, ~0xfff);
    this.read(i32.add(table, bytes === 8 ? i32.shl(i32.and(index, 511), 3) : i32.shl(i32.and(index, 1023), 2)), bytes);
  }

  /** The last entry maps 2^shift bytes. Mmu has to know of each 2-MiB region that a large page translates. */
  large(shift: 21 | 22): void {
    const { f, linear, entry } = this;
    const region = f.let(i64.shrU(linear, 21n));
    const place = i32.shl(i32.and(i32.wrap(region), L.TLB_LARGE_COUNT - 1), 3);
    this.giveUpIf(i64.ne(i64.load(place, L.TLB_LARGE), i64.or(region, 1n << 63n)));
    const within = (1 << shift) - 4096;
    const frame = i32.and(entry, shift === 21 ? 0xffe0_0000 : 0xffc0_0000);
    f.set(this.frame, i32.or(frame, i32.and(i32.wrap(linear), within)));
  }
}

/** 64-bit and compatibility mode. */
function emitLongWalk(w: Walk): void {
  const { f, linear, entry } = w;
  w.giveUpIf(i64.ne(i64.shrS(i64.shl(linear, 16n), 16n), linear));
  w.giveUpIf(i32.load(L.CR3 + 4));
  f.set(entry, i32.load(L.CR3));
  for (const shift of [39, 30]) {
    w.next(shift, 8);
    w.giveUpIf(i32.and(entry, PS));
  }
  w.next(21, 8);
  f.if(
    i32.and(entry, PS),
    () => {
      w.giveUpIf(i32.and(entry, RESERVED_2M));
      w.large(21);
    },
    () => {
      w.next(12, 8);
      f.set(w.frame, i32.and(entry, ~0xfff));
    },
  );
}

function emitLegacyWalk(w: Walk): void {
  const { f, entry } = w;
  w.giveUpIf(i32.and(i32.load(L.CR4), CR4_PAE));
  f.set(entry, i32.load(L.CR3));
  w.next(22, 4);
  f.if(
    i32.and(i32.ne(i32.and(entry, PS), 0), i32.ne(i32.and(i32.load(L.CR4), CR4_PSE), 0)),
    () => {
      // Bits 20:13 are address bits 39:32.
      w.giveUpIf(i32.and(entry, RESERVED_4M | HIGH_4M));
      w.large(22);
    },
    () => {
      w.next(12, 4);
      f.set(w.frame, i32.and(entry, ~0xfff));
    },
  );
}

/** Whether the access is allowed at all: as Mmu.finish. `user`: CPL 3. */
function emitRights(w: Walk, table: Expr, write: Expr, user: Expr): void {
  const { f, rights } = w;
  const readOnly = f.let(i32.eqz(i32.and(rights, RW)));
  f.if(
    user,
    () => {
      w.giveUpIf(i32.eqz(i32.and(rights, US)));
      w.giveUpIf(i32.and(write, readOnly));
    },
    () => {
      w.giveUpIf(i32.and(i32.and(write, readOnly), i32.ne(i32.and(i32.load(L.CR0), CR0_WP), 0)));
      // The supervisor's own table is in force under SMAP.
      w.giveUpIf(i32.and(i32.eq(table, L.DATA_TLB_SUPERVISOR), i32.ne(i32.and(rights, US), 0)));
    },
  );
  w.giveUpIf(i32.and(write, i32.eqz(i32.and(w.entry, DIRTY))));
}

/** As Mmu.install. */
function emitInstall(w: Walk, table: Expr, access: Expr, write: Expr, user: Expr): void {
  const { f, linear, frame, rights, entry } = w;
  const page = f.let(i32.shrU(frame, 12));
  const host = f.let(i32.load(i32.shl(page, 2), L.PAGE_HOSTS));
  w.giveUpIf(i32.eqz(host));
  const flags = f.let(i32.load8U(page, L.PAGE_FLAGS));
  const fixed = f.let(i32.and(flags, PAGE_CODE | PAGE_ROM));
  w.giveUpIf(i32.and(write, i32.ne(fixed, 0)));
  const record = f.local(I32);
  f.if(
    i32.and(flags, PAGE_PARTIAL),
    () => {
      // To be read and then written, or copied: Mmu's users do more about it.
      const both = i32.eq(i32.and(access, ACCESS_READ | ACCESS_WRITE), ACCESS_READ | ACCESS_WRITE);
      w.giveUpIf(i32.or(both, i32.and(access, ACCESS_COPY)));
      f.set(record, i32.load(i32.shl(page, 2), L.PAGE_RECORDS));
      w.giveUpIf(i32.eqz(record));
    },
    () => f.set(record, i32.const(0)),
  );
  const global = f.let(i32.and(i32.ne(i32.and(entry, GLOBAL), 0), i32.ne(i32.and(i32.load(L.CR4), CR4_PGE), 0)));
  const noted = f.let(i32.load(L.TLB_LOCAL_COUNT));
  w.giveUpIf(i32.and(i32.eqz(global), i32.geU(noted, L.TLB_LOCAL_LIMIT)));

  const at = f.let(dataTlbEntry(linear, table));
  const partial = i64.extendU(select(record, i32.const(L.TLB_PARTIAL), i32.const(0)));
  const tag = f.let(i64.or(i64.and(linear, ~0xfffn), partial));
  f.store64(at, tag, L.TLB_READ);
  const supervisorWrites = i32.and(i32.eqz(user), i32.eqz(i32.and(i32.load(L.CR0), CR0_WP)));
  const writable = i32.or(i32.ne(i32.and(rights, RW), 0), supervisorWrites);
  const dirty = i32.and(i32.ne(i32.and(entry, DIRTY), 0), i32.eqz(fixed));
  f.if(
    i32.and(writable, dirty),
    () => {
      f.store64(at, tag, L.TLB_WRITE);
      f.store8(page, i32.or(flags, PAGE_DIRTY | PAGE_WRITE_ENTRY), L.PAGE_FLAGS);
    },
    () => {
      f.store64(at, i64.const(1), L.TLB_WRITE);
      // What is seen of a partial page is in its hash.
      f.if(record, () => f.store8(page, i32.or(flags, PAGE_DIRTY), L.PAGE_FLAGS));
    },
  );
  f.store32(at, i32.sub(host, i32.and(i32.wrap(linear), ~0xfff)), L.TLB_ADDEND);
  f.store32(at, page, L.TLB_PAGE);
  f.store32(at, global, L.TLB_FLAGS);
  f.store32(at, record, L.TLB_TRACK);
  f.store32(i32.shrU(i32.sub(table, L.DATA_TLB_USER), Math.log2(L.DATA_TLB_SIZE) - 2), i32.const(1), L.TLB_FILLED);
  f.if(i32.eqz(global), () => {
    f.store32(i32.shl(noted, 2), i32.shrU(at, 2), L.TLB_LOCAL);
    f.store32(L.TLB_LOCAL_COUNT, i32.add(noted, 1));
  });
}

/**
 * (linear i64, access i32) → 1 when the data TLB in force now holds the page's entry, for an access as the slow paths take
 * it; 0 when nothing has changed.
 */
export function definePageWalk(m: ModuleBuilder): FunctionHandle {
  const fill = m.declare([I64, I32], I32);
  m.define(fill, (f) => {
    const linear = f.param(0);
    const access = f.param(1);
    const w = new Walk(f, linear);
    const table = f.let(i32.load(L.DATA_TLB));
    w.giveUpIf(i32.eq(table, L.DATA_TLB_NONE));
    w.giveUpIf(i32.gtU(i32.add(i32.and(i32.wrap(linear), 0xfff), i32.and(access, 0xff)), 4096));
    const write = f.let(i32.ne(i32.and(access, ACCESS_WRITE), 0));
    const user = f.let(i32.eq(table, L.DATA_TLB_USER));
    const mode = f.let(i32.load(L.MODE));
    f.set(w.rights, i32.const(-1));
    f.if(
      i32.and(mode, MODE_PAGING),
      () => {
        w.giveUpIf(i32.ne(i32.load(L.A20_MASK), -1));
        f.if(
          i32.and(mode, MODE_LONG),
          () => emitLongWalk(w),
          () => emitLegacyWalk(w),
        );
        emitRights(w, table, write, user);
      },
      () => {
        f.set(w.frame, i32.and(i32.and(i32.wrap(linear), ~0xfff), i32.load(L.A20_MASK)));
        f.set(w.entry, i32.const(DIRTY));
      },
    );
    emitInstall(w, table, access, write, user);
    i32.const(1).write(f.body);
  });
  return fill;
}
