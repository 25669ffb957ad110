// The processor: linear memory, interpreter, slow paths, and the loop that makes cycles exact.
//
// The loop runs translated blocks until the budget to the next event is smaller than the next block, then executes
// instructions alone up to the exact boundary: events, interrupts and stops land on the first instruction boundary
// at or after their cycle, whatever ran before. Instructions that reach a device in the middle of a block are
// undone and executed alone too, so that a device sees exact time. Invariant: between two iterations of the loop
// RIP, EFLAGS and all registers are architectural, and cycle = DEADLINE − BUDGET.

import type { Bus, ProcessorLines, RunEnd, TimingModel } from './bus.js';
import { CodeCache } from './code-cache.js';
import type { CpuCore } from './core.js';
import type { CpuModel } from './cpuid.js';
import { type DecodeMode, Decoder } from './decode.js';
import { ABORT_CROSS, buildInterpreter } from './interp/build.js';
import { EXIT_ABORT, EXIT_BUDGET, EXIT_MISS, EXIT_REQUESTED, EXIT_STEPPED } from './interp/exits.js';
import { HANDLER_CROSS, HANDLER_STEP_END, VariantTable } from './interp/variants.js';
import { allRows } from './isa/rows.js';
import { OpcodeTable } from './isa/table.js';
import * as L from './layout.js';
import { Memory } from './linear-memory.js';
import { Mmu } from './mmu.js';
import { peekTranslation } from './peek.js';
import { PhysicalMemory } from './physical.js';
import { ABORT_FAULT, ABORT_REDO } from './semantics/context.js';
import { SlowPaths } from './slow-paths.js';
import {
  AC,
  CpuState,
  CR0_PG,
  CR4_SMAP,
  EFER_LMA,
  Fault,
  IF,
  MODE_64BIT,
  MODE_CS32,
  MODE_LONG,
  MODE_PAGING,
  MODE_PROTECTED,
  MODE_SS32,
  MODE_V86,
  RF,
  TF,
  UD,
  VM,
} from './state.js';
import { CommittedFault, DebugFault, DR6_BS } from './system/faults.js';
import { interrupt, raise } from './system/interrupts.js';
import { resetState } from './system/reset.js';

export interface CpuOptions {
  readonly model: CpuModel;
  readonly timing: TimingModel;
  /** Bytes of RAM and of ROM images to make room for. */
  readonly ramSize: number;
  readonly romSize: number;
}

/** What a recorder hears from the processor. All calls come at instruction boundaries. */
export interface CpuListener {
  interruptDelivered?(vector: number): void;
  milestone?(name: string): void;
}

/** Longest run without looking up from wasm, in cycles: lets the engine tier up its code. */
const SLICE = 100_000;
const NEVER = Number.POSITIVE_INFINITY;

export class Cpu implements CpuCore, ProcessorLines {
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly mmu: Mmu;
  readonly memory: Memory;
  readonly code: CodeCache;
  readonly model: CpuModel;
  readonly timing: TimingModel;
  readonly slow: SlowPaths;
  listener: CpuListener = {};
  /** What to do on reset and triple fault; set by the machine. */
  onReset: (() => void) | undefined;
  /** The run also ends when this cycle is reached. */
  cycleLimit = NEVER;

  private readonly variants: VariantTable;
  private readonly runWasm: (uop: number) => void;
  private platform!: Bus;
  private ended: RunEnd | undefined;
  /** Record to execute next while stepping, 0 = look RIP up; valid for `stepIp` only. */
  private stepUop = 0;
  private stepIp = 0n;
  delivered = false;
  /** DR6 bits of the data and I/O breakpoints that the instruction hit. */
  private debugHits = 0;
  /** False only while wasm runs: then the current instruction is that of ABORT_UOP. */
  private inEvent = true;
  /** Linear addresses before which run() ends. */
  private readonly stopsBefore = new Set<bigint>();
  private readonly codeKeys = new Map<string, number>();
  private decodeMode: DecodeMode = { bits: 16, flat: 0 };
  private userReached = false;

