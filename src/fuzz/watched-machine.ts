// The seam of a machine that is fuzzed: everything goes through to the devices, and what no boot of this guest should do
// is noted. Memory that a structure does not declare is taken out of the memory map, so that an access to it arrives here
// with its instruction, at no cost for all others. The first thing that is wrong stops the run: what follows from it is
// not judged. Left out: memory below 1 MiB, where reading is a search for tables; writing there is seen afterwards.

import type { AccessSize, Bus, GuestMemory } from '../cpu/bus.js';
import type { Cpu } from '../cpu/cpu.js';
import * as L from '../cpu/layout.js';
import type { Board } from '../platform/board.js';
import type { Oracle } from './verdict.js';

/** Something that is wrong. */
export interface Trespass {
  readonly oracle: Oracle;
  readonly site: number;
  readonly detail: string;
  readonly cycle: number;
}

const hex = (value: number): string => `0x${value.toString(16)}`;

export class WatchedBus implements Bus {
  /** What was found in the current case. */
  found: Trespass | undefined;
  /** Ports and pages of MMIO that the unchanged boot uses; while undefined, they are learnt. */
  readonly #ports = new Set<number>();
  readonly #pages = new Set<number>();
  learning = true;
  /** Exchanges with devices so far. */
  accesses = 0;
  /** Told before anything passes between processor and devices, and after time has passed for them. */
  onContact: ((kind: 'time' | 'interrupt' | 'access') => void) | undefined;
  onAdvanced: (() => void) | undefined;
  /** What to call memory at an address that was taken out of the map. */
  describe: (address: number) => 'reserved' | 'undeclared' = () => 'undeclared';

  constructor(
    private readonly cpu: Cpu,
    private readonly inner: Board,
  ) {}

  portRead(port: number, size: AccessSize): number {
    this.#port(port, 'read');
    return this.inner.portRead(port, size);
  }

  portWrite(port: number, size: AccessSize, value: number): void {
    this.#port(port, 'write');
    this.inner.portWrite(port, size, value);
  }

  portReadString(port: number, size: AccessSize, count: number): Uint8Array {
    this.#port(port, 'read');
    return this.inner.portReadString(port, size, count);
  }

  portWriteString(port: number, size: AccessSize, data: Uint8Array): void {
    this.#port(port, 'write');
    this.inner.portWriteString(port, size, data);
  }

  mmioRead(address: number, size: AccessSize): number {
    if (this.#mmio(address, 'read')) return 0;
    return this.inner.mmioRead(address, size);
  }

  mmioWrite(address: number, size: AccessSize, value: number): void {
    if (this.#mmio(address, 'write')) return;
    this.inner.mmioWrite(address, size, value);
  }

  /** Memory that was taken out of the map belongs to no device. */
  mmioString(address: number, size: AccessSize, count: number): boolean {
    this.onContact?.('access');
    return this.inner.mmioString(address, size, count);
  }

  mmioReadString(address: number, size: AccessSize, count: number): Uint8Array {
    this.#mmio(address, 'read');
    return this.inner.mmioReadString(address, size, count);
  }

  mmioWriteString(address: number, size: AccessSize, data: Uint8Array): void {
    this.#mmio(address, 'write');
    this.inner.mmioWriteString(address, size, data);
  }

  msrRead(index: number): bigint {
    this.accesses++;
    this.onContact?.('access');
    return this.inner.msrRead(index);
  }

  msrWrite(index: number, value: bigint): void {
    this.onContact?.('access');
    this.inner.msrWrite(index, value);
  }

  acknowledge(): number {
    this.onContact?.('interrupt');
    return this.inner.acknowledge();
  }

  advance(cycle: number): void {
    this.onContact?.('time');
    this.inner.advance(cycle);
    this.onAdvanced?.();
  }

  nextEvent(): number {
    return this.inner.nextEvent();
  }

  /** Note what is wrong, if it is the first, and stop. */
  note(oracle: Oracle, detail: string): void {
    if (this.found !== undefined) return;
    const { cpu } = this;
    const { state } = cpu;
    const site = state.is64
      ? cpu.ipLow + (cpu.ipHigh & 0xffff) * 2 ** 32
      : (cpu.ipLow + Number(state.base(L.CS))) >>> 0;
    this.found = { oracle, site, detail, cycle: cpu.cycle };
    cpu.stop({ reason: 'interrupted' });
  }

  /** Whether a page was taken out of the memory map. */
  isHidden(page: number): boolean {
    return this.cpu.physical.host[page] === 0;
  }

  #port(port: number, way: string): void {
    this.accesses++;
    this.onContact?.('access');
    if (this.learning) this.#ports.add(port);
    else if (!this.#ports.has(port) && this.inner.ports.nameAt(port) === undefined)
      this.note('unexpected port', `${way} of port ${hex(port)}, where no device is`);
  }

  /** True when the access is to memory that is not there for this guest. */
  #mmio(address: number, way: string): boolean {
    this.accesses++;
    this.onContact?.('access');
    if (address < this.cpu.physical.ramSize && address >= 0x10_0000) {
      const kind = this.describe(address);
      const oracle =
        way === 'write'
          ? 'write outside declared memory'
          : kind === 'reserved'
            ? 'read of reserved memory'
            : 'read outside declared memory';
      this.note(oracle, `${way} at ${hex(address)}`);
      return true;
    }
    const page = Math.floor(address / 4096);
    if (this.learning) this.#pages.add(page);
    else if (!this.#pages.has(page) && this.inner.mmio.nameAt(address) === undefined)
      this.note('unexpected MMIO', `${way} at ${hex(address)}, where no device is`);
    return false;
  }
}

/** Guest memory for devices: a transfer to where the guest has no memory is noted. */
export class WatchedMemory implements GuestMemory {
  /** Known once the machine is there. */
  bus: WatchedBus | undefined;

  /** Transfers so far. */
  transfers = 0;

  constructor(private readonly inner: GuestMemory) {}

  get ramSize(): number {
    return this.inner.ramSize;
  }

  read(address: number, length: number): Uint8Array {
    this.#check(address, length, 'read');
    return this.inner.read(address, length);
  }

  write(address: number, data: Uint8Array): void {
    this.#check(address, data.length, 'write');
    this.inner.write(address, data);
  }

  #check(address: number, length: number, way: string): void {
    this.transfers++;
    const { bus } = this;
    if (bus === undefined) return;
    for (let page = Math.floor(address / 4096); page * 4096 < Math.min(address + length, this.ramSize); page++) {
      if (!bus.isHidden(page)) continue;
      bus.note('DMA outside declared memory', `a device's ${way} at ${hex(page * 4096)}`);
      return;
    }
  }
}
