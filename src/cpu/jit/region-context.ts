// Operands of translated code: what the interpreter reads from a micro-op record at run time is a constant here, and
// general registers and flags are locals (frame.ts). The bodies are the same. What is rare is tier 0's: an instruction
// that misses the TLB or faults is left to it, with the rest of its block (`resume`), since a call with all locals alive
// around it costs V8's register allocator more than the instruction. Where tier 0 met reads of partial pages, what they
// see is noted on the spot (interp/tracking.ts). TypeScript operations have the state spilled.
//
// Leaving: a branch goes to a block of the region, or returns the header of another block, or sets RIP and has it looked
// up; an abort sets ABORT_UOP. Each way does what tier 0 does at the same place, links and code TLB included.

import type { CoverageFunction } from '../coverage/notes.js';
import type { HelperSlots } from '../interp/build.js';
import { REGION_ABORT } from '../interp/build.js';
import { IP_PAGE_MASK, loadAt, storeAt } from '../interp/memory.js';
import type { Operations } from '../interp/operations.js';
import { emitTrackedRead } from '../interp/tracking.js';
import { endsBlock } from '../interp/variants.js';
import * as L from '../layout.js';
import { BodyContext, type SystemOperation, type Variant } from '../semantics/context.js';
import { dataTlbEntry } from '../semantics/tlb.js';
import type { CpuState } from '../state.js';
import {
  type Callee,
  call,
  type Expr,
  I32,
  type I32Like,
  I64,
  i32,
  i64,
  type LocalGet,
  type Type,
} from '../wasm/expr.js';
import type { RegionFrame } from './frame.js';
import type { RegionFlags } from './region-flags.js';

/** What a region knows of the code it is made from. */
export interface RegionParts {
  readonly state: CpuState;
  readonly frame: RegionFrame;
  readonly flags: RegionFlags;
  readonly slots: HelperSlots;
  readonly operations: Operations;
  /** Default address size, and bit n set: segment n needs no base, limit or rights check. */
  readonly bits: 16 | 32 | 64;
  readonly flat: number;
  /** The function in a slot of HelperSlots. */
  helper(slot: number, params: readonly Type[], result?: Type): Callee;
  /** True for the header of a block of the region, which `enter` goes to. */
  has(header: number): boolean;
  enter(header: number): void;
  /** The block of the region at an offset in the page of the block being emitted. */
  blockAt(offset: number): number | undefined;
}

/** Thrown while a body is emitted that had better stay in the interpreter. */
export class NotTranslated {}
/** Thrown while a body is emitted that reads before it may leave the region: tier 0 would note the read again. */
export class ReadsTwice {}

export class RegionContext extends BodyContext {
  /** A branch was emitted; the block is over. */
  left = false;
  private readonly where: number;
  /** What the instruction reads may have been noted. */
  private noted = false;

  constructor(
    private readonly region: RegionParts,
    variant: Variant,
    private readonly at: number,
    private readonly mayCallOut: boolean,
    /** Reads note here what they see of partial pages, and do not leave the region for it. */
    private readonly notes = false,
  ) {
    super(region.frame.f, variant, region.flags);
    this.where = region.state.u16[(at + L.UOP_WHERE) >>> 1]!;
  }

  private get frame(): RegionFrame {
    return this.region.frame;
  }
  private get regionFlags(): RegionFlags {
    return this.region.flags;
  }
  private get long(): boolean {
    return this.region.bits === 64;
  }
  private byte(field: number): number {
    return this.region.state.u8[this.at + field]!;
  }
  private word(field: number): number {
    return this.region.state.i32[(this.at + field) >>> 2]!;
  }

  // --- the record's fields ------------------------------------------------------------------------------------

  override uop(): Expr {
    return i32.const(this.at);
  }
  protected override registerField(field: 'reg' | 'rm'): Expr {
    return i32.const(this.byte(field === 'reg' ? L.UOP_REG : L.UOP_BASE));
  }
  override imm(): Expr {
    return i32.const(this.word(L.UOP_IMM));
  }
  override imm64(): Expr {
    return i64.const(this.imm64Value());
  }
  private imm64Value(): bigint {
    return (BigInt(this.word(L.UOP_IMM)) << 32n) | BigInt(this.word(L.UOP_DISP) >>> 0);
  }

  protected override addressMask(): Expr {
    return i64.const(this.long ? -1n : 0xffff_ffffn);
  }
  protected override stackMask(): Expr {
    return this.long ? i64.const(-1n) : super.stackMask();
  }
  protected override stackChecked(): Expr {
    return i32.const(this.long || (this.region.flat & (1 << L.SS)) !== 0 ? 0 : 1);
  }
  protected override get segmentsFault(): boolean {
    return !this.long;
  }
  override withStackPointer(sp: Expr): Expr {
    return this.long ? sp : super.withStackPointer(sp);
  }

