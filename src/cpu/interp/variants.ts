// Every way a row can run, numbered. The numbers index the interpreter's dispatch: hot variants first (they are
// inlined in the br_table), then the others (functions called through the table). The decoder asks `handlerOf`.

import type { Row } from '../isa/row.js';
import type { Variant } from '../semantics/context.js';

/** Handlers that are no instruction: block ends made by the decoder. */
export const HANDLER_NEXT = 0; // fall through to the linked block at the next instruction
export const HANDLER_STEP_END = 1; // one instruction was executed alone
export const HANDLER_UD = 2; // no such instruction: #UD
export const HANDLER_CROSS = 3; // the instruction spans two pages: check the second one, else decode again
export const SPECIAL_HANDLERS = 4;

const OSIZES = [16, 32, 64] as const;

/** True when the variant differs by operand size. */
export function usesOperandSize(row: Row): boolean {
  if (row.options.size !== undefined) return true;
  return row.operands.some((o) => 'vzy'.includes(o.size) && o.size !== '') || row.operands.some((o) => o.kind === 'sI');
}

export class VariantTable {
  readonly variants: Variant[] = [];
  readonly hotCount: number;
  private readonly base = new Map<Row, Int32Array>();
  /** Cost in cycles by handler number. */
  readonly cost: Uint16Array;
  /** 1 where the handler ends its block. */
  readonly ends: Uint8Array;

  constructor(readonly rows: readonly Row[]) {
    const hot: Variant[] = [];
    const cold: Variant[] = [];
    for (const row of rows) for (const v of expand(row)) (row.options.hot ? hot : cold).push(v);
    this.variants = [...hot, ...cold];
    this.hotCount = hot.length;
    this.cost = new Uint16Array(this.variants.length + SPECIAL_HANDLERS);
    this.ends = new Uint8Array(this.variants.length + SPECIAL_HANDLERS).fill(1, 0, SPECIAL_HANDLERS);
    this.cost[HANDLER_UD] = 1;
    this.ends[HANDLER_CROSS] = 0;
    this.variants.forEach((v, i) => {
      const n = i + SPECIAL_HANDLERS;
      this.cost[n] = v.row.options.cost ?? 1;
      this.ends[n] = endsBlock(v) ? 1 : 0;
      let slots = this.base.get(v.row);
      if (slots === undefined) {
        slots = new Int32Array(128).fill(-1);
        this.base.set(v.row, slots);
      }
      slots[slot(v.osize, v.mem, v.rep, v.asize, v.near)] = n;
    });
  }

  /** Handler number, −1 when the row has no such variant. Sizes that a row does not use are ignored. */
  handlerOf(row: Row, osize: number, mem: boolean, rep: number, asize: number, near: boolean): number {
    const o = usesOperandSize(row) ? osize : 32;
    const a = row.options.asize ? asize : 32;
    const r = row.options.rep === undefined ? 0 : row.options.rep === 'rep' ? (rep === 0 ? 0 : 1) : rep;
    return this.base.get(row)?.[slot(o, mem, r, a, near)] ?? -1;
  }

  variantOf(handler: number): Variant | undefined {
    return this.variants[handler - SPECIAL_HANDLERS];
  }
}

const size = (bits: number) => (bits === 16 ? 0 : bits === 32 ? 1 : 2);
const slot = (o: number, mem: boolean, rep: number, a: number, near: boolean) =>
  size(o) + 3 * (mem ? 1 : 0) + 6 * rep + 18 * size(a) + 54 * (near ? 1 : 0);

/** True when nothing of the block follows this variant. */
export const endsBlock = (v: Variant): boolean =>
  v.row.options.ends === true || (v.row.options.ends === 'rep' && v.rep !== 0);

/** All variants of a row. */
export function expand(row: Row): Variant[] {
  const osizes = usesOperandSize(row) ? OSIZES : ([32] as const);
  const asizes = row.options.asize ? OSIZES : ([32] as const);
  const mems = row.form === 'both' ? [false, true] : [row.form === 'mem'];
  const reps = row.options.rep === undefined ? [0] : row.options.rep === 'rep' ? [0, 1] : [0, 1, 2];
  const nears = row.operands.some((o) => o.kind === 'J') ? [false, true] : [false];
  const result: Variant[] = [];
  for (const osize of osizes) {
    if (osize === 64 && row.options.mode === 'no64') continue;
    for (const asize of asizes)
      for (const mem of mems)
        for (const rep of reps)
          for (const near of nears) result.push({ row, osize, mem, rep: rep as 0 | 1 | 2, asize, near });
  }
  return result;
}
