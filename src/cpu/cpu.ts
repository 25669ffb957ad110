// The processor put together: linear memory, interpreter, slow paths, and what instructions (CpuCore) and devices
// (ProcessorLines) may ask of it. The loop that runs it is in run-loop.ts. Invariant: outside of wasm RIP, EFLAGS and
// all registers are architectural, and cycle = DEADLINE − BUDGET.

import { BlockFinder } from './block-finder.js';
import { Breakpoints } from './breakpoints.js';
import type { Bus, ProcessorLines, RunEnd, TimingModel } from './bus.js';
import { CodeCache } from './code-cache.js';
import { Coverage } from './coverage/coverage.js';
import type { CpuModel } from './cpuid.js';
import { DebugRegisters } from './debug-registers.js';
import { type DecodeMode, Decoder } from './decode.js';
import type { SavedCode } from './decoded-before.js';
import { DeviceStrings } from './device-strings.js';
import { type Engine, instantiate, variants } from './engine.js';
import { allRows } from './isa/rows.js';
import { OpcodeTable } from './isa/table.js';
import type { TranslatorParts } from './jit/translator.js';
import * as L from './layout.js';
import { Memory } from './linear-memory.js';
import { Mmu } from './mmu.js';
import { type DerivedMode, isFlat, ModeDeriver } from './mode.js';
import { PhysicalMemory } from './physical.js';
import { RunLoop, SUSPENDED } from './run-loop.js';
import { SlowPaths } from './slow-paths.js';
import { CpuState, IF, MODE_64BIT, RF, SMM_ACTIVE, TF, WIDE_ZERO } from './state.js';
import { resetState } from './system/reset.js';
import type { SmmProcessor } from './system/smm.js';

export interface CpuOptions {
  readonly model: CpuModel;
  readonly timing: TimingModel;
  /** Bytes of RAM and of ROM images to make room for. */
  readonly ramSize: number;
  readonly romSize: number;
  /** Note branches and comparisons. Default false. The guest sees no difference. */
  readonly coverage?: boolean;
  /** Gives a memory of so many pages of 64 KiB, all zeros, that does not grow. */
  readonly memory?: (pages: number) => WebAssembly.Memory;
}

/** What a recorder hears from the processor. All calls come at instruction boundaries. */
export interface CpuListener {
  interruptDelivered?(vector: number): void;
  milestone?(name: string): void;
}