  // --- addresses ----------------------------------------------------------------------------------------------

  private addressRegister(offset: number): Expr | undefined {
    if (offset === L.ZERO_OFFSET) return undefined;
    if (offset === L.PAGE_IP_OFFSET) return this.frame.pageIp;
    return this.frame.register(offset >>> 3);
  }
  protected override rawOffset(): Expr {
    if (this.variant.asize === 64 && this.variant.row.operands.some((o) => o.kind === 'O'))
      return i64.const(this.imm64Value());
    const base = this.addressRegister(this.byte(L.UOP_BASE));
    const index = this.addressRegister(this.byte(L.UOP_INDEX));
    const disp = i64.const(BigInt(this.word(L.UOP_DISP)));
    const first = base === undefined ? disp : i64.add(base, disp);
    if (index === undefined) return first;
    return i64.add(i64.shl(index, BigInt(this.byte(L.UOP_ADDRESS) & 3)), first);
  }
  private get asize(): number {
    return 16 << ((this.byte(L.UOP_ADDRESS) >> 5) & 3);
  }
  override effectiveOffset(): Expr {
    return this.truncated(this.rawOffset());
  }
  private truncated(offset: Expr): Expr {
    return this.asize === 64 ? offset : i64.and(offset, this.asize === 32 ? 0xffff_ffffn : 0xffffn);
  }
  protected override isSegmented(): Expr {
    return i32.const(this.byte(L.UOP_ADDRESS) & 0x80);
  }
  protected override segmentedAddress(offset: Expr, access: number): Expr {
    if (!this.long) return this.helper(this.region.slots.segmented, I64, [this.uop(), offset, i32.const(access)]);
    const segment = (this.byte(L.UOP_ADDRESS) >> 2) & 7;
    const off = this.truncated(offset);
    return segment >= L.FS ? i64.add(off, i64.load(L.SEGMENTS + L.SEGMENT_SIZE * segment + L.SEG_BASE)) : off;
  }
  override fixedSegmentAddress(segment: number, offset: Expr, access: number): Expr {
    if (this.long) return this.let(offset);
    const linear = this.helper(this.region.slots.segmentedIn, I64, [
      i32.const(segment),
      offset,
      i32.const(access),
      this.uop(),
    ]);
    this.checkAbort();
    return linear;
  }
  protected override stackSegmented(sp: Expr, access: number): Expr {
    return this.helper(this.region.slots.stackSegmented, I64, [this.uop(), sp, i32.const(access)]);
  }

  // --- memory -------------------------------------------------------------------------------------------------

  private call(result: LocalGet | undefined, slot: number, args: readonly Expr[]): void {
    const params = args.map((a) => a.type);
    const callee = this.region.helper(slot, params, result?.type);
    if (result === undefined) this.f.call(callee, ...args);
    else this.f.set(result, call(result.type, callee, args));
  }
  private helper(slot: number, type: Type, args: readonly Expr[]): Expr {
    const result = this.f.local(type);
    this.call(result, slot, args);
    return result;
  }

  /** Where an access is on the host, by the TLB. */
  private host(linear: Expr, tag: number, bytes: number, missed = (_entry: Expr, _page: Expr) => this.resume()): Expr {
    const entry = this.let(dataTlbEntry(linear, this.frame.tlb));
    const page = i64.and(i64.add(linear, BigInt(bytes - 1)), ~0xfffn);
    this.f.if(i64.ne(i64.load(entry, tag), page), () => missed(entry, page), undefined, false);
    return i32.add(i32.wrap(linear), i32.load(entry, L.TLB_ADDEND));
  }

  override load(linear: Expr, bytes: number, _access = 0): Expr {
    const at = this.let(linear);
    if (!this.notes) return this.let(loadAt(this.host(at, L.TLB_READ, bytes), bytes));
    const { f } = this;
    const host = this.host(at, L.TLB_READ, bytes, (entry, last) =>
      f.scope(() =>
        f.block((done) => {
          f.block((missed) => {
            const access = { linear: at, bytes: i32.const(bytes), entry, last };
            emitTrackedRead(f, access, (condition) => f.brIf(missed, condition));
            f.br(done);
          });
          this.resume();
        }),
      ),
    );
    this.noted = true;
    return this.let(loadAt(host, bytes));
  }
  override store(linear: Expr, bytes: number, value: Expr, _access = 0): void {
    const at = this.let(linear);
    const v = this.let(value);
    storeAt(this.f, this.host(at, L.TLB_WRITE, bytes), bytes, v);
  }
  protected override hostForWrite(linear: Expr, bytes: number): Expr {
    return this.host(this.let(linear), L.TLB_WRITE, bytes);
  }
  /** What is written in the region is written where it belongs. */
  protected override commitModified(_host: Expr): void {}

