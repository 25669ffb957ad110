// What a translated region keeps in wasm locals while it runs: the general registers, the lazy flags, the budget, the
// retired instructions, the IP of the code page, and the data TLB in use. Memory is stale meanwhile; `spill` makes it
// true again, before anything outside the region looks at the processor, and `reload` takes over what was changed
// there. Invariant: where a region is left, by whatever way, memory holds the architectural state.

import * as L from '../layout.js';
import { I32, I64, i32, i64, type LocalGet } from '../wasm/expr.js';
import type { FunctionBuilder, Label } from '../wasm/function.js';

export class RegionFrame {
  readonly registers: LocalGet[] = [];
  readonly flagResult: LocalGet;
  readonly flagAux: LocalGet;
  /** Whether `flagAux` has yet to be worked out from `first` and `flagResult` (region-flags.ts). */
  readonly lazy: LocalGet;
  readonly budget: LocalGet;
  /** What the budget was when the state was last true in memory. */
  private readonly budgetBefore: LocalGet;
  /** Instructions retired since then, less the cycles charged for them: mostly 0. */
  readonly retired: LocalGet;
  readonly pageIp: LocalGet;
  readonly tlb: LocalGet;
  /** Where to go on. */
  readonly rip: LocalGet;
  /** What the region returns. */
  readonly result: LocalGet;
  /** First operand of the last flag-setting instruction; within a block also the second, by type. */
  readonly first: LocalGet;
  readonly second: { readonly i32: LocalGet; readonly i64: LocalGet };
  /** The carry that INC and DEC leave alone. */
  readonly keptCarry: LocalGet;
  out!: Label;
  /** As `out`, with nothing charged for the block at `rip`. */
  noBudget!: Label;
  /** As `out`, by a link: `result` is what it says, `entry` the address of its field, `rip` where it leads. */
  link!: Label;
  /** As `out`, before the instruction whose record is at `entry`: tier 0 goes on with it. */
  resume!: Label;
  /** As `out`, for aborts whose ABORT_UOP is set. */
  abort!: Label;
  lookup!: Label;
  dispatch!: Label;
  /** Registers that the region changes, and those that it needs at all. */
  private readonly changed = new Set<number>();
  private readonly needed = new Set<number>();

  constructor(
    readonly f: FunctionBuilder,
    registers: number,
  ) {
    for (let i = 0; i < registers; i++) this.registers.push(f.local(I64));
    this.flagResult = f.local(I64);
    this.flagAux = f.local(I32);
    this.lazy = f.local(I32);
    this.budget = f.local(I32);
    this.budgetBefore = f.local(I32);
    this.retired = f.local(I32);
    this.pageIp = f.local(I64);
    this.tlb = f.local(I32);
    this.rip = f.local(I64);
    this.result = f.local(I32);
    this.first = f.local(I64);
    this.second = { i32: f.local(I32), i64: f.local(I64) };
    this.keptCarry = f.local(I32);
  }

  /** Block number to go to, or what a way out needs; the function's parameter. */
  get entry(): LocalGet {
    return this.f.param(0);
  }

  register(n: number): LocalGet {
    this.needed.add(n);
    return this.registers[n]!;
  }
  registerToChange(n: number): LocalGet {
    this.changed.add(n);
    return this.register(n);
  }

  /** Make memory true. All registers: what else the region changes is not known yet. */
  spill(): void {
    for (let n = 0; n < this.registers.length; n++) this.f.store64(L.REGS + 8 * n, this.register(n));
    this.spillRest();
  }
  private spillRest(): void {
    const { f } = this;
    f.store64(L.FLAG_RESULT, this.flagResult);
    f.store32(L.FLAG_AUX, this.flagAux);
    f.store32(L.BUDGET, this.budget);
    const retired = i32.add(i32.sub(this.budgetBefore, this.budget), this.retired);
    f.store64(L.INSTRUCTIONS, i64.add(i64.load(L.INSTRUCTIONS), i64.extendS(retired)));
    f.store64(L.PAGE_IP, this.pageIp);
    f.set(this.retired, i32.const(0));
  }
  /** Take over what was changed in memory. */
  reload(): void {
    for (let n = 0; n < this.registers.length; n++) this.f.set(this.register(n), i64.load(L.REGS + 8 * n));
    this.reloadRest();
  }
  private reloadRest(): void {
    const { f } = this;
    f.set(this.flagResult, i64.load(L.FLAG_RESULT));
    f.set(this.flagAux, i32.load(L.FLAG_AUX));
    f.set(this.budget, i32.load(L.BUDGET));
    f.set(this.budgetBefore, this.budget);
    f.set(this.tlb, i32.load(L.DATA_TLB));
  }

  /** At the end of the region, when all of it is known: the way in and the way out. */
  finish(): void {
    const { f } = this;
    for (const n of this.changed) f.store64(L.REGS + 8 * n, this.registers[n]!);
    this.spillRest();
    this.result.write(f.body);
    f.prepend(() => {
      for (const n of this.needed) f.set(this.registers[n]!, i64.load(L.REGS + 8 * n));
      this.reloadRest();
      f.set(this.pageIp, i64.load(L.PAGE_IP));
    });
  }
}