  constructor(options: CpuOptions) {
    this.model = options.model;
    this.timing = options.timing;
    const pages = PhysicalMemory.wasmPages(options.ramSize, options.romSize);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.state = new CpuState(memory);
    this.physical = new PhysicalMemory(this.state, options.ramSize);
    this.mmu = new Mmu(this.state, this.physical);
    this.variants = new VariantTable(allRows);
    const table = new OpcodeTable(allRows, (f) => options.model.has(f as never));
    const decoder = new Decoder(table, this.variants);
    this.code = new CodeCache(this.state, this.physical, this.mmu, decoder, this.variants);
    this.memory = new Memory(this.state, this.mmu, this.physical, this);
    this.slow = new SlowPaths(this.state, this.mmu, this.physical, this.memory, this.code);
    this.physical.onRemap = () => this.mmu.flush(false);
    this.mmu.flush(false);
    for (let at = L.DATA_TLB_NONE >>> 2; at < (L.DATA_TLB_NONE + L.DATA_TLB_SIZE) >>> 2; at += 8) {
      this.state.u32[at] = 1;
      this.state.u32[at + 2] = 1;
    }
    const built = buildInterpreter(this.variants);
    const slow = this.slow;
    const system: Record<string, (...args: (number | bigint)[]) => unknown> = {};
    for (const [name, operation] of built.operations) {
      const nothing = built.wide.has(name) ? 0n : 0;
      system[name] = (...args) => {
        try {
          return operation(this, ...args);
        } catch (fault) {
          slow.setFault(fault);
          return nothing;
        }
      };
    }
    const instance = new WebAssembly.Instance(new WebAssembly.Module(built.bytes), {
      env: { memory },
      slow: {
        read: (lo: number, hi: number, access: number, uop: number) => slow.read(lo, hi, access, uop),
        write: (lo: number, hi: number, access: number, uop: number) => slow.write(lo, hi, access, uop),
        modify: (lo: number, hi: number, access: number, uop: number) => slow.modify(lo, hi, access, uop),
        commit: () => slow.commit(),
        segmentFault: (uop: number, stack: number) => slow.segmentFault(uop, stack),
      },
      system,
    });
    const enter: (uop: number) => void = instance.exports.run;
    this.runWasm = (uop) => {
      this.inEvent = false;
      enter(uop);
      this.inEvent = true;
    };
    this.reset();
  }

  /** Power-on state; memory is left alone. */
  reset(): void {
    resetState(this.state, this.model);
    this.state.set32(L.ABORT, 0);
    this.state.set32(L.HALTED, 0);
    this.stepUop = 0;
    this.mmu.flush(false);
    this.modeChanged();
  }

  /**
   * The bus, for instructions. Whatever they do there may bring the next event nearer, so the block loop is left
   * after the instruction and asks anew.
   */
  get bus(): Bus {
    this.requestExit();
    return this.platform;
  }
  set bus(bus: Bus) {
    this.platform = bus;
  }

  // --- time -------------------------------------------------------------------------------------------------

  /** Cycle reached: all charged cycles. */
  get now(): number {
    return this.state.f64[L.DEADLINE >>> 3]! - this.state.i32[L.BUDGET >>> 2]!;
  }

  /** Low and high half of `instructionIp`, without the cost of a bigint. */
  get ipLow(): number {
    return this.ipHalves() >>> 0;
  }
  ipHigh = 0;
  private ipHalves(): number {
    const { u32, u16 } = this.state;
    if (this.inEvent) {
      this.ipHigh = u32[(L.RIP >>> 2) + 1]!;
      return u32[L.RIP >>> 2]!;
    }
    const where = u16[(u32[L.ABORT_UOP >>> 2]! + L.UOP_WHERE) >>> 1]!;
    const low = u32[L.PAGE_IP >>> 2]! + (where & 0xfff);
    const high = u32[(L.PAGE_IP >>> 2) + 1]! + (low > 0xffff_ffff ? 1 : 0);
    this.ipHigh = (high & u32[(L.IP_MASK >>> 2) + 1]!) >>> 0;
    return low & u32[L.IP_MASK >>> 2]!;
  }

  /** Start counting at a cycle: for a machine that continues from a saved state. */
  setCycle(cycle: number): void {
    this.setNow(cycle);
  }

  private setNow(cycle: number): void {
    this.state.f64[L.DEADLINE >>> 3] = cycle;
    this.state.i32[L.BUDGET >>> 2] = 0;
  }

  get cycle(): number {
    if (this.inEvent) return this.now;
    const uop = this.state.get32(L.ABORT_UOP);
    return this.now - (uop === 0 ? 0 : this.variants.cost[this.state.u16[uop >>> 1]!]!);
  }

  get instructions(): number {
    return this.state.u32[L.INSTRUCTIONS >>> 2]! + this.state.u32[(L.INSTRUCTIONS >>> 2) + 1]! * 0x1_0000_0000;
  }

  // --- CpuCore ----------------------------------------------------------------------------------------------