  override checkAbort(): void {
    this.f.if(i32.load(L.ABORT), () => this.abort(), undefined, false);
  }
  /**
   * Leave, for tier 0 to go on with this very instruction. Nothing has been done of it that cannot be done again: so it
   * is where an instruction faults, too, or accesses a device.
   */
  resume(): void {
    if (this.noted) throw new ReadsTwice();
    this.regionFlags.settleAside();
    this.f.set(this.frame.entry, this.uop());
    this.f.br(this.frame.resume);
  }
  override raise(): void {
    this.resume();
  }
  override abort(): void {
    this.regionFlags.settleAside();
    this.f.store32(L.ABORT_UOP, this.uop());
    this.f.br(this.frame.abort);
  }

  // --- registers ----------------------------------------------------------------------------------------------

  /** `offset` is a byte offset from REGS; an odd one names a high byte. */
  private readAt(offset: number, bits: number): Expr {
    const register = this.frame.register(offset >>> 3);
    if (bits === 64) return register;
    const low = i32.wrap(register);
    if (bits === 32) return low;
    if (bits === 16) return i32.and(low, 0xffff);
    return i32.and((offset & 7) === 1 ? i32.shrU(low, 8) : low, 0xff);
  }
  private writeAt(offset: number, bits: number, value: Expr): void {
    const register = this.frame.registerToChange(offset >>> 3);
    const wide = value.type === I64 ? value : i64.extendU(value);
    if (bits >= 32) {
      this.f.set(register, wide);
      return;
    }
    const high = bits === 8 && (offset & 7) === 1;
    const mask = bits === 16 ? 0xffffn : 0xffn;
    const part = i64.and(wide, mask);
    const kept = i64.and(register, high ? ~0xff00n : ~mask);
    this.f.set(register, i64.or(kept, high ? i64.shl(part, 8n) : part));
  }
  protected override readRegister(field: 'reg' | 'rm', bits: number): Expr {
    return this.readAt(this.byte(field === 'reg' ? L.UOP_REG : L.UOP_BASE), bits);
  }
  protected override writeRegister(field: 'reg' | 'rm', bits: number, value: Expr): void {
    this.writeAt(this.byte(field === 'reg' ? L.UOP_REG : L.UOP_BASE), bits, value);
  }
  override gpr(n: number, bits: number): Expr {
    return this.readAt(8 * n, bits);
  }
  override setGpr(n: number, bits: number, value: Expr): void {
    this.writeAt(8 * n, bits, value);
  }
  override setHighByte(n: number, value: Expr): void {
    this.writeAt(8 * n + 1, 8, value);
  }

  // --- control flow -------------------------------------------------------------------------------------------

  override if(condition: I32Like, then: () => void, otherwise?: () => void): void {
    const constant = typeof condition === 'number' ? condition : condition.value;
    if (constant !== undefined) {
      if (constant) then();
      else otherwise?.();
      return;
    }
    this.regionFlags.branch(then, otherwise, (a, b) => this.f.if(condition, a, b));
  }
  override block(): void {
    throw new NotTranslated();
  }

  private get ipMask(): bigint {
    return this.long ? -1n : 0xffff_ffffn;
  }
  private get nextOffset(): bigint {
    return BigInt((this.where & Number(IP_PAGE_MASK)) + (this.where >>> 12));
  }
  override ip(): Expr {
    return i64.and(i64.add(this.frame.pageIp, BigInt(this.where) & IP_PAGE_MASK), this.ipMask);
  }
  override nextIp(): Expr {
    return i64.and(i64.add(this.frame.pageIp, this.nextOffset), this.ipMask);
  }

  protected override get covers(): boolean {
    return this.region.slots.coverage !== undefined;
  }
  protected override note(what: CoverageFunction, args: readonly Expr[]): void {
    this.call(undefined, this.region.slots.coverage![what], args);
  }
  override farBranch(): () => void {
    if (this.covers) throw new NotTranslated();
    return () => {};
  }

  override jump(target: Expr): void {
    const to = this.covers ? this.let(i64.and(target, this.ipMask)) : i64.and(target, this.ipMask);
    this.noteBranch(() => to);
    this.goTo(to);
  }
  private goTo(ip: Expr): void {
    this.left = true;
    this.regionFlags.settle();
    this.f.set(this.frame.rip, ip);
    this.f.br(this.frame.lookup);
  }

