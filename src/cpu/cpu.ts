// The processor: linear memory, interpreter, slow paths, and the loop that makes cycles exact.
//
// The loop runs translated blocks until the budget to the next event is smaller than the next block, then executes
// instructions alone up to the exact boundary: events, interrupts and stops land on the first instruction boundary
// at or after their cycle, whatever ran before. Instructions that reach a device in the middle of a block are
// undone and executed alone too, so that a device sees exact time. Invariant: between two iterations of the loop
// RIP, EFLAGS and all registers are architectural, and cycle = DEADLINE − BUDGET.

import { BlockFinder } from './block-finder.js';
import type { Bus, ProcessorLines, RunEnd, TimingModel } from './bus.js';
import { CodeCache } from './code-cache.js';
import type { CpuModel } from './cpuid.js';
import { DebugRegisters } from './debug-registers.js';
import { type DecodeMode, Decoder } from './decode.js';
import { type Engine, instantiate, variants } from './engine.js';
import { ABORT_CROSS } from './interp/build.js';
import { EXIT_ABORT, EXIT_BUDGET, EXIT_MISS, EXIT_REQUESTED, EXIT_STEPPED } from './interp/exits.js';
import { HANDLER_CROSS, HANDLER_NEXT, HANDLER_STEP_END } from './interp/variants.js';
import { allRows } from './isa/rows.js';
import { OpcodeTable } from './isa/table.js';
import type { TranslatorParts } from './jit/translator.js';
import * as L from './layout.js';
import { Memory } from './linear-memory.js';
import { Mmu } from './mmu.js';
import { type DerivedMode, deriveMode } from './mode.js';
import { peekTranslation } from './peek.js';
import { PhysicalMemory } from './physical.js';
import { ABORT_FAULT, ABORT_REDO } from './semantics/context.js';
import { SlowPaths } from './slow-paths.js';
import { CpuState, Fault, IF, MODE_64BIT, RF, SMM_ACTIVE, TF } from './state.js';
import { CommittedFault, DebugFault, DR6_BS } from './system/faults.js';
import { interrupt, raise } from './system/interrupts.js';
import { resetState } from './system/reset.js';
import { enterSmm, type SmmProcessor } from './system/smm.js';

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
/** Of HALTED. */
const SUSPENDED = 2;
/** CODE_KEY is below 0xffe and has CPL = 3 in bit 0. */
const MAX_CODE_KEYS = 0x7f0;

export class Cpu implements SmmProcessor, ProcessorLines {
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly mmu: Mmu;
  readonly memory: Memory;
  readonly code: CodeCache;
  readonly model: CpuModel;
  readonly timing: TimingModel;
  readonly slow: SlowPaths;
  listener: CpuListener = {};
  onFarJump: (() => void) | undefined;
  /** SMM was entered or left: SMRAM is seen, or not. */
  onSmm: (active: boolean) => void = () => {};
  /** The run also ends when this cycle is reached. */
  cycleLimit = NEVER;

  private a20 = true;
  private readonly finder: BlockFinder;
  private readonly debug: DebugRegisters;
  private readonly engine: Engine;
  private readonly runWasm: (uop: number) => void;
  private platform!: Bus;
  private ended: RunEnd | undefined;
  /** Record to execute next while stepping, 0 = look RIP up; valid for `stepIp` only. */
  private stepUop = 0;
  private stepIp = 0n;
  /** What the instruction says of its own single-step trap. */
  private stepTrap: boolean | undefined;
  delivered = false;
  /** False only while wasm runs: then the current instruction is that of ABORT_UOP. */
  private inEvent = true;
  /** Linear addresses before which run() ends. */
  private readonly stopsBefore = new Set<bigint>();
  private readonly codeKeys = new Map<string, number>();
  /** How each code key decodes. */
  private readonly codeModes: DecodeMode[] = [];
  private translator: { poll(): void } | undefined;
  private userReached = false;
  private readonly reached = new Set<string>();

