// Builds tier 0 as one WebAssembly module: `run()` dispatches micro-op records through a br_table whose cases are
// the hot variants, and calls all other variants through a table. Nothing is written by hand for an instruction:
// every case is its row's body emitted against InterpreterContext.
//
// Block entry charges the block's whole cost; when the budget does not cover it, nothing is charged and TypeScript
// executes instructions alone until the event is due. So events land on the same instruction in every tier.

import { type CoverageFunction, defineCoverage } from '../coverage/notes.js';
import * as L from '../layout.js';
import { ABORT_FAULT, type SystemOperation, type Variant } from '../semantics/context.js';
import { codeTlbOffset } from '../semantics/tlb.js';
import { type Expr, I32, i32, i64, type LocalGet, select, type Type } from '../wasm/expr.js';
import type { FunctionBuilder, Label } from '../wasm/function.js';
import { type FunctionHandle, ModuleBuilder } from '../wasm/module.js';
import { InterpreterContext, type SharedFunctions } from './context.js';
import { EXIT_ABORT, EXIT_BUDGET, EXIT_MISS, EXIT_REQUESTED, EXIT_STEPPED } from './exits.js';
import { defineAccessFunctions } from './memory.js';
import { type OperationImport, Operations } from './operations.js';
import {
  endsBlock,
  HANDLER_CROSS,
  HANDLER_LOOKUP,
  HANDLER_NEXT,
  HANDLER_STEP_END,
  HANDLER_UD,
  SPECIAL_HANDLERS,
  type VariantTable,
} from './variants.js';

/** Tier 0 as bytes, and what it imports besides the memory and the slow paths. */
export interface InterpreterModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Imports of the module `system`. */
  readonly operations: Operations;
  /** Slots of the exported table `helpers`, for translated regions. */
  readonly helpers: HelperSlots;
}

/** Where the functions that translated code calls are in the table. */
export interface HelperSlots {
  /** Handlers of the variants that are not inlined: the slot of the first one, and its handler number. */
  readonly outlined: number;
  readonly firstOutlined: number;
  readonly segmented: number;
  readonly segmentedIn: number;
  readonly stackSegmented: number;
  /** Undefined without coverage. */
  readonly coverage?: Readonly<Record<CoverageFunction, number>>;
}

/** What a translated region returns instead of the header of the block to enter: RIP is set, find the block. */
export const REGION_LOOKUP = 0;
/** The next block does not fit the budget; RIP is set. */
export const REGION_BUDGET = 1;
/** ABORT and ABORT_UOP are set. */
export const REGION_ABORT = 2;
/** Tier 0 is to execute the record at ABORT_UOP, and what follows it in its block. */
export const REGION_RESUME = 3;

