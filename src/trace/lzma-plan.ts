// The plan of the LZMA encoder: the cheapest way through a stretch of positions, by what symbols cost at the moment: a
// literal, one of four repeated distances, or a match found before (lzma-matches.ts). Emitted as wasm.
//
// Invariant: integers only, prices included, so that every host writes the same bytes for the same data.
// Left out: combinations of a match, a literal and a repetition as one step, which are worth less than a hundredth.

import * as M from '../boot/unpack/lzma-model.js';
import { type Expr, I32, i32, type LocalGet, select } from '../cpu/wasm/expr.js';
import type { FunctionBuilder, Label } from '../cpu/wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../cpu/wasm/module.js';
import * as L from './lzma-layout.js';
import { emitExtend, emitSearch, type Found, NICE } from './lzma-matches.js';

const INFINITE = 0x3fff_ffff;
/** Positions after which a stretch ends where all ways meet. */
const ENOUGH = 64;

/** Place of a node, from NODES on. */
export const nodeAt = (cur: Expr): Expr => i32.shl(cur, Math.log2(L.NODE_SIZE));
/** Of an index of which `base` is known now. */
const probability = (base: number, index: Expr = i32.const(0)): Expr =>
  i32.load16U(i32.shl(index, 1), L.PROBABILITIES + 2 * base);
const price0 = (p: Expr): Expr => i32.load8U(p, L.BIT_PRICES);
const price1 = (p: Expr): Expr => i32.load8U(p, L.BIT_PRICES + 2048);

const smaller = (a: Expr, b: Expr): Expr => select(i32.ltU(a, b), a, b);

/** State and distances of a node, in locals. */
interface Arrival {
  readonly state: LocalGet;
  readonly reps: readonly [LocalGet, LocalGet, LocalGet, LocalGet];
}

const emitArrival = (f: FunctionBuilder): Arrival => ({
  state: f.local(I32),
  reps: [f.local(I32), f.local(I32), f.local(I32), f.local(I32)],
});

function emitLoad(f: FunctionBuilder, node: Expr, { state, reps }: Arrival): void {
  f.set(state, i32.load(node, L.NODES + L.NODE_STATE));
  for (const [i, rep] of reps.entries()) f.set(rep, i32.load(node, L.NODES + L.NODE_REPS + 4 * i));
}

/** State and distances at a node, by the cheapest way to it: into locals, and into the node. */
function emitArrive(f: FunctionBuilder, node: Expr, arrival: Arrival): void {
  const { state, reps } = arrival;
  const [rep0, rep1, rep2, rep3] = reps;
  const nextState = (kind: number) => f.set(state, i32.load8U(state, L.NEXT_STATE + 16 * kind));
  f.scope(() => {
    const step = f.let(i32.load(node, L.NODES + L.NODE_STEP));
    emitLoad(f, nodeAt(i32.load(node, L.NODES + L.NODE_FROM)), arrival);
    f.if(
      i32.ltS(step, 0),
      () => {
        f.if(
          i32.eq(step, L.STEP_LITERAL),
          () => nextState(L.KIND_LITERAL),
          () => nextState(L.KIND_SHORT),
        );
      },
      () => {
        const front = f.local(I32);
        f.if(
          i32.geS(step, L.STEP_MATCH),
          () => {
            nextState(L.KIND_MATCH);
            f.set(front, i32.sub(step, L.STEP_MATCH - 1));
            f.set(rep3, rep2);
            f.set(rep2, rep1);
            f.set(rep1, rep0);
          },
          () => {
            nextState(L.KIND_REP);
            f.set(front, select(i32.and(step, 2), select(i32.and(step, 1), rep3, rep2), select(step, rep1, rep0)));
            f.set(rep3, select(i32.gtS(step, 2), rep2, rep3));
            f.set(rep2, select(i32.gtS(step, 1), rep1, rep2));
            f.set(rep1, select(i32.gtS(step, 0), rep0, rep1));
          },
        );
        f.set(rep0, front);
      },
    );
    f.store32(node, state, L.NODES + L.NODE_STATE);
    for (const [i, rep] of reps.entries()) f.store32(node, rep, L.NODES + L.NODE_REPS + 4 * i);
  });
}

