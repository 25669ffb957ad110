// One region: up to a few dozen decoded blocks of one code key as one wasm function, (number of the block to begin
// with) → REGION_* or the header of the block to go on with. The blocks lie in a loop: a branch to a later block jumps
// forward, one to an earlier block goes around through the br_table, and what is only known at run time (returns,
// indirect jumps, other pages) is looked up in the code TLB and the offset map as tier 0 does it; a block that turns
// out to be the region's own is entered without leaving.
//
// A region is made from records alone and does what tier 0 does with them, block for block: charge, cross-page check,
// instructions, links. It holds as long as the records do, which is until all decoded code is dropped.

import { ABORT_CROSS, type HelperSlots, REGION_ABORT, REGION_BUDGET, REGION_LOOKUP } from '../interp/build.js';
import type { Operations } from '../interp/operations.js';
import { endsBlock, HANDLER_CROSS, HANDLER_NEXT, HANDLER_UD, type VariantTable } from '../interp/variants.js';
import * as L from '../layout.js';
import { ABORT_FAULT, type Variant } from '../semantics/context.js';
import { codeTlbOffset } from '../semantics/tlb.js';
import type { CpuState } from '../state.js';
import type { Callee, Type } from '../wasm/expr.js';
import { I32, i32, i64 } from '../wasm/expr.js';
import type { FunctionBuilder, Label } from '../wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../wasm/module.js';
import { RegionFrame } from './frame.js';
import { NotTranslated, RegionContext, type RegionParts } from './region-context.js';
import { RegionFlags } from './region-flags.js';

/** Cold rows that call TypeScript only in rare cases: worth emitting all the same. */
const RARELY_CALLS_OUT = new Set(['PUSHF', 'DIV', 'IDIV', 'RDTSC']);
/** What a module's imports from the interpreter are under, by slot: importing few functions is much quicker than a table. */
export const HELPERS = 'h';
const HEAT_TRANSLATED = 0x80_0000;

/** What all regions of a processor share. */
export interface RegionMaker {
  readonly state: CpuState;
  readonly variants: VariantTable;
  readonly slots: HelperSlots;
  readonly operations: Operations;
  /** Handlers found to be better off in the interpreter. */
  readonly notTranslated: Set<number>;
}

export interface RegionPlan {
  /** Headers, in the order in which the blocks are to lie; at most 256. */
  readonly blocks: readonly number[];
  readonly bits: 16 | 32 | 64;
  readonly flat: number;
  /** Where the region will be in the table of regions. */
  readonly slot: number;
}

export const translatedHeat = (slot: number, block: number): number => ((HEAT_TRANSLATED | slot) << 8) | block;

/** Slot of a block's region, by its HEADER_HEAT. */
export const slotOf = (heat: number): number => (heat >>> 8) & (HEAT_TRANSLATED - 1);

/** Add a region's function to a module. */
export function emitRegion(m: ModuleBuilder, maker: RegionMaker, plan: RegionPlan): FunctionHandle {
  const handle = m.declare([I32], I32);
  m.define(handle, (f) =>
    new RegionEmitter(f, maker, plan, (slot, p, r) => m.importOnce(HELPERS, `${slot}`, p, r)).emit(),
  );
  return handle;
}

