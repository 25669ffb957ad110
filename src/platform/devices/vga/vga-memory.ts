// Video memory and the window at 0xa0000–0xbffff through which a VGA shows it (IBM PS/2 Hardware Interface Technical
// Reference, "Video Subsystem", memory map select and the graphics controller's write and read modes). Four planes lie
// interleaved: byte 4n + p is byte n of plane p. Chain 4 and odd/even map addresses to planes as QEMU 7.2 does: chain 4
// is the linear memory itself. Invariant: every address is bounded by the memory's size.

import type { MmioHandler, Plain } from '../../device.js';
import type { Vga } from './vga.js';
import {
  GR_BIT_MASK,
  GR_COMPARE,
  GR_DONT_CARE,
  GR_MISC,
  GR_MODE,
  GR_READ_PLANE,
  GR_ROTATE,
  GR_SET_RESET,
  GR_SET_RESET_ENABLE,
  SR_MEMORY_MODE,
  SR_PLANE_WRITE,
} from './vga-registers.js';

const CHAIN_4 = 0x08;
const ODD_EVEN = 0x10;
const READ_COMPARE = 0x08;
const PAGE = 4096;

/** Four bits to four bytes of zeros or ones. */
export const PLANES: readonly number[] = Array.from({ length: 16 }, (_, bits) =>
  [0, 1, 2, 3].reduce((mask, plane) => (bits & (1 << plane) ? (mask | (0xff << (8 * plane))) >>> 0 : mask), 0),
);

export class VgaMemory {
  readonly bytes: Uint8Array;
  /** The same memory, all four planes at once. */
  readonly planes: DataView;
  /** The same memory, two planes at once. */
  readonly pairs: Uint16Array;
  #latch = 0;

  constructor(
    private readonly vga: Vga,
    size: number,
  ) {
    this.bytes = new Uint8Array(size);
    this.planes = new DataView(this.bytes.buffer);
    this.pairs = new Uint16Array(this.bytes.buffer);
  }

  reset(): void {
    this.#latch = 0;
  }

  /** Zero the first `length` bytes. */
  clear(length: number): void {
    this.bytes.fill(0, 0, length);
  }