/** What a literal costs. `likely` is the byte at the last distance, which says something behind a match alone. */
function emitLiteralPrice(f: FunctionBuilder, pos: Expr, byte: Expr, state: Expr, likely: Expr): LocalGet {
  // Before the data stands a zero.
  const before = i32.shrU(i32.load8U(pos, L.DATA - 1), 8 - L.LITERAL_CONTEXT);
  const group = f.let(i32.add(i32.mul(before, 2 * M.LITERAL_SIZE), 2 * M.LITERAL));
  const sum = f.local(I32);
  f.set(sum, i32.const(0));
  const add = (index: Expr, bit: number) => {
    const y = i32.and(i32.shl(byte, 11 - bit), 2048);
    const p = i32.load16U(i32.add(group, i32.shl(index, 1)), L.PROBABILITIES);
    f.set(sum, i32.add(sum, i32.load8U(i32.or(p, y), L.BIT_PRICES)));
  };
  f.scope(() => {
    const symbol = f.let(i32.or(byte, 0x100));
    f.if(
      i32.ltU(state, 7),
      () => {
        for (let bit = 7; bit >= 0; bit--) add(i32.shrU(symbol, bit + 1), bit);
      },
      () => {
        // 0x100 as long as the bits are those of the likely byte.
        const same = f.local(I32);
        f.set(same, i32.const(0x100));
        for (let bit = 7; bit >= 0; bit--) {
          const expected = i32.and(i32.shl(likely, 8 - bit), same);
          add(i32.add(i32.add(expected, same), i32.shrU(symbol, bit + 1)), bit);
          if (bit > 0) f.set(same, i32.and(same, i32.xor(i32.shl(i32.xor(likely, byte), 8 - bit), -1)));
        }
      },
    );
  });
  return sum;
}

/** Of choosing one of the four repeated distances, for more than one byte. */
function repPrice(i: number, state: Expr, long: Expr): Expr {
  const q0 = probability(M.IS_REP0, state);
  if (i === 0) return i32.add(price0(q0), price1(long));
  const q1 = probability(M.IS_REP1, state);
  if (i === 1) return i32.add(price1(q0), price0(q1));
  const q2 = probability(M.IS_REP2, state);
  return i32.add(i32.add(price1(q0), price1(q1)), i === 2 ? price0(q2) : price1(q2));
}

/** `cost` becomes `base` and the price of a distance, by the set that a length belongs to. */
function emitDistancePrice(f: FunctionBuilder, cost: LocalGet, base: Expr, distance: Expr, set: Expr): void {
  f.if(
    i32.ltU(distance, 128),
    () => f.set(cost, i32.load(i32.shl(i32.add(i32.shl(set, 7), distance), 2), L.NEAR_DISTANCES)),
    () => {
      const bits = f.let(i32.sub(30, i32.clz(distance)));
      const slot = i32.add(i32.shl(bits, 1), i32.shrU(distance, bits));
      const align = i32.load(i32.shl(i32.and(distance, 15), 2), L.ALIGNS);
      f.set(cost, i32.add(i32.load(i32.shl(i32.add(i32.shl(set, 6), slot), 2), L.SLOTS), align));
    },
  );
  f.set(cost, i32.add(cost, base));
}

