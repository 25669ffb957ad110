// The loop that makes cycles exact.
//
// It runs blocks until the budget to the next event is smaller than the next block, then executes instructions alone
// up to the exact boundary: events, interrupts and stops land on the first instruction boundary at or after their
// cycle, whatever ran before. Instructions that reach a device in the middle of a block are undone and executed alone
// too, so that a device sees exact time. Invariant: between two iterations of the loop RIP, EFLAGS and all registers
// are architectural, and cycle = DEADLINE − BUDGET.

import type { BlockFinder } from './block-finder.js';
import type { Breakpoints } from './breakpoints.js';
import type { RunEnd } from './bus.js';
import type { Cpu } from './cpu.js';
import type { DebugRegisters } from './debug-registers.js';
import { variants } from './engine.js';
import { ABORT_CROSS } from './interp/build.js';
import { EXIT_ABORT, EXIT_BUDGET, EXIT_MISS, EXIT_REQUESTED, EXIT_STEPPED } from './interp/exits.js';
import { HANDLER_CROSS, HANDLER_NEXT, HANDLER_STEP_END } from './interp/variants.js';
import * as L from './layout.js';
import { ABORT_FAULT, ABORT_REDO } from './semantics/context.js';
import { Fault, IF, RF, SMM_ACTIVE, TF, WIDE_ZERO } from './state.js';
import { CommittedFault, DebugFault, DR6_BS } from './system/faults.js';
import { interrupt, raise } from './system/interrupts.js';
import { enterSmm } from './system/smm.js';

/** Longest run without looking up from wasm, in cycles: lets the engine tier up its code. */
const SLICE = 100_000;
const NEVER = Number.POSITIVE_INFINITY;
/** Of HALTED: until a reset, or a wake-up by the platform. */
export const SUSPENDED = 2;

export class RunLoop {
  /** Tier 1, when there is one. */
  translator: { poll(): void } | undefined;
  /** False only while wasm runs: then the current instruction is that of ABORT_UOP. */
  inEvent = true;
  private ended: RunEnd | undefined;
  /** Record to execute next while stepping, 0 = look RIP up; valid for one RIP only, which is kept as halves. */
  private stepUop = 0;
  private stepLow = WIDE_ZERO;
  private stepHigh = WIDE_ZERO;
  /** What the instruction says of its own single-step trap. */
  stepTrap: boolean | undefined;

  constructor(
    private readonly cpu: Cpu,
    private readonly finder: BlockFinder,
    private readonly debug: DebugRegisters,
    private readonly breakpoints: Breakpoints,
    private readonly wasm: (uop: number) => void,
  ) {}

  /** The record that a step would go on with may be another by now. */
  forgetPlace(): void {
    this.stepUop = 0;
  }

  get isEnding(): boolean {
    return this.ended !== undefined;
  }

  /** The run ends at the next boundary; the first reason counts. */
  end(why: RunEnd): void {
    this.ended ??= why;
  }

  private runWasm(uop: number): void {
    this.inEvent = false;
    this.wasm(uop);
    this.inEvent = true;
  }

  /** Run until something ends the run. The machine's state is consistent after it; calling it again goes on. */
  run(): RunEnd {
    this.ended = undefined;
    for (;;) {
      const end = this.runOnce();
      if (end !== undefined) return end;
    }
  }

  private runOnce(): RunEnd | undefined {
    const { cpu } = this;
    const { platform } = cpu;
    const s = cpu.state;
    const { u32 } = s;
    const cycle = cpu.now;
    cpu.setCycle(cycle);
    let due = platform.nextEvent();
    if (cycle >= due) {
      platform.advance(cycle);
      due = platform.nextEvent();
    }
    if (this.ended !== undefined) return this.takeEnd();
    if (cycle >= cpu.cycleLimit) return { reason: 'until-cycle' };
    u32[L.EXIT_REQUEST >>> 2] = 0;
    this.translator?.poll();
    const shadow = u32[L.SHADOW >>> 2] === 0 ? 0 : cpu.interruptShadow;
    const halted = u32[L.HALTED >>> 2]!;
    if (halted === SUSPENDED) return this.passTime(cycle);
    if (u32[L.SMI_PENDING >>> 2] !== 0 && (u32[L.SMM >>> 2]! & SMM_ACTIVE) === 0) {
      s.set32(L.SMI_PENDING, 0);
      s.set32(L.HALTED, 0);
      s.set32(L.SHADOW, 0);
      enterSmm(cpu);
      cpu.delivered = true;
      this.stepUop = 0;
      return undefined;
    }
    if (u32[L.NMI_PENDING >>> 2] !== 0 && u32[L.NMI_BLOCKED >>> 2] === 0 && shadow !== 2) {
      s.set32(L.NMI_PENDING, 0);
      s.set32(L.HALTED, 0);
      this.deliverEvent(2, 'nmi');
      return undefined;
    }
    const eflags = u32[L.EFLAGS >>> 2]!;
    if (u32[L.INTR >>> 2] !== 0 && (eflags & IF) !== 0 && shadow === 0) {
      const vector = platform.acknowledge();
      s.set32(L.HALTED, 0);
      cpu.listener.interruptDelivered?.(vector);
      this.deliverEvent(vector, 'external');
      return undefined;
    }
    if (halted !== 0) return this.passTime(cycle);
    const next = Math.min(due, cpu.cycleLimit);
    const budget = Math.max(0, Math.min(next - cycle, SLICE));
    s.f64[L.DEADLINE >>> 3] = cycle + budget;
    s.i32[L.BUDGET >>> 2] = budget;
    if ((eflags & (TF | RF)) !== 0 || shadow !== 0 || this.debug.armed) {
      if (this.breakpoints.atBreakpoint) return { reason: 'breakpoint' };
      this.step();
    } else this.runBlocks(next);
    return this.ended === undefined ? undefined : this.takeEnd();
  }

