// Breakpoints of tools: run() ends before the instruction at a linear address, and no cycle is spent. An offset in a
// page that has one is a stop: no block goes on past it or is found there by itself, so that the run loop looks. With
// none set they cost nothing. Those of the guest's own debug registers are in debug-registers.ts.

import type { CodeCache } from './code-cache.js';
import * as L from './layout.js';
import { peekTranslation } from './peek.js';
import type { PhysicalMemory } from './physical.js';
import type { CpuState } from './state.js';

export class Breakpoints {
  /** Linear addresses before which run() ends. */
  private readonly stopsBefore = new Set<bigint>();
  /** Set, but passed for now: their offsets stay stops. */
  private readonly suspended = new Set<bigint>();

  constructor(
    private readonly state: CpuState,
    private readonly physical: PhysicalMemory,
    private readonly code: CodeCache,
  ) {}

  /** run() ends before the instruction at this linear address; step() executes it. No breakpoint costs a cycle. */
  set(linear: bigint): void {
    if (this.stopsBefore.has(linear)) return;
    this.suspended.delete(linear);
    this.stopsBefore.add(linear);
    this.code.stops.add(Number(linear & 0xfffn));
    const at = peekTranslation(this.state, this.physical, linear);
    if (at === undefined) this.code.dropAll();
    else this.code.drop(Math.floor(at / 4096));
  }
  clear(linear: bigint): void {
    const known = this.suspended.delete(linear);
    if (!this.stopsBefore.delete(linear) && !known) return;
    this.code.stops.clear();
    for (const set of [this.stopsBefore, this.suspended])
      for (const other of set) this.code.stops.add(Number(other & 0xfffn));
  }
  suspend(linear: bigint): void {
    if (this.stopsBefore.delete(linear)) this.suspended.add(linear);
  }
  resume(linear: bigint): void {
    if (this.suspended.delete(linear)) this.stopsBefore.add(linear);
  }

  /** True when RIP's offset in its page is one where blocks are not found by themselves. */
  get atStop(): boolean {
    const { stops } = this.code;
    if (stops.size === 0) return false;
    const s = this.state;
    const base = s.u32[(L.SEGMENTS + L.SEGMENT_SIZE * L.CS + L.SEG_BASE) >>> 2]!;
    return stops.has((s.u32[L.RIP >>> 2]! + (s.is64 ? 0 : base)) & 0xfff);
  }
  get atBreakpoint(): boolean {
    return this.atStop && this.stopsBefore.has(this.state.linearIp);
  }
}
