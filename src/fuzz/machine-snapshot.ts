// The whole machine at one instruction boundary, and the way back to it: processor, devices, RAM. What is written after
// the snapshot is known from the dirty flags of pages, which the TLBs keep (a first write always comes through the slow
// path), so going back copies those pages and no others. Decoded code of pages whose code did not change is kept: the
// next run executes it at once.
//
// Invariants: a restored machine hashes as the snapshot did (hash(), tested over the corpus); restoring any number of
// times changes nothing in the snapshot. The dirty flags are the snapshot's from then on: MachineHash, which clears them,
// is not used on such a machine. ROM over RAM follows from the host bridge's registers and from SMM, which are restored.

import { createHash, type Hash } from 'node:crypto';
import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import { PAGE_CODE, PAGE_DIRTY } from '../cpu/physical.js';
import { loadProcessor, saveProcessor } from '../cpu/snapshot.js';
import type { Plain } from '../platform/device.js';
import type { Machine } from '../platform/machine.js';

const PAGE = 4096;
const ZEROS = new Uint8Array(PAGE);
/** PAGE_DIRTY of four pages at once. */
const FOUR_DIRTY = PAGE_DIRTY * 0x0101_0101;

export class MachineSnapshot {
  readonly cycle: number;
  readonly #cpu: Cpu;
  readonly #machine: Machine;
  readonly #processor: Uint8Array;
  readonly #devices: Plain;
  readonly #a20: boolean;
  /** Pages that are not zeros, by number. */
  readonly #pages = new Map<number, Uint8Array>();
  readonly #flags: Uint8Array;
  readonly #fourFlags: Uint32Array;

  /** Take a snapshot; the processor does not run. From here on the guest's memory is not observed any more. */
  constructor(cpu: Cpu, machine: Machine) {
    const { physical, state } = cpu;
    this.#cpu = cpu;
    this.#machine = machine;
    physical.observed.takeWhole();
    const count = physical.ramSize / PAGE;
    this.#flags = physical.flags.subarray(0, count);
    this.#fourFlags = new Uint32Array(physical.flags.buffer, physical.flags.byteOffset, Math.ceil(count / 4));
    for (let page = 0; page < count; page++) {
      const at = L.GUEST + page * PAGE;
      if (state.u32.subarray(at >>> 2, (at + PAGE) >>> 2).some((word) => word !== 0))
        this.#pages.set(page, state.u8.slice(at, at + PAGE));
      this.#flags[page]! &= ~PAGE_DIRTY;
    }
    cpu.flushTlb(false);
    this.cycle = cpu.now;
    this.#processor = saveProcessor(cpu);
    this.#devices = machine.save();
    this.#a20 = cpu.isA20Open;
  }

  /** What a page held. Not to be changed. */
  page(page: number): Uint8Array {
    return this.#pages.get(page) ?? ZEROS;
  }

  /** Whether a page held just this. */
  holds(page: number, bytes: Uint8Array): boolean {
    return Buffer.compare(this.page(page), bytes) === 0;
  }

  /** Numbers of the pages, below one, that do not hold what they held. */
  changedPages(below = Number.POSITIVE_INFINITY): number[] {
    const { u8 } = this.#cpu.state;
    return this.dirtyPages().filter((page) => {
      if (page >= below) return false;
      const at = L.GUEST + page * PAGE;
      return !this.holds(page, u8.subarray(at, at + PAGE));
    });
  }

  /** Numbers of the pages that may have been written since the snapshot, or since it was restored. */
  dirtyPages(): number[] {
    const found: number[] = [];
    this.#eachDirty((page) => found.push(page));
    return found;
  }

  /** The machine as it was. */
  restore(): void {
    this.#eachDirty((page) => {
      putBytes(this.#cpu, page, L.GUEST + page * PAGE, this.page(page), 0, PAGE);
      this.#flags[page]! &= ~PAGE_DIRTY;
    });
    this.#cpu.setCycle(this.cycle);
    this.#machine.load(this.#devices);
    // A line that devices drive and keep no state of: the mask follows from it.
    this.#cpu.setA20(this.#a20);
    loadProcessor(this.#cpu, this.#processor);
  }

  /** SHA-256 over processor, devices and all of RAM as they are now, whatever the dirty flags say. */
  hash(): string {
    const { state, physical } = this.#cpu;
    const ram = state.u8.subarray(L.GUEST, L.GUEST + physical.ramSize);
    return this.#hashState().update(ram).digest('hex');
  }

  /** The same of what is not as it was: at the cost of that. */
  digest(): string {
    const { u8 } = this.#cpu.state;
    const hash = this.#hashState();
    for (const page of this.changedPages())
      hash.update(`${page}\n`).update(u8.subarray(L.GUEST + page * PAGE, L.GUEST + (page + 1) * PAGE));
    return hash.digest('hex');
  }

  #hashState(): Hash {
    const hash = createHash('sha256').update(saveProcessor(this.#cpu)).update(plainText(this.#machine.save()));
    return hash.update(`${this.#cpu.now} ${this.#cpu.physical.a20Mask}\n`);
  }

  #eachDirty(body: (page: number) => void): void {
    const { length } = this.#flags;
    for (let i = 0; i < this.#fourFlags.length; i++) {
      if ((this.#fourFlags[i]! & FOUR_DIRTY) === 0) continue;
      for (let page = 4 * i; page < Math.min(4 * i + 4, length); page++)
        if ((this.#flags[page]! & PAGE_DIRTY) !== 0) body(page);
    }
  }
}

/**
 * Put bytes of a page, at `host` in linear memory, as they are in `bytes`, from one offset to another. Where the page has
 * code, too, only what differs is written, so that code that stays what it is stays decoded.
 */
export function putBytes(cpu: Cpu, page: number, host: number, bytes: Uint8Array, from: number, to: number): void {
  const { physical, state } = cpu;
  const { u8 } = state;
  if ((physical.flags[page]! & PAGE_CODE) === 0) {
    u8.set(bytes.subarray(from, to), host + from);
    return;
  }
  for (let at = from; at < to; at++) {
    if (u8[host + at] === bytes[at]) continue;
    const start = at;
    while (at < to && u8[host + at] !== bytes[at]) at++;
    physical.onCodeWrite(page, start, at - start);
    u8.set(bytes.subarray(start, at), host + start);
  }
}

/** Plain data as one text: fields by name, so that the order in which they were set does not matter. */
function plainText(value: Plain): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return `[${value.map(plainText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'none';
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${name}:${plainText(field)}`).join(',')}}`;
}
