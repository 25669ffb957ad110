// The interpreter's operands: every field is read from the micro-op record at run time. One class serves both
// places a handler can live: inlined in the dispatch function (leaving by branches) or outlined as a function of its
// own, `(uop) → 0 go on, 1 block ended (RIP set), 2 abort` (leaving by return). Outlined handlers call the shared
// load and store functions; inlined ones carry the TLB check themselves.

import type { CoverageFunction, CoverageFunctions } from '../coverage/notes.js';
import * as L from '../layout.js';
import { ACCESS_READ, ACCESS_WRITE, BodyContext, type SystemOperation, type Variant } from '../semantics/context.js';
import { type Expr, I64, i32, i64, type LocalGet, type Type } from '../wasm/expr.js';
import type { FunctionBuilder, Label } from '../wasm/function.js';
import type { FunctionHandle } from '../wasm/module.js';
import { IP_PAGE_MASK, loadOf, storeTo } from './memory.js';

/** Functions that every handler may call. */
export interface SharedFunctions {
  /** By access width in bytes: (linear i64, uop i32, access i32) → value. */
  readonly load: ReadonlyMap<number, FunctionHandle>;
  /** (linear, uop, access, value). */
  readonly store: ReadonlyMap<number, FunctionHandle>;
  /** (linear, uop, bytes) → address in linear memory. */
  readonly hostForWrite: FunctionHandle;
  /** (uop, offset i64, access) → linear. */
  readonly segmented: FunctionHandle;
  /** (ip i64) → nonzero when a near transfer there is #GP(0). */
  readonly badTarget: FunctionHandle;
  /** (segment, offset i64, access, uop) → linear. */
  readonly segmentedIn: FunctionHandle;
  /** (uop, sp i64, access) → linear. */
  readonly stackSegmented: FunctionHandle;
  readonly missedRead: FunctionHandle;
  readonly missedWrite: FunctionHandle;
  /** (linear i64, bytes, items) → items. */
  readonly trackedFill: FunctionHandle;
  readonly slowWrite: FunctionHandle;
  readonly slowModify: FunctionHandle;
  readonly slowCommit: FunctionHandle;
  /** Undefined without coverage. */
  readonly coverage?: CoverageFunctions;
  /** The import that stands for a TypeScript operation. */
  system(operation: SystemOperation, params: readonly Type[], result?: Type): FunctionHandle;
}

/** Where an inlined handler branches to. */
export interface Exits {
  readonly abort: Label;
  /** RIP is set: find the block. */
  readonly lookup: Label;
  /** `next` holds the header of the block to enter. */
  readonly enter: Label;
}

export class InterpreterContext extends BodyContext {
  constructor(
    f: FunctionBuilder,
    variant: Variant,
    private readonly uopLocal: LocalGet,
    private readonly shared: SharedFunctions,
    /** Undefined in an outlined handler. */
    private readonly exits?: Exits,
  ) {
    super(f, variant);
  }

  override uop(): Expr {
    return this.uopLocal;
  }
  protected override get covers(): boolean {
    return this.shared.coverage !== undefined;
  }
  protected override note(what: CoverageFunction, args: readonly Expr[]): void {
    this.f.call(this.shared.coverage![what], ...args);
  }
  protected override registerField(field: 'reg' | 'rm'): Expr {
    return i32.load8U(this.uopLocal, field === 'reg' ? L.UOP_REG : L.UOP_BASE);
  }
  override imm(): Expr {
    return i32.load(this.uopLocal, L.UOP_IMM);
  }
  override imm64(): Expr {
    return i64.load(this.uopLocal, L.UOP_DISP);
  }

