// One region: up to a few dozen decoded blocks of one code key as one wasm function, (number of the block to begin
// with) → REGION_* or the header of the block to go on with. The blocks lie in a loop: a branch to a later block jumps
// forward, one to an earlier block goes around through the br_table, and what is only known at run time (returns,
// indirect jumps, other pages) is looked up in the code TLB and the offset map as tier 0 does it; a block that turns
// out to be the region's own is entered without leaving. A block that one link alone leads to lies where that link is
// followed (`withEntries`) and cannot be entered otherwise.
//
// A region is made from records alone and does what tier 0 does with them, block for block: charge, cross-page check,
// instructions, links. It holds as long as the records do, which is until all decoded code is dropped.

import { type HelperSlots, REGION_ABORT, REGION_BUDGET, REGION_LOOKUP, REGION_RESUME } from '../interp/build.js';
import type { Operations } from '../interp/operations.js';
import { endsBlock, HANDLER_CROSS, HANDLER_NEXT, HANDLER_UD, type VariantTable } from '../interp/variants.js';
import * as L from '../layout.js';
import type { Variant } from '../semantics/context.js';
import { codeTlbOffset } from '../semantics/tlb.js';
import type { CpuState } from '../state.js';
import type { Callee, Type } from '../wasm/expr.js';
import { I32, i32, i64 } from '../wasm/expr.js';
import type { FunctionBuilder, Label } from '../wasm/function.js';
import type { FunctionHandle, ModuleBuilder } from '../wasm/module.js';
import { RegionFrame } from './frame.js';
import { flatten, headOf, type Loop, layOut, type Part } from './loops.js';
import { NotTranslated, ReadsTwice, RegionContext, type RegionParts } from './region-context.js';
import { RegionFlags } from './region-flags.js';

/** Cold rows that call TypeScript only in rare cases: worth emitting all the same. */
const RARELY_CALLS_OUT = new Set(['PUSHF', 'DIV', 'IDIV', 'RDTSC']);
/** What a module's imports from the interpreter are under, by slot: importing few functions is much quicker than a table. */
export const HELPERS = 'h';
const HEAT_TRANSLATED = 0x80_0000;
/** Instructions of a region that are emitted twice at most, in loops and for who enters these in the middle. */
const MAX_TWICE = 192;

/** What all regions of a processor share. */
export interface RegionMaker {
  readonly state: CpuState;
  readonly variants: VariantTable;
  readonly slots: HelperSlots;
  readonly operations: Operations;
  /** Handlers found to be better off in the interpreter. */
  readonly notTranslated: Set<number>;
  /** Whether reads of the instruction with this record are to note what they see of partial pages. */
  notes(uop: number): boolean;
}

export interface RegionPlan {
  /** Headers of blocks, at most 256: first those that it is entered by, in the order in which they are to lie. */
  readonly blocks: readonly number[];
  /** How many it is entered by. */
  readonly entries: number;
  readonly bits: 16 | 32 | 64;
  readonly flat: number;
  /** Where the region will be in the table of regions. */
  readonly slot: number;
}

export const translatedHeat = (slot: number, block: number): number => ((HEAT_TRANSLATED | slot) << 8) | block;

/** Slot of a block's region, by its HEADER_HEAT. */
export const slotOf = (heat: number): number => (heat >>> 8) & (HEAT_TRANSLATED - 1);

/**
 * Headers that a block's links lead to, or will lead to where they are still empty and there is a block; without `calls`
 * not those of functions that it calls.
 */
export function linksOf({ u16, u32, i32 }: CpuState, variants: VariantTable, header: number, calls = true): number[] {
  let at = header + L.UOP_SIZE;
  while (!variants.ends[u16[at >>> 1]!]) at += L.UOP_SIZE;
  const handler = u16[at >>> 1]!;
  const variant = variants.variantOf(handler);
  const page = u32[(header + L.HEADER_MAP) >>> 2]! - u16[(header + L.HEADER_OFFSET) >>> 1]!;
  const where = u16[(at + L.UOP_WHERE) >>> 1]!;
  const next = (where & 0xfff) + (where >>> 12);
  const links: number[] = [];
  const add = (field: number, offset: number) => {
    const link = u32[(at + field) >>> 2]! || (offset >= 0 && offset < 4096 ? u32[page + offset]! : 0);
    if (link !== 0) links.push(link);
  };
  if (handler === HANDLER_NEXT) {
    if (u16[(at + L.UOP_REG) >>> 1]! & 0xff) add(L.UOP_DISP, next);
  } else if (variant?.near && (calls || variant.row.mnemonic !== 'CALL')) {
    add(L.UOP_DISP, next + i32[(at + L.UOP_IMM) >>> 2]!);
    if (isConditional(variant)) add(L.UOP_REG, next);
  }
  return links;
}

/**
 * What of a plan follows from the links. A block that one link alone leads to, from a block before it, is no entry: it
 * lies within that block, where V8 has nothing to bring together. Whoever comes from elsewhere finds it in tier 0.
 * @param entered those that have to be entries
 */
