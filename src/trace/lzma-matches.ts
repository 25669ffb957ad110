// Finds what occurred before, for the LZMA encoder: the nearest place with the same 2 and the same 3 bytes, and of places
// with the same 4 the last few. Those lie side by side: positions are sorted by a hash of 4 bytes beforehand, since a
// chain through memory is a cache miss for each link. Longer matches that are nearer hide the others.
//
// Invariant: every position is entered once, in order, so that the same data finds the same matches everywhere.

import { type Expr, I32, I64, i32, i64, type LocalGet, select } from '../cpu/wasm/expr.js';
import type { FunctionBuilder } from '../cpu/wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../cpu/wasm/module.js';
import * as L from './lzma-layout.js';

/** Places with the same 4 bytes that are looked at, and the length that is good enough to look no further. */
const DEPTH = 8;
export const NICE = 40;
/** Fewer buckets for little data, whose tables would take longer than the search. */
const MAX_BUCKET_BITS = 20;

/** A place. */
export const ENTRY_SIZE = 4;
/** A rank is the number of an entry, and how many before it are to be looked at. */
const RANK_SHIFT = 4;

export const bucketBits = (length: number): number => Math.max(12, Math.min(MAX_BUCKET_BITS, 33 - Math.clz32(length)));

const bucketOf = (word: Expr, shift: Expr): Expr => i32.shl(i32.shrU(i32.mul(word, 0x85ebca6b), shift), 2);

/**
 * The two halves of sorting positions from … to by buckets of which the counters lie at `heads`. Between them
 * `sumBuckets`. In stretches, so that V8 has an occasion to go over to better code.
 */
export function emitSorting(module: ModuleBuilder): void {
  const loopOver = (f: FunctionBuilder, from: Expr, to: Expr, body: (at: Expr) => void) => {
    const at = f.local(I32);
    f.set(at, from);
    f.loop((again) => {
      f.if(i32.ltU(at, to), () => {
        body(at);
        f.set(at, i32.add(at, 1));
        f.br(again);
      });
    });
  };

  const count = module.declare([I32, I32, I32, I32]);
  module.export('countBuckets', count);
  module.define(count, (f) => {
    const [from, to, heads, shift] = [f.param(0), f.param(1), f.param(2), f.param(3)];
    const ranks = f.let(i32.load(L.RANKS));
    loopOver(f, from, to, (at) => {
      const head = f.let(i32.add(heads, bucketOf(i32.load(at, L.DATA), shift)));
      const before = f.let(i32.load(head));
      f.store32(head, i32.add(before, 1));
      f.store32(i32.add(ranks, i32.shl(at, 2)), before);
    });
  });

  const sum = module.declare([I32, I32, I32], I32);
  module.export('sumBuckets', sum);
  module.define(sum, (f) => {
    const [from, to, start] = [f.param(0), f.param(1), f.param(2)];
    const total = f.local(I32);
    const at = f.local(I32);
    f.set(total, start);
    f.set(at, from);
    f.loop((again) => {
      const here = f.let(i32.load(at));
      f.store32(at, total);
      f.set(total, i32.add(total, here));
      f.set(at, i32.add(at, 4));
      f.brIf(again, i32.ltU(at, to));
    });
    f.return(total);
    f.unreachable();
  });

  const fill = module.declare([I32, I32, I32, I32]);
  module.export('fillBuckets', fill);
  module.define(fill, (f) => {
    const [from, to, heads, shift] = [f.param(0), f.param(1), f.param(2), f.param(3)];
    const ranks = f.let(i32.load(L.RANKS));
    const entries = f.let(i32.load(L.ENTRIES));
    loopOver(f, from, to, (at) => {
      const rank = f.let(i32.add(ranks, i32.shl(at, 2)));
      const before = f.let(i32.load(rank));
      const n = f.let(i32.add(i32.load(i32.add(heads, bucketOf(i32.load(at, L.DATA), shift))), before));
      const entry = f.let(i32.add(entries, i32.mul(n, ENTRY_SIZE)));
      f.store32(entry, at);
      const most = i32.const(DEPTH);
      f.store32(rank, i32.or(i32.shl(n, RANK_SHIFT), select(i32.ltU(before, most), before, most)));
    });
  });
}

/** The length, up to `most`, of what stands both at `a` and at `b`, which are the same for `from` bytes. */
export function emitExtend(f: FunctionBuilder, a: Expr, b: Expr, from: number, most: Expr): LocalGet {
  const length = f.local(I32);
  f.set(length, i32.const(from));
  f.scope(() => {
    const differ = f.local(I64);
    f.block((done) => {
      f.loop((again) => {
        f.set(differ, i64.xor(i64.load(i32.add(a, length), L.DATA), i64.load(i32.add(b, length), L.DATA)));
        f.if(i64.eqz(differ), () => {
          f.set(length, i32.add(length, 8));
          f.brIf(again, i32.ltU(length, most));
          f.br(done);
        });
      });
      f.set(length, i32.add(length, i32.wrap(i64.shrU(i64.ctz(differ), 3n))));
    });
    f.if(i32.gtU(length, most), () => f.set(length, most));
  });
  return length;
}

