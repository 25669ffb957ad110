// Watches for the hand-off: a breakpoint at each instruction at which a kernel may be entered, until it has been. A
// breakpoint costs no cycle and changes nothing that the guest can see; reading the record marks its bytes as observed,
// so a recording, its replays and a plain run all do it.

import { type HandoffPoint, isEntry, readHandoff } from '../boot/handoff/handoff.js';
import { type EntryState, GENERAL_REGISTERS, registers, SEGMENT_REGISTERS, type SegmentState } from '../boot/image.js';
import type { RunEnd } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { encodeHandoff } from '../trace/handoff.js';

/** Says a recorded protocol and the record's bytes. */
export type HandoffListener = (protocol: string, data: Uint8Array) => void;

export class HandoffWatch {
  #points: HandoffPoint[];
  listener: HandoffListener = () => {};

  constructor(
    private readonly cpu: Cpu,
    private readonly route: string,
    points: readonly HandoffPoint[],
  ) {
    this.#points = [...points];
    for (const { address } of points) cpu.setBreakpoint(BigInt(address));
  }

  /**
   * The run stopped before an instruction that is watched.
   * @returns the end of the run, if that came while the instruction was passed
   */
  reached(): RunEnd | undefined {
    const { cpu } = this;
    const state = entryState(cpu);
    const here = Number(cpu.state.is64 ? state.rip : BigInt.asUintN(32, state.rip + BigInt(state.segments.cs.base)));
    const found = this.#points.filter(({ address, protocol }) => address === here && isEntry(protocol, state));
    this.#points = this.#points.filter((point) => !found.includes(point));
    for (const { protocol } of found) {
      const handoff = readHandoff(protocol, this.route, state, (address, length) => cpu.physical.read(address, length));
      this.listener(handoff.protocol, encodeHandoff(handoff));
    }
    cpu.clearBreakpoint(BigInt(here));
    if (!this.#points.some(({ address }) => address === here)) return undefined;
    // Not entered yet: firmware may have code of its own there.
    const end = cpu.runUntil(cpu.now + 1);
    cpu.setBreakpoint(BigInt(here));
    return end.reason === 'until-cycle' || end.reason === 'breakpoint' ? undefined : end;
  }
}

/** The processor's state as routes describe it. */
export function entryState({ state }: Cpu): EntryState {
  const segment = (n: number): SegmentState => ({
    selector: state.selector(n),
    base: Number(state.base(n)),
    limit: state.limit(n),
    attributes: state.attributes(n),
  });
  return {
    registers: registers(Object.fromEntries(GENERAL_REGISTERS.map((name, n) => [name, state.reg(n)]))),
    rip: state.rip,
    rflags: state.eflags,
    cr0: state.cr0,
    cr3: Number(state.cr3),
    cr4: state.cr4,
    efer: state.efer,
    segments: Object.fromEntries(SEGMENT_REGISTERS.map((name, n) => [name, segment(n)])) as EntryState['segments'],
    gdtr: { base: Number(state.get64(L.GDTR_BASE)), limit: state.get32(L.GDTR_LIMIT) },
    idtr: { base: Number(state.get64(L.IDTR_BASE)), limit: state.get32(L.IDTR_LIMIT) },
  };
}
