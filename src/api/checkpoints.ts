// Checkpoints of a machine: taking them while a guest is recorded, and going on from one in a sealed replay.
//
// A page is saved when it changed since the checkpoint before and is not as a loader left it. Of its bytes those that
// stand for unobserved ones are left out: the trace has them with the initial memory, as far as anybody ever asks.
// Invariant: taking one changes nothing; what was loaded is believed only when it has the hash recorded there.

import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { PAGE_DIRTY } from '../cpu/physical.js';
import { saveProcessor } from '../cpu/snapshot.js';
import { type CheckpointPiece, type CheckpointState, encodeCheckpoint, type SavedPage } from '../trace/checkpoint.js';
import type { MemoryRegion } from '../trace/memory.js';
import { MASK_SIZE, ZERO_PAGE } from '../trace/state-digest.js';
import type { Guest } from './guest.js';
import { MachineHash } from './machine-state.js';

const PAGE = 4096;

/** Takes a checkpoint at the first state hash at or after each multiple of some cycles. */
export class CheckpointTaker {
  readonly #cpu: Cpu;
  readonly #guest: Guest;
  readonly #every: number;
  readonly #initial: readonly MemoryRegion[];
  /** Pages that a checkpoint has already. */
  readonly #saved = new Set<number>();
  #next: number;

  constructor(guest: Guest, every: number) {
    this.#guest = guest;
    this.#cpu = guest.cpu;
    this.#every = every;
    this.#next = every;
    const { ramSize } = this.#cpu.physical;
    this.#initial = guest.initialMemory.filter(({ address }) => address < ramSize);
  }

  /**
   * Call it right behind a state hash.
   * @param event events so far
   * @returns what becomes the checkpoint's chunks, nothing when it is not time
   */
  *take(event: number): Generator<CheckpointPiece> {
    const cpu = this.#cpu;
    const cycle = cpu.now;
    if (cycle < this.#next) return;
    this.#next = (Math.floor(cycle / this.#every) + 1) * this.#every;
    const handoff = this.#guest.handoff.waiting.map(({ address, protocol }) => [address, protocol] as const);
    const tracked = cpu.physical.observed.save();
    const decoded = { ...cpu.saveDecoded(), stop: cpu.cycleLimit };
    const state = { cycle, event, processor: saveProcessor(cpu), tracked, handoff, decoded };
    yield* encodeCheckpoint(state, this.#pages());
  }

  *#pages(): Generator<SavedPage> {
    const { written } = MachineHash.of(this.#cpu);
    for (let number = 0; number < written.length; number++) {
      const page = written[number] === 0 ? undefined : this.#pageOf(number);
      if (page) yield page;
    }
    written.fill(0);
  }

  /** What is to be saved of a page; undefined when it is as it was at cycle 0. */
  #pageOf(number: number): SavedPage | undefined {
    const cpu = this.#cpu;
    const unknown = cpu.physical.observed.unknownIn(number);
    const at = L.GUEST + number * PAGE;
    const bytes = withoutUnknown(cpu.state.u8.slice(at, at + PAGE), unknown);
    if (!this.#saved.has(number)) {
      if (Buffer.compare(bytes, withoutUnknown(this.#initialPage(number), unknown)) === 0) return undefined;
      this.#saved.add(number);
    }
    if (Buffer.compare(bytes, ZERO_PAGE) === 0) return { number, bytes: undefined };
    return { number, bytes, unknown: MachineHash.of(cpu).unknownIn(number) };
  }

  /** The page as a replay has it at cycle 0, but for bytes that are observed later. */
  #initialPage(number: number): Uint8Array {
    const page = new Uint8Array(PAGE);
    const start = number * PAGE;
    for (const { address, data } of this.#initial) {
      const from = Math.max(address, start);
      const to = Math.min(address + data.length, start + PAGE);
      if (from < to) page.set(data.subarray(from - address, to - address), from - start);
    }
    // What was overwritten before anybody saw it is not in the trace.
    const observed = this.#cpu.physical.observed.observedIn(number);
    if (observed) for (let i = 0; i < PAGE; i++) if (((observed[i >> 3]! >> (i & 7)) & 1) === 0) page[i] = 0;
    return page;
  }
}

/**
 * Bring a machine at cycle 0, with the trace's initial memory, to a checkpoint; the processor itself is left alone.
 * @param pages of all checkpoints up to this one, in order
 * @throws RangeError when the checkpoint is not one of this machine
 */
export function restoreMemory(cpu: Cpu, { tracked }: CheckpointState, pages: Iterable<SavedPage>): void {
  const { physical, state } = cpu;
  const partial = physical.restoreTracking(tracked);
  // Unknown bytes stand for initial ones, which saved pages are about to cover.
  const initial = new Map<number, Uint8Array>();
  for (const number of partial) {
    if (number >= physical.ramSize / PAGE) continue;
    initial.set(number, initialBytes(cpu, number * PAGE + physical.observed.originOf(number)));
  }
  // Not gathered first: those of all checkpoints may be much.
  for (const { number, bytes } of pages) {
    if (number >= physical.ramSize / PAGE) throw new RangeError(`page ${number} is not RAM`);
    const at = L.GUEST + number * PAGE;
    if (bytes) state.u8.set(bytes, at);
    else state.u8.fill(0, at, at + PAGE);
    physical.flags[number]! |= PAGE_DIRTY;
  }
  for (const [number, bytes] of initial)
    putMasked(state.u8, L.GUEST + number * PAGE, bytes, physical.observed.unknownIn(number)!, 0xff);
}

/** A page's bytes in RAM from an address on, zeros where there is none. A copy. */
export function initialBytes({ physical, state }: Cpu, from: number): Uint8Array {
  const bytes = new Uint8Array(PAGE);
  const [start, end] = [Math.max(0, from), Math.min(physical.ramSize, from + PAGE)];
  if (start < end) bytes.set(state.u8.subarray(L.GUEST + start, L.GUEST + end), start - from);
  return bytes;
}

/** Put bytes of a page into memory: those whose bits in a mask are as those of `which`. */
export function putMasked(memory: Uint8Array, at: number, bytes: Uint8Array, mask: Uint8Array, which: 0 | 0xff): void {
  for (let n = 0; n < MASK_SIZE; n++) {
    const bits = mask[n]! ^ which ^ 0xff;
    if (bits === 0xff) {
      const first = n;
      while (n + 1 < MASK_SIZE && mask[n + 1] === which) n++;
      memory.set(bytes.subarray(8 * first, 8 * (n + 1)), at + 8 * first);
    } else if (bits !== 0) {
      for (let i = 8 * n; i < 8 * n + 8; i++) if ((bits >> (i & 7)) & 1) memory[at + i] = bytes[i]!;
    }
  }
}

/** The page with zeros for its unknown bytes, in place. */
function withoutUnknown(page: Uint8Array, unknown: Uint8Array | undefined): Uint8Array {
  if (!unknown) return page;
  for (let i = 0; i < PAGE; i++) if ((unknown[i >> 3]! >> (i & 7)) & 1) page[i] = 0;
  return page;
}
