// Guest physical addresses that are neither RAM nor ROM: which device answers where.
//
// A lookup goes by 4 KiB page and then by range; pages are resolved lazily, because a BAR may span 65,536 of them.
// Addresses without a device read as zero and drop writes, as QEMU's unassigned memory does under TCG (a PCI master
// abort on hardware would read all ones). Rules for wide, unaligned and overlapping accesses: address-space.ts.

import type { AccessSize } from '../cpu/bus.js';
import { type Mapping, Range, RangeList, type RangeOptions } from './address-space.js';
import type { MmioHandler } from './device.js';

const PAGE_SIZE = 0x1000;
/** Pages remembered at most; a guest that reads all over the hole must not grow the host's memory. */
const MAX_CACHED_PAGES = 4096;

/** All memory-mapped registers of a machine. */
export class MmioSpace {
  readonly #list = new RangeList('MMIO space', 2 ** 52);
  /** Ranges that touch a page, in order of precedence, last wins. */
  readonly #pages = new Map<number, readonly MmioRange[]>();
  /** The page that was asked for last, and what is known of it. */
  #page = -1;
  #ranges: readonly MmioRange[] = [];

  /**
   * Let `handler` answer `size` bytes from guest physical `base` on. The default width is 4.
   * @throws RangeError when a wiring range overlaps another or leaves the space
   */
  map(name: string, base: number, size: number, handler: MmioHandler, options: RangeOptions = {}): Mapping {
    const range = new MmioRange(name, base, size, handler, options);
    this.#list.add(range);
    this.#forget();
    return {
      name,
      base,
      size,
      unmap: () => {
        this.#list.remove(range);
        this.#forget();
      },
    };
  }

  read(address: number, size: AccessSize): number {
    const range = this.#find(address);
    return range === undefined ? 0 : range.read(address, size);
  }

  write(address: number, size: AccessSize, value: number): void {
    this.#find(address)?.write(address, size, value);
  }

  /** Whether `size` bytes from an address on are one device's memory. */
  isMemory(address: number, size: number): boolean {
    const range = this.#find(address);
    if (!range?.memory || !range.contains(address + size - 1)) return false;
    // Ranges that the guest places may lie over one another.
    return this.#list.all().every((other) => {
      return other === range || address + size <= other.base || other.base + other.size <= address;
    });
  }

  /** `count` reads at ascending addresses. */
  readString(address: number, size: AccessSize, count: number): Uint8Array {
    const data = new Uint8Array(size * count);
    const range = this.#find(address);
    if (range?.handler.mmioReadBytes && range.isRun(address, size, data.length)) {
      range.handler.mmioReadBytes(address - range.base + range.offset, data);
      return data;
    }
    for (let at = 0; at < data.length; at += size) {
      const value = range?.read(address + at, size) ?? 0;
      for (let i = 0; i < size; i++) data[at + i] = value >>> (8 * i);
    }
    return data;
  }

  /** Writes at ascending addresses. */
  writeString(address: number, size: AccessSize, data: Uint8Array): void {
    const range = this.#find(address);
    if (range?.handler.mmioWriteBytes && range.isRun(address, size, data.length)) {
      range.handler.mmioWriteBytes(address - range.base + range.offset, data);
      return;
    }
    for (let at = 0; at + size <= data.length; at += size) {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = (value << 8) | data[at + i]!;
      range?.write(address + at, size, value >>> 0);
    }
  }

  /** Name of the range that answers an address, for listings. */
  nameAt(address: number): string | undefined {
    return this.#find(address)?.name;
  }

  #forget(): void {
    this.#pages.clear();
    this.#page = -1;
  }

  #find(address: number): MmioRange | undefined {
    const page = Math.floor(address / PAGE_SIZE);
    if (page !== this.#page) {
      this.#ranges = this.#touching(page);
      this.#page = page;
    }
    const ranges = this.#ranges;
    for (let n = ranges.length - 1; n >= 0; n--) if (ranges[n]!.contains(address)) return ranges[n];
    return undefined;
  }

  #touching(page: number): readonly MmioRange[] {
    let ranges = this.#pages.get(page);
    if (ranges === undefined) {
      const start = page * PAGE_SIZE;
      const all = this.#list.all() as readonly MmioRange[];
      ranges = all.filter((range) => range.base < start + PAGE_SIZE && start < range.base + range.size);
      if (this.#pages.size >= MAX_CACHED_PAGES) this.#pages.clear();
      this.#pages.set(page, ranges);
    }
    return ranges;
  }
}

class MmioRange extends Range {
  constructor(
    name: string,
    base: number,
    size: number,
    readonly handler: MmioHandler,
    options: RangeOptions,
  ) {
    super(
      name,
      base,
      size,
      options,
      4,
      (offset, width) => handler.mmioRead(offset, width),
      (offset, width, value) => handler.mmioWrite(offset, width, value),
    );
  }

  /** Whether accesses of `size` to `length` bytes from an address on are the same as accesses to each byte of them. */
  isRun(address: number, size: AccessSize, length: number): boolean {
    const aligned = this.unaligned || ((address - this.base + this.offset) & (size - 1)) === 0;
    const whole = length % size === 0 && length > 0;
    return this.memory && aligned && whole && size >= this.minWidth && this.contains(address + length - 1);
  }
}