  constructor(options: CpuOptions) {
    this.model = options.model;
    this.timing = options.timing;
    const pages = PhysicalMemory.wasmPages(options.ramSize, options.romSize);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.state = new CpuState(memory);
    this.physical = new PhysicalMemory(this.state, options.ramSize);
    this.mmu = new Mmu(this.state, this.physical);
    const table = new OpcodeTable(allRows, (f) => options.model.has(f as never));
    this.code = new CodeCache(this.state, this.physical, this.mmu, new Decoder(table, variants), variants);
    this.finder = new BlockFinder(this.state, this.mmu, this.physical, this.code);
    this.debug = new DebugRegisters(this.state);
    this.memory = new Memory(this.state, this.mmu, this.physical, this);
    this.slow = new SlowPaths(this.state, this.mmu, this.physical, this.memory, this.code);
    this.physical.onRemap = () => this.mmu.flush(false);
    this.physical.onPartial = (page) => this.mmu.dropPage(page);
    this.mmu.flush(false);
    this.engine = instantiate(memory, this, this.slow);
    const { run } = this.engine;
    this.runWasm = (uop) => {
      this.inEvent = false;
      run(uop);
      this.inEvent = true;
    };
    this.reset();
  }

  /** Give the processor its second tier: `make` is given what it works on. It never changes what the guest sees. */
  translateBy(make: (parts: TranslatorParts) => { poll(): void }): void {
    const { state, code, engine } = this;
    const modeOf = (key: number) => this.codeModes[key];
    this.translator ??= make({ state, code, engine, variants, memory: state.memory, modeOf });
  }

  /** Power-on state; memory is left alone. */
  reset(): void {
    resetState(this.state, this.model);
    this.state.set32(L.ABORT, 0);
    this.state.set32(L.HALTED, 0);
    this.stepUop = 0;
    this.mmu.flush(false);
    this.smmChanged();
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
    return this.now - (uop === 0 ? 0 : variants.cost[this.state.u16[uop >>> 1]!]!);
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
    const { armed } = this.debug;
    this.slow.onAccess = armed ? this.debug.noteAccess : undefined;
    const mode = deriveMode(s, armed);
    this.finder.mode = mode;
    const user = s.get32(L.CPL) === 3;
    s.set32(L.CODE_KEY, (this.codeKey(mode) << 1) | (user ? 1 : 0));
    this.stepUop = 0;
    if (user && !this.userReached) {
      this.userReached = true;
      this.listener.milestone?.('user-mode');
    }
    // Traps need instructions alone; a pending interrupt may have become deliverable.
    const eflags = s.get32(L.EFLAGS);
    const nmi = s.get32(L.NMI_PENDING) !== 0 && s.get32(L.NMI_BLOCKED) === 0;
    const smi = s.get32(L.SMI_PENDING) !== 0;
    if (eflags & (TF | RF) || armed || nmi || smi || (s.get32(L.INTR) !== 0 && eflags & IF)) this.requestExit();
  }

  /** A small number for a way of decoding; when they run out, decoded code is dropped and they begin anew. */
  private codeKey(mode: DerivedMode): number {
    const { key } = mode;
    const known = this.codeKeys.get(key);
    if (known !== undefined) return known;
    if (this.codeKeys.size >= MAX_CODE_KEYS) {
      this.codeKeys.clear();
      this.code.dropAll();
    }
    const n = this.codeKeys.size;
    this.codeKeys.set(key, n);
    this.codeModes[n] = mode;
    return n;
  }