  private ipOf(uop: number): bigint {
    const where = this.state.u16[(uop + L.UOP_WHERE) >>> 1]!;
    return BigInt.asUintN(64, this.state.get64(L.PAGE_IP) + BigInt(where & 0xfff)) & this.state.get64(L.IP_MASK);
  }
  get instructionIp(): bigint {
    if (this.inEvent) return this.state.rip;
    return this.ipOf(this.state.get32(L.ABORT_UOP));
  }
  get nextIp(): bigint {
    const uop = this.state.get32(L.ABORT_UOP);
    const where = this.state.u16[(uop + L.UOP_WHERE) >>> 1]!;
    return (
      BigInt.asUintN(64, this.state.get64(L.PAGE_IP) + BigInt((where & 0xfff) + (where >>> 12))) &
      this.state.get64(L.IP_MASK)
    );
  }

  /** Up to `length` bytes at the current instruction, through the code TLB only: no walk, no accessed bits. */
  peekCode(length: number): Uint8Array | undefined {
    const s = this.state;
    const is64 = (s.get32(L.MODE) & MODE_64BIT) !== 0;
    const lo = is64 ? this.ipLow : (this.ipLow + s.u32[(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE) >>> 2]!) >>> 0;
    const entry = (L.CODE_TLB + ((lo >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * L.CODE_TLB_ENTRY_SIZE) >>> 2;
    if (s.u32[entry] !== ((lo & ~0xfff) | s.get32(L.CODE_KEY)) >>> 0) return undefined;
    const host = this.physical.host[s.u32[entry + (L.CTLB_PAGE >>> 2)]!]!;
    if (host === 0) return undefined;
    const offset = lo & 0xfff;
    return s.u8.slice(host + offset, host + Math.min(4096, offset + length));
  }

  modeChanged(): void {
    const s = this.state;
    const cr0 = s.get32(L.CR0);
    const eflags = s.get32(L.EFLAGS);
    const csAttributes = s.attributes(L.CS);
    const ssAttributes = s.attributes(L.SS);
    let mode = 0;
    if (cr0 & 1) mode |= MODE_PROTECTED;
    if (cr0 & CR0_PG) mode |= MODE_PAGING;
    const long = (s.get32(L.EFER) & EFER_LMA) !== 0;
    if (long) mode |= MODE_LONG;
    const is64 = long && (csAttributes & 0x2000) !== 0;
    if (is64) mode |= MODE_64BIT;
    if (cr0 & 1 && eflags & VM && !long) mode |= MODE_V86;
    if (!is64 && csAttributes & 0x4000) mode |= MODE_CS32;
    if (ssAttributes & 0x4000) mode |= MODE_SS32;
    s.set32(L.MODE, mode);
    const cpl = s.get32(L.CPL);
    const all = 0xffff_ffff_ffff_ffffn;
    s.set64(L.ADDRESS_MASK, is64 ? all : 0xffff_ffffn);
    s.set64(L.LINEAR_MASK, is64 ? all : 0xffff_ffffn);
    s.set64(L.IP_MASK, is64 ? all : mode & MODE_CS32 ? 0xffff_ffffn : 0xffffn);
    s.set64(L.STACK_MASK, is64 ? all : mode & MODE_SS32 ? 0xffff_ffffn : 0xffffn);
    s.set32(L.STACK_CHECKED, is64 || this.isFlat(L.SS) ? 0 : 1);
    const smapOpen = (s.get32(L.CR4) & CR4_SMAP) === 0 || (eflags & AC) !== 0;
    const user = cpl === 3;
    const armed = s.u32[(L.DR + 56) >>> 2]! & 0xff;
    this.slow.onAccess = armed !== 0 ? (lo, hi, bytes, write) => this.noteAccess(lo, hi, bytes, write) : undefined;
    const alignment = user && (eflags & AC) !== 0 && (cr0 & 0x4_0000) !== 0;
    s.set32(
      L.DATA_TLB,
      armed !== 0 || alignment
        ? L.DATA_TLB_NONE
        : user
          ? L.DATA_TLB_USER
          : smapOpen
            ? L.DATA_TLB_OPEN
            : L.DATA_TLB_SUPERVISOR,
    );
    let key: string;
    let flat = 15;
    const bits = is64 ? 64 : mode & MODE_CS32 ? 32 : 16;
    if (is64) key = '64';
    else {
      flat = 0;
      for (const seg of [L.ES, L.CS, L.SS, L.DS]) if (this.isFlat(seg)) flat |= 1 << seg;
      const base = s.base(L.CS);
      const limit = s.limit(L.CS);
      key = base === 0n && limit === 0xffff_ffff ? `${bits}/${flat}` : `${bits}/${flat}/${base}/${limit}`;
    }
    let id = this.codeKeys.get(key);
    if (id === undefined) {
      if (this.codeKeys.size >= 0x7f0) {
        this.codeKeys.clear();
        this.code.dropAll();
      }
      id = this.codeKeys.size;
      this.codeKeys.set(key, id);
    }
    this.decodeMode = { bits, flat };
    s.set32(L.CODE_KEY, (id << 1) | (user ? 1 : 0));
    this.stepUop = 0;
    if (user && !this.userReached) {
      this.userReached = true;
      this.listener.milestone?.('user-mode');
    }
    // Traps need instructions alone; a pending interrupt may have become deliverable.
    if (eflags & (TF | RF) || armed !== 0 || (s.get32(L.INTR) !== 0 && eflags & IF)) this.requestExit();
  }

  private isFlat(segment: number): boolean {
    const at = L.SEGMENTS + L.SEGMENT_SIZE * segment;
    const s = this.state;
    const needed = segment === L.CS ? 1 : 3;
    return (
      s.get64(at + L.SEG_BASE) === 0n &&
      s.get32(at + L.SEG_MIN) === 0 &&
      s.get32(at + L.SEG_MAX) === 0xffff_ffff &&
      (s.get32(at + L.SEG_ACCESS) & needed) === needed &&
      segment !== L.CS
    );
  }

  flushTlb(keepGlobal: boolean): void {
    this.mmu.flush(keepGlobal);
  }
  flushPage(linear: bigint): void {
    this.mmu.flushPage(Number(BigInt.asUintN(32, linear)));
  }
  /** True in HLT and in shutdown. */
  get isHalted(): boolean {
    return this.state.get32(L.HALTED) !== 0;
  }
  halt(): void {
    this.state.set32(L.HALTED, 1);
    this.requestExit();
  }
  tripleFault(): void {
    this.stop({ reason: 'triple-fault' });
  }
  /** A u64 of guest physical memory, without translation (PDPTEs). */
  readPhysical64(address: number): bigint {
    return (BigInt(this.physical.read32(address + 4)) << 32n) | BigInt(this.physical.read32(address));
  }
  setShadow(kind: 1 | 2): void {
    this.state.set32(L.SHADOW, kind);
    this.state.f64[L.SHADOW_CYCLE >>> 3] = this.now;
    if (this.state.get32(L.INTR) !== 0) this.requestExit();
  }
  milestone(name: string): void {
    this.listener.milestone?.(name);
  }

  // --- ProcessorLines ---------------------------------------------------------------------------------------

  setIntr(level: boolean): void {
    this.state.set32(L.INTR, level ? 1 : 0);
    if (level) this.requestExit();
  }
  pulseNmi(): void {
    this.state.set32(L.NMI_PENDING, 1);
    this.requestExit();
  }
  stop(end: RunEnd): void {
    this.ended ??= end;
    this.requestExit();
  }
  setA20(enabled: boolean): void {
    const mask = enabled ? 0xffff_ffff : 0xffef_ffff;
    if (this.physical.a20Mask === mask) return;
    this.physical.a20Mask = mask;
    this.mmu.flush(false);
  }
  private requestExit(): void {
    this.state.set32(L.EXIT_REQUEST, 1);
  }

  // --- breakpoints ------------------------------------------------------------------------------------------

  /** run() ends before the instruction at this linear address; step() executes it. No breakpoint costs a cycle. */
  setBreakpoint(linear: bigint): void {
    if (this.stopsBefore.has(linear)) return;
    this.stopsBefore.add(linear);
    this.code.stops.add(Number(linear & 0xfffn));
    const at = peekTranslation(this.state, this.physical, linear);
    if (at === undefined) this.code.dropAll();
    else this.code.drop(Math.floor(at / 4096));
    this.stepUop = 0;
  }
  clearBreakpoint(linear: bigint): void {
    if (!this.stopsBefore.delete(linear)) return;
    this.code.stops.clear();
    for (const other of this.stopsBefore) this.code.stops.add(Number(other & 0xfffn));
  }

  /** Linear address of the instruction at RIP. */
  private get linearIp(): bigint {
    const s = this.state;
    return s.is64 ? s.rip : BigInt.asUintN(32, s.rip + s.base(L.CS));
  }
  /** True when RIP's offset in its page is one where blocks are not found by themselves. */
  private get atStop(): boolean {
    const { stops } = this.code;
    if (stops.size === 0) return false;
    const s = this.state;
    const base = s.u32[(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE) >>> 2]!;
    return stops.has((s.u32[L.RIP >>> 2]! + (s.is64 ? 0 : base)) & 0xfff);
  }
  private get atBreakpoint(): boolean {
    return this.atStop && this.stopsBefore.has(this.linearIp);
  }

  // --- the loop ---------------------------------------------------------------------------------------------

  /** Interrupt shadow over the next instruction: 0 none, 1 STI, 2 MOV SS. */
  get interruptShadow(): number {
    const s = this.state;
    const kind = s.get32(L.SHADOW);
    return kind !== 0 && s.f64[L.SHADOW_CYCLE >>> 3] === this.now ? kind : 0;
  }

  /** Run until something ends the run. The machine's state is consistent after it; calling it again goes on. */
  run(): RunEnd {
    this.ended = undefined;
    for (;;) {
      const end = this.runOnce();
      if (end !== undefined) return end;
    }
  }

  /** Run until the cycle is reached (or the run ends): for seeking and tests. */
  runUntil(cycle: number): RunEnd {
    const before = this.cycleLimit;
    this.cycleLimit = cycle;
    const end = this.run();
    this.cycleLimit = before;
    return end;
  }

  private runOnce(): RunEnd | undefined {
    const s = this.state;
    let cycle = this.now;
    this.setNow(cycle);
    if (cycle >= this.platform.nextEvent()) this.platform.advance(cycle);
    if (this.ended !== undefined) return this.takeEnd();
    if (cycle >= this.cycleLimit) return { reason: 'until-cycle' };
    s.set32(L.EXIT_REQUEST, 0);
    const shadow = this.interruptShadow;
    if (s.get32(L.NMI_PENDING) !== 0 && s.get32(L.NMI_BLOCKED) === 0 && shadow !== 2) {
      s.set32(L.NMI_PENDING, 0);
      s.set32(L.HALTED, 0);
      this.deliverEvent(2, 'nmi');
      return undefined;
    }
    if (s.get32(L.INTR) !== 0 && (s.get32(L.EFLAGS) & IF) !== 0 && shadow === 0) {
      const vector = this.platform.acknowledge();
      s.set32(L.HALTED, 0);
      this.listener.interruptDelivered?.(vector);
      this.deliverEvent(vector, 'external');
      return undefined;
    }
    if (s.get32(L.HALTED) !== 0) {
      const next = Math.min(this.platform.nextEvent(), this.cycleLimit);
      if (next === NEVER) return { reason: 'halted' };
      cycle = Math.max(cycle, next);
      this.setNow(cycle);
      return undefined;
    }
    const next = Math.min(this.platform.nextEvent(), this.cycleLimit);
    const budget = Math.max(0, Math.min(next - cycle, SLICE));
    s.f64[L.DEADLINE >>> 3] = cycle + budget;
    s.i32[L.BUDGET >>> 2] = budget;
    const alone = (s.get32(L.EFLAGS) & (TF | RF)) !== 0 || (s.u32[(L.DR + 56) >>> 2]! & 0xff) !== 0 || shadow !== 0;
    if (alone) {
      if (this.atBreakpoint) return { reason: 'breakpoint' };
      this.step();
    } else this.runBlocks(next);
    return this.ended === undefined ? undefined : this.takeEnd();
  }

  private takeEnd(): RunEnd {
    const end = this.ended!;
    this.ended = undefined;
    return end;
  }

  private deliverEvent(vector: number, kind: 'external' | 'nmi'): void {
    interrupt(this, vector, kind);
    this.delivered = true;
    this.stepUop = 0;
  }

  /** Run blocks; returns when an event is due, a stop was requested, or an exception was delivered. */
  private runBlocks(next: number): void {
    const s = this.state;
    for (;;) {
      this.runWasm(0);
      switch (s.get32(L.EXIT_REASON)) {
        case EXIT_MISS:
          if (this.atStop) {
            s.set32(L.LINK_PATCH, 0);
            if (this.atBreakpoint) this.stop({ reason: 'breakpoint' });
            else if (this.now < next) this.step();
            return;
          }
          if (this.findBlock() === 0) return;
          break;
        case EXIT_BUDGET: {
          // The end of a slice is no event; near a real one, instructions go alone.
          const now = this.now;
          if (next - now > SLICE) return;
          const left = next - now;
          s.f64[L.DEADLINE >>> 3] = now + left;
          s.i32[L.BUDGET >>> 2] = left;
          if (this.blockFits(left)) break;
          while (this.now < next && s.get32(L.EXIT_REQUEST) === 0 && this.ended === undefined) {
            if (!this.step()) return;
            if (this.atBreakpoint) this.stop({ reason: 'breakpoint' });
          }
          return;
        }
        case EXIT_REQUESTED:
          s.set32(L.LINK_PATCH, 0);
          return;
        case EXIT_ABORT:
          if (!this.handleAbort(s.get32(L.ABORT_UOP))) return;
          return;
        default:
          throw new Error(`interpreter exit ${s.get32(L.EXIT_REASON)}`);
      }
    }
  }

  /** True when the block at RIP costs at most `left` cycles. */
  private blockFits(left: number): boolean {
    const header = this.findBlock();
    return header !== 0 && this.state.u32[header >>> 2]! <= left;
  }

  /** Find or decode the block at RIP and fill the code TLB; 0 when the fetch faulted (and the fault was delivered). */
  private findBlock(): number {
    const s = this.state;
    try {
      return this.lookUp();
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      s.set32(L.LINK_PATCH, 0);
      s.i32[L.BUDGET >>> 2]! -= 1; // a faulting instruction costs a cycle
      this.deliverFault(fault);
      return 0;
    }
  }

  private lookUp(): number {
    const s = this.state;
    if (this.code.full) this.code.dropAll();
    const ripLo = s.u32[L.RIP >>> 2]!;
    const ripHi = s.u32[(L.RIP >>> 2) + 1]!;
    const is64 = (s.get32(L.MODE) & MODE_64BIT) !== 0;
    const csBase = s.u32[(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE) >>> 2]!;
    const lo = is64 ? ripLo : (ripLo + csBase) >>> 0;
    const hi = is64 ? ripHi : 0;
    if (is64 && hi >>> 15 !== 0 && (hi | 0) >> 15 !== -1) throw new Fault(13, 0);
    const user = s.get32(L.CPL) === 3;
    const at = this.mmu.translate(lo, hi, false, user, true);
    const global = this.mmu.walk.global;
    const page = Math.floor(at / 4096);
    if (page >= 0x10_0000 || this.physical.host[page]! === 0) throw new Fault(UD);
    const offset = lo & 0xfff;
    const key = s.get32(L.CODE_KEY);
    const map = this.code.mapOf(page, key >>> 1);
    const entry = (L.CODE_TLB + ((lo >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * L.CODE_TLB_ENTRY_SIZE) >>> 2;
    s.u32[entry] = ((lo & ~0xfff) | key) >>> 0;
    s.u32[entry + 1] = hi;
    s.u32[entry + (L.CTLB_MAP >>> 2)] = map;
    s.u32[entry + (L.CTLB_PAGE >>> 2)] = page;
    s.u32[entry + (L.CTLB_FLAGS >>> 2)] = global ? 1 : 0;
    let header = s.u32[(map >>> 2) + offset]!;
    if (header === 0) {
      const limit = is64 ? NEVER : s.limit(L.CS);
      header = this.code.decodeBlock(
        {
          page,
          offset,
          ip: is64 ? 0 : ripLo,
          limit,
          nearOk: is64 || (csBase & 0xfff) === 0,
          nextPage: () => {
            const next = (lo & ~0xfff) + 4096;
            const carry = next > 0xffff_ffff || next < 0;
            void carry;
            const nextLo = next >>> 0;
            const nextHi = nextLo === 0 && is64 ? (hi + 1) >>> 0 : hi;
            return Math.floor(this.mmu.translate(nextLo, nextHi, false, user, true) / 4096);
          },
        },
        map,
        this.decodeMode,
      );
    }
    const patch = s.get32(L.LINK_PATCH);
    if (patch !== 0) {
      // Links made by single steps die with the record.
      if (patch >= L.UOPS) s.u32[patch >>> 2] = header;
      s.set32(L.LINK_PATCH, 0);
    }
    s.set64(L.PAGE_IP, BigInt.asUintN(64, s.rip - BigInt(offset)));
    return header;
  }

  /** Undo the charge for what comes after `uop` in its block; with `inclusive` for itself too. */
  private refund(uop: number, inclusive: boolean): void {
    const s = this.state;
    let cost = 0;
    let count = 1; // the abandoned instruction does not retire
    if (inclusive) cost += this.variants.cost[s.u16[uop >>> 1]!]!;
    if (uop >= L.UOPS) {
      for (let u = uop; this.variants.ends[s.u16[u >>> 1]!] === 0; ) {
        u += L.UOP_SIZE;
        const h = s.u16[u >>> 1]!;
        cost += this.variants.cost[h]!;
        if (this.variants.variantOf(h) !== undefined || h === 2) count++;
      }
    }
    s.i32[L.BUDGET >>> 2]! += cost;
    s.set64(L.INSTRUCTIONS, BigInt.asUintN(64, s.get64(L.INSTRUCTIONS) - BigInt(count)));
  }

  /** True when execution may simply go on. */
  private handleAbort(uop: number): boolean {
    const s = this.state;
    const reason = s.get32(L.ABORT);
    s.set32(L.ABORT, 0);
    if (reason === ABORT_FAULT) {
      const vector = s.get32(L.FAULT_VECTOR);
      const fault = this.slow.fault ?? new Fault(vector, s.get32(L.FAULT_ERROR));
      this.slow.fault = undefined;
      this.refund(uop, false);
      if (!(fault instanceof CommittedFault)) s.rip = this.ipOf(uop);
      this.deliverFault(fault);
      return false;
    }
    if (reason === ABORT_REDO) {
      this.refund(uop, true);
      s.rip = this.ipOf(uop);
      this.stepUop = uop;
      this.stepIp = s.rip;
      this.step();
      return false;
    }
    if (reason === ABORT_CROSS) {
      // No instruction was executed: the block is charged anew when it is entered again.
      const header = this.headerBefore(uop);
      this.refund(uop, false);
      s.set64(L.INSTRUCTIONS, s.get64(L.INSTRUCTIONS) + 1n);
      s.rip = this.ipOf(uop);
      this.recross(header, uop);
      return false;
    }
    throw new Error(`abort ${reason}`);
  }

  private headerBefore(uop: number): number {
    return uop - L.UOP_SIZE;
  }

  /** The second page of a crossing instruction: put it into the code TLB, or have the block decoded again. */
  private recross(header: number, uop: number): void {
    const s = this.state;
    const linear = s.rip + s.base(L.CS);
    const is64 = (s.get32(L.MODE) & MODE_64BIT) !== 0;
    const next = (linear & ~0xfffn) + 4096n;
    const lo = Number(BigInt.asUintN(32, next));
    const hi = is64 ? Number(BigInt.asUintN(64, next) >> 32n) : 0;
    try {
      const at = this.mmu.translate(lo, hi, false, s.get32(L.CPL) === 3, true);
      const page = Math.floor(at / 4096);
      if (page === s.u32[(uop + L.UOP_IMM) >>> 2]!) {
        const key = s.get32(L.CODE_KEY);
        const global = this.mmu.walk.global;
        const map = this.code.mapOf(page, key >>> 1);
        const entry = (L.CODE_TLB + ((lo >>> 12) & (L.CODE_TLB_ENTRIES - 1)) * L.CODE_TLB_ENTRY_SIZE) >>> 2;
        s.u32[entry] = ((lo & ~0xfff) | key) >>> 0;
        s.u32[entry + 1] = hi;
        s.u32[entry + (L.CTLB_MAP >>> 2)] = map;
        s.u32[entry + (L.CTLB_PAGE >>> 2)] = page;
        s.u32[entry + (L.CTLB_FLAGS >>> 2)] = global ? 1 : 0;
      } else if (header >= L.UOPS) s.u32[s.u32[(header + 12) >>> 2]!] = 0;
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      s.i32[L.BUDGET >>> 2]! -= 1;
      this.deliverFault(fault);
    }
  }

  private deliverFault(fault: Fault): void {
    raise(this, fault);
    this.delivered = true;
    this.stepUop = 0;
  }

  /** DR6 bits of enabled breakpoints of a kind (R/W field values) that touch a range of addresses or ports. */
  private breakpoints(kinds: number, at: bigint, bytes: number): number {
    const dr7 = Number(this.state.dr(7) & 0xffff_ffffn);
    let hits = 0;
    for (let n = 0; n < 4; n++) {
      if ((dr7 & (3 << (2 * n))) === 0 || (kinds & (1 << ((dr7 >>> (16 + 4 * n)) & 3))) === 0) continue;
      const length = [1, 2, 8, 4][(dr7 >>> (18 + 4 * n)) & 3]!;
      const start = this.state.dr(n) & ~BigInt(length - 1);
      if (at < start + BigInt(length) && at + BigInt(bytes) > start) hits |= 1 << n;
    }
    return hits;
  }

  private executionBreakpoint(): number {
    const s = this.state;
    const linear = (s.rip + s.base(L.CS)) & s.get64(L.LINEAR_MASK);
    return this.breakpoints(1, linear, 1);
  }

  /** A data access while breakpoints are armed: trapped after the instruction (SDM vol. 3A, 17.2.5). */
  private noteAccess(lo: number, hi: number, bytes: number, write: boolean): void {
    this.debugHits |= this.breakpoints(write ? 2 | 8 : 8, (BigInt(hi) << 32n) | BigInt(lo), bytes);
  }

  notePort(port: number, bytes: number): void {
    if (this.slow.onAccess !== undefined && (this.state.get32(L.CR4) & 8) !== 0)
      this.debugHits |= this.breakpoints(4, BigInt(port), bytes);
  }

  /** Execute exactly one instruction (or one REP iteration) at RIP. False when an exception was delivered. */
  step(): boolean {
    const s = this.state;
    const eflags = s.get32(L.EFLAGS);
    const trap = (eflags & TF) !== 0;
    const resume = (eflags & RF) !== 0;
    this.delivered = false;
    this.debugHits = 0;
    if (!resume && this.slow.onAccess !== undefined && this.interruptShadow !== 2) {
      const hit = this.executionBreakpoint();
      if (hit !== 0) {
        s.i32[L.BUDGET >>> 2]! -= 1;
        this.deliverFault(new DebugFault(hit));
        return false;
      }
    }
    let uop = this.stepUop;
    if (uop === 0 || this.stepIp !== s.rip) {
      const header = this.findBlock();
      if (header === 0) return false;
      uop = header + L.UOP_SIZE;
      // Blocks may begin with a record that is no instruction.
      if (s.u16[uop >>> 1] === HANDLER_CROSS) {
        this.recross(0, uop);
        if (this.delivered) return false;
        uop += L.UOP_SIZE;
      }
    }
    while (s.u16[uop >>> 1] === 0) {
      // HANDLER_NEXT: go on at the linked block.
      const header = this.findBlock();
      if (header === 0) return false;
      uop = header + L.UOP_SIZE;
      if (s.u16[uop >>> 1] === HANDLER_CROSS) {
        this.recross(0, uop);
        if (this.delivered) return false;
        uop += L.UOP_SIZE;
      }
    }
    const at = L.STEP_UOPS;
    s.u8.copyWithin(at, uop, uop + L.UOP_SIZE);
    const handler = s.u16[uop >>> 1]!;
    const variant = this.variants.variantOf(handler);
    if (variant?.near) {
      // Links of the copy are not wanted.
      s.u32[(at + L.UOP_DISP) >>> 2] = 0;
      s.u32[(at + L.UOP_REG) >>> 2] = 0;
    }
    s.u16[(at + L.UOP_SIZE) >>> 1] = HANDLER_STEP_END;
    s.u16[(at + L.UOP_SIZE + L.UOP_WHERE) >>> 1] = s.u16[(uop + L.UOP_WHERE) >>> 1]!;
    this.setNow(this.now + this.variants.cost[handler]!);
    s.set64(L.INSTRUCTIONS, s.get64(L.INSTRUCTIONS) + 1n);
    s.set32(L.STEPPING, 1);
    const requested = s.get32(L.EXIT_REQUEST);
    const drops = this.code.drops;
    this.stepUop = 0;
    this.runWasm(at);
    s.set32(L.STEPPING, 0);
    s.set32(L.LINK_PATCH, 0);
    if (requested) this.requestExit();
    const reason = s.get32(L.EXIT_REASON);
    if (reason === EXIT_ABORT) {
      this.handleAbort(s.get32(L.ABORT_UOP));
      return false;
    }
    if (reason === EXIT_STEPPED && s.get32(L.EXIT_REQUEST) === 0 && drops === this.code.drops) {
      this.stepUop = uop + L.UOP_SIZE;
      this.stepIp = s.rip;
    }
    // RF covers one instruction (SDM vol. 3A, 17.3.1.1); the one that set it keeps it for the next.
    if (resume) s.set32(L.EFLAGS, (s.get32(L.EFLAGS) & ~RF) >>> 0);
    const hits = this.debugHits | (trap ? DR6_BS : 0);
    if (hits !== 0 && !this.delivered && this.interruptShadow !== 2) {
      this.deliverFault(new DebugFault(hits));
      return false;
    }
    return true;
  }
}
