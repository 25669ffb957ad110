// A stretch of a guest's execution that is known: what state it began in, which bytes of memory it read before it wrote
// them, and what it left behind. A machine that stands in the same state and has the same bytes there will do the same
// again, in as many cycles, so it can be put at the stretch's end without executing it.
//
// Why that holds: between begin and end nothing passes over the bus but time and no clock is read (the recorder sees to
// it), so all that the processor can depend on is its own state and the memory that it reads. Registers that no
// instruction of the stretch names need not be equal, and keep what they hold. An event of a device within it may raise
// INTR and do nothing else, if the stretch is deaf to INTR; it happens at the very boundary at which it would have.
// Caches are no state: they are dropped on both sides.
// Invariant: whatever is not known to be equal counts as different.

import type { Cpu } from '../../cpu/cpu.js';
import * as L from '../../cpu/layout.js';
import { PAGE_DIRTY, PAGE_ROM, PAGE_SPLIT } from '../../cpu/physical.js';
import { loadProcessor, saveProcessor } from '../../cpu/snapshot.js';
import { putBytes } from '../machine-snapshot.js';

const PAGE = 4096;
/** Ends of ranges up to which a page is not compared as a whole first. */
const FEW = 8;
const INSTRUCTIONS = L.INSTRUCTIONS - L.REGS;
const ROM_FLAGS = PAGE_ROM | PAGE_SPLIT;

/** The processor at a boundary: what saveProcessor gives without the count of instructions, and what is beside it. */
export interface Boundary {
  readonly processor: Uint8Array;
  readonly instructions: bigint;
  readonly cycle: number;
  readonly a20Mask: number;
}

export function boundaryOf(cpu: Cpu): Boundary {
  const processor = saveProcessor(cpu);
  const instructions = new DataView(processor.buffer).getBigUint64(INSTRUCTIONS, true);
  processor.fill(0, INSTRUCTIONS, INSTRUCTIONS + 8);
  return { processor, instructions, cycle: cpu.now, a20Mask: cpu.physical.a20Mask };
}

/** Bytes of a page, as offsets: from, to, from, to … */
export type Ranges = Uint16Array;

/** What a stretch read of a page, as it was at its begin. */
export interface ReadPage {
  readonly page: number;
  readonly host: number;
  /** The whole page. */
  readonly bytes: Uint8Array;
  readonly read: Ranges;
  /** It was as the snapshot has it. */
  readonly unchanged: boolean;
}

/** What a stretch left in a page. */
export interface WrittenPage {
  readonly page: number;
  readonly host: number;
  readonly bytes: Uint8Array;
  readonly written: Ranges;
  /** These bytes are as the snapshot has them. */
  readonly unchanged: boolean;
}

/** Who answers in a page beside plain RAM, or where ROM may lie over it. */
export interface Mapped {
  readonly page: number;
  readonly host: number;
  readonly flags: number;
}

export function mappedOf(cpu: Cpu): Mapped[] {
  const { host, flags, ramSize } = cpu.physical;
  const found: Mapped[] = [];
  const note = (page: number) => found.push({ page, host: host[page]!, flags: flags[page]! & ROM_FLAGS });
  for (let page = 0; page < 256; page++) note(page);
  for (let page = Math.max(256, ramSize >>> 12); page < host.length; page++) if (host[page] !== 0) note(page);
  return found;
}

export interface StretchParts {
  readonly from: Boundary;
  readonly to: Boundary;
  readonly reads: readonly ReadPage[];
  readonly writes: readonly WrittenPage[];
  readonly mapped: readonly Mapped[];
  /** Offsets in a processor's state of u64 that the stretch neither reads nor writes. */
  readonly unused: readonly number[];
  /** Level of INTR all through it; undefined when the stretch is the same whatever INTR is. */
  readonly intr: number | undefined;
  /** Cycles from the begin on of instruction boundaries: all of them from a window's first to its last. */
  readonly windows: readonly Float64Array[];
}