  protected override rawOffset(): Expr {
    const u = this.uopLocal;
    if (this.variant.row.operands.some((o) => o.kind === 'O') && this.variant.asize === 64)
      return i64.load(u, L.UOP_DISP);
    const base = i64.load(i32.load8U(u, L.UOP_BASE), L.REGS);
    const index = i64.load(i32.load8U(u, L.UOP_INDEX), L.REGS);
    const scale = i64.extendU(i32.and(i32.load8U(u, L.UOP_ADDRESS), 3));
    return i64.add(i64.add(base, i64.load32S(u, L.UOP_DISP)), i64.shl(index, scale));
  }
  protected override isSegmented(): Expr {
    return i32.and(i32.load8U(this.uopLocal, L.UOP_ADDRESS), 0x80);
  }
  protected override segmentedAddress(offset: Expr, access: number): Expr {
    return this.shared.segmented.call(this.uopLocal, offset, i32.const(access));
  }
  override fixedSegmentAddress(segment: number, offset: Expr, access: number): Expr {
    const linear = this.let(this.shared.segmentedIn.call(i32.const(segment), offset, i32.const(access), this.uopLocal));
    this.checkAbort();
    return linear;
  }
  protected override stackSegmented(sp: Expr, access: number): Expr {
    return this.shared.stackSegmented.call(this.uopLocal, sp, i32.const(access));
  }
  override effectiveOffset(): Expr {
    // Address size from the record: 0 → 16 bits, 1 → 32, 2 → 64.
    const asize = i32.and(i32.shrU(i32.load8U(this.uopLocal, L.UOP_ADDRESS), 5), 3);
    const offset = this.let(this.rawOffset());
    const drop = this.let(i64.sub(64n, i64.shl(16n, i64.extendU(asize))));
    return i64.shrU(i64.shl(offset, drop), drop);
  }

  override ip(): Expr {
    const where = i64.load16U(this.uopLocal, L.UOP_WHERE);
    return i64.and(i64.add(i64.load(L.PAGE_IP), i64.and(where, IP_PAGE_MASK)), i64.load(L.IP_MASK));
  }
  private rawNextIp(): Expr {
    const where = this.let(i64.load16U(this.uopLocal, L.UOP_WHERE));
    return i64.add(i64.add(i64.load(L.PAGE_IP), i64.and(where, IP_PAGE_MASK)), i64.shrU(where, 12n));
  }
  override nextIp(): Expr {
    return i64.and(this.rawNextIp(), i64.load(L.IP_MASK));
  }

  override load(linear: Expr, bytes: number, access = 0): Expr {
    if (this.exits === undefined) {
      const value = this.let(
        this.shared.load.get(bytes)!.call(linear, this.uopLocal, i32.const(bytes | ACCESS_READ | access)),
      );
      this.checkAbort();
      return value;
    }
    const value = this.f.local(this.typeOf(bytes));
    const lin = this.let(linear);
    loadOf(this.f, this.shared, lin, bytes, this.uopLocal, i32.const(bytes | ACCESS_READ | access), value, () =>
      this.checkAbort(),
    );
    return value;
  }

  override store(linear: Expr, bytes: number, value: Expr, access = 0): void {
    if (this.exits === undefined) {
      this.f.call(
        this.shared.store.get(bytes)!,
        linear,
        this.uopLocal,
        i32.const(bytes | ACCESS_WRITE | access),
        value,
      );
      this.checkAbort();
      return;
    }
    const lin = this.let(linear);
    const v = this.let(value);
    storeTo(this.f, this.shared, lin, bytes, this.uopLocal, i32.const(bytes | ACCESS_WRITE | access), v, () =>
      this.checkAbort(),
    );
  }

  protected override hostForWrite(linear: Expr, bytes: number): Expr {
    const host = this.let(this.shared.hostForWrite.call(linear, this.uopLocal, i32.const(bytes)));
    this.checkAbort();
    return host;
  }
  protected override commitModified(host: Expr): void {
    this.f.if(i32.ltU(host, L.GUEST), () => {
      this.f.call(this.shared.slowCommit);
      this.checkAbort();
    });
  }

  override trackedFill(linear: Expr, bytes: number, items: Expr): Expr {
    return this.let(this.shared.trackedFill.call(linear, i32.const(bytes), items));
  }

  override checkAbort(): void {
    this.f.if(i32.load(L.ABORT), () => this.abort());
  }
  override abort(): void {
    if (this.exits === undefined) this.f.return(i32.const(2));
    else this.f.br(this.exits.abort);
  }

  override jump(target: Expr, stays = false): void {
    const to = i64.and(target, i64.load(L.IP_MASK));
    if (!stays) this.noteBranch(() => to);
    this.f.store64(L.RIP, to);
    this.leave();
  }
  private leave(): void {
    if (this.exits === undefined) this.f.return(i32.const(1));
    else this.f.br(this.exits.lookup);
  }