  flushTlb(keepGlobal: boolean): void {
    this.mmu.flush(keepGlobal);
  }
  flushPage(linear: bigint): void {
    this.mmu.flushPage(Number(BigInt.asUintN(32, linear)), Number(BigInt.asUintN(64, linear) >> 32n));
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
  readPhysical(address: number, length: number): Uint8Array {
    return this.physical.read(address, length);
  }
  writePhysical(address: number, data: Uint8Array): void {
    this.physical.write(address, data);
  }
  /** Bring about what follows from L.SMM: A20 is open in SMM (SDM vol. 3C, 31.3), and SMRAM is seen. */
  smmChanged(): void {
    const active = (this.state.get32(L.SMM) & SMM_ACTIVE) !== 0;
    const mask = this.a20 || active ? 0xffff_ffff : 0xffef_ffff;
    if (this.physical.a20Mask !== mask) {
      this.physical.a20Mask = mask;
      this.mmu.flush(false);
    }
    this.onSmm(active);
  }
  setShadow(kind: 1 | 2): void {
    this.state.set32(L.SHADOW, kind);
    this.state.f64[L.SHADOW_CYCLE >>> 3] = this.now;
    if (this.state.get32(L.INTR) !== 0) this.requestExit();
  }
  setStepTrap(on: boolean): void {
    this.stepTrap = on;
    if (on) this.requestExit();
  }
  /** Milestones that are passed already: for a machine that continues from a saved state. */
  passMilestones(names: Iterable<string>): void {
    for (const name of names) this.reached.add(name);
    this.userReached ||= this.reached.has('user-mode');
  }
  milestone(name: string): void {
    // Firmware goes to protected mode and back for every service: only the first time is a milestone.
    if (this.reached.has(name)) return;
    this.reached.add(name);
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
  pulseSmi(): void {
    this.state.set32(L.SMI_PENDING, 1);
    this.requestExit();
  }
  suspend(): void {
    this.state.set32(L.HALTED, SUSPENDED);
    this.requestExit();
  }
  stop(end: RunEnd): void {
    this.ended ??= end;
    this.requestExit();
  }
  setA20(enabled: boolean): void {
    this.a20 = enabled;
    this.smmChanged();
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
    const cycle = this.now;
    this.setNow(cycle);
    if (cycle >= this.platform.nextEvent()) this.platform.advance(cycle);
    if (this.ended !== undefined) return this.takeEnd();
    if (cycle >= this.cycleLimit) return { reason: 'until-cycle' };
    s.set32(L.EXIT_REQUEST, 0);
    this.translator?.poll();
    const shadow = this.interruptShadow;
    const halted = s.get32(L.HALTED);
    if (halted === SUSPENDED) return this.passTime(cycle);
    if (s.get32(L.SMI_PENDING) !== 0 && (s.get32(L.SMM) & SMM_ACTIVE) === 0) {
      s.set32(L.SMI_PENDING, 0);
      s.set32(L.HALTED, 0);
      s.set32(L.SHADOW, 0);
      enterSmm(this);
      this.delivered = true;
      this.stepUop = 0;
      return undefined;
    }
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
    if (halted !== 0) return this.passTime(cycle);
    const next = Math.min(this.platform.nextEvent(), this.cycleLimit);
    const budget = Math.max(0, Math.min(next - cycle, SLICE));
    s.f64[L.DEADLINE >>> 3] = cycle + budget;
    s.i32[L.BUDGET >>> 2] = budget;
    const alone = (s.get32(L.EFLAGS) & (TF | RF)) !== 0 || this.debug.armed || shadow !== 0;
    if (alone) {
      if (this.atBreakpoint) return { reason: 'breakpoint' };
      this.step();
    } else this.runBlocks(next);
    return this.ended === undefined ? undefined : this.takeEnd();
  }

  /** Nothing executes: on to the next event. */
  private passTime(cycle: number): RunEnd | undefined {
    const next = Math.min(this.platform.nextEvent(), this.cycleLimit);
    if (next === NEVER) return { reason: 'halted' };
    this.setNow(Math.max(cycle, next));
    return undefined;
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
      if (this.stepTrap) {
        // SYSRET has set TF.
        s.set32(L.LINK_PATCH, 0);
        this.stepTrap = undefined;
        this.deliverFault(new DebugFault(DR6_BS));
        return;
      }
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
          this.handleAbort(s.get32(L.ABORT_UOP));
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
      return this.finder.find();
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      s.set32(L.LINK_PATCH, 0);
      s.i32[L.BUDGET >>> 2]! -= 1; // a faulting instruction costs a cycle
      this.deliverFault(fault);
      return 0;
    }
  }

  /** Undo the charge for what comes after `uop` in its block; with `inclusive` for itself too. */
  private refund(uop: number, inclusive: boolean): void {
    const s = this.state;
    let cost = 0;
    let count = 1; // the abandoned instruction does not retire
    if (inclusive) cost += variants.cost[s.u16[uop >>> 1]!]!;
    if (uop >= L.UOPS) {
      for (let u = uop; variants.ends[s.u16[u >>> 1]!] === 0; ) {
        u += L.UOP_SIZE;
        const h = s.u16[u >>> 1]!;
        cost += variants.cost[h]!;
        if (variants.variantOf(h) !== undefined || h === 2) count++;
      }
    }
    s.i32[L.BUDGET >>> 2]! += cost;
    s.set64(L.INSTRUCTIONS, BigInt.asUintN(64, s.get64(L.INSTRUCTIONS) - BigInt(count)));
  }

  /** An instruction was abandoned: deliver its fault, or execute it alone. */
  private handleAbort(uop: number): void {
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
      return;
    }
    if (reason === ABORT_REDO) {
      this.refund(uop, true);
      s.rip = this.ipOf(uop);
      this.stepUop = uop;
      this.stepIp = s.rip;
      if (this.step()) this.stepOn(uop);
      return;
    }
    if (reason === ABORT_CROSS) {
      // No instruction was executed: the block is charged anew when it is entered again.
      this.refund(uop, false);
      s.set64(L.INSTRUCTIONS, s.get64(L.INSTRUCTIONS) + 1n);
      s.rip = this.ipOf(uop);
      this.holdsAcross(uop);
      return;
    }
    throw new Error(`abort ${reason}`);
  }

