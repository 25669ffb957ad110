// What memory a case's guest may use: what the structure declares as RAM, what was loaded, and all of the first MiB for
// reading. All else is taken out of `PhysicalMemory.host`, so that an access to it comes to the bus.
//
// Loaded is what a loader of ours put there, what a kernel's header claims, and, where a loader in the guest did it, what
// is not blank when it hands over. Invariant: show() leaves the map as it was.

import type { Guest } from '../api/guest.js';
import { readHandoff } from '../boot/handoff/handoff.js';
import type { MapEntry } from './arbitraries/e820.js';
import { kernelClaims } from './handoff-oracle.js';
import type { MachineSnapshot } from './machine-snapshot.js';
import type { WatchedMachine } from './stand.js';
import type { Target } from './target.js';

const PAGE = 4096;
const MIB_PAGES = 256;
const RAM = 1;

export class UsableMemory {
  /** The memory map, and the same with only those pages above 1 MiB that something was loaded to. */
  readonly #allHosts: Uint32Array;
  readonly #loadedHosts: Uint32Array;
  /** By page. */
  readonly #loaded: Uint8Array;
  readonly #guest: Guest;
  #entries: readonly MapEntry[] = [];

  constructor({ guest, entry }: WatchedMachine, { place }: Target) {
    this.#guest = guest;
    const { cpu, boot: image, initialMemory } = guest;
    const { physical } = cpu;
    const pages = physical.ramSize / PAGE;
    this.#allHosts = physical.host.slice(0, pages);
    this.#loaded = new Uint8Array(pages);
    const load = (address: number, length: number) => {
      this.#loaded.fill(1, Math.min(pages, address >>> 12), Math.min(pages, Math.ceil((address + length) / PAGE)));
    };
    for (const { address, data } of initialMemory) if (address < physical.ramSize) load(address, data.length);
    for (const { address, data, zeros = 0 } of image.segments) load(address, data.length + zeros);
    if (place.in === 'memory' || place.in === 'hand-off') load(place.address, place.room);
    if (place.in === 'hand-off') {
      // What a loader in the guest put there is told by its being there, and the kernel's claim by its header.
      for (let page = MIB_PAGES; page < pages; page++) if (!this.isBlank(page)) load(page * PAGE, PAGE);
      for (const { address, length } of kernelClaims(entry.record())) load(address, length);
    }
    if (image.route === 'linux32' || image.route === 'linux64') {
      const handed = readHandoff(image.route, image.route, image.entry, (at, length) => physical.read(at, length));
      for (const { address, length } of kernelClaims(handed)) load(address, length);
    }
    this.#loadedHosts = this.#allHosts.map((host, page) => (page < MIB_PAGES || this.#loaded[page] ? host : 0));
  }

  isLoaded(page: number): boolean {
    return this.#loaded[page] === 1;
  }

  /**
   * Whether there is nothing in a page of memory: firmware and its option ROMs copy themselves about, so that of a boot
   * through firmware only what nobody wrote counts as not loaded.
   */
  isBlank(page: number): boolean {
    const { physical, state } = this.#guest.cpu;
    const host = physical.host[page]!;
    return host === 0 || state.u32.subarray(host >>> 2, (host + PAGE) >>> 2).every((word) => word === 0);
  }

  /** Take out of the map what these entries do not declare; without entries all stays. */
  hide(entries: readonly MapEntry[]): void {
    this.#entries = entries;
    if (entries.length === 0) return;
    const { host } = this.#guest.cpu.physical;
    host.set(this.#loadedHosts);
    const top = BigInt(this.#allHosts.length);
    for (const { address, length, type } of entries) {
      if (type !== RAM || length === 0n) continue;
      const end = (address + length + 0xfffn) >> 12n;
      const [from, to] = [address >> 12n, end < top ? end : top];
      if (from >= to) continue;
      host.set(this.#allHosts.subarray(Number(from), Number(to)), Number(from));
    }
  }

  show(): void {
    this.#guest.cpu.physical.host.set(this.#allHosts);
  }

  /** What an address that was taken out of the map is. */
  describe(at: number): 'reserved' | 'undeclared' {
    const found = this.#entries.some(({ address, length }) => BigInt(at) >= address && BigInt(at) < address + length);
    return found ? 'reserved' : 'undeclared';
  }

  /** Pages below 1 MiB that were written and neither declared nor loaded. */
  strayWrites(snapshot: MachineSnapshot): number[] {
    if (this.#entries.length === 0) return [];
    const declared = (page: number) =>
      this.#entries.some(({ address, length, type }) => {
        const at = BigInt(page) << 12n;
        return type === RAM && at + 0xfffn >= address && at < address + length;
      });
    return snapshot.changedPages(MIB_PAGES).filter((page) => !this.isLoaded(page) && !declared(page));
  }
}