  private relativeTarget(): Expr {
    const to = i64.add(this.rawNextIp(), i64.extendS(this.imm()));
    // The operand size truncates the target, to IP, EIP or RIP (SDM vol. 2, JMP).
    return this.osize === 64 ? to : i64.and(to, this.osize === 16 ? 0xffffn : 0xffff_ffffn);
  }

  override checkTarget(target: Expr): void {
    // One compare covers both: outside 64-bit mode the limit, in it the canonical form (checked on fetch: the
    // block lookup raises #GP there with the right state only for the limit case, so it is done here).
    const bad = this.shared.badTarget.call(target);
    this.f.if(bad, () => this.raise(13, 0));
  }
  override checkRelative(taken?: Expr): void {
    if (this.variant.near) return; // the same page: as good as the instruction itself
    if (taken === undefined) this.checkTarget(this.relativeTarget());
    else this.f.if(taken, () => this.checkTarget(this.relativeTarget()));
  }

  /** Enter the block that a link field names, or have it found and the link filled. */
  private follow(linkOffset: number, target: () => Expr): void {
    this.noteBranch(target);
    const link = this.let(i32.load(this.uopLocal, linkOffset));
    this.f.if(link, () => {
      this.f.set(this.uopLocal, link);
      this.f.br(this.exits!.enter);
    });
    this.f.store32(L.LINK_PATCH, i32.add(this.uopLocal, linkOffset));
    this.f.store64(L.RIP, target());
    this.f.br(this.exits!.lookup);
  }

  override jumpRelative(): void {
    if (this.variant.near && this.exits !== undefined) this.follow(L.UOP_DISP, () => this.relativeTarget());
    else {
      this.noteBranch(() => this.relativeTarget());
      this.f.store64(L.RIP, this.relativeTarget());
      this.leave();
    }
  }

  override branchIf(condition: Expr): void {
    if (this.variant.near && this.exits !== undefined) {
      this.f.if(condition, () => this.follow(L.UOP_DISP, () => this.relativeTarget()));
      this.follow(L.UOP_REG, () => this.nextIp());
      return;
    }
    const go = (target: () => Expr) => () => {
      this.noteBranch(target);
      this.f.store64(L.RIP, target());
    };
    this.f.if(
      condition,
      go(() => this.relativeTarget()),
      go(() => this.nextIp()),
    );
    this.leave();
  }

  override js(operation: SystemOperation, args: readonly Expr[]): void {
    this.f.store32(L.ABORT_UOP, this.uopLocal);
    this.f.call(
      this.shared.system(
        operation,
        args.map((a) => a.type),
      ),
      ...args,
    );
    this.checkAbort();
  }
  override jsResult(operation: SystemOperation, result: Type, args: readonly Expr[]): Expr {
    this.f.store32(L.ABORT_UOP, this.uopLocal);
    const value = this.let(
      this.shared
        .system(
          operation,
          args.map((a) => a.type),
          result,
        )
        .call(...args),
    );
    this.checkAbort();
    return value;
  }

  override gpr(n: number, bits: number): Expr {
    const at = L.REGS + 8 * n;
    if (bits === 8) return i32.load8U(at);
    if (bits === 16) return i32.load16U(at);
    if (bits === 32) return i32.load(at);
    return i64.load(at);
  }
  override setGpr(n: number, bits: number, value: Expr): void {
    const at = L.REGS + 8 * n;
    if (bits === 8) this.f.store8(at, value);
    else if (bits === 16) this.f.store16(at, value);
    else this.f.store64(at, value.type === I64 ? value : i64.extendU(value));
  }

  override setHighByte(n: number, value: Expr): void {
    this.f.store8(L.REGS + 8 * n + 1, value);
  }

  override budget(): Expr {
    return i32.load(L.BUDGET);
  }
  override chargeIteration(): Expr {
    const left = this.let(i32.load(L.BUDGET));
    this.f.if(i32.gtS(left, 0), () => {
      this.f.store32(L.BUDGET, i32.sub(left, 1));
      this.f.store64(L.INSTRUCTIONS, i64.add(i64.load(L.INSTRUCTIONS), 1n));
    });
    return i32.gtS(left, 0);
  }
}