  /**
   * An iteration of a REP instruction has reached a device: those that follow will as a rule, so they are executed alone
   * too, without a look for their block each time. Left to runOnce as soon as it would do anything else in between.
   */
  private stepOn(uop: number): void {
    const s = this.state;
    const { generation } = this.code;
    while (s.get32(L.EXIT_REQUEST) !== 0 && s.betweenIterations && this.ended === undefined) {
      const due = this.now >= Math.min(this.platform.nextEvent(), this.cycleLimit);
      const pending = s.get32(L.INTR) | s.get32(L.NMI_PENDING) | s.get32(L.SMI_PENDING) | s.get32(L.HALTED);
      if (due || pending !== 0 || generation !== this.code.generation || this.code.stops.size > 0) return;
      s.set32(L.EXIT_REQUEST, 0);
      this.stepUop = uop;
      this.stepIp = s.rip;
      if (!this.step()) return;
    }
  }

  /** As BlockFinder.holdsAcross; a fault is delivered. */
  private holdsAcross(uop: number): boolean | 'fault' {
    try {
      return this.finder.holdsAcross(uop);
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      this.state.i32[L.BUDGET >>> 2]! -= 1;
      this.deliverFault(fault);
      return 'fault';
    }
  }

  /** Record of the first instruction of the block at RIP; 0 when its fetch faulted. */
  private firstRecord(): number {
    for (;;) {
      const header = this.findBlock();
      if (header === 0) return 0;
      const uop = header + L.UOP_SIZE;
      if (this.state.u16[uop >>> 1] !== HANDLER_CROSS) return uop;
      const holds = this.holdsAcross(uop);
      if (holds === 'fault') return 0;
      if (holds) return uop + L.UOP_SIZE;
    }
  }

  private deliverFault(fault: Fault): void {
    this.state.set32(L.HALTED, 0); // a debug trap of HLT ends it (SDM vol. 2, HLT)
    raise(this, fault);
    this.delivered = true;
    this.stepUop = 0;
  }

