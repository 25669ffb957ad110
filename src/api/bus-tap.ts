// A bus that passes everything on, for those who want to see some of it: what the guest sees is the same with and
// without. Left out on purpose: recording and playing, which see all of it (src/replay).

import type { AccessSize, Bus } from '../cpu/bus.js';

export class BusTap implements Bus {
  constructor(private readonly inner: Bus) {}

  portRead(port: number, size: AccessSize): number {
    return this.inner.portRead(port, size);
  }
  portWrite(port: number, size: AccessSize, value: number): void {
    this.inner.portWrite(port, size, value);
  }
  portReadString(port: number, size: AccessSize, count: number): Uint8Array {
    return this.inner.portReadString(port, size, count);
  }
  portWriteString(port: number, size: AccessSize, data: Uint8Array): void {
    this.inner.portWriteString(port, size, data);
  }
  mmioRead(address: number, size: AccessSize): number {
    return this.inner.mmioRead(address, size);
  }
  mmioWrite(address: number, size: AccessSize, value: number): void {
    this.inner.mmioWrite(address, size, value);
  }
  mmioString(address: number, size: AccessSize, count: number, write: boolean): boolean {
    return this.inner.mmioString(address, size, count, write);
  }
  mmioReadString(address: number, size: AccessSize, count: number): Uint8Array {
    return this.inner.mmioReadString(address, size, count);
  }
  mmioWriteString(address: number, size: AccessSize, data: Uint8Array): void {
    this.inner.mmioWriteString(address, size, data);
  }
  msrRead(index: number): bigint {
    return this.inner.msrRead(index);
  }
  msrWrite(index: number, value: bigint): void {
    this.inner.msrWrite(index, value);
  }
  acknowledge(): number {
    return this.inner.acknowledge();
  }
  advance(cycle: number): void {
    this.inner.advance(cycle);
  }
  nextEvent(): number {
    return this.inner.nextEvent();
  }
}
