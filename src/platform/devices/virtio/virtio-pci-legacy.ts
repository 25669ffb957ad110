// The registers that drivers from before Virtio 1 use (Virtio 1.2, 4.1.4.10): 20 bytes, or 24 with the vectors while MSI-X
// is enabled, and the device's configuration behind them. Which of the two holds is looked up at every access, as in QEMU.

import type { AccessSize } from '../../../cpu/bus.js';
import type { PortHandler } from '../../device.js';
import { F_BAD_FEATURE, type VirtioDevice } from './virtio-device.js';
import { MAX_DESCRIPTORS } from './virtqueue.js';

const PAGE = 4096;
const WITHOUT_MSIX = 20;
const WITH_MSIX = 24;
/** No vector. */
export const NO_VECTOR = 0xffff;

/** Vectors of the configuration and of the queues: of any number, though only some exist, as in QEMU. */
export interface Vectors {
  config: number;
  readonly queues: Map<number, number>;
}

/** What the registers of either kind work on. */
export interface VirtioTransport {
  readonly device: VirtioDevice;
  readonly vectors: Vectors;
  readonly vectorCount: number;
  /** The selected queue: drivers of both kinds select the same. */
  queue: number;
  readIsr(): number;
  /** The device has been reset by its driver. */
  wasReset(): void;
}

/** A vector as it is kept: those that do not exist are none. */
export const knownVector = (vector: number, count: number): number => (vector < count ? vector : NO_VECTOR);

/** Bytes of the BAR: registers and configuration, rounded up to a power of two. */
export const legacyBarSize = (configSize: number): number => 2 ** Math.ceil(Math.log2(WITH_MSIX + configSize));

/** I/O BAR 0. */
export class LegacyRegisters implements PortHandler {
  readonly #transport: VirtioTransport;
  readonly #msixEnabled: () => boolean;

  constructor(transport: VirtioTransport, msixEnabled: () => boolean) {
    this.#transport = transport;
    this.#msixEnabled = msixEnabled;
  }

  portRead(offset: number, size: AccessSize): number {
    const { device, vectors } = this.#transport;
    const start = this.#msixEnabled() ? WITH_MSIX : WITHOUT_MSIX;
    if (offset >= start) return device.readConfig(offset - start, size);
    const queue = device.queues[this.#transport.queue];
    switch (offset) {
      case 0x00:
        return Number(device.transitionalFeatures);
      case 0x04:
        return Number(device.features & 0xffff_ffffn);
      case 0x08:
        return Math.floor((queue?.descriptorTable ?? 0) / PAGE) % 2 ** 32;
      case 0x0c:
        return queue?.size ?? 0;
      case 0x0e:
        return this.#transport.queue;
      case 0x12:
        return device.status;
      case 0x13:
        return this.#transport.readIsr();
      case 0x14:
        return vectors.config;
      case 0x16:
        return vectors.queues.get(this.#transport.queue) ?? NO_VECTOR;
      default:
        return 0xffff_ffff;
    }
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    const { device, vectors, vectorCount } = this.#transport;
    const start = this.#msixEnabled() ? WITH_MSIX : WITHOUT_MSIX;
    if (offset >= start) {
      device.writeConfig(offset - start, size, value);
      return;
    }
    switch (offset) {
      case 0x04:
        // A driver that takes what is never to be taken gets nothing.
        device.setFeatures(BigInt(value) & F_BAD_FEATURE ? 0n : BigInt(value), device.transitionalFeatures);
        break;
      case 0x08:
        if (value !== 0) device.queues[this.#transport.queue]?.setLegacyRings(value * PAGE);
        else this.#resetDevice();
        break;
      case 0x0e:
        if (value < MAX_DESCRIPTORS) this.#transport.queue = value;
        break;
      case 0x10:
        device.notify(value);
        break;
      case 0x12:
        device.setStatus(value & 0xff);
        if ((value & 0xff) === 0) this.#transport.wasReset();
        break;
      case 0x14:
        vectors.config = knownVector(value, vectorCount);
        break;
      case 0x16:
        vectors.queues.set(this.#transport.queue, knownVector(value, vectorCount));
        break;
    }
  }

  #resetDevice(): void {
    this.#transport.device.reset();
    this.#transport.wasReset();
  }
}