/** Where a position is noted by its first 2 and 3 bytes. */
function places(f: FunctionBuilder, word: Expr): { near2: Expr; near3: Expr } {
  const near2 = f.let(i32.shl(i32.and(word, 0xffff), 2));
  const three = i32.shrU(i32.mul(i32.and(word, 0xff_ffff), 0x9e3779b1), 32 - L.NEAR3_BITS);
  return { near2, near3: f.let(i32.shl(three, 2)) };
}

/** What a search finds, in locals: how many matches there are at FOUND, by ascending length, and the longest one. */
export interface Found {
  readonly count: LocalGet;
  readonly longest: LocalGet;
}

/**
 * Enter a position, of which `word` are the first 4 bytes, and find matches for it.
 * @param left the length that a match may have, at least 4
 */
export function emitSearch(f: FunctionBuilder, pos: Expr, word: Expr, left: Expr, found: Found): void {
  const { count, longest } = found;
  const note = (length: Expr, place: Expr) => {
    f.set(longest, length);
    f.store32(count, longest, L.FOUND);
    f.store32(count, i32.sub(pos, place), L.FOUND + 4);
    f.set(count, i32.add(count, 8));
  };
  f.scope(() => {
    const at = places(f, word);
    const near2 = f.let(i32.load(at.near2, L.NEAR2));
    const near3 = f.let(i32.load(at.near3, L.NEAR3));
    f.store32(at.near2, pos, L.NEAR2);
    f.store32(at.near3, pos, L.NEAR3);
    f.set(longest, i32.const(1));
    f.if(
      i32.eq(near2, near3),
      () => {
        f.if(i32.geS(near2, 0), () => f.scope(() => note(emitExtend(f, near2, pos, 2, left), near2)));
      },
      () => {
        f.if(i32.geS(near2, 0), () => note(i32.const(2), near2));
        f.if(i32.geS(near3, 0), () => {
          f.if(i32.eq(i32.load16U(near3, L.DATA), i32.and(word, 0xffff)), () => {
            f.scope(() => {
              const length = emitExtend(f, near3, pos, 2, left);
              f.if(i32.gtU(length, longest), () => note(length, near3));
            });
          });
        });
      },
    );
    const good = f.let(select(i32.ltU(left, NICE), left, i32.const(NICE)));
    f.if(i32.ltU(longest, good), () => {
      const rank = f.let(i32.load(i32.add(i32.load(L.RANKS), i32.shl(pos, 2))));
      const entry = f.local(I32);
      f.set(entry, i32.add(i32.load(L.ENTRIES), i32.mul(i32.shrU(rank, RANK_SHIFT), ENTRY_SIZE)));
      const stop = f.let(i32.sub(entry, i32.mul(i32.and(rank, (1 << RANK_SHIFT) - 1), ENTRY_SIZE)));
      const last = f.local(I32);
      const setLast = () => f.set(last, i32.load8U(i32.add(pos, longest), L.DATA));
      // The byte that a longer match has and the longest so far has not.
      setLast();
      f.block((done) => {
        f.loop((again) => {
          f.brIf(done, i32.eq(entry, stop));
          f.set(entry, i32.sub(entry, ENTRY_SIZE));
          f.scope(() => {
            const other = f.let(i32.load(entry));
            f.brIf(again, i32.ne(i32.load8U(i32.add(other, longest), L.DATA), last));
            f.brIf(again, i32.ne(i32.load(other, L.DATA), word));
            const length = emitExtend(f, other, pos, 4, left);
            f.brIf(again, i32.leU(length, longest));
            note(length, other);
          });
          setLast();
          f.brIf(again, i32.ltU(longest, good));
        });
      });
    });
  });
}

/** A function that enters positions from … to without looking for matches. */
export function emitSkip(module: ModuleBuilder): FunctionHandle {
  const skip = module.declare([I32, I32]);
  module.define(skip, (f) => {
    const [from, to] = [f.param(0), f.param(1)];
    f.loop((again) => {
      f.if(i32.ltS(from, to), () => {
        const { near2, near3 } = places(f, f.let(i32.load(from, L.DATA)));
        f.store32(near2, from, L.NEAR2);
        f.store32(near3, from, L.NEAR3);
        f.set(from, i32.add(from, 1));
        f.br(again);
      });
    });
  });
  return skip;
}
