// Watches for the hand-off. Where a kernel's entry follows from an image, a breakpoint waits there until the kernel has
// been entered; where the guest's own boot loader brings a kernel from a disk, far jumps are looked at until one leads
// to code with the registers of a protocol. Neither costs a cycle or changes what the guest can see; reading the record
// marks its bytes as observed, so a recording, its replays and a plain run all do it.

import { type Handoff, isEntry, protocolOf, readHandoff } from '../boot/handoff/handoff.js';
import { type EntryState, GENERAL_REGISTERS, registers, SEGMENT_REGISTERS, type SegmentState } from '../boot/image.js';
import type { HandoffPoint } from '../boot/route.js';
import type { RunEnd } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { CR0_PG } from '../cpu/state.js';
import { encodeHandoff } from '../trace/handoff.js';

/** Says a recorded protocol and the record's bytes. */
export type HandoffListener = (protocol: string, data: Uint8Array) => void;

const [RAX, RBX, RSI] = [0, 3, 6];

export class HandoffWatch {
  #points: HandoffPoint[];
  /** The run was stopped behind a far jump to a kernel. */
  #jumped = false;
  listener: HandoffListener = () => {};

  constructor(
    private readonly cpu: Cpu,
    private readonly route: string,
    points: readonly HandoffPoint[],
  ) {
    this.#points = points.filter(({ protocol }) => protocol !== 'jump');
    for (const { address } of this.#points) cpu.setBreakpoint(address);
    if (this.#points.length < points.length) cpu.onFarJump = () => this.#farJump();
  }

  /** Points that are still watched for: a watch made with them goes on where this one is. */
  get waiting(): readonly HandoffPoint[] {
    return this.cpu.onFarJump ? [...this.#points, { address: 0n, protocol: 'jump' }] : this.#points;
  }

  /**
   * The run stopped before an instruction that is watched.
   * @returns the end of the run, if that came while the instruction was passed
   */
  reached(): RunEnd | undefined {
    const { cpu } = this;
    const state = entryState(cpu);
    const here = cpu.state.linearIp;
    const found = this.#points.filter(({ address, protocol }) => address === here && isEntry(protocol, state));
    this.#points = this.#points.filter((point) => !found.includes(point));
    if (this.#jumped) {
      this.#jumped = false;
      found.push({ address: here, protocol: 'jump' });
    }
    for (const { protocol } of found) {
      const handoff = readHandoff(protocol, this.route, state, this.#read);
      this.listener(handoff.protocol, encodeHandoff(handoff));
      if (protocol === 'jump') this.#expectKernelBehind(handoff);
    }
    cpu.clearBreakpoint(here);
    if (!this.#points.some(({ address }) => address === here)) return undefined;
    // Not entered yet: firmware may have code of its own there.
    const end = cpu.runUntil(cpu.now + 1);
    cpu.setBreakpoint(here);
    return end.reason === 'until-cycle' || end.reason === 'breakpoint' ? undefined : end;
  }

  /** Watch no more: for machines whose hand-off nobody records. */
  forget(): void {
    for (const { address } of this.#points) this.cpu.clearBreakpoint(address);
    this.#points = [];
    this.cpu.onFarJump = undefined;
  }

  #read = (address: number, length: number): Uint8Array => this.cpu.physical.read(address, length);

  /** Called in the jump: the run is stopped at its target if that is a kernel. */
  #farJump(): void {
    const { cpu } = this;
    const { state } = cpu;
    // Firmware jumps far thousands of times. Setup code is entered at offset 0; no kernel is entered with paging on.
    if (state.isProtected ? (state.cr0 & CR0_PG) !== 0 : state.rip !== 0n) return;
    const registers = { rax: state.reg(RAX), rbx: state.reg(RBX), rsi: state.reg(RSI) };
    const marks = { cr0: state.cr0, efer: state.efer, registers, segments: { cs: { base: state.base(L.CS) } } };
    if (protocolOf(marks, this.#read) === 'unknown') return;
    cpu.onFarJump = undefined;
    this.#jumped = true;
    cpu.stop({ reason: 'breakpoint' });
  }

  /** Setup code goes on to the kernel that its header names. */
  #expectKernelBehind({ protocol, structures }: Handoff): void {
    if (protocol !== 'linux16') return;
    const header = structures.find(({ name }) => name === 'setup_header');
    const start = header?.fields.find(([name]) => name === 'code32_start')?.[1];
    if (typeof start !== 'number') return;
    const address = BigInt(start);
    this.#points.push({ address, protocol: 'linux32' });
    this.cpu.setBreakpoint(address);
  }
}

/** The processor's state as routes describe it. */
export function entryState({ state }: Cpu): EntryState {
  const segment = (n: number): SegmentState => ({
    selector: state.selector(n),
    base: state.base(n),
    limit: state.limit(n),
    attributes: state.attributes(n),
  });
  return {
    registers: registers(Object.fromEntries(GENERAL_REGISTERS.map((name, n) => [name, state.reg(n)]))),
    rip: state.rip,
    rflags: state.eflags,
    cr0: state.cr0,
    cr3: state.cr3,
    cr4: state.cr4,
    efer: state.efer,
    segments: Object.fromEntries(SEGMENT_REGISTERS.map((name, n) => [name, segment(n)])) as EntryState['segments'],
    gdtr: { base: state.get64(L.GDTR_BASE), limit: state.get32(L.GDTR_LIMIT) },
    idtr: { base: state.get64(L.IDTR_BASE), limit: state.get32(L.IDTR_LIMIT) },
  };
}