/** @param coverage whether the module notes branches and comparisons (coverage/); if not, nothing in it knows of that */
export function buildInterpreter(table: VariantTable, coverage = false): InterpreterModule {
  const m = new ModuleBuilder();
  const imported = new Map<SystemOperation, [key: string, handle: FunctionHandle, name: string]>();
  const shared: SharedFunctions = {
    ...defineAccessFunctions(m),
    ...(coverage && { coverage: defineCoverage(m) }),
    system(operation: SystemOperation, params: readonly Type[], result?: Type): FunctionHandle {
      const key = `${params.join(',')}:${result ?? ''}`;
      const known = imported.get(operation);
      if (known !== undefined) {
        if (known[0] !== key) throw new Error(`system operation ${operation.name} used with two signatures`);
        return known[1];
      }
      const name = `${operation.name}#${imported.size}`;
      const handle = m.importFunction('system', name, params, result);
      imported.set(operation, [key, handle, name]);
      return handle;
    },
  };

  const outlined: FunctionHandle[] = [];
  for (const variant of table.variants.slice(table.hotCount)) {
    const h = m.declare([I32], I32);
    m.define(h, (f) => emitOutlined(f, variant, shared));
    outlined.push(h);
  }

  const noteHot = m.declare([I32]);
  m.define(noteHot, emitNoteHot);
  const run = m.declare([I32]);
  const regions = m.emptyTable();
  const links = { handlerType: m.typeIndex([I32], I32), regions, noteHot };
  m.define(run, (f) => emitRun(f, table, shared, links));
  m.export('run', run);

  const slots: FunctionHandle[] = [...outlined];
  const slotOf = (handle: FunctionHandle): number => slots.push(handle) - 1;
  const helpers: HelperSlots = {
    outlined: 0,
    firstOutlined: SPECIAL_HANDLERS + table.hotCount,
    segmented: slotOf(shared.segmented),
    segmentedIn: slotOf(shared.segmentedIn),
    stackSegmented: slotOf(shared.stackSegmented),
    ...(shared.coverage && {
      coverage: { edge: slotOf(shared.coverage.edge), comparison: slotOf(shared.coverage.comparison) },
    }),
  };
  const imports = [...imported.values()].map(
    ([, handle, name]): OperationImport => ({
      name,
      params: handle.params,
      result: handle.result ?? 0,
      slot: slotOf(handle),
    }),
  );
  m.table(slots);
  m.exportTable('helpers', 0);
  m.exportTable('regions', regions);
  const operations = new Operations(imports, table, () => [], [...imported.keys()]);
  return { bytes: m.encode(L.GUEST >>> 16), operations, helpers };
}

/** What the dispatch loop calls through tables. */
interface Links {
  /** Type of outlined handlers and of regions: i32 → i32. */
  readonly handlerType: number;
  /** The table of translated regions. */
  readonly regions: number;
  readonly noteHot: FunctionHandle;
}

/** A block became hot: append its header to the list. A list that is full forgets it for now. */
function emitNoteHot(f: FunctionBuilder): void {
  const header = f.param(0);
  const count = f.let(i32.load(L.HOT_COUNT));
  f.if(
    i32.ltU(count, L.HOT_LIMIT),
    () => {
      const at = f.let(i32.shl(count, Math.log2(L.HOT_ENTRY_SIZE)));
      f.store32(at, header, L.HOT_LIST);
      f.store32(at, i32.load(L.CODE_KEY), L.HOT_LIST + 4);
      f.store64(at, i64.load(L.PAGE_IP), L.HOT_LIST + 8);
      f.store32(L.HOT_COUNT, i32.add(count, 1));
    },
    () => f.store32(header, i32.const(64), L.HEADER_HEAT),
  );
}

function emitOutlined(f: FunctionBuilder, variant: Variant, shared: SharedFunctions): void {
  const c = new InterpreterContext(f, variant, f.param(0), shared);
  if (endsBlock(variant)) f.store64(L.RIP, c.nextIp());
  variant.row.body(c);
  i32.const(endsBlock(variant) ? 1 : 0).write(f.body);
}

/** `run(startUop)`: 0 = begin at RIP; else execute the record at that address (and what follows it). */
function emitRun(f: FunctionBuilder, table: VariantTable, shared: SharedFunctions, links: Links): void {
  const uop = f.local(I32);
  const code = f.local(I32);
  const exit = (reason: number) => {
    f.store32(L.EXIT_REASON, i32.const(reason));
    f.return();
  };
  // One loop for all: what a compiler takes out of a loop, it would otherwise do at each block again.
  f.store16(L.START_UOP, i32.const(HANDLER_LOOKUP));
  f.set(uop, select(f.param(0), f.param(0), i32.const(L.START_UOP)));
  f.block((abort) => {
    f.loop((dispatch) => {
      f.block((enter) => {
        f.block((lookup) => {
          const { handlerType: outlinedType } = links;
          emitDispatch(f, table, shared, { uop, code, outlinedType, abort, lookup, enter, dispatch, exit });
        });
        f.if(i32.load(L.EXIT_REQUEST), () => exit(EXIT_REQUESTED));
        f.if(i32.load(L.LINK_PATCH), () => exit(EXIT_MISS));
        f.scope(() => emitLookup(f, uop, exit));
      });
      f.scope(() => emitHeat(f, uop, links, dispatch, exit));
      f.scope(() => emitEnter(f, uop, exit));
      f.br(dispatch);
    });
  });
  f.store32(L.ABORT_UOP, uop);
  exit(EXIT_ABORT);
}

