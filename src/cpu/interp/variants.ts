// Every way a row can run, numbered. The numbers index the interpreter's dispatch: hot variants first (they are
// inlined in the br_table), then the others (functions called through the table). The decoder asks `handlerOf`.

import type { Row } from '../isa/row.js';
import type { Variant } from '../semantics/context.js';

/** Handlers that are no instruction: block ends made by the decoder. */
export const HANDLER_NEXT = 0; // fall through to the linked block at the next instruction
export const HANDLER_STEP_END = 1; // one instruction was executed alone
export const HANDLER_UD = 2; // no such instruction: #UD
export const HANDLER_CROSS = 3; // the instruction spans two pages: check the second one, else decode again
export const HANDLER_LOOKUP = 4; // find the block at RIP; in no block
export const SPECIAL_HANDLERS = 5;

const OSIZES: readonly (16 | 32 | 64)[] = [16, 32, 64];
const ONE_SIZE: readonly 32[] = [32];

/** True when the variant differs by operand size. */
export function usesOperandSize(row: Row): boolean {
  return row.options.size !== undefined || row.shape.sized;
}

/** What is known of a row without its variants: most rows of a process are never met. */
interface Span {
  readonly row: Row;
  /** Handler number of its first variant, and how many it has. */
  readonly first: number;
  readonly count: number;
  /** Handler numbers by variantSlot(), once they were asked for. */
  slots?: Int32Array;
  sized?: boolean;
}

export class VariantTable {
  readonly hotCount: number;
  /** Cost in cycles by handler number. */
  readonly cost: Uint16Array;
  /** 1 where the handler ends its block. */
  readonly ends: Uint8Array;
  private readonly spans: readonly Span[];
  /** By the row's id. */
  private readonly byRow: (Span | undefined)[] = [];
  private readonly made: (Variant | undefined)[] = [];

  constructor(readonly rows: readonly Row[]) {
    const spans: Span[] = [];
    let next = SPECIAL_HANDLERS;
    const number = (hot: boolean): void => {
      for (const row of rows) {
        if ((row.options.hot === true) !== hot) continue;
        const count = countOf(row);
        const span: Span = { row, first: next, count };
        spans.push(span);
        this.byRow[row.id] = span;
        next += count;
      }
    };
    number(true);
    this.hotCount = next - SPECIAL_HANDLERS;
    number(false);
    this.spans = spans;
    this.made.length = next - SPECIAL_HANDLERS;
    this.cost = new Uint16Array(next).fill(1, SPECIAL_HANDLERS);
    this.ends = new Uint8Array(next).fill(1, 0, SPECIAL_HANDLERS);
    this.cost[HANDLER_UD] = 1;
    this.ends[HANDLER_CROSS] = 0;
    for (const { row, first, count } of spans) {
      const { cost, ends } = row.options;
      if (cost !== undefined) this.cost.fill(cost, first, first + count);
      if (ends === true) this.ends.fill(1, first, first + count);
      if (ends !== 'rep') continue;
      expand(row).forEach((v, i) => {
        this.ends[first + i] = endsBlock(v) ? 1 : 0;
      });
    }
  }

  /** All variants, by handler number from SPECIAL_HANDLERS on. */
  get variants(): readonly Variant[] {
    return Array.from(this.made, (variant, i) => variant ?? this.make(i + SPECIAL_HANDLERS));
  }

  /** Handler number, −1 when the row has no such variant. Sizes that a row does not use are ignored. */
  handlerOf(row: Row, osize: number, mem: boolean, rep: number, asize: number, near: boolean): number {
    const span = this.byRow[row.id];
    if (span === undefined) return -1;
    span.sized ??= usesOperandSize(row);
    const o = span.sized ? osize : 32;
    const a = row.options.asize ? asize : 32;
    const r = row.options.rep === undefined ? 0 : row.options.rep === 'rep' ? (rep === 0 ? 0 : 1) : rep;
    return (span.slots ?? this.slotsOf(span))[variantSlot(o, mem, r, a, near)]!;
  }

