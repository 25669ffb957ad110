// The range coder of the LZMA encoder: bits by adaptive probabilities, trees of them, and the groups that a literal, a
// length or a distance is made of. Emitted as wasm; boot/unpack/lzma.ts reads what it writes.
//
// Invariant: writing ends at the end of the output, counting does not, so that too much is noticed in the end.

import * as M from '../boot/unpack/lzma-model.js';
import { type Expr, I32, I64, i32, i64, type LocalGet, select } from '../cpu/wasm/expr.js';
import type { FunctionBuilder } from '../cpu/wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../cpu/wasm/module.js';
import * as L from './lzma-layout.js';
import { nodeAt } from './lzma-plan.js';

/** Put out the top byte of low; one of 0xff waits, since a carry may still come. From low to low. */
function emitShiftLow(module: ModuleBuilder): FunctionHandle {
  const shiftLow = module.declare([I64], I64);
  module.define(shiftLow, (f) => {
    const low = f.param(0);
    const pending = f.local(I32);
    f.set(pending, i32.load(L.PENDING));
    const top = f.let(i32.wrap(i64.shrU(low, 24n)));
    f.if(i32.ne(top, 0xff), () => {
      const byte = f.let(i32.add(i32.load(L.CACHE), i32.shrU(top, 8)));
      const at = f.local(I32);
      f.set(at, i32.add(i32.load(L.OUT), i32.load(L.USED)));
      const end = f.let(i32.load(L.OUT_END));
      f.store32(L.USED, i32.add(i32.load(L.USED), pending));
      f.if(i32.ltU(at, end), () => f.store8(at, byte));
      f.loop((again) => {
        f.set(pending, i32.sub(pending, 1));
        f.if(pending, () => {
          f.set(at, i32.add(at, 1));
          f.if(i32.ltU(at, end), () => f.store8(at, i32.add(i32.shrU(top, 8), 0xff)));
          f.br(again);
        });
      });
      f.store32(L.CACHE, i32.and(top, 0xff));
    });
    f.store32(L.PENDING, i32.add(pending, 1));
    f.return(i64.shl(i64.and(low, 0xff_ffffn), 8n));
    f.unreachable();
  });
  return shiftLow;
}

