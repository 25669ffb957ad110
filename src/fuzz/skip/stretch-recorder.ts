// Records a stretch while the guest executes it: every byte of RAM that is read before it is written, every byte that is
// written, the registers that are named, and whether anything came to pass that a stretch must not have in it: an exchange
// with a device, an interrupt, a reading of the clock.
// Decoded code and TLBs are dropped at the begin, so that fetches and page walks are seen, too, and every instruction is
// decoded before it is executed. Slow: for a few cases.
//
// Whether a stretch is deaf to INTR is tried by raising the line all through it, unseen by the devices: if that is taken
// notice of (`Heard`), the run is spoilt and has to be made again without.

import type { Cpu } from '../../cpu/cpu.js';
import * as L from '../../cpu/layout.js';
import { PAGE_ROM } from '../../cpu/physical.js';
import type { MachineSnapshot } from '../machine-snapshot.js';
import type { WatchedBus, WatchedMemory } from '../watched-machine.js';
import {
  boundaryOf,
  compare,
  mappedOf,
  type ReadPage,
  rangesOf,
  Stretch,
  type StretchParts,
  type WrittenPage,
} from './stretch.js';

const PAGE = 4096;
/** Pages that one stretch may read or write: what it keeps is bounded by it. */
const MOST_PAGES = 8192;
/** Cycles around an event, in which a case's own may come, and events of a stretch. */
const AROUND = 20_000;
const MOST_EVENTS = 8;
/** Registers that are used only where an instruction names them: R8, R9, R10, R12 … R15. */
const NAMED = [8, 9, 10, 12, 13, 14, 15];
const CR2 = L.CR2 - L.REGS;

/** INTR was raised and taken notice of. */
export class Heard extends Error {}

/** What an event has done beside raising INTR: nothing, if it is the same before and after. */
export function effectsOf(cpu: Cpu, memory: WatchedMemory): string {
  const { state, physical } = cpu;
  const lines = [L.NMI_PENDING, L.SMI_PENDING, L.HALTED].map((at) => state.get32(at));
  return [...lines, physical.a20Mask, cpu.isEnding, memory.transfers].join(' ');
}

type Begin = Pick<StretchParts, 'from' | 'mapped'> & {
  readonly dirty: ReadonlyMap<number, Uint8Array>;
  readonly strays: number;
};

export class StretchRecorder {
  /** Try whether stretches are deaf. */
  deafening = true;
  #begin: Begin | undefined;
  #broken = false;
  #named = 0;
  #cr2 = false;
  /** INTR as devices drive it, while it is raised. */
  #level: number | undefined;
  #windows: Float64Array[] = [];

  constructor(
    private readonly cpu: Cpu,
    private readonly bus: WatchedBus,
    private readonly memory: WatchedMemory,
    private readonly snapshot: MachineSnapshot,
    /** Pages so far that a case executes and the boot as it is does not. */
    private readonly strays: () => number,
  ) {}

  /** A stretch begins where the processor stands. */
  begin(): void {
    const { cpu, snapshot, bus } = this;
    const { u8, u32 } = cpu.state;
    this.#broken = false;
    this.#cr2 = false;
    this.#named = 0;
    this.#windows = [];
    cpu.watchLooks((at) => {
      if (at === 'clock') this.#broken = true;
      else this.#cr2 = true;
    });
    const dirty = new Map<number, Uint8Array>();
    // What is clean is in the snapshot.
    for (const page of snapshot.dirtyPages())
      dirty.set(page, u8.slice(L.GUEST + page * PAGE, L.GUEST + (page + 1) * PAGE));
    this.#begin = { from: boundaryOf(cpu), mapped: mappedOf(cpu), dirty, strays: this.strays() };
    cpu.code.dropAll();
    cpu.code.onDecode = (first, end) => {
      for (let at = first; at < end; at += L.UOP_SIZE)
        for (const field of [L.UOP_REG, L.UOP_BASE, L.UOP_INDEX])
          this.#named |= 1 << Math.min(31, u8[at + field]! >>> 3);
    };
    cpu.physical.watch();
    // In another case there may be memory.
    cpu.physical.onAbsent = () => {
      this.#broken = true;
    };
    cpu.flushTlb(false);
    let before = '';
    bus.onContact = (kind) => {
      const forced = this.#level === 0;
      this.#lower();
      if (kind === 'interrupt' && forced) throw new Heard();
      if (kind !== 'time') this.#broken = true;
      before = effectsOf(cpu, this.memory);
    };
    bus.onAdvanced = () => {
      if (before !== effectsOf(cpu, this.memory)) this.#broken = true;
      this.#raise();
    };
    this.#level = u32[L.INTR >>> 2]!;
    this.#raise();
  }

