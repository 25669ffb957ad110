// MSI-X of a PCI function (PCI Local Bus Specification 3.0, 6.8.2): capability, table and pending bits, in one memory BAR
// of 4 KiB as QEMU 7.2 lays it out. A vector is a write of its data to its address, which the wiring turns into an
// interrupt message. Invariant: a message that meets a mask is remembered and sent when the mask goes, once.

import type { AccessSize } from '../../../cpu/bus.js';
import type { MmioHandler, Plain } from '../../device.js';

export const MSIX_BAR_SIZE = 0x1000;
export const MSIX_CAPABILITY = 0x11;
const PENDING = 0x800;
const ENTRY = 16;
const VECTOR_CONTROL = 12;
const MASKED = 1;
/** Message control, upper byte. */
const CONTROL_ENABLE = 0x80;
const CONTROL_MASK_ALL = 0x40;
export const MSIX_CONTROL_WRITABLE = CONTROL_ENABLE | CONTROL_MASK_ALL;

/** Table and pending bits. The capability lies in the function's configuration space and is told by `setControl`. */
export class Msix implements MmioHandler {
  readonly #table: DataView;
  readonly #send: (address: number, data: number) => void;
  #pending = 0;
  #control = 0;

  /** @param vectors at most 32 */
  constructor(
    readonly vectors: number,
    send: (address: number, data: number) => void,
  ) {
    this.#table = new DataView(new ArrayBuffer(vectors * ENTRY));
    this.#send = send;
    this.reset();
  }

  get enabled(): boolean {
    return (this.#control & CONTROL_ENABLE) !== 0;
  }

  /** Bytes of the capability behind its ID and link. */
  capability(bar: number): number[] {
    return [this.vectors - 1, 0, bar, 0, 0, 0, bar | (PENDING & 0xff), PENDING >> 8, 0, 0];
  }

  reset(): void {
    this.#control = 0;
    this.#pending = 0;
    for (let vector = 0; vector < this.vectors; vector++) {
      for (let at = 0; at < ENTRY; at += 4) this.#table.setUint32(ENTRY * vector + at, 0, true);
      this.#table.setUint32(ENTRY * vector + VECTOR_CONTROL, MASKED, true);
    }
  }

  /** The upper byte of message control was written. */
  setControl(value: number): void {
    this.#control = value & MSIX_CONTROL_WRITABLE;
    this.#sendPending();
  }

  notify(vector: number): void {
    if (vector >= this.vectors) return;
    if (this.#masked(vector)) this.#pending |= 1 << vector;
    else {
      const at = ENTRY * vector;
      this.#send(this.#table.getUint32(at, true), this.#table.getUint32(at + 8, true));
    }
  }

  mmioRead(offset: number, size: AccessSize): number {
    if (size !== 4) return 0;
    if (offset >= PENDING) return offset === PENDING ? this.#pending >>> 0 : 0;
    return offset < this.#table.byteLength ? this.#table.getUint32(offset, true) : 0;
  }

  mmioWrite(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset >= this.#table.byteLength) return;
    this.#table.setUint32(offset, value, true);
    this.#sendPending();
  }

  save(): Plain {
    return {
      control: this.#control,
      pending: this.#pending,
      table: Array.from({ length: this.#table.byteLength / 4 }, (_, n) => this.#table.getUint32(4 * n, true)),
    };
  }

  load(state: Plain): void {
    const s = state as unknown as { control: number; pending: number; table: number[] };
    this.#control = s.control;
    this.#pending = s.pending;
    for (const [n, word] of s.table.entries()) this.#table.setUint32(4 * n, word, true);
  }

  #masked(vector: number): boolean {
    if (!this.enabled || this.#control & CONTROL_MASK_ALL) return true;
    return (this.#table.getUint32(ENTRY * vector + VECTOR_CONTROL, true) & MASKED) !== 0;
  }

  #sendPending(): void {
    for (let vector = 0; vector < this.vectors; vector++) {
      if (!(this.#pending & (1 << vector)) || this.#masked(vector)) continue;
      this.#pending &= ~(1 << vector);
      this.notify(vector);
    }
  }
}