class RegionEmitter implements RegionParts {
  readonly frame: RegionFrame;
  readonly flags: RegionFlags;
  readonly state: CpuState;
  readonly slots: HelperSlots;
  readonly operations: Operations;
  readonly bits: 16 | 32 | 64;
  readonly flat: number;
  private readonly numbers = new Map<number, number>();
  private readonly labels: Label[] = [];
  /** The block being emitted, and its beginning, when it branches to itself. */
  private current = 0;
  private again: Label | undefined;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly maker: RegionMaker,
    private readonly plan: RegionPlan,
    readonly helper: (slot: number, params: readonly Type[], result?: Type) => Callee,
  ) {
    this.state = maker.state;
    this.slots = maker.slots;
    this.operations = maker.operations;
    this.bits = plan.bits;
    this.flat = plan.flat;
    this.frame = new RegionFrame(f, plan.bits === 64 ? 16 : 8);
    this.flags = new RegionFlags(this.frame);
    for (const [i, header] of plan.blocks.entries()) this.numbers.set(header, i);
  }

  emit(): void {
    const { f, frame } = this;
    f.block((out) => {
      frame.out = out;
      f.block((abort) => {
        frame.abort = abort;
        f.loop((dispatch) => {
          frame.dispatch = dispatch;
          f.block((lookup) => {
            frame.lookup = lookup;
            this.open(this.plan.blocks.length - 1);
          });
          f.scope(() => this.emitLookup());
        });
      });
      f.set(frame.result, i32.const(REGION_ABORT));
    });
    frame.finish();
  }

  /** Blocks up to number `n`; a label ends before the block that it names. */
  private open(n: number): void {
    if (n < 0) {
      this.f.brTable(this.labels, this.labels[0]!, this.frame.entry);
      return;
    }
    this.f.block((label) => {
      this.labels[n] = label;
      this.open(n - 1);
    });
    this.current = n;
    const header = this.plan.blocks[n]!;
    this.again = undefined;
    if (!this.isLoop(header)) this.emitBlock(header);
    else
      this.f.loop((again) => {
        this.again = again;
        this.emitBlock(header);
      });
  }

  has(header: number): boolean {
    return this.numbers.has(header);
  }

  enter(header: number): void {
    const { f, frame } = this;
    const n = this.numbers.get(header)!;
    if (n > this.current) f.br(this.labels[n]!);
    else if (n === this.current && this.again !== undefined) f.br(this.again);
    else {
      f.set(frame.entry, i32.const(n));
      f.br(frame.dispatch);
    }
  }

  /** True when a block's last record has a link to the block itself. */
  private isLoop(header: number): boolean {
    const { u16, u32 } = this.state;
    const { variants } = this.maker;
    let at = header + L.UOP_SIZE;
    while (!variants.ends[u16[at >>> 1]!]) at += L.UOP_SIZE;
    return (
      variants.variantOf(u16[at >>> 1]!)?.near === true &&
      (u32[(at + L.UOP_DISP) >>> 2] === header || u32[(at + L.UOP_REG) >>> 2] === header)
    );
  }

  private emitBlock(header: number): void {
    const { f, frame, state, maker } = this;
    const { variants } = maker;
    this.flags.forget();
    const cost = state.u32[(header + L.HEADER_COST) >>> 2]!;
    const count = state.u16[(header + L.HEADER_COUNT) >>> 1]!;
    const offset = state.u16[(header + L.HEADER_OFFSET) >>> 1]!;
    f.if(i32.ltS(frame.budget, cost), () => {
      const ip = i64.add(frame.pageIp, BigInt(offset));
      f.store64(L.RIP, this.bits === 64 ? ip : i64.and(ip, 0xffff_ffffn));
      f.set(frame.result, i32.const(REGION_BUDGET));
      f.br(frame.out);
    });
    f.set(frame.budget, i32.sub(frame.budget, cost));
    f.set(frame.retired, i32.add(frame.retired, count));
    for (let at = header + L.UOP_SIZE; ; at += L.UOP_SIZE) {
      const handler = state.u16[at >>> 1]!;
      const variant = variants.variantOf(handler);
      if (variant === undefined) f.scope(() => this.emitSpecial(handler, at));
      else this.emitInstruction(variant, handler, at);
      if (variants.ends[handler]!) return;
    }
  }

  private emitSpecial(handler: number, at: number): void {
    const { f, frame } = this;
    const c = new RegionContext(this, { osize: 32 } as Variant, at, false);
    if (handler === HANDLER_NEXT) c.next();
    else if (handler === HANDLER_UD) {
      f.store32(L.FAULT_VECTOR, i32.const(6));
      f.store32(L.ABORT, i32.const(ABORT_FAULT));
      c.abort();
    } else if (handler === HANDLER_CROSS) {
      // As in tier 0: what the code TLB says of the next page is what the block was decoded from.
      const csBase = i64.load(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE);
      const linearMask = this.bits === 64 ? -1n : 0xffff_ffffn;
      const next = f.let(i64.and(i64.add(i64.add(frame.pageIp, 0x1000n), csBase), linearMask));
      const entry = f.let(codeTlbOffset(next));
      const tag = i64.or(i64.and(next, ~0xfffn), i64.load32U(L.CODE_KEY));
      const same = i32.and(
        i64.eq(i64.load(entry, L.CODE_TLB + L.CTLB_TAG), tag),
        i32.eq(i32.load(entry, L.CODE_TLB + L.CTLB_PAGE), this.state.i32[(at + L.UOP_IMM) >>> 2]!),
      );
      f.if(i32.eqz(same), () => {
        f.store32(L.ABORT, i32.const(ABORT_CROSS));
        c.abort();
      });
    } else throw new Error(`handler ${handler} in a block`);
  }

  private emitInstruction(variant: Variant, handler: number, at: number): void {
    const { f, maker, slots } = this;
    const ends = endsBlock(variant);
    const hot = handler < slots.firstOutlined;
    if (!maker.notTranslated.has(handler)) {
      const restore = this.flags.save();
      try {
        f.attempt(() => {
          const c = new RegionContext(this, variant, at, hot || RARELY_CALLS_OUT.has(variant.row.mnemonic));
          variant.row.body(c);
          if (ends && !c.left) c.fallOut();
        });
        return;
      } catch (error) {
        if (!(error instanceof NotTranslated) || hot) throw error;
        restore();
        maker.notTranslated.add(handler);
      }
    }
    f.scope(() => {
      const c = new RegionContext(this, variant, at, true);
      c.callHandler(slots.outlined + handler - slots.firstOutlined, ends);
    });
  }

  /** `rip` is set: as emitLookup of tier 0, but a block of this region is entered at once. */
  private emitLookup(): void {
    const { f, frame } = this;
    const { rip, result, out, dispatch } = frame;
    const leave = () => {
      f.store64(L.RIP, rip);
      f.set(result, i32.const(REGION_LOOKUP));
      f.br(out);
    };
    f.if(i32.load(L.EXIT_REQUEST), leave);
    const csBase = i64.load(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE);
    const linear = f.let(i64.and(i64.add(rip, csBase), this.bits === 64 ? -1n : 0xffff_ffffn));
    const entry = f.let(codeTlbOffset(linear));
    const tag = i64.or(i64.and(linear, ~0xfffn), i64.load32U(L.CODE_KEY));
    f.if(i64.ne(i64.load(entry, L.CODE_TLB + L.CTLB_TAG), tag), leave);
    const offset = f.let(i32.and(i32.wrap(linear), 0xfff));
    f.set(result, i32.load(i32.add(i32.load(entry, L.CODE_TLB + L.CTLB_MAP), i32.shl(offset, 2))));
    f.if(i32.eqz(result), leave);
    f.set(frame.pageIp, i64.sub(rip, i64.extendU(offset)));
    const heat = f.let(i32.load(result, L.HEADER_HEAT));
    f.brIf(out, i32.ne(i32.shrU(heat, 8), HEAT_TRANSLATED | this.plan.slot));
    f.set(frame.entry, i32.and(heat, 0xff));
    f.br(dispatch);
  }
}
