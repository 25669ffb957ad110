// The hand-off of a boot through firmware: the first instruction of the kernel, where images say it is, or wherever an
// option ROM jumps to with the registers of a protocol. A machine is stopped there, and the record of what it was handed
// is read. Costs no cycle and changes nothing that the guest can see.

import type { Guest } from '../api/guest.js';
import { entryState } from '../api/handoff.js';
import { type Handoff, isEntry, protocolOf, readHandoff } from '../boot/handoff/handoff.js';
import type { HandoffPoint, HandoffProtocol } from '../boot/route.js';
import type { RunEnd } from '../cpu/bus.js';
import * as L from '../cpu/layout.js';
import { CR0_PG } from '../cpu/state.js';

const [RAX, RBX, RSI] = [0, 3, 6];

export class KernelEntry {
  readonly #guest: Guest;
  readonly points: readonly HandoffPoint[];
  #watched = false;
  /** A far jump led to a kernel. */
  #jumped = false;

  /**
   * @param guest its own watch for the hand-off ends here
   * @param protocol which of several hand-offs; default the first, what follows is the kernel's own
   */
  constructor(
    guest: Guest,
    private readonly protocol?: HandoffProtocol,
  ) {
    this.#guest = guest;
    const known = guest.handoff.waiting.filter(({ protocol }) => protocol !== 'jump');
    this.points = (protocol ? known.filter((one) => one.protocol === protocol) : known).slice(0, 1);
    guest.handoff.forget();
  }

  /** Stop there from now on. */
  watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    const { cpu } = this.#guest;
    for (const { address } of this.points) cpu.setBreakpoint(address);
    cpu.onFarJump = () => this.#farJump();
  }

  /** Stop there no more. */
  ignore(): void {
    this.#watched = false;
    this.#jumped = false;
    const { cpu } = this.#guest;
    for (const { address } of this.points) cpu.clearBreakpoint(address);
    cpu.onFarJump = undefined;
  }

  /** Before a run from an earlier state. */
  begin(): void {
    this.#jumped = false;
  }

  /** Run to the hand-off, at most to a cycle. */
  run(limit: number): 'entered' | RunEnd {
    this.watch();
    const { cpu } = this.#guest;
    for (;;) {
      const end = cpu.runUntil(limit);
      if (end.reason !== 'breakpoint') return end;
      if (this.isHere()) return 'entered';
      const passed = this.pass();
      if (passed !== undefined) return passed;
    }
  }

  /** Whether the machine, stopped at a breakpoint, is about to enter a kernel. */
  isHere(): boolean {
    const state = entryState(this.#guest.cpu);
    if (this.#jumped) {
      this.#jumped = false;
      return true;
    }
    const here = this.#here;
    return this.points.some(({ address, protocol }) => address === here && isEntry(protocol, state));
  }

  /** Execute the instruction at a breakpoint of this watch. */
  pass(): RunEnd | undefined {
    const { cpu } = this.#guest;
    const here = this.#here;
    cpu.clearBreakpoint(here);
    const end = cpu.runUntil(cpu.now + 1);
    if (this.points.some(({ address }) => address === here)) cpu.setBreakpoint(here);
    return end.reason === 'until-cycle' || end.reason === 'breakpoint' ? undefined : end;
  }

  /** What is handed over, read in a machine that stands there. */
  record(): Handoff {
    const { cpu, boot } = this.#guest;
    const here = this.#here;
    const point = this.points.find(({ address }) => address === here);
    const read = (address: number, length: number) => cpu.physical.read(address, length);
    return readHandoff(point?.protocol ?? 'any', boot.route, entryState(cpu), read);
  }

  get #here(): bigint {
    return this.#guest.cpu.state.linearIp;
  }

  /** As HandoffWatch does it. */
  #farJump(): void {
    const { cpu } = this.#guest;
    const { state } = cpu;
    if (state.isProtected ? (state.cr0 & CR0_PG) !== 0 : state.rip !== 0n) return;
    const registers = { rax: state.reg(RAX), rbx: state.reg(RBX), rsi: state.reg(RSI) };
    const marks = { cr0: state.cr0, efer: state.efer, registers, segments: { cs: { base: state.base(L.CS) } } };
    const read = (address: number, length: number) => cpu.physical.read(address, length);
    const found = protocolOf(marks, read);
    if (found === 'unknown' || (this.protocol !== undefined && found !== this.protocol)) return;
    this.#jumped = true;
    cpu.stop({ reason: 'breakpoint' });
  }
}