  notePort(port: number, bytes: number): void {
    this.debug.notePort(port, bytes);
  }

  /** Execute exactly one instruction (or one REP iteration) at RIP. False when an exception was delivered. */
  step(): boolean {
    const s = this.state;
    const eflags = s.get32(L.EFLAGS);
    const trap = (eflags & TF) !== 0;
    const resume = (eflags & RF) !== 0;
    // A data breakpoint of MOV SS or POP SS waits until the instruction under its shadow is over (vol. 3A, 6.8.3).
    const shadowed = this.interruptShadow === 2;
    const held = shadowed ? s.get32(L.DEBUG_HELD) : 0;
    s.set32(L.DEBUG_HELD, held);
    this.delivered = false;
    this.debug.hits = held;
    this.stepTrap = undefined;
    if (!resume && this.debug.armed && !shadowed && !s.betweenIterations) {
      const hit = this.debug.onExecution();
      if (hit !== 0) {
        s.i32[L.BUDGET >>> 2]! -= 1;
        this.deliverFault(new DebugFault(hit));
        return false;
      }
    }
    let uop = this.stepIp === s.rip ? this.stepUop : 0;
    // What is no instruction (the end of a block that goes on elsewhere) leads to another block.
    while (uop === 0 || s.u16[uop >>> 1] === HANDLER_NEXT) {
      uop = this.firstRecord();
      if (uop !== 0) continue;
      s.set32(L.DEBUG_HELD, 0);
      return false;
    }
    const at = L.STEP_UOPS;
    s.u8.copyWithin(at, uop, uop + L.UOP_SIZE);
    const handler = s.u16[uop >>> 1]!;
    const variant = variants.variantOf(handler);
    if (variant?.near) {
      // Links of the copy are not wanted.
      s.u32[(at + L.UOP_DISP) >>> 2] = 0;
      s.u32[(at + L.UOP_REG) >>> 2] = 0;
    }
    s.u16[(at + L.UOP_SIZE) >>> 1] = HANDLER_STEP_END;
    s.u16[(at + L.UOP_SIZE + L.UOP_WHERE) >>> 1] = s.u16[(uop + L.UOP_WHERE) >>> 1]!;
    this.setNow(this.now + variants.cost[handler]!);
    s.retire();
    s.set32(L.STEPPING, 1);
    const requested = s.get32(L.EXIT_REQUEST);
    const { generation } = this.code;
    this.stepUop = 0;
    this.runWasm(at);
    s.set32(L.STEPPING, 0);
    s.set32(L.LINK_PATCH, 0);
    if (requested) this.requestExit();
    const waiting = s.get32(L.DEBUG_HELD);
    s.set32(L.DEBUG_HELD, 0);
    const reason = s.get32(L.EXIT_REASON);
    if (reason === EXIT_ABORT) {
      this.handleAbort(s.get32(L.ABORT_UOP));
      return false;
    }
    if (reason === EXIT_STEPPED && s.get32(L.EXIT_REQUEST) === 0 && generation === this.code.generation) {
      this.stepUop = uop + L.UOP_SIZE;
      this.stepIp = s.rip;
    }
    // RF covers one instruction (SDM vol. 3A, 17.3.1.1), all iterations of it; the one that set it keeps it for the next.
    if (resume && !s.betweenIterations) s.set32(L.EFLAGS, (s.get32(L.EFLAGS) & ~RF) >>> 0);
    if (this.interruptShadow === 2) {
      s.set32(L.DEBUG_HELD, this.debug.hits);
      return true;
    }
    // A software interrupt goes unstepped; what was held back is taken at its handler.
    const hits = this.delivered ? waiting : this.debug.hits | ((this.stepTrap ?? trap) ? DR6_BS : 0);
    this.stepTrap = undefined;
    if (hits === 0) return true;
    this.deliverFault(new DebugFault(hits));
    return false;
  }
}