/** Emits the plan's function. What belongs to the position that is looked at is in locals. */
class Plan {
  readonly #arrival: Arrival;
  readonly #size: Expr;
  /** The position looked at, and the last one that a way leads to, in the stretch. */
  readonly #cur: LocalGet;
  readonly #end: LocalGet;
  readonly #found: Found;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly skip: FunctionHandle,
  ) {
    this.#arrival = emitArrival(f);
    this.#size = f.let(i32.load(L.LENGTH));
    this.#cur = f.local(I32);
    this.#end = f.local(I32);
    this.#found = { count: f.local(I32), longest: f.local(I32) };
  }

  emit(start: Expr): void {
    const { f } = this;
    const [cur, end] = [this.#cur, this.#end];
    const limit = f.let(smaller(i32.sub(this.#size, start), i32.const(L.STRETCH)));
    f.set(cur, i32.const(0));
    f.set(end, i32.const(0));
    f.store32(L.NODES + L.NODE_PRICE, i32.const(0));
    emitLoad(f, i32.const(0), this.#arrival);
    f.loop((again) => {
      f.if(cur, () => {
        emitArrive(f, nodeAt(cur), this.#arrival);
        f.if(i32.eq(cur, limit), () => f.return(cur));
        // Every way leads through here: no later one can be cheaper.
        f.if(i32.eq(cur, end), () => f.if(i32.geU(cur, ENOUGH), () => f.return(cur)));
      });
      f.block((done) => f.scope(() => this.#position(f.let(i32.add(start, cur)), done)));
      f.set(cur, i32.add(cur, 1));
      f.br(again);
    });
    f.unreachable();
  }

  /** All steps from a position; branches to `done` when there are no more. */
  #position(pos: Expr, done: Label): void {
    const { f } = this;
    const { state } = this.#arrival;
    const found = this.#found;
    const place = i32.and(pos, L.POSITION_MASK);
    const left = f.let(smaller(i32.sub(this.#size, pos), i32.const(L.MATCH_MAX)));
    const word = f.let(i32.load(pos, L.DATA));
    this.#reach(i32.add(this.#cur, 1));
    f.set(found.count, i32.const(0));
    f.if(i32.geU(left, 4), () => emitSearch(f, pos, word, left, found));

    const here = f.let(i32.load(nodeAt(this.#cur), L.NODES + L.NODE_PRICE));
    const statePlace = f.let(i32.add(i32.shl(state, 4), place));
    const match = f.let(probability(M.IS_MATCH, statePlace));
    const asMatch = f.let(i32.add(here, price1(match)));
    const rep = f.let(probability(M.IS_REP, state));
    const asRep = f.let(i32.add(asMatch, price1(rep)));
    const long = f.let(probability(M.IS_REP0_LONG, statePlace));
    f.scope(() => this.#oneByte(pos, word, f.let(i32.add(here, price0(match))), asRep, long));
    f.brIf(done, i32.ltU(left, 2));

    const row = f.let(i32.mul(place, 4 * L.LENGTH_ROW));
    const longestRep = f.local(I32);
    f.set(longestRep, i32.const(1));
    const two = f.let(i32.and(word, 0xffff));
    this.#arrival.reps.forEach((distance, i) => {
      f.if(i32.geU(pos, distance), () =>
        f.scope(() => {
          const before = f.let(i32.sub(pos, distance));
          f.if(i32.eq(i32.load16U(before, L.DATA), two), () =>
            f.scope(() => {
              const length = emitExtend(f, before, pos, 2, left);
              f.if(i32.geU(length, NICE), () => this.#finish(pos, length, i32.const(i)));
              f.if(i32.gtU(length, longestRep), () => f.set(longestRep, length));
              this.#repetition(i, length, f.let(i32.add(asRep, repPrice(i, state, long))), row);
            }),
          );
        }),
      );
    });

    f.brIf(done, i32.eqz(found.count));
    f.if(i32.geU(found.longest, NICE), () => {
      const distance = i32.load(found.count, L.FOUND - 8 + 4);
      this.#finish(pos, found.longest, i32.add(distance, L.STEP_MATCH - 1));
    });
    f.brIf(done, i32.leU(found.longest, longestRep));
    this.#matches(longestRep, f.let(i32.add(asMatch, price0(rep))), row);
  }

  /** A literal, and one byte at the last distance. `least` is what a literal costs without its bits. */
  #oneByte(pos: Expr, word: Expr, least: Expr, asRep: Expr, long: Expr): void {
    const { f } = this;
    const { state, reps } = this.#arrival;
    const byte = f.let(i32.and(word, 0xff));
    const likely = f.local(I32);
    f.set(likely, i32.const(-1));
    f.if(i32.geU(pos, reps[0]), () => f.set(likely, i32.load8U(i32.sub(pos, reps[0]), L.DATA)));
    const node = f.let(nodeAt(i32.add(this.#cur, 1)));
    // Where a longer match leads for less there is no need to add up.
    f.if(i32.ltS(least, i32.load(node, L.NODES + L.NODE_PRICE)), () => {
      const cost = i32.add(least, emitLiteralPrice(f, pos, byte, state, likely));
      this.#offer(node, f.let(cost), i32.const(L.STEP_LITERAL));
    });
    f.if(i32.eq(likely, byte), () => {
      const cost = i32.add(asRep, i32.add(price0(probability(M.IS_REP0, state)), price0(long)));
      this.#offer(node, f.let(cost), i32.const(L.STEP_SHORT));
    });
  }

  /** Lengths from `longest`, which is counted down, to 2 of a repeated distance. */
  #repetition(i: number, longest: LocalGet, base: Expr, row: Expr): void {
    const { f } = this;
    this.#reach(i32.add(this.#cur, longest));
    f.loop((again) => {
      const cost = f.let(i32.add(base, i32.load(i32.add(row, i32.shl(longest, 2)), L.REP_LENGTHS)));
      this.#offer(f.let(nodeAt(i32.add(this.#cur, longest))), cost, i32.const(i));
      f.set(longest, i32.sub(longest, 1));
      f.brIf(again, i32.geU(longest, 2));
    });
  }

  /** The matches that were found, for lengths that no repeated distance has: each length by the nearest of them. */
  #matches(longestRep: Expr, base: Expr, row: Expr): void {
    const { f } = this;
    const { count, longest } = this.#found;
    this.#reach(i32.add(this.#cur, longest));
    const n = f.local(I32);
    const at = f.local(I32);
    f.set(n, i32.add(longestRep, 1));
    f.set(at, i32.const(0));
    f.loop((nextMatch) =>
      f.scope(() => {
        const most = f.let(i32.load(at, L.FOUND));
        f.if(i32.leU(n, most), () => {
          const distance = f.let(i32.sub(i32.load(at, L.FOUND + 4), 1));
          const step = f.let(i32.add(distance, L.STEP_MATCH));
          const cost = f.local(I32);
          const offer = () => {
            const length = i32.load(i32.add(row, i32.shl(n, 2)), L.MATCH_LENGTHS);
            this.#offer(f.let(nodeAt(i32.add(this.#cur, n))), f.let(i32.add(cost, length)), step);
            f.set(n, i32.add(n, 1));
          };
          // Lengths below 5 have prices of distances of their own.
          f.loop((again) =>
            f.if(i32.ltU(n, 5), () =>
              f.if(i32.leU(n, most), () => {
                emitDistancePrice(f, cost, base, distance, i32.sub(n, 2));
                offer();
                f.br(again);
              }),
            ),
          );
          f.if(i32.leU(n, most), () => {
            emitDistancePrice(f, cost, base, distance, i32.const(3));
            f.loop((again) => {
              offer();
              f.brIf(again, i32.leU(n, most));
            });
          });
        });
        f.set(at, i32.add(at, 8));
        f.brIf(nextMatch, i32.ltU(at, count));
      }),
    );
  }

  /** A way to a node, which takes the place of a dearer one. */
  #offer(node: Expr, cost: Expr, step: Expr): void {
    const { f } = this;
    f.if(i32.ltS(cost, i32.load(node, L.NODES + L.NODE_PRICE)), () => {
      f.store32(node, cost, L.NODES + L.NODE_PRICE);
      f.store32(node, this.#cur, L.NODES + L.NODE_FROM);
      f.store32(node, step, L.NODES + L.NODE_STEP);
    });
  }

  /** Have nodes up to one for which there may be no way yet. */
  #reach(to: Expr): void {
    const { f } = this;
    const end = this.#end;
    f.loop((again) =>
      f.if(i32.ltU(end, to), () => {
        f.set(end, i32.add(end, 1));
        f.store32(nodeAt(end), i32.const(INFINITE), L.NODES + L.NODE_PRICE);
        f.br(again);
      }),
    );
  }

  /** The stretch ends with a match that is long enough. */
  #finish(pos: Expr, length: Expr, step: Expr): void {
    const { f } = this;
    const behind = f.let(i32.add(pos, length));
    const last = f.let(i32.sub(this.#size, 3));
    f.call(this.skip, i32.add(pos, 1), select(i32.ltS(behind, last), behind, last));
    const end = f.let(i32.add(this.#cur, length));
    const node = f.let(nodeAt(end));
    f.store32(node, this.#cur, L.NODES + L.NODE_FROM);
    f.store32(node, step, L.NODES + L.NODE_STEP);
    emitArrive(f, node, this.#arrival);
    f.return(end);
  }
}

/** A function that plans from a position of which state and distances stand at node 0; the result is positions planned. */
export function emitPlan(module: ModuleBuilder, skip: FunctionHandle): void {
  const plan = module.declare([I32], I32);
  module.export('plan', plan);
  module.define(plan, (f) => new Plan(f, skip).emit(f.param(0)));
}