  /** Run on to a cycle, with a close look at the surroundings of events. */
  runTo(cycle: number, run: (cycle: number) => boolean): boolean {
    const { cpu } = this;
    if (this.#begin === undefined || !this.deafening) return run(cycle);
    for (;;) {
      const event = cpu.platform.nextEvent();
      if (this.#broken || this.#windows.length >= MOST_EVENTS || event - AROUND >= cycle) return run(cycle);
      if (cpu.now < event - AROUND && !run(event - AROUND)) return false;
      const { from } = this.#begin;
      const found = [];
      while (cpu.now < Math.min(cycle, event + AROUND)) {
        found.push(cpu.now - from.cycle);
        if (!run(cpu.now + 1)) return false;
      }
      found.push(cpu.now - from.cycle);
      this.#windows.push(Float64Array.from(found));
    }
  }

  /** And ends here. @returns undefined when it is none */
  end(): Stretch | undefined {
    const { cpu, snapshot } = this;
    const { from, mapped, dirty, strays } = this.#begin!;
    this.#silence();
    if (this.#broken || this.strays() !== strays) return undefined;
    const to = boundaryOf(cpu);
    if (from.a20Mask !== to.a20Mask) return undefined;
    const reads: ReadPage[] = [];
    const writes: WrittenPage[] = [];
    let pages = 0;
    for (const { page, untouched, read } of cpu.physical.observed.watched()) {
      const host = cpu.physical.host[page]!;
      // RAM behind ROM, or under a device's memory.
      if ((cpu.physical.flags[page]! & PAGE_ROM) !== 0 || host !== L.GUEST + page * PAGE) return undefined;
      if (++pages > MOST_PAGES) return undefined;
      const before = dirty.get(page) ?? snapshot.page(page);
      const after = cpu.state.u8.slice(host, host + PAGE);
      const ranges = rangesOf((at) => bit(read, at));
      if (ranges.length > 0)
        reads.push({ page, host, bytes: before, read: ranges, unchanged: snapshot.holds(page, before) });
      const written = writtenIn(untouched, read, before, after);
      if (written.length === 0) continue;
      const saved = snapshot.page(page);
      let unchanged = true;
      for (let i = 0; unchanged && i < written.length; i += 2)
        unchanged = compare(saved, written[i]!, after, written[i]!, written[i + 1]! - written[i]!) === 0;
      writes.push({ page, host, bytes: after, written, unchanged });
    }
    const unused = NAMED.filter((n) => (this.#named & (1 << n)) === 0).map((n) => 8 * n);
    if (!this.#cr2) unused.push(CR2);
    const intr = this.deafening ? undefined : cpu.state.get32(L.INTR);
    return new Stretch({ from, to, mapped, reads, writes, unused, intr, windows: this.#windows });
  }

  /** No stretch is recorded any more. */
  stop(): void {
    const { cpu } = this;
    this.#silence();
    cpu.physical.unwatch();
    cpu.flushTlb(false);
  }

  #silence(): void {
    const { cpu, bus } = this;
    this.#lower();
    this.#level = undefined;
    this.#begin = undefined;
    bus.onContact = undefined;
    bus.onAdvanced = undefined;
    cpu.code.onDecode = undefined;
    cpu.physical.onAbsent = undefined;
    cpu.watchLooks(undefined);
  }

  #raise(): void {
    const { state } = this.cpu;
    if (!this.deafening) {
      // Without it, nothing may change.
      if (state.get32(L.INTR) !== this.#level) this.#broken = true;
      return;
    }
    this.#level = state.get32(L.INTR);
    state.set32(L.INTR, 1);
  }
  /** INTR as it should be. */
  #lower(): void {
    if (this.deafening && this.#level !== undefined) this.cpu.state.set32(L.INTR, this.#level);
  }
}

const bit = (mask: Uint8Array, at: number): boolean => (mask[at >> 3]! & (1 << (at & 7))) !== 0;

/** Runs of bytes that are known at the end, without those in which nothing needs to be written. */
function writtenIn(untouched: Uint8Array, read: Uint8Array, before: Uint8Array, after: Uint8Array): Uint16Array {
  const known = rangesOf((at) => !bit(untouched, at));
  // Bytes that were only read hold what they held.
  const needed = (at: number) => !bit(read, at) || before[at] !== after[at];
  const found: number[] = [];
  for (let i = 0; i < known.length; i += 2) {
    let [from, to] = [known[i]!, known[i + 1]!];
    while (from < to && !needed(from)) from++;
    while (from < to && !needed(to - 1)) to--;
    if (from < to) found.push(from, to);
  }
  return Uint16Array.from(found);
}