  /** Nothing executes: on to the next event. */
  private passTime(cycle: number): RunEnd | undefined {
    const next = Math.min(this.cpu.platform.nextEvent(), this.cpu.cycleLimit);
    if (next === NEVER) return { reason: 'halted' };
    this.cpu.setCycle(Math.max(cycle, next));
    return undefined;
  }

  private takeEnd(): RunEnd {
    const end = this.ended!;
    this.ended = undefined;
    return end;
  }

  private deliverEvent(vector: number, kind: 'external' | 'nmi'): void {
    interrupt(this.cpu, vector, kind);
    this.cpu.delivered = true;
    this.stepUop = 0;
  }

  /** Run blocks; returns when an event is due, a stop was requested, or an exception was delivered. */
  private runBlocks(next: number): void {
    const s = this.cpu.state;
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
          if (this.breakpoints.atStop) {
            s.set32(L.LINK_PATCH, 0);
            if (this.breakpoints.atBreakpoint) this.end({ reason: 'breakpoint' });
            else if (this.cpu.now < next) this.step();
            return;
          }
          if (this.findBlock(true) === 0) return;
          break;
        case EXIT_BUDGET: {
          // The end of a slice is no event; near a real one, instructions go alone.
          const now = this.cpu.now;
          if (next - now > SLICE) return;
          const left = next - now;
          s.f64[L.DEADLINE >>> 3] = now + left;
          s.i32[L.BUDGET >>> 2] = left;
          if (this.blockFits(left)) break;
          while (this.cpu.now < next && s.get32(L.EXIT_REQUEST) === 0 && this.ended === undefined) {
            if (!this.step()) return;
            if (this.breakpoints.atBreakpoint) this.end({ reason: 'breakpoint' });
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
    return header !== 0 && this.cpu.state.u32[header >>> 2]! <= left;
  }

  /** Find or decode the block at RIP and fill the code TLB; 0 when the fetch faulted (and the fault was delivered). */
  private findBlock(missed = false): number {
    const s = this.cpu.state;
    try {
      return this.finder.find(missed);
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
    const s = this.cpu.state;
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
    const { u32 } = s;
    const retired = u32[L.INSTRUCTIONS >>> 2]! - count;
    u32[L.INSTRUCTIONS >>> 2] = retired;
    if (retired < 0) u32[(L.INSTRUCTIONS >>> 2) + 1]!--;
  }

  /** A step that begins at RIP has its record here. */
  private stepNext(uop: number): void {
    const { u32 } = this.cpu.state;
    this.stepUop = uop;
    this.stepLow = u32[L.RIP >>> 2]!;
    this.stepHigh = u32[(L.RIP >>> 2) + 1]!;
  }

  /** RIP is that of a record of the running block. */
  private goBackTo(uop: number): void {
    const { u32, u16 } = this.cpu.state;
    const low = u32[L.PAGE_IP >>> 2]! + (u16[(uop + L.UOP_WHERE) >>> 1]! & 0xfff);
    const high = u32[(L.PAGE_IP >>> 2) + 1]! + (low > 0xffff_ffff ? 1 : 0);
    u32[L.RIP >>> 2] = low & u32[L.IP_MASK >>> 2]!;
    u32[(L.RIP >>> 2) + 1] = high & u32[(L.IP_MASK >>> 2) + 1]!;
  }

  /** An instruction was abandoned: deliver its fault, or execute it alone. */
  private handleAbort(uop: number): void {
    const s = this.cpu.state;
    const reason = s.get32(L.ABORT);
    s.set32(L.ABORT, 0);
    if (reason === ABORT_FAULT) {
      const vector = s.get32(L.FAULT_VECTOR);
      const fault = this.cpu.slow.fault ?? new Fault(vector, s.get32(L.FAULT_ERROR));
      this.cpu.slow.fault = undefined;
      this.refund(uop, false);
      if (!(fault instanceof CommittedFault)) this.goBackTo(uop);
      this.deliverFault(fault);
      return;
    }
    if (reason === ABORT_REDO) {
      this.refund(uop, true);
      this.goBackTo(uop);
      this.stepNext(uop);
      const going = this.step();
      this.cpu.slow.endRedo();
      if (going) this.stepOn(uop);
      return;
    }
    if (reason === ABORT_CROSS) {
      // No instruction was executed: the block is charged anew when it is entered again.
      this.refund(uop, false);
      s.set64(L.INSTRUCTIONS, s.get64(L.INSTRUCTIONS) + 1n);
      this.goBackTo(uop);
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
    const s = this.cpu.state;
    const { generation } = this.cpu.code;
    while (s.get32(L.EXIT_REQUEST) !== 0 && s.betweenIterations && this.ended === undefined) {
      const due = this.cpu.now >= Math.min(this.cpu.platform.nextEvent(), this.cpu.cycleLimit);
      const pending = s.get32(L.INTR) | s.get32(L.NMI_PENDING) | s.get32(L.SMI_PENDING) | s.get32(L.HALTED);
      if (due || pending !== 0 || generation !== this.cpu.code.generation || this.cpu.code.stops.size > 0) return;
      s.set32(L.EXIT_REQUEST, 0);
      this.stepNext(uop);
      if (!this.step()) return;
    }
  }

  /** As BlockFinder.holdsAcross; a fault is delivered. */
  private holdsAcross(uop: number): boolean | 'fault' {
    try {
      return this.finder.holdsAcross(uop);
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      this.cpu.state.i32[L.BUDGET >>> 2]! -= 1;
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
      if (this.cpu.state.u16[uop >>> 1] !== HANDLER_CROSS) return uop;
      const holds = this.holdsAcross(uop);
      if (holds === 'fault') return 0;
      if (holds) return uop + L.UOP_SIZE;
    }
  }

  private deliverFault(fault: Fault): void {
    this.cpu.state.set32(L.HALTED, 0); // a debug trap of HLT ends it (SDM vol. 2, HLT)
    raise(this.cpu, fault);
    this.cpu.delivered = true;
    this.stepUop = 0;
  }

  /** Execute exactly one instruction (or one REP iteration) at RIP. False when an exception was delivered. */
  step(): boolean {
    const s = this.cpu.state;
    const eflags = s.get32(L.EFLAGS);
    const trap = (eflags & TF) !== 0;
    const resume = (eflags & RF) !== 0;
    // A data breakpoint of MOV SS or POP SS waits until the instruction under its shadow is over (vol. 3A, 6.8.3).
    const shadowed = this.cpu.interruptShadow === 2;
    const held = shadowed ? s.get32(L.DEBUG_HELD) : 0;
    s.set32(L.DEBUG_HELD, held);
    this.cpu.delivered = false;
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
    const { u32 } = s;
    const found = u32[L.RIP >>> 2] === this.stepLow && u32[(L.RIP >>> 2) + 1] === this.stepHigh;
    let uop = found ? this.stepUop : 0;
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
    this.cpu.setCycle(this.cpu.now + variants.cost[handler]!);
    s.retire();
    s.set32(L.STEPPING, 1);
    const requested = s.get32(L.EXIT_REQUEST);
    const { generation } = this.cpu.code;
    this.stepUop = 0;
    this.runWasm(at);
    s.set32(L.STEPPING, 0);
    s.set32(L.LINK_PATCH, 0);
    if (requested) this.cpu.requestExit();
    const waiting = s.get32(L.DEBUG_HELD);
    s.set32(L.DEBUG_HELD, 0);
    const reason = s.get32(L.EXIT_REASON);
    if (reason === EXIT_ABORT) {
      this.handleAbort(s.get32(L.ABORT_UOP));
      return false;
    }
    if (reason === EXIT_STEPPED && s.get32(L.EXIT_REQUEST) === 0 && generation === this.cpu.code.generation) {
      this.stepNext(uop + L.UOP_SIZE);
    }
    // RF covers one instruction (SDM vol. 3A, 17.3.1.1), all iterations of it; the one that set it keeps it for the next.
    if (resume && !s.betweenIterations) s.set32(L.EFLAGS, (s.get32(L.EFLAGS) & ~RF) >>> 0);
    if (this.cpu.interruptShadow === 2) {
      s.set32(L.DEBUG_HELD, this.debug.hits);
      return true;
    }
    // A software interrupt goes unstepped; what was held back is taken at its handler.
    const hits = this.cpu.delivered ? waiting : this.debug.hits | ((this.stepTrap ?? trap) ? DR6_BS : 0);
    this.stepTrap = undefined;
    if (hits === 0) return true;
    this.deliverFault(new DebugFault(hits));
    return false;
  }
}