const NEVER = Number.POSITIVE_INFINITY;
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
  /** Undefined unless asked for. */
  readonly coverage: Coverage | undefined;
  listener: CpuListener = {};
  onFarJump: (() => void) | undefined;
  onLook: ((at: 'clock' | 'cr2') => void) | undefined;
  /** SMM was entered or left: SMRAM is seen, or not. */
  onSmm: (active: boolean) => void = () => {};
  /** The run also ends when this cycle is reached. */
  cycleLimit = NEVER;

  private a20 = true;
  private readonly finder: BlockFinder;
  private readonly debug: DebugRegisters;
  private readonly engine: Engine;
  private readonly breakpoints: Breakpoints;
  private readonly loop: RunLoop;
  /** The bus, for the loop; `bus` is what instructions use. */
  platform!: Bus;
  delivered = false;
  private readonly modes = new ModeDeriver();
  /** How each code key decodes. */
  private readonly codeModes: DecodeMode[] = [];
  private readonly reached = new Set<string>();

  constructor(options: CpuOptions) {
    this.model = options.model;
    this.timing = options.timing;
    const pages = L.wasmPages(options.ramSize, options.romSize);
    const memory = options.memory?.(pages) ?? new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.state = new CpuState(memory);
    this.physical = new PhysicalMemory(this.state, options.ramSize);
    this.mmu = new Mmu(this.state, this.physical);
    const table = new OpcodeTable(allRows, (f) => options.model.has(f as never));
    this.code = new CodeCache(this.state, this.physical, this.mmu, new Decoder(table, variants), variants);
    this.finder = new BlockFinder(this.state, this.mmu, this.physical, this.code);
    this.debug = new DebugRegisters(this.state);
    this.memory = new Memory(this.state, this.mmu, this.physical, this);
    const variantOf = (handler: number) => variants.variantOf(handler);
    const strings = new DeviceStrings(this.state, this.mmu, this.physical, this.memory, this, variantOf);
    this.slow = new SlowPaths(this.state, this.mmu, this.physical, this.memory, this.code, strings);
    this.physical.onRemap = () => this.mmu.flush(false);
    this.physical.onPartial = (page) => this.mmu.dropPage(page);
    this.mmu.flush(false);
    if (options.coverage) this.code.end = L.COVERAGE;
    this.coverage = options.coverage ? new Coverage(this.state, this.physical) : undefined;
    this.engine = instantiate(memory, this, this.slow, options.coverage);
    this.breakpoints = new Breakpoints(this.state, this.physical, this.code);
    this.loop = new RunLoop(this, this.finder, this.debug, this.breakpoints, this.engine.run);
    this.state.f64[L.NS_PER_CYCLE >>> 3] = options.timing.nsPerCycle;
    this.reset();
  }

  /** Give the processor its second tier: `make` is given what it works on. It never changes what the guest sees. */
  translateBy(make: (parts: TranslatorParts) => { poll(): void }): void {
    const { state, code, engine } = this;
    const modeOf = (key: number) => this.codeModes[key];
    this.loop.translator ??= make({ state, code, engine, variants, memory: state.memory, modeOf });
  }

  /** Power-on state; memory is left alone. */
  reset(): void {
    resetState(this.state, this.model);
    this.state.set32(L.ABORT, 0);
    this.state.set32(L.HALTED, 0);
    this.loop.forgetPlace();
    this.mmu.flush(false);
    this.smmChanged();
    this.modeChanged();
  }

  /**
   * The bus, for instructions. Whatever they do there may bring the next event nearer, so the block loop is left
   * after the instruction and asks anew.
   */
  get bus(): Bus {
    this.state.u32[L.EXIT_REQUEST >>> 2] = 1;
    return this.platform;
  }
  set bus(bus: Bus) {
    this.platform = bus;
  }

  // --- time -------------------------------------------------------------------------------------------------

  /** Cycle reached: all charged cycles. */
  get now(): number {
    const { f64, i32 } = this.state;
    return f64[L.DEADLINE >>> 3]! - i32[L.BUDGET >>> 2]!;
  }

  /** Low and high half of `instructionIp`, without the cost of a bigint. */
  get ipLow(): number {
    return this.ipHalves() >>> 0;
  }
  ipHigh = WIDE_ZERO;
  private ipHalves(): number {
    const { u32, u16 } = this.state;
    if (this.loop.inEvent) {
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
    this.state.f64[L.DEADLINE >>> 3] = cycle;
    this.state.i32[L.BUDGET >>> 2] = 0;
  }

  get cycle(): number {
    const { f64, i32, u32, u16 } = this.state;
    const now = f64[L.DEADLINE >>> 3]! - i32[L.BUDGET >>> 2]!;
    const uop = u32[L.ABORT_UOP >>> 2]!;
    return this.loop.inEvent || uop === 0 ? now : now - variants.cost[u16[uop >>> 1]!]!;
  }

  get instructions(): number {
    return this.state.u32[L.INSTRUCTIONS >>> 2]! + this.state.u32[(L.INSTRUCTIONS >>> 2) + 1]! * 0x1_0000_0000;
  }

  // --- CpuCore ----------------------------------------------------------------------------------------------

  /** Address (IP) of the instruction of a record of the running block. */
  ipOf(uop: number): bigint {
    const where = this.state.u16[(uop + L.UOP_WHERE) >>> 1]!;
    return BigInt.asUintN(64, this.state.get64(L.PAGE_IP) + BigInt(where & 0xfff)) & this.state.get64(L.IP_MASK);
  }
  get instructionIp(): bigint {
    if (this.loop.inEvent) return this.state.rip;
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
    const { u32 } = s;
    const { armed } = this.debug;
    this.slow.onAccess = armed ? this.debug.noteAccess : undefined;
    const mode = this.modes.derive(s, armed);
    this.finder.mode = mode;
    const user = u32[L.CPL >>> 2] === 3;
    if (mode.codeKey < 0) this.giveCodeKey(mode);
    u32[L.CODE_KEY >>> 2] = (mode.codeKey << 1) | (user ? 1 : 0);
    this.loop.forgetPlace();
    if (user && s.get32(L.USER_REACHED) === 0) {
      s.set32(L.USER_REACHED, 1);
      this.listener.milestone?.('user-mode');
    }
    // Traps need instructions alone; a pending interrupt may have become deliverable.
    const eflags = u32[L.EFLAGS >>> 2]!;
    const nmi = u32[L.NMI_PENDING >>> 2] !== 0 && u32[L.NMI_BLOCKED >>> 2] === 0;
    const smi = u32[L.SMI_PENDING >>> 2] !== 0;
    if (eflags & (TF | RF) || armed || nmi || smi || (u32[L.INTR >>> 2] !== 0 && eflags & IF)) this.requestExit();
  }

  dataSegmentChanged(segment: number): void {
    const { mode } = this.finder;
    // Nothing follows from FS and GS; from the others, whether their accesses are checked.
    if (segment >= L.FS || mode.bits === 64) return;
    if (isFlat(this.state, segment) !== ((mode.flat & (1 << segment)) !== 0)) this.modeChanged();
  }

  /** A small number for a way of decoding; when they run out, decoded code is dropped and they begin anew. */
  private giveCodeKey(mode: DerivedMode): void {
    if (this.codeModes.length >= MAX_CODE_KEYS) {
      this.codeModes.length = 0;
      this.modes.clear();
      this.code.dropAll();
    }
    mode.codeKey = this.codeModes.length;
    this.codeModes.push(mode);
  }

  /** What has been decoded, for a checkpoint. */
  saveDecoded(): SavedCode {
    return { modes: this.modes.save(), pages: this.code.save() };
  }
  /** Go on with it; before the first instruction. @throws RangeError when it cannot be from saveDecoded() */
  loadDecoded({ modes, pages }: SavedCode): void {
    if (modes.length > MAX_CODE_KEYS) throw new RangeError('there are too many ways of decoding');
    this.codeModes.length = 0;
    this.modes.clear();
    for (const saved of modes) {
      const mode = this.modes.modeOf(saved);
      if (mode.codeKey >= 0) throw new RangeError('a way of decoding has two numbers');
      this.giveCodeKey(mode);
    }
    this.code.load(pages, modes.length);
    this.modeChanged();
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
    this.loop.stepTrap = on;
    if (on) this.requestExit();
  }
  /** Milestones that are passed already: for a machine that continues from a saved state. */
  passMilestones(names: Iterable<string>): void {
    for (const name of names) this.reached.add(name);
    if (this.reached.has('user-mode')) this.state.set32(L.USER_REACHED, 1);
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
    this.loop.end(end);
    this.requestExit();
  }
  setA20(enabled: boolean): void {
    this.a20 = enabled;
    this.smmChanged();
  }
  /** The line as it was set; in SMM memory is as if it were open. */
  get isA20Open(): boolean {
    return this.a20;
  }
  /** The block loop is left after the instruction that runs. */
  requestExit(): void {
    this.state.set32(L.EXIT_REQUEST, 1);
  }
  // --- breakpoints of tools ---------------------------------------------------------------------------------

  /** run() ends before the instruction at this linear address; step() executes it. No breakpoint costs a cycle. */
  setBreakpoint(linear: bigint): void {
    this.breakpoints.set(linear);
    this.loop.forgetPlace();
  }
  clearBreakpoint(linear: bigint): void {
    this.breakpoints.clear(linear);
  }
  /** Pass a breakpoint that was set, and stop at it again: at no cost, decoded code stays as it is. */
  suspendBreakpoint(linear: bigint): void {
    this.breakpoints.suspend(linear);
  }
  resumeBreakpoint(linear: bigint): void {
    this.breakpoints.resume(linear);
    this.loop.forgetPlace();
  }
  /** Have each use of the time stamp counter and of CR2 told, emitted code's too; undefined ends it. */
  watchLooks(onLook: ((at: 'clock' | 'cr2') => void) | undefined): void {
    this.onLook = onLook;
    // A counter that is not exact is read in TypeScript.
    this.state.f64[L.NS_PER_CYCLE >>> 3] = onLook ? NEVER : this.timing.nsPerCycle;
  }
  /** Whether a run was asked to end, and has not ended yet. */
  get isEnding(): boolean {
    return this.loop.isEnding;
  }

  // --- running ----------------------------------------------------------------------------------------------

  /** Interrupt shadow over the next instruction: 0 none, 1 STI, 2 MOV SS. */
  get interruptShadow(): number {
    const s = this.state;
    const kind = s.get32(L.SHADOW);
    return kind !== 0 && s.f64[L.SHADOW_CYCLE >>> 3] === this.now ? kind : 0;
  }

  /** Run until something ends the run. The machine's state is consistent after it; calling it again goes on. */
  run(): RunEnd {
    return this.loop.run();
  }

  /** Run until the cycle is reached (or the run ends): for seeking and tests. */
  runUntil(cycle: number): RunEnd {
    const before = this.cycleLimit;
    this.cycleLimit = cycle;
    const end = this.run();
    this.cycleLimit = before;
    return end;
  }

  /** Execute exactly one instruction (or one REP iteration) at RIP. False when an exception was delivered. */
  step(): boolean {
    return this.loop.step();
  }

  notePort(port: number, bytes: number): void {
    this.debug.notePort(port, bytes);
  }
}
