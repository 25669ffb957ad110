// A split virtqueue as a device sees it (Virtio 1.2, 2.7; the legacy layout of 2.7.2): descriptor table, available ring,
// used ring, indirect descriptors, notification suppression by flags and by event index.
//
// Everything in it is the guest's: addresses may point anywhere, chains may loop. Invariants: a chain has at most
// MAX_DESCRIPTORS descriptors, nothing outside RAM is touched, and a queue that breaks a rule throws VirtqueueError,
// after which its device does nothing until it is reset, as in QEMU 7.2. Left out: packed rings, in-order completion.

import type { GuestMemory } from '../../../cpu/bus.js';
import type { Plain } from '../../device.js';

/** Descriptors in a chain, and entries of a queue, at most (QEMU's VIRTQUEUE_MAX_SIZE). */
export const MAX_DESCRIPTORS = 1024;

const DESCRIPTOR = 16;
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const NO_INTERRUPT = 1;
const USED_ELEMENT = 8;
const DEFAULT_ALIGN = 4096;

/** The guest broke the rules of the queue; the message says which. */
export class VirtqueueError extends Error {}

/** Part of a buffer in guest memory; it lies in RAM and has at least one byte. */
export interface BufferPart {
  readonly address: number;
  readonly length: number;
}

/** One buffer that the driver made available. */
export interface VirtqueueBuffer {
  /** Index of the chain's first descriptor, which the used ring names. */
  readonly head: number;
  /** What the device may read, in order. */
  readonly readable: readonly BufferPart[];
  /** What the device may write, in order. */
  readonly writable: readonly BufferPart[];
}

interface QueueState {
  size: number;
  align: number;
  desc: number;
  avail: number;
  used: number;
  /** Free-running indices, 16 bits. */
  lastAvail: number;
  usedIndex: number;
  /** Used index at the last interrupt; null when there was none since the reset. */
  signalled: number | null;
}