/** Find the block at RIP through the code TLB. */
function emitLookup(f: FunctionBuilder, uop: LocalGet, exit: (reason: number) => void): void {
  const rip = f.let(i64.load(L.RIP));
  const csBase = i64.load(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE);
  const linear = f.let(i64.and(i64.add(rip, csBase), i64.load(L.LINEAR_MASK)));
  const entry = f.let(codeTlbOffset(linear));
  const tag = i64.or(i64.and(linear, ~0xfffn), i64.load32U(L.CODE_KEY));
  f.if(i64.ne(i64.load(entry, L.CODE_TLB + L.CTLB_TAG), tag), () => exit(EXIT_MISS));
  const offset = f.let(i32.and(i32.wrap(linear), 0xfff));
  f.store64(L.PAGE_IP, i64.sub(rip, i64.extendU(offset)));
  f.set(uop, i32.load(i32.add(i32.load(entry, L.CODE_TLB + L.CTLB_MAP), i32.shl(offset, 2))));
  f.if(i32.eqz(uop), () => exit(EXIT_MISS));
}

/** `uop` is a block header: run its translation, or count the execution. */
function emitHeat(
  f: FunctionBuilder,
  uop: LocalGet,
  links: Links,
  dispatch: Label,
  exit: (reason: number) => void,
): void {
  const heat = f.local(I32);
  f.loop((again) => {
    f.set(heat, i32.load(uop, L.HEADER_HEAT));
    f.if(i32.ltS(heat, 0), () => {
      const slot = i32.and(i32.shrU(heat, 8), 0x7f_ffff);
      f.callIndirect(uop, links.handlerType, [i32.and(heat, 0xff)], slot, links.regions);
      f.brIf(again, i32.geU(uop, L.UOPS));
      f.if(i32.eqz(uop), () => {
        f.set(uop, i32.const(L.START_UOP));
        f.br(dispatch);
      });
      f.if(i32.eq(uop, REGION_RESUME), () => {
        f.set(uop, i32.load(L.ABORT_UOP));
        f.br(dispatch);
      });
      f.if(i32.eq(uop, REGION_BUDGET), () => exit(EXIT_BUDGET));
      exit(EXIT_ABORT);
    });
  });
  f.if(heat, () => {
    f.store32(uop, i32.sub(heat, 1), L.HEADER_HEAT);
    f.if(i32.eq(heat, 1), () => f.call(links.noteHot, uop));
  });
}

/** `uop` is a block header: charge the block or leave. */
function emitEnter(f: FunctionBuilder, uop: LocalGet, exit: (reason: number) => void): void {
  const left = f.let(i32.sub(i32.load(L.BUDGET), i32.load(uop, L.HEADER_COST)));
  f.if(i32.ltS(left, 0), () => {
    const ip = i64.add(i64.load(L.PAGE_IP), i64.load16U(uop, L.HEADER_OFFSET));
    f.store64(L.RIP, i64.and(ip, i64.load(L.IP_MASK)));
    exit(EXIT_BUDGET);
  });
  f.store32(L.BUDGET, left);
  f.store64(L.INSTRUCTIONS, i64.add(i64.load(L.INSTRUCTIONS), i64.load16U(uop, L.HEADER_COUNT)));
  f.set(uop, i32.add(uop, L.UOP_SIZE));
}

interface DispatchParts {
  uop: LocalGet;
  code: LocalGet;
  outlinedType: number;
  abort: Label;
  lookup: Label;
  enter: Label;
  dispatch: Label;
  exit: (reason: number) => void;
}