  private get targetOffset(): number {
    return Number(this.nextOffset) + this.word(L.UOP_IMM);
  }
  private relativeTarget(): Expr {
    const to = i64.add(this.frame.pageIp, this.nextOffset + BigInt(this.word(L.UOP_IMM)));
    return this.osize === 64 ? to : i64.and(to, this.osize === 16 ? 0xffffn : 0xffff_ffffn);
  }
  override checkTarget(target: Expr): void {
    const bad = this.long
      ? i64.ne(i64.shrS(i64.shl(target, 16n), 16n), target)
      : i64.gtU(target, i64.load32U(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_LIMIT));
    this.f.if(bad, () => this.raise(), undefined, false);
  }
  override checkRelative(taken?: Expr): void {
    if (this.variant.near) return;
    if (taken === undefined) this.checkTarget(this.let(this.relativeTarget()));
    else this.f.if(taken, () => this.checkTarget(this.let(this.relativeTarget())));
  }

  private follow(field: number, offset: number, target: () => Expr): void {
    this.noteBranch(target);
    this.followLink(field, offset, target);
  }
  /**
   * Enter the block that a link field names, or have it found and the link filled: as tier 0 does. What the link says
   * now, or the block at that offset, is a guess at where it leads when this runs.
   */
  private followLink(field: number, offset: number, target: () => Expr): void {
    const { f } = this;
    const { result, entry, rip, link } = this.frame;
    const address = this.at + field;
    const known = this.word(field) >>> 0 || this.region.blockAt(offset);
    f.set(result, i32.load(address));
    if (known !== undefined && this.region.has(known))
      f.if(i32.eq(result, known), () => this.region.enter(known), undefined, true);
    f.set(entry, i32.const(address));
    f.set(rip, target());
    f.br(link);
  }

  override jumpRelative(): void {
    this.left = true;
    if (this.variant.near) {
      this.regionFlags.settle();
      this.follow(L.UOP_DISP, this.targetOffset, () => this.relativeTarget());
    } else this.jump(this.relativeTarget());
  }
  override branchIf(condition: Expr): void {
    this.left = true;
    const taken = this.let(condition);
    this.regionFlags.settle();
    if (this.variant.near) {
      this.f.if(taken, () => this.follow(L.UOP_DISP, this.targetOffset, () => this.relativeTarget()));
      this.follow(L.UOP_REG, Number(this.nextOffset), () => this.nextIp());
      return;
    }
    const go = (target: () => Expr) => () => {
      this.noteBranch(target);
      this.f.set(this.frame.rip, target());
    };
    this.f.if(
      taken,
      go(() => this.relativeTarget()),
      go(() => this.nextIp()),
    );
    this.f.br(this.frame.lookup);
  }
  /** Go on at the next instruction, by a lookup. */
  fallOut(): void {
    this.goTo(this.nextIp());
  }
  /** The end of a block that goes on elsewhere (HANDLER_NEXT). */
  next(): void {
    this.regionFlags.settle();
    if (this.byte(L.UOP_REG) !== 0) this.followLink(L.UOP_DISP, Number(this.nextOffset), () => this.nextIp());
    else this.fallOut();
  }

  // --- calls out of the region ----------------------------------------------------------------------------------

  override js(operation: SystemOperation, args: readonly Expr[]): void {
    this.callOut(undefined, operation, args);
  }
  override jsResult(operation: SystemOperation, result: Type, args: readonly Expr[]): Expr {
    const local = this.f.local(result);
    this.callOut(local, operation, args);
    return local;
  }
  private callOut(result: LocalGet | undefined, operation: SystemOperation, args: readonly Expr[]): void {
    if (!this.mayCallOut) throw new NotTranslated();
    const { slot } = this.region.operations.importOf(operation, this.variant);
    const values = args.map((a) => this.let(a));
    this.regionFlags.force();
    this.frame.spill();
    this.f.store32(L.ABORT_UOP, this.uop());
    if (endsBlock(this.variant)) this.f.store64(L.RIP, this.nextIp());
    this.call(result, slot, values);
    this.f.if(i32.load(L.ABORT), () => this.f.return(i32.const(REGION_ABORT)));
    this.frame.reload();
    this.regionFlags.changed();
  }
  /** The whole instruction by the interpreter's own handler. */
  callHandler(slot: number, ends: boolean): void {
    const { f } = this;
    const code = f.local(I32);
    this.regionFlags.force();
    this.frame.spill();
    f.store32(L.ABORT_UOP, this.uop());
    this.call(code, slot, [this.uop()]);
    if (ends) {
      this.left = true;
      f.return(i32.and(code, REGION_ABORT));
      return;
    }
    f.if(code, () => f.return(i32.const(REGION_ABORT)));
    this.frame.reload();
    this.regionFlags.changed();
  }

  override budget(): Expr {
    return this.frame.budget;
  }
  override trackedFill(): Expr {
    throw new NotTranslated();
  }
  override chargeIteration(): Expr {
    throw new NotTranslated();
  }
}