/** Number of bytes in the parts of a buffer. */
export function bufferLength(parts: readonly BufferPart[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

export class Virtqueue {
  private state: QueueState;
  /** Negotiated: VIRTIO_F_EVENT_IDX and VIRTIO_F_NOTIFY_ON_EMPTY. */
  eventIndex = false;
  notifyOnEmpty = false;

  /** @param defaultSize entries after a reset; 0 is a queue that does not exist */
  constructor(
    private readonly memory: GuestMemory,
    private readonly defaultSize: number,
  ) {
    this.state = this.initial();
  }

  reset(): void {
    this.state = { ...this.initial(), align: this.state.align };
    this.eventIndex = false;
    this.notifyOnEmpty = false;
  }

  /** Entries; 0 when the device has no such queue. */
  get size(): number {
    return this.state.size;
  }

  /** Sizes that no queue can have, and making or unmaking a queue, are ignored. */
  setSize(size: number): void {
    if (this.state.size === 0 || size === 0 || size > MAX_DESCRIPTORS) return;
    this.state.size = size;
  }

  /** The driver has said where the rings are. */
  get hasRings(): boolean {
    return this.state.desc !== 0;
  }

  get descriptorTable(): number {
    return this.state.desc;
  }

  /** Where the three parts lie; physical addresses. */
  setRings(desc: number, avail: number, used: number): void {
    if (this.state.size === 0) return;
    Object.assign(this.state, { desc, avail, used });
  }

  /** The legacy layout: one address, the used ring aligned behind the rest. */
  setLegacyRings(desc: number): void {
    const { size, align } = this.state;
    const avail = desc + DESCRIPTOR * size;
    const mask = BigInt(align) - 1n;
    const used = desc === 0 ? 0 : Number((BigInt(avail + 4 + 2 * size) + mask) & ~mask);
    this.setRings(desc, desc === 0 ? 0 : avail, used);
  }

  /** Alignment of the used ring in the legacy layout; 0 is ignored. */
  setLegacyAlign(align: number): void {
    if (align === 0) return;
    this.state.align = align;
    if (this.hasRings) this.setLegacyRings(this.state.desc);
  }

  /** Indices at which the device goes on, for transports that let the driver read them. */
  get nextAvailable(): number {
    return this.state.lastAvail;
  }

  /**
   * Take the next buffer; undefined when there is none.
   * @throws VirtqueueError
   */
  pop(): VirtqueueBuffer | undefined {
    const s = this.state;
    if (!this.hasRings) return undefined;
    const waiting = (this.read16(s.avail + 2) - s.lastAvail) & 0xffff;
    if (waiting === 0) return undefined;
    if (waiting > s.size) throw new VirtqueueError(`the available index is ${waiting} entries ahead of ${s.size}`);
    const head = this.read16(s.avail + 4 + 2 * (s.lastAvail % s.size));
    if (head >= s.size) throw new VirtqueueError(`descriptor ${head} is made available, there are ${s.size}`);
    s.lastAvail = (s.lastAvail + 1) & 0xffff;
    if (this.eventIndex) this.write16(s.used + 4 + USED_ELEMENT * s.size, s.lastAvail);
    return this.chain(head);
  }

  /** True when pop() would give nothing. @throws VirtqueueError */
  get isEmpty(): boolean {
    return !this.hasRings || this.read16(this.state.avail + 2) === this.state.lastAvail;
  }

  /** Give a buffer back, `written` bytes of which the device wrote. @throws VirtqueueError */
  push(buffer: VirtqueueBuffer, written: number): void {
    const s = this.state;
    if (!this.hasRings) return;
    const element = new Uint8Array(USED_ELEMENT);
    const view = new DataView(element.buffer);
    view.setUint32(0, buffer.head, true);
    view.setUint32(4, written, true);
    this.write(s.used + 4 + USED_ELEMENT * (s.usedIndex % s.size), element);
    s.usedIndex = (s.usedIndex + 1) & 0xffff;
    this.write16(s.used + 2, s.usedIndex);
  }

  /** After push(): whether the driver wants an interrupt. @throws VirtqueueError */
  wantsInterrupt(): boolean {
    const s = this.state;
    if (!this.hasRings) return false;
    if (this.notifyOnEmpty && this.isEmpty && s.usedIndex === s.lastAvail) return true;
    if (!this.eventIndex) return (this.read16(s.avail) & NO_INTERRUPT) === 0;
    const before = s.signalled;
    s.signalled = s.usedIndex;
    if (before === null) return true;
    // The driver named an index: did it lie between the last interrupt and now?
    const event = this.read16(s.avail + 4 + 2 * s.size);
    return ((s.usedIndex - event - 1) & 0xffff) < ((s.usedIndex - before) & 0xffff);
  }

  /** Copy out up to `limit` bytes of the readable parts, from `offset` on. */
  gather(parts: readonly BufferPart[], offset: number, limit: number): Uint8Array {
    const out = new Uint8Array(Math.max(Math.min(limit, bufferLength(parts) - offset), 0));
    this.each(parts, offset, out.length, (address, length, at) => out.set(this.memory.read(address, length), at));
    return out;
  }

  /** Copy `data` into the writable parts from `offset` on, as far as they reach; returns how much was written. */
  scatter(parts: readonly BufferPart[], offset: number, data: Uint8Array): number {
    return this.each(parts, offset, data.length, (address, length, at) =>
      this.memory.write(address, data.subarray(at, at + length)),
    );
  }

  save(): Plain {
    return { ...this.state, eventIndex: this.eventIndex, notifyOnEmpty: this.notifyOnEmpty };
  }

  load(state: Plain): void {
    const { eventIndex, notifyOnEmpty, ...rest } = state as unknown as QueueState & {
      eventIndex: boolean;
      notifyOnEmpty: boolean;
    };
    this.state = { ...rest };
    this.eventIndex = eventIndex;
    this.notifyOnEmpty = notifyOnEmpty;
  }

  private initial(): QueueState {
    return {
      size: this.defaultSize,
      align: DEFAULT_ALIGN,
      desc: 0,
      avail: 0,
      used: 0,
      lastAvail: 0,
      usedIndex: 0,
      signalled: null,
    };
  }

  private chain(head: number): VirtqueueBuffer {
    const readable: BufferPart[] = [];
    const writable: BufferPart[] = [];
    let table = this.state.desc;
    let entries = this.state.size;
    let index = head;
    let indirect = false;
    for (let count = 0; ; count++) {
      if (count >= MAX_DESCRIPTORS || count > entries) throw new VirtqueueError('the chain of descriptors loops');
      const bytes = this.readRam(table + DESCRIPTOR * index, DESCRIPTOR);
      const view = new DataView(bytes.buffer, bytes.byteOffset, DESCRIPTOR);
      const address = Number(view.getBigUint64(0, true));
      const length = view.getUint32(8, true);
      const flags = view.getUint16(12, true);
      if (flags & INDIRECT && !indirect) {
        if (count > 0) throw new VirtqueueError('an indirect table stands inside a chain');
        entries = length / DESCRIPTOR;
        if (!Number.isInteger(entries) || entries === 0 || entries > MAX_DESCRIPTORS)
          throw new VirtqueueError(`an indirect table of ${length} bytes`);
        table = address;
        index = 0;
        indirect = true;
        count = -1;
        continue;
      }
      if (flags & INDIRECT) throw new VirtqueueError('an indirect table names another one');
      if (length === 0) throw new VirtqueueError('a buffer of no bytes');
      this.checkRam(address, length);
      if (flags & WRITE) writable.push({ address, length });
      else if (writable.length > 0) throw new VirtqueueError('a readable buffer behind a writable one');
      else readable.push({ address, length });
      if (!(flags & NEXT)) return { head, readable, writable };
      index = view.getUint16(14, true);
      if (index >= entries) throw new VirtqueueError(`descriptor ${index} is next, there are ${entries}`);
    }
  }

  /** Call `use` for each piece of `length` bytes from `offset` on; returns how many bytes there were. */
  private each(
    parts: readonly BufferPart[],
    offset: number,
    length: number,
    use: (address: number, length: number, at: number) => void,
  ): number {
    let skip = offset;
    let done = 0;
    for (const part of parts) {
      if (done === length) break;
      const start = Math.min(skip, part.length);
      skip -= start;
      const n = Math.min(part.length - start, length - done);
      if (n > 0) use(part.address + start, n, done);
      done += n;
    }
    return done;
  }

  private checkRam(address: number, length: number): void {
    if (address + length > this.memory.ramSize)
      throw new VirtqueueError(`0x${address.toString(16)}, ${length} bytes, is not in RAM`);
  }

  private readRam(address: number, length: number): Uint8Array {
    this.checkRam(address, length);
    return this.memory.read(address, length);
  }

  private read16(address: number): number {
    const bytes = this.readRam(address, 2);
    return bytes[0]! | (bytes[1]! << 8);
  }

  private write(address: number, data: Uint8Array): void {
    this.checkRam(address, data.length);
    this.memory.write(address, data);
  }

  private write16(address: number, value: number): void {
    this.write(address, Uint8Array.of(value & 0xff, value >>> 8));
  }
}