export function withEntries(
  { state, variants }: Pick<RegionMaker, 'state' | 'variants'>,
  blocks: readonly number[],
  entered: ReadonlySet<number>,
): Pick<RegionPlan, 'blocks' | 'entries'> {
  const places = new Map(blocks.map((header, n) => [header, n]));
  const ways = new Map<number, number>();
  blocks.forEach((header, n) => {
    const followed = linksOf(state, variants, header, false);
    for (const to of linksOf(state, variants, header)) {
      const within = followed.includes(to) && (places.get(to) ?? 0) > n;
      ways.set(to, (ways.get(to) ?? 0) + (within ? 1 : 2));
    }
  });
  const isInner = (header: number) => ways.get(header) === 1 && !entered.has(header);
  const entries = blocks.filter((header) => !isInner(header));
  return { blocks: [...entries, ...blocks.filter(isInner)], entries: entries.length };
}
const isConditional = ({ row: { mnemonic } }: Variant): boolean => mnemonic !== 'JMP' && mnemonic !== 'CALL';

/**
 * Add a region's function to a module.
 * @param carryWord `defineCarryWord` of that module
 */
export function emitRegion(
  m: ModuleBuilder,
  maker: RegionMaker,
  plan: RegionPlan,
  carryWord: () => FunctionHandle,
): FunctionHandle {
  const handle = m.declare([I32], I32);
  const helper = (slot: number, p: readonly Type[], r?: Type) => m.importOnce(HELPERS, `${slot}`, p, r);
  m.define(handle, (f) => new RegionEmitter(f, maker, plan, helper, carryWord).emit());
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
  /** Entries. */
  private readonly numbers = new Map<number, number>();
  /** Blocks that lie within others, and those of them that are being emitted. */
  private readonly inner = new Set<number>();
  private readonly open = new Set<number>();
  /** Headers by HEADER_MAP, and where the page of the block being emitted begins in these terms. */
  private readonly places = new Map<number, number>();
  private page = 0;
  /** Where blocks can be branched to from the place being emitted, by number: innermost loop last. */
  private readonly scopes: Map<number, Label>[] = [];
  /** Instructions that may yet be emitted a second time. */
  private spare = 0;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly maker: RegionMaker,
    private readonly plan: RegionPlan,
    readonly helper: (slot: number, params: readonly Type[], result?: Type) => Callee,
    carryWord: () => Callee,
  ) {
    this.state = maker.state;
    this.slots = maker.slots;
    this.operations = maker.operations;
    this.bits = plan.bits;
    this.flat = plan.flat;
    this.frame = new RegionFrame(f, plan.bits === 64 ? 16 : 8);
    this.flags = new RegionFlags(this.frame, carryWord);
    for (const [i, header] of plan.blocks.entries()) {
      if (i < plan.entries) this.numbers.set(header, i);
      else this.inner.add(header);
      this.places.set(this.state.u32[(header + L.HEADER_MAP) >>> 2]!, header);
    }
  }

  emit(): void {
    const { f, frame } = this;
    const { result, rip, entry } = frame;
    const leave = (how: number) => {
      f.store64(L.RIP, this.bits === 64 ? rip : i64.and(rip, 0xffff_ffffn));
      f.set(result, i32.const(how));
      f.br(frame.out);
    };
    f.block((out) => {
      frame.out = out;
      f.block((abort) => {
        frame.abort = abort;
        f.block((noBudget) => {
          frame.noBudget = noBudget;
          f.block((resume) => {
            frame.resume = resume;
            f.block((link) => {
              frame.link = link;
              f.loop((dispatch) => {
                frame.dispatch = dispatch;
                f.block((lookup) => {
                  frame.lookup = lookup;
                  this.emitBlocks();
                });
                f.scope(() => this.emitLookup());
              });
            });
            f.brIf(out, result);
            f.store32(L.LINK_PATCH, entry);
            leave(REGION_LOOKUP);
          });
          f.store32(L.ABORT_UOP, entry);
          f.set(result, i32.const(REGION_RESUME));
          f.br(out);
        });
        leave(REGION_BUDGET);
      });
      f.set(result, i32.const(REGION_ABORT));
    });
    f.scope(() => this.flags.workOut(true));
    frame.finish();
  }

  /**
   * All blocks, behind a br_table that any of them can be entered by. Where a loop's head lies, the whole loop lies as a
   * wasm loop of its own, so that going around it is a plain branch and V8 sees it; the rest of its blocks are there
   * once more, for who comes from elsewhere, until they come to the head.
   */
  private emitBlocks(): void {
    const { f, plan } = this;
    const parts = layOut(plan.blocks.slice(0, plan.entries).map((header) => this.successors(header)));
    const loops = new Map<number, Loop>();
    const note = (part: Part): void => {
      if (typeof part === 'number') return;
      loops.set(part.head, part);
      part.body.forEach(note);
    };
    parts.forEach(note);
    const order = flatten(parts);
    this.spare = Math.min(MAX_TWICE, this.instructionsOf(order));
    const labels: Label[] = [];
    const scope = new Map<number, Label>();
    this.scopes.push(scope);
    const open = (place: number): void => {
      if (place < 0) {
        f.brTable(labels, labels[0]!, this.frame.entry);
        return;
      }
      const n = order[place]!;
      f.block((label) => {
        labels[n] = label;
        scope.set(n, label);
        open(place - 1);
      });
      scope.delete(n);
      const loop = loops.get(n);
      const twice = loop === undefined ? 0 : this.instructionsOf(flatten(loop.body));
      if (loop !== undefined && twice <= this.spare) {
        this.spare -= twice;
        this.emitLoop(loop);
      } else this.emitBlock(plan.blocks[n]!);
    };
    open(order.length - 1);
    this.scopes.pop();
  }

  private emitLoop({ head, body }: Loop): void {
    const { f, plan } = this;
    f.loop((again) => {
      const scope = new Map([[head, again]]);
      this.scopes.push(scope);
      const open = (place: number): void => {
        if (place < 0) {
          this.emitBlock(plan.blocks[head]!);
          return;
        }
        const part = body[place]!;
        f.block((label) => {
          scope.set(headOf(part), label);
          open(place - 1);
        });
        scope.delete(headOf(part));
        if (typeof part === 'number') this.emitBlock(plan.blocks[part]!);
        else this.emitLoop(part);
      };
      open(body.length - 1);
      this.scopes.pop();
    });
  }

  /** Instructions of entries, by number, and of what lies within them. */
  private instructionsOf(blocks: readonly number[]): number {
    const { u16 } = this.state;
    const of = (header: number): number =>
      this.linksOf(header)
        .filter((link) => this.inner.has(link))
        .reduce((sum, link) => sum + of(link), u16[(header + L.HEADER_COUNT) >>> 1]!);
    return blocks.reduce((sum, n) => sum + of(this.plan.blocks[n]!), 0);
  }

  has(header: number): boolean {
    return this.numbers.has(header) || (this.inner.has(header) && !this.open.has(header));
  }

  blockAt(offset: number): number | undefined {
    return this.places.get(this.page + offset);
  }

  enter(header: number): void {
    const { f, frame } = this;
    const n = this.numbers.get(header);
    if (n === undefined) {
      this.emitInner(header);
      return;
    }
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const label = this.scopes[i]!.get(n);
      if (label === undefined) continue;
      f.br(label);
      return;
    }
    f.set(frame.entry, i32.const(n));
    f.br(frame.dispatch);
  }

  /** Headers that a block's links lead to; not of functions that it calls, which return. */
  private linksOf(header: number): number[] {
    return linksOf(this.state, this.maker.variants, header, false);
  }
  /** Numbers of the entries that a block, or what lies within it, leads to. */
  private successors(header: number): number[] {
    return this.linksOf(header).flatMap((link) => {
      const n = this.numbers.get(link);
      if (n !== undefined) return [n];
      return this.inner.has(link) ? this.successors(link) : [];
    });
  }

  /** A block where another goes on with it: what is known of the flags there holds. */
  private emitInner(header: number): void {
    const { page } = this;
    const restore = this.flags.save();
    this.open.add(header);
    this.emitInstructions(header);
    this.open.delete(header);
    restore();
    this.page = page;
  }
  private emitBlock(header: number): void {
    this.flags.begin();
    this.emitInstructions(header);
  }
  private emitInstructions(header: number): void {
    const { f, frame, state, maker } = this;
    const { variants } = maker;
    const cost = state.u32[(header + L.HEADER_COST) >>> 2]!;
    const count = state.u16[(header + L.HEADER_COUNT) >>> 1]!;
    const offset = state.u16[(header + L.HEADER_OFFSET) >>> 1]!;
    this.page = state.u32[(header + L.HEADER_MAP) >>> 2]! - offset;
    const noBudget = () => {
      f.set(frame.rip, i64.add(frame.pageIp, BigInt(offset)));
      f.br(frame.noBudget);
    };
    f.if(i32.ltS(frame.budget, cost), noBudget, undefined, false);
    f.set(frame.budget, i32.sub(frame.budget, cost));
    if (count !== cost) f.set(frame.retired, i32.add(frame.retired, count - cost));
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
    else if (handler === HANDLER_UD) c.resume();
    else if (handler === HANDLER_CROSS) {
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
      f.if(i32.eqz(same), () => c.resume());
    } else throw new Error(`handler ${handler} in a block`);
  }

  private emitInstruction(variant: Variant, handler: number, at: number): void {
    const { f, maker, slots } = this;
    const ends = endsBlock(variant);
    const hot = handler < slots.firstOutlined;
    const emit = (notes: boolean) => {
      const c = new RegionContext(this, variant, at, hot || RARELY_CALLS_OUT.has(variant.row.mnemonic), notes);
      variant.row.body(c);
      if (ends && !c.left) c.fallOut();
    };
    for (let notes = maker.notes(at); !maker.notTranslated.has(handler); notes = false) {
      const restore = this.flags.save();
      try {
        f.attempt(() => emit(notes));
        return;
      } catch (error) {
        restore();
        if (error instanceof ReadsTwice) continue;
        if (!(error instanceof NotTranslated) || hot) throw error;
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