  /** Offsets count from 0xa0000; bytes only. */
  readonly window: MmioHandler = {
    mmioRead: (offset) => this.#read(offset),
    mmioWrite: (offset, _size, value) => this.#write(offset, value),
    mmioWriteBytes: (offset, data) => {
      if (this.#writeText(offset, data)) return;
      for (let i = 0; i < data.length; i++) this.#write(offset + i, data[i]!);
    },
  };

  /** The memory as it lies, for a linear frame buffer. */
  readonly linear: MmioHandler = {
    mmioRead: (offset, size) => {
      const { planes } = this;
      return size === 1
        ? planes.getUint8(offset)
        : size === 2
          ? planes.getUint16(offset, true)
          : planes.getUint32(offset, true);
    },
    mmioWrite: (offset, size, value) => {
      const { planes } = this;
      if (size === 1) planes.setUint8(offset, value);
      else if (size === 2) planes.setUint16(offset, value, true);
      else planes.setUint32(offset, value, true);
    },
    mmioReadBytes: (offset, into) => into.set(this.bytes.subarray(offset, offset + into.length)),
    mmioWriteBytes: (offset, data) => this.bytes.set(data, offset),
  };

  /** Pages that are not zero. */
  save(): Plain {
    const pages: [number, Uint8Array][] = [];
    for (let at = 0; at < this.bytes.length; at += PAGE) {
      const page = this.bytes.subarray(at, at + PAGE);
      if (page.some((byte) => byte !== 0)) pages.push([at, page.slice()]);
    }
    return { latch: this.#latch, pages };
  }

  load(state: Plain): void {
    const saved = state as unknown as { latch: number; pages: [number, Uint8Array][] };
    this.#latch = saved.latch;
    this.bytes.fill(0);
    for (const [at, data] of saved.pages) this.bytes.set(data, at);
  }

  /** Address within the memory that is mapped, or -1 outside of it. */
  #mapped(offset: number): number {
    switch ((this.vga.graphics[GR_MISC]! >> 2) & 3) {
      case 0:
        return offset;
      case 1:
        return offset < 0x1_0000 ? offset + this.vga.dispi.bankOffset : -1;
      case 2:
        return offset >= 0x1_0000 && offset < 0x1_8000 ? offset - 0x1_0000 : -1;
      default:
        return offset >= 0x1_8000 ? offset - 0x1_8000 : -1;
    }
  }

  #read(offset: number): number {
    const at = this.#mapped(offset);
    const { bytes, vga } = this;
    const { graphics } = vga;
    if (at < 0) return 0xff;
    if (vga.activeSequencer[SR_MEMORY_MODE]! & CHAIN_4) return bytes[at] ?? 0xff;
    if (graphics[GR_MODE]! & ODD_EVEN) return bytes[oddEven(at, graphics[GR_READ_PLANE]!)] ?? 0xff;
    if (at * 4 >= bytes.length) return 0xff;
    this.#latch = this.planes.getUint32(at * 4, true);
    if (!(graphics[GR_MODE]! & READ_COMPARE)) return (this.#latch >>> (8 * graphics[GR_READ_PLANE]!)) & 0xff;
    const differs = (this.#latch ^ PLANES[graphics[GR_COMPARE]!]!) & PLANES[graphics[GR_DONT_CARE]!]!;
    return ~(differs | (differs >>> 8) | (differs >>> 16) | (differs >>> 24)) & 0xff;
  }

  #write(offset: number, value: number): void {
    const at = this.#mapped(offset);
    const { bytes, vga } = this;
    const { graphics } = vga;
    if (at < 0) return;
    const enabled = vga.activeSequencer[SR_PLANE_WRITE]!;
    if (vga.activeSequencer[SR_MEMORY_MODE]! & CHAIN_4) {
      if (enabled & (1 << (at & 3)) && at < bytes.length) bytes[at] = value;
      return;
    }
    if (graphics[GR_MODE]! & ODD_EVEN) {
      const place = oddEven(at, graphics[GR_READ_PLANE]!);
      if (enabled & (1 << (place & 3)) && place < bytes.length) bytes[place] = value;
      return;
    }
    if (at * 4 >= bytes.length) return;
    const mask = PLANES[enabled]!;
    const old = this.planes.getUint32(at * 4, true);
    this.planes.setUint32(at * 4, (old & ~mask) | (this.#processed(value) & mask), true);
  }

  /**
   * Odd/even mode with both planes enabled, as text modes have it: characters and attributes in pairs. False where a run is
   * something else; then nothing has been written.
   */
  #writeText(offset: number, data: Uint8Array): boolean {
    const { graphics, activeSequencer } = this.vga;
    const at = this.#mapped(offset);
    const last = this.#mapped(offset + data.length - 1);
    const readPlane = graphics[GR_READ_PLANE]! & 2;
    if (at < 0 || last !== at + data.length - 1 || ((at | data.length | data.byteOffset) & 1) !== 0) return false;
    if (activeSequencer[SR_MEMORY_MODE]! & CHAIN_4 || !(graphics[GR_MODE]! & ODD_EVEN)) return false;
    if (((activeSequencer[SR_PLANE_WRITE]! >> readPlane) & 3) !== 3 || last * 2 + 4 > this.bytes.length) return false;
    const { pairs } = this;
    const from = new Uint16Array(data.buffer, data.byteOffset, data.length >>> 1);
    for (let i = 0, to = at + (readPlane >> 1); i < from.length; i++, to += 2) pairs[to] = from[i]!;
    return true;
  }

  /** What a byte becomes on its way to the four planes, by the write mode. */
  #processed(value: number): number {
    const { graphics } = this.vga;
    const latch = this.#latch;
    const rotation = graphics[GR_ROTATE]! & 7;
    const rotated = ((value >> rotation) | (value << (8 - rotation))) & 0xff;
    const setReset = PLANES[graphics[GR_SET_RESET]!]!;
    let bitMask = graphics[GR_BIT_MASK]!;
    let data: number;
    switch (graphics[GR_MODE]! & 3) {
      case 1:
        return latch;
      case 2:
        data = PLANES[value & 0x0f]!;
        break;
      case 3:
        bitMask &= rotated;
        data = setReset;
        break;
      default: {
        const set = PLANES[graphics[GR_SET_RESET_ENABLE]!]!;
        data = ((rotated * 0x0101_0101) & ~set) | (setReset & set);
      }
    }
    switch (graphics[GR_ROTATE]! >> 3) {
      case 1:
        data &= latch;
        break;
      case 2:
        data |= latch;
        break;
      case 3:
        data ^= latch;
        break;
      default:
        break;
    }
    const mask = bitMask * 0x0101_0101;
    return (data & mask) | (latch & ~mask);
  }
}

/** Odd addresses go to odd planes. */
const oddEven = (at: number, readPlane: number): number => ((at & ~1) << 1) | (readPlane & 2) | (at & 1);