/** The coder's state in locals while a way is coded. */
class Coder {
  readonly #low: LocalGet;
  readonly #range: LocalGet;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly shiftLow: FunctionHandle,
  ) {
    this.#low = f.local(I64);
    this.#range = f.local(I32);
    f.set(this.#low, i64.load(L.LOW));
    f.set(this.#range, i32.load(L.RANGE));
  }

  store(): void {
    this.f.store64(L.LOW, this.#low);
    this.f.store32(L.RANGE, this.#range);
  }

  #renormalize(): void {
    const { f } = this;
    f.if(i32.ltU(this.#range, 0x100_0000), () => {
      f.set(this.#range, i32.shl(this.#range, 8));
      f.set(this.#low, this.shiftLow.call(this.#low));
    });
  }

  /** A bit by the probability at `base` + an index. No branch on the bit: it is a guess at best. */
  bit(base: number, index: Expr, y: Expr): void {
    const { f } = this;
    f.scope(() => {
      const at = f.let(i32.shl(index, 1));
      const p = f.let(i32.load16U(at, L.PROBABILITIES + 2 * base));
      const bound = f.let(i32.mul(i32.shrU(this.#range, 11), p));
      const one = f.let(y);
      f.set(this.#low, i64.add(this.#low, i64.extendU(i32.and(bound, i32.sub(0, one)))));
      f.set(this.#range, select(one, i32.sub(this.#range, bound), bound));
      const next = select(one, i32.sub(p, i32.shrU(p, 5)), i32.add(p, i32.shrU(i32.sub(2048, p), 5)));
      f.store16(at, next, L.PROBABILITIES + 2 * base);
      this.#renormalize();
    });
  }

  /** The lowest `bits` bits of a value, from the highest on; `symbol` is where the bits before led. */
  tree(base: number, index: Expr, bits: number, value: Expr, symbol: Expr = i32.const(1)): void {
    const { f } = this;
    f.scope(() => {
      const node = f.local(I32);
      f.set(node, symbol);
      for (let i = bits - 1; i >= 0; i--) {
        const y = f.let(i32.and(i32.shrU(value, i), 1));
        this.bit(base, i32.add(index, node), y);
        if (i > 0) f.set(node, i32.or(i32.shl(node, 1), y));
      }
    });
  }

  /** The lowest `bits` bits of a value, from the lowest on. */
  reverseTree(base: number, index: Expr, bits: Expr, value: Expr): void {
    const { f } = this;
    f.scope(() => {
      const node = f.local(I32);
      const left = f.local(I32);
      const rest = f.local(I32);
      f.set(node, i32.const(1));
      f.set(left, bits);
      f.set(rest, value);
      f.loop((again) => {
        const y = f.let(i32.and(rest, 1));
        this.bit(base, i32.add(index, node), y);
        f.set(node, i32.or(i32.shl(node, 1), y));
        f.set(rest, i32.shrU(rest, 1));
        f.set(left, i32.sub(left, 1));
        f.brIf(again, left);
      });
    });
  }

  /** @param likely the byte at the last distance; says something behind a match alone (state 7 on) */
  literal(group: Expr, byte: Expr, state: Expr, likely: () => Expr): void {
    const { f } = this;
    f.if(
      i32.ltU(state, 7),
      () => this.tree(0, group, 8, byte),
      () =>
        f.scope(() => {
          const at = f.let(likely());
          const node = f.local(I32);
          // 0x100 as long as the bits are those of the likely byte.
          const same = f.local(I32);
          const i = f.local(I32);
          f.set(node, i32.const(1));
          f.set(same, i32.const(0x100));
          f.set(i, i32.const(7));
          f.loop((again) => {
            const y = f.let(i32.and(i32.shrU(byte, i), 1));
            const expected = i32.and(i32.shl(i32.shrU(at, i), 8), same);
            const index = i32.add(i32.add(i32.add(expected, same), node), group);
            this.bit(0, index, y);
            f.set(node, i32.or(i32.shl(node, 1), y));
            f.set(same, i32.and(same, i32.xor(i32.shl(i32.xor(i32.shrU(at, i), y), 8), -1)));
            f.set(i, i32.sub(i, 1));
            f.brIf(again, i32.geS(i, 0));
          });
        }),
    );
  }

  /** @param base of the group of lengths, M.MATCH_LENGTH or M.REP_LENGTH: an expression */
  length(base: Expr, place: Expr, length: Expr): void {
    const { f } = this;
    const n = f.let(i32.sub(length, 2));
    const zero = i32.const(0);
    const one = i32.const(1);
    const triple = f.let(i32.add(base, i32.shl(place, 3)));
    f.if(
      i32.ltU(n, 8),
      () => {
        this.bit(0, base, zero);
        this.tree(M.LENGTH_LOW, triple, 3, n);
      },
      () => {
        this.bit(0, base, one);
        f.if(
          i32.ltU(n, 16),
          () => {
            this.bit(1, base, zero);
            this.tree(M.LENGTH_MIDDLE, triple, 3, f.let(i32.sub(n, 8)));
          },
          () => {
            this.bit(1, base, one);
            this.tree(M.LENGTH_HIGH, base, 8, f.let(i32.sub(n, 16)));
          },
        );
      },
    );
  }

  distance(distance: Expr, length: Expr): void {
    const { f } = this;
    // The slot of a distance: its two highest bits and how many follow.
    const slot = f.local(I32);
    const bits = f.local(I32);
    f.set(slot, distance);
    f.set(bits, i32.const(0));
    f.if(i32.geU(distance, 4), () => {
      f.set(bits, i32.sub(30, i32.clz(distance)));
      f.set(slot, i32.add(i32.shl(bits, 1), i32.shrU(distance, bits)));
    });
    const set = select(i32.ltU(length, 5), i32.sub(length, 2), i32.const(3));
    this.tree(M.DISTANCE_SLOT, f.let(i32.shl(set, 6)), 6, slot);
    f.if(bits, () => {
      const base = f.let(i32.shl(i32.shrU(distance, bits), bits));
      f.if(
        i32.ltU(slot, 14),
        () => {
          this.reverseTree(M.DISTANCE_SPECIAL, f.let(i32.sub(base, slot)), bits, i32.sub(distance, base));
        },
        () => {
          f.loop((again) => {
            f.set(bits, i32.sub(bits, 1));
            f.set(this.#range, i32.shrU(this.#range, 1));
            const one = i32.and(i32.shrU(distance, bits), 1);
            f.set(this.#low, i64.add(this.#low, i64.extendU(i32.and(this.#range, i32.sub(0, one)))));
            this.#renormalize();
            f.brIf(again, i32.gtU(bits, 4));
          });
          this.reverseTree(M.DISTANCE_ALIGN, i32.const(0), i32.const(4), i32.and(distance, 15));
        },
      );
    });
  }

  /** What is still held back. */
  finish(): void {
    for (let i = 0; i < 5; i++) this.f.set(this.#low, this.shiftLow.call(this.#low));
  }
}

/** A symbol, from the node where it begins. */
function emitSymbol(f: FunctionBuilder, coder: Coder, pos: Expr, node: Expr, length: Expr, step: Expr): void {
  const state = f.let(i32.load(node, L.NODES + L.NODE_STATE));
  const place = f.let(i32.and(pos, L.POSITION_MASK));
  const statePlace = f.let(i32.add(i32.shl(state, 4), place));
  const zero = i32.const(0);
  const one = i32.const(1);
  f.if(
    i32.eq(step, L.STEP_LITERAL),
    () => {
      coder.bit(M.IS_MATCH, statePlace, zero);
      const before = i32.shrU(i32.load8U(pos, L.DATA - 1), 8 - L.LITERAL_CONTEXT);
      const group = f.let(i32.add(i32.mul(before, M.LITERAL_SIZE), M.LITERAL));
      const likely = () => i32.load8U(i32.sub(pos, i32.load(node, L.NODES + L.NODE_REPS)), L.DATA);
      coder.literal(group, f.let(i32.load8U(pos, L.DATA)), state, likely);
    },
    () => {
      coder.bit(M.IS_MATCH, statePlace, one);
      const lengths = f.local(I32);
      f.if(
        i32.geS(step, L.STEP_MATCH),
        () => {
          coder.bit(M.IS_REP, state, zero);
          f.set(lengths, i32.const(M.MATCH_LENGTH));
        },
        () => {
          coder.bit(M.IS_REP, state, one);
          f.set(lengths, i32.const(M.REP_LENGTH));
          f.if(
            i32.gtS(step, 0),
            () => {
              coder.bit(M.IS_REP0, state, one);
              coder.bit(M.IS_REP1, state, f.let(i32.gtS(step, 1)));
              f.if(i32.gtS(step, 1), () => coder.bit(M.IS_REP2, state, f.let(i32.sub(step, 2))));
            },
            () => {
              coder.bit(M.IS_REP0, state, zero);
              coder.bit(M.IS_REP0_LONG, statePlace, f.let(i32.eqz(step)));
            },
          );
        },
      );
      f.if(i32.ne(step, L.STEP_SHORT), () => coder.length(lengths, place, length));
      f.if(i32.geS(step, L.STEP_MATCH), () => coder.distance(f.let(i32.sub(step, L.STEP_MATCH)), length));
    },
  );
}

/**
 * Functions `code`, which codes the way from a position to the node at the end of a plan and moves that to node 0, the
 * result being symbols; and `finish`, which ends the output.
 */
export function emitCoder(module: ModuleBuilder): void {
  const shiftLow = emitShiftLow(module);
  const code = module.declare([I32, I32], I32);
  module.export('code', code);
  module.define(code, (f) => {
    const [start, end] = [f.param(0), f.param(1)];
    const steps = f.local(I32);
    const at = f.local(I32);
    f.set(steps, i32.const(0));
    f.set(at, end);
    f.loop((again) => {
      f.store32(i32.shl(steps, 2), at, L.PATH);
      f.set(steps, i32.add(steps, 1));
      f.set(at, i32.load(nodeAt(at), L.NODES + L.NODE_FROM));
      f.brIf(again, at);
    });
    const coder = new Coder(f, shiftLow);
    const left = f.local(I32);
    f.set(left, steps);
    f.loop((again) =>
      f.scope(() => {
        f.set(left, i32.sub(left, 1));
        const to = f.let(i32.load(i32.shl(left, 2), L.PATH));
        const step = f.let(i32.load(nodeAt(to), L.NODES + L.NODE_STEP));
        emitSymbol(f, coder, f.let(i32.add(start, at)), f.let(nodeAt(at)), f.let(i32.sub(to, at)), step);
        f.set(at, to);
        f.brIf(again, left);
      }),
    );
    coder.store();
    const last = f.let(nodeAt(end));
    for (let i = L.NODE_STATE; i < L.NODE_SIZE; i += 4) {
      f.store32(L.NODES + i, i32.load(last, L.NODES + i));
    }
    f.return(steps);
    f.unreachable();
  });

  const finish = module.declare([]);
  module.export('finish', finish);
  module.define(finish, (f) => {
    const coder = new Coder(f, shiftLow);
    coder.finish();
    coder.store();
  });
}