function emitDispatch(f: FunctionBuilder, table: VariantTable, shared: SharedFunctions, p: DispatchParts): void {
  const { uop, code } = p;
  const again = () => {
    f.set(uop, i32.add(uop, L.UOP_SIZE));
    f.br(p.dispatch);
  };
  const leave = () => f.br(p.lookup);
  const variants = table.variants.slice(0, table.hotCount);
  const cases = SPECIAL_HANDLERS + variants.length;
  const emitCase = (n: number) => {
    if (n >= SPECIAL_HANDLERS) {
      const variant = variants[n - SPECIAL_HANDLERS]!;
      const c = new InterpreterContext(f, variant, uop, shared, p);
      f.scope(() => {
        if (endsBlock(variant)) f.store64(L.RIP, c.nextIp());
        variant.row.body(c);
      });
      if (endsBlock(variant)) leave();
      else again();
    } else emitSpecial(f, n, p, again, leave);
  };
  const open = (n: number, labels: Label[], fallback: Label): void => {
    if (n < 0) {
      f.brTable(labels, fallback, i32.load16U(uop, L.UOP_HANDLER));
      return;
    }
    f.block((label) => {
      labels[n] = label;
      open(n - 1, labels, fallback);
    });
    emitCase(n);
  };
  f.block((fallback) => open(cases - 1, [], fallback));
  // Outlined handlers.
  f.callIndirect(code, p.outlinedType, [uop], i32.sub(i32.load16U(uop, L.UOP_HANDLER), cases));
  f.if(i32.eqz(code), again);
  f.brIf(p.abort, i32.eq(code, 2));
  leave();
}

function emitSpecial(f: FunctionBuilder, n: number, p: DispatchParts, again: () => void, leave: () => void): void {
  const { uop } = p;
  const nextIp = (): Expr => {
    const where = f.let(i64.load16U(uop, L.UOP_WHERE));
    const next = i64.add(i64.add(i64.load(L.PAGE_IP), i64.and(where, 0xfffn)), i64.shrU(where, 12n));
    return i64.and(next, i64.load(L.IP_MASK));
  };
  f.scope(() => {
    switch (n) {
      case HANDLER_NEXT: {
        const link = f.let(i32.load(uop, L.UOP_DISP));
        f.if(link, () => {
          f.set(uop, link);
          f.br(p.enter);
        });
        // UOP_REG holds 1 when the next block is in this page and may be linked.
        f.if(i32.load8U(uop, L.UOP_REG), () => f.store32(L.LINK_PATCH, i32.add(uop, L.UOP_DISP)));
        f.store64(L.RIP, nextIp());
        leave();
        break;
      }
      case HANDLER_STEP_END:
        f.store64(L.RIP, nextIp());
        p.exit(EXIT_STEPPED);
        break;
      case HANDLER_LOOKUP:
        leave();
        break;
      case HANDLER_UD:
        f.store32(L.FAULT_VECTOR, i32.const(6));
        f.store32(L.ABORT, i32.const(ABORT_FAULT));
        f.br(p.abort);
        break;
      case HANDLER_CROSS: {
        // IMM: what the code TLB entry of the next linear page must hold: its physical page.
        const csBase = i64.load(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE);
        const next = f.let(i64.and(i64.add(i64.add(i64.load(L.PAGE_IP), 0x1000n), csBase), i64.load(L.LINEAR_MASK)));
        const entry = f.let(codeTlbOffset(next));
        const tag = i64.or(i64.and(next, ~0xfffn), i64.load32U(L.CODE_KEY));
        const same = i32.and(
          i64.eq(i64.load(entry, L.CODE_TLB + L.CTLB_TAG), tag),
          i32.eq(i32.load(entry, L.CODE_TLB + L.CTLB_PAGE), i32.load(uop, L.UOP_IMM)),
        );
        f.if(same, again);
        f.store32(L.ABORT, i32.const(ABORT_CROSS));
        f.br(p.abort);
        break;
      }
    }
  });
}

/** ABORT: the second page of a crossing instruction is not (or no longer) the one it was decoded from. */
export const ABORT_CROSS = 3;