  variantOf(handler: number): Variant | undefined {
    const n = handler - SPECIAL_HANDLERS;
    if (n < 0 || n >= this.made.length) return undefined;
    return this.made[n] ?? this.make(handler);
  }

  /** Number of a variant that this table made. */
  indexOf(variant: Variant): number {
    const span = this.byRow[variant.row.id];
    if (span === undefined) return -1;
    const { osize, mem, rep, asize, near } = variant;
    return (span.slots ?? this.slotsOf(span))[variantSlot(osize, mem, rep, asize, near)]! - SPECIAL_HANDLERS;
  }

  /** Handler numbers of a row's variants by variantSlot(), −1 where there is none; undefined for a row that is not here. */
  handlersOf(row: Row): Int32Array | undefined {
    const span = this.byRow[row.id];
    return span && (span.slots ?? this.slotsOf(span));
  }

  private slotsOf(span: Span): Int32Array {
    const slots = new Int32Array(SLOTS).fill(-1);
    const { osizes, asizes, mems, reps, nears } = formsOf(span.row);
    let n = span.first;
    // In the order of expand().
    for (const osize of osizes)
      for (const asize of asizes)
        for (const mem of mems)
          for (const rep of reps) for (const near of nears) slots[variantSlot(osize, mem, rep, asize, near)] = n++;
    span.slots = slots;
    return slots;
  }

  private make(handler: number): Variant {
    let low = 0;
    for (let high = this.spans.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (this.spans[middle]!.first <= handler) low = middle;
      else high = middle;
    }
    const { row, first } = this.spans[low]!;
    expand(row).forEach((variant, i) => {
      this.made[first - SPECIAL_HANDLERS + i] = variant;
    });
    return this.made[handler - SPECIAL_HANDLERS]!;
  }
}

const SLOTS = 108;
/** Place of a variant in handlersOf(); sizes of 16, 32 and 64 bits count 0, 1 and 2. */
export const variantSlot = (osize: number, mem: boolean, rep: number, asize: number, near: boolean): number =>
  (osize >> 5) + (mem ? 3 : 0) + 6 * rep + 18 * (asize >> 5) + (near ? 54 : 0);

/** True when nothing of the block follows this variant. */
export const endsBlock = (v: Variant): boolean =>
  v.row.options.ends === true || (v.row.options.ends === 'rep' && v.rep !== 0);

/** What the variants of a row differ by. */
function formsOf(row: Row) {
  const osizes = usesOperandSize(row) ? OSIZES : ONE_SIZE;
  return {
    osizes: row.options.mode === 'no64' ? osizes.filter((osize) => osize !== 64) : osizes,
    asizes: row.options.asize ? OSIZES : ONE_SIZE,
    mems: row.form === 'both' ? [false, true] : [row.form === 'mem'],
    reps: row.options.rep === undefined ? [0] : row.options.rep === 'rep' ? [0, 1] : [0, 1, 2],
    nears: row.shape.relative ? [false, true] : [false],
  };
}

/** How many variants formsOf() makes, without making any: a start counts those of all rows. */
function countOf(row: Row): number {
  const { mode, asize, rep } = row.options;
  let count = usesOperandSize(row) ? (mode === 'no64' ? 2 : 3) : 1;
  if (asize) count *= 3;
  if (row.form === 'both') count *= 2;
  if (rep !== undefined) count *= rep === 'rep' ? 2 : 3;
  return row.shape.relative ? count * 2 : count;
}

/** All variants of a row. */
export function expand(row: Row): Variant[] {
  const { osizes, asizes, mems, reps, nears } = formsOf(row);
  const result: Variant[] = [];
  for (const osize of osizes)
    for (const asize of asizes)
      for (const mem of mems)
        for (const rep of reps)
          for (const near of nears) result.push({ row, osize, mem, rep: rep as 0 | 1 | 2, asize, near });
  return result;
}
