// The 64 Ki I/O ports: which device answers where (Intel SDM volume 1, chapter 20).
//
// One table entry a port names the range that answers it, so a lookup is two loads. Ports without a device read as all
// ones (as zero when the access is not aligned) and drop writes. Rules for wide, unaligned and overlapping accesses are in address-space.ts.

import type { AccessSize } from '../cpu/bus.js';
import { allOnes, type Mapping, Range, RangeList, type RangeOptions } from './address-space.js';
import type { PortHandler } from './device.js';

/** All I/O ports of a machine. */
export class PortSpace {
  readonly #list = new RangeList('port space', 0x1_0000);
  /** Ranges by number; 0 is none. */
  readonly #ranges: (PortRange | undefined)[] = [undefined];
  /** The number of the range that answers each port. Not the ranges themselves: most ports are never touched. */
  readonly #owner = new Uint16Array(0x1_0000);

  /**
   * Let `handler` answer `size` ports from `base` on. The default width is 1: wider accesses become byte accesses.
   * @throws RangeError when a wiring range overlaps another or leaves the space
   */
  map(name: string, base: number, size: number, handler: PortHandler, options: RangeOptions = {}): Mapping {
    const range = new PortRange(name, base, size, handler, options);
    this.#list.add(range);
    const free = this.#ranges.indexOf(undefined, 1);
    range.number = free < 0 ? this.#ranges.length : free;
    this.#ranges[range.number] = range;
    this.#render(range);
    return {
      name,
      base,
      size,
      unmap: () => {
        this.#list.remove(range);
        this.#render(range);
        if (this.#ranges[range.number] === range) this.#ranges[range.number] = undefined;
      },
    };
  }

  read(port: number, size: AccessSize): number {
    const range = this.#ranges[this.#owner[port]!];
    if (range !== undefined) return range.read(port, size);
    // Alignment comes first on QEMU's empty bus, too.
    return port & (size - 1) ? 0 : allOnes(size);
  }

  write(port: number, size: AccessSize, value: number): void {
    this.#ranges[this.#owner[port]!]?.write(port, size, value);
  }

  /** `count` reads of one port, in the handler's own fast form where it has one. */
  readString(port: number, size: AccessSize, count: number): Uint8Array {
    const range = this.#ranges[this.#owner[port]!];
    const fast = range?.handler.portReadString;
    if (range !== undefined && fast !== undefined && range.forwards(port, size)) {
      return fast.call(range.handler, port - range.base + range.offset, size, count);
    }
    const data = new Uint8Array(count * size);
    for (let at = 0; at < data.length; at += size) {
      const value = this.read(port, size);
      for (let byte = 0; byte < size; byte++) data[at + byte] = value >>> (8 * byte);
    }
    return data;
  }

  /** As many writes of `size` bytes to one port as `data` holds. */
  writeString(port: number, size: AccessSize, data: Uint8Array): void {
    const range = this.#ranges[this.#owner[port]!];
    const fast = range?.handler.portWriteString;
    if (range !== undefined && fast !== undefined && range.forwards(port, size)) {
      fast.call(range.handler, port - range.base + range.offset, size, data);
      return;
    }
    for (let at = 0; at < data.length; at += size) {
      let value = 0;
      for (let byte = 0; byte < size; byte++) value |= data[at + byte]! << (8 * byte);
      this.write(port, size, value >>> 0);
    }
  }

  /** Name of the range that answers a port, for listings. */
  nameAt(port: number): string | undefined {
    return this.#ranges[this.#owner[port]!]?.name;
  }

  #render(changed: PortRange): void {
    const { base, size } = changed;
    if (this.#list.isAlone(changed)) {
      this.#owner.fill(changed.number, base, base + size);
      return;
    }
    for (let port = base; port < base + size; port++) {
      this.#owner[port] = (this.#list.find(port) as PortRange | undefined)?.number ?? 0;
    }
  }
}

class PortRange extends Range {
  /** In the space's list. */
  number = 0;

  constructor(
    name: string,
    base: number,
    size: number,
    readonly handler: PortHandler,
    options: RangeOptions,
  ) {
    super(
      name,
      base,
      size,
      options,
      1,
      (offset, width) => handler.portRead(offset, width),
      (offset, width, value) => handler.portWrite(offset, width, value),
    );
  }

  override read(port: number, size: AccessSize): number {
    if (!this.forwards(port, size)) return super.read(port, size);
    return (this.handler.portRead(port - this.base + this.offset, size) & (size === 1 ? 0xff : allOnes(size))) >>> 0;
  }

  override write(port: number, size: AccessSize, value: number): void {
    if (!this.forwards(port, size)) super.write(port, size, value);
    else
      this.handler.portWrite(port - this.base + this.offset, size, (value & (size === 1 ? 0xff : allOnes(size))) >>> 0);
  }

  /** Whether an access reaches the handler as one access of the same size. */
  forwards(port: number, size: AccessSize): boolean {
    const aligned = this.unaligned || ((port - this.base + this.offset) & (size - 1)) === 0;
    return aligned && size <= this.width && size >= this.minWidth;
  }
}
