// What port space and MMIO space share: how an access of the processor becomes accesses of a device's registers.
//
// The rules are QEMU's (memory region dispatch): the range that holds the first byte gets the whole access; an access
// that is not aligned to its size within the range is dropped and reads as zero unless the range allows it; an access
// wider than the device implements is made as several, lowest address first, at consecutive offsets of the same device
// even past the end of the range. Ranges of the wiring are disjoint: an overlap is a bug and throws. Ranges that the
// guest places (PCI BARs) may lie over anything; the newest wins, as on a bus where the guest asked for a conflict.

import type { AccessSize } from '../cpu/bus.js';

/** How a range takes accesses. */
export interface RangeOptions {
  /** Widest access that the handler implements, in bytes; wider ones are split. Default: 1 for ports, 4 for MMIO. */
  width?: AccessSize;
  /** Narrowest access that the handler implements; narrower reads are cut out of it, narrower writes are widened. */
  minWidth?: AccessSize;
  /** Accept accesses that are not aligned to their size. Default false. */
  unaligned?: boolean;
  /** Offset that the first address of the range has for the handler. Default 0. */
  offset?: number;
  /** Memory: an access has no effect but on what it reads and writes, so that many may be made as one. Default false. */
  memory?: boolean;
  /** A range that the guest placed: may cover others and be covered. Default false. */
  overlay?: boolean;
}

/** A mapped range; call unmap() to take it out again. */
export interface Mapping {
  readonly name: string;
  readonly base: number;
  readonly size: number;
  unmap(): void;
}

/** All ones in `size` bytes: what a bus without a driver reads as. */
export function allOnes(size: AccessSize): number {
  return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
}

/** The register accessors of one range, in the form that both spaces dispatch to. */
export class Range {
  readonly width: AccessSize;
  readonly minWidth: AccessSize;
  readonly unaligned: boolean;
  readonly offset: number;
  readonly overlay: boolean;
  readonly memory: boolean;

  /** @param width the space's default for `options.width` */
  constructor(
    readonly name: string,
    readonly base: number,
    readonly size: number,
    options: RangeOptions,
    width: AccessSize,
    private readonly readRegister: (offset: number, size: AccessSize) => number,
    private readonly writeRegister: (offset: number, size: AccessSize, value: number) => void,
  ) {
    this.width = options.width ?? width;
    this.minWidth = options.minWidth ?? 1;
    this.unaligned = options.unaligned ?? false;
    this.offset = options.offset ?? 0;
    this.overlay = options.overlay ?? false;
    this.memory = options.memory ?? false;
  }

  read(address: number, size: AccessSize): number {
    const offset = address - this.base + this.offset;
    if (!this.unaligned && (offset & (size - 1)) !== 0) return 0;
    if (size < this.minWidth) return (this.readRegister(offset, this.minWidth) & allOnes(size)) >>> 0;
    if (size <= this.width) return (this.readRegister(offset, size) & allOnes(size)) >>> 0;
    let value = 0;
    for (let at = 0; at < size; at += this.width) {
      value |= (this.readRegister(offset + at, this.width) & allOnes(this.width)) << (8 * at);
    }
    return value >>> 0;
  }

  write(address: number, size: AccessSize, value: number): void {
    const offset = address - this.base + this.offset;
    if (!this.unaligned && (offset & (size - 1)) !== 0) return;
    if (size <= this.width) {
      this.writeRegister(offset, size < this.minWidth ? this.minWidth : size, (value & allOnes(size)) >>> 0);
      return;
    }
    for (let at = 0; at < size; at += this.width) {
      this.writeRegister(offset + at, this.width, ((value >>> (8 * at)) & allOnes(this.width)) >>> 0);
    }
  }

  contains(address: number): boolean {
    return address >= this.base && address < this.base + this.size;
  }

  overlaps(other: Range): boolean {
    return this.base < other.base + other.size && other.base < this.base + this.size;
  }
}

/** The ranges of one space. Wiring ranges come first, guest-placed ones after them, oldest first. */
export class RangeList {
  readonly #ranges: Range[] = [];

  constructor(
    private readonly space: string,
    private readonly limit: number,
  ) {}

  /** @throws RangeError when the range leaves the space or a wiring range overlaps another */
  add(range: Range): void {
    const { name, base, size } = range;
    if (!Number.isInteger(base) || !Number.isInteger(size) || base < 0 || size <= 0 || base + size > this.limit) {
      throw new RangeError(`${this.space}: ${name} at 0x${base.toString(16)} leaves the space`);
    }
    if (!range.overlay) {
      const other = this.#ranges.find((candidate) => !candidate.overlay && candidate.overlaps(range));
      if (other) throw new RangeError(`${this.space}: ${name} overlaps ${other.name} at 0x${base.toString(16)}`);
    }
    const end = range.overlay ? this.#ranges.length : this.#ranges.findIndex((candidate) => candidate.overlay);
    this.#ranges.splice(end < 0 ? this.#ranges.length : end, 0, range);
  }

  remove(range: Range): void {
    const at = this.#ranges.indexOf(range);
    if (at >= 0) this.#ranges.splice(at, 1);
  }

  find(address: number): Range | undefined {
    return this.#ranges.findLast((range) => range.contains(address));
  }

  /** Whether the range is in the list, and no other over or under it. */
  isAlone(range: Range): boolean {
    let found = false;
    for (const other of this.#ranges) {
      if (other === range) found = true;
      else if (other.overlaps(range)) return false;
    }
    return found;
  }

  all(): readonly Range[] {
    return this.#ranges;
  }
}