export class Stretch {
  readonly cycles: number;
  /** The same whatever INTR is. */
  readonly deaf: boolean;
  readonly #instructions: bigint;

  constructor(readonly parts: StretchParts) {
    const { from, to, unused, intr } = parts;
    this.cycles = to.cycle - from.cycle;
    this.deaf = intr === undefined;
    this.#instructions = to.instructions - from.instructions;
    for (const at of unused) from.processor.fill(0, at, at + 8);
  }

  /** Whether the machine would do just this now, if no event comes. */
  matches(cpu: Cpu): boolean {
    const { from, reads, writes, mapped, unused, intr } = this.parts;
    const { processor, a20Mask } = boundaryOf(cpu);
    for (const at of unused) processor.fill(0, at, at + 8);
    if (a20Mask !== from.a20Mask || Buffer.compare(processor, from.processor) !== 0) return false;
    if (intr !== undefined && cpu.state.get32(L.INTR) !== intr) return false;
    const { host, flags } = cpu.physical;
    for (const one of mapped)
      if (host[one.page] !== one.host || (flags[one.page]! & ROM_FLAGS) !== one.flags) return false;
    for (const one of writes) if (host[one.page] !== one.host) return false;
    for (const one of reads) if (!this.#holds(cpu, one)) return false;
    return true;
  }

  #holds(cpu: Cpu, { page, host, bytes, read, unchanged }: ReadPage): boolean {
    const { physical, state } = cpu;
    if (physical.host[page] !== host) return false;
    if (unchanged && (physical.flags[page]! & PAGE_DIRTY) === 0) return true;
    const { u8 } = state;
    if (read.length > FEW && compare(u8, host, bytes, 0, PAGE) === 0) return true;
    for (let i = 0; i < read.length; i += 2)
      if (compare(u8, host + read[i]!, bytes, read[i]!, read[i + 1]! - read[i]!) !== 0) return false;
    return true;
  }

  /** First boundary at or after a cycle, both from the begin on; undefined where that is not known. */
  boundaryAt(cycle: number): number | undefined {
    const window = this.parts.windows.find((one) => one[0]! <= cycle && one.at(-1)! >= cycle);
    return window?.find((boundary) => boundary >= cycle);
  }

  /** Put the machine, which `matches`, at the end. */
  apply(cpu: Cpu): void {
    const { physical, state } = cpu;
    const { u8 } = state;
    const { writes, to, unused } = this.parts;
    for (const { page, host, bytes, written, unchanged } of writes) {
      if (unchanged && (physical.flags[page]! & PAGE_DIRTY) === 0) continue;
      physical.flags[page]! |= PAGE_DIRTY;
      for (let i = 0; i < written.length; i += 2) putBytes(cpu, page, host, bytes, written[i]!, written[i + 1]!);
    }
    const instructions = BigInt(cpu.instructions) + this.#instructions;
    cpu.setCycle(cpu.now + this.cycles);
    const processor = to.processor.slice();
    for (const at of unused) processor.set(u8.subarray(L.REGS + at, L.REGS + at + 8), at);
    new DataView(processor.buffer).setBigUint64(INSTRUCTIONS, BigInt.asUintN(64, instructions), true);
    loadProcessor(cpu, processor);
  }
}

export const compare = (a: Uint8Array, at: number, b: Uint8Array, from: number, length: number): number =>
  Buffer.prototype.compare.call(a, b, from, from + length, at, at + length);

/** Runs of the bytes of a page of which something holds. */
export function rangesOf(holds: (offset: number) => boolean): Ranges {
  const found: number[] = [];
  for (let at = 0; at < PAGE; at++) {
    if (!holds(at)) continue;
    const from = at;
    while (at < PAGE && holds(at)) at++;
    found.push(from, at);
  }
  return Uint16Array.from(found);
}
