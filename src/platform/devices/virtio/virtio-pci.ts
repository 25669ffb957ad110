// The virtio PCI transport (Virtio 1.2, 4.1) as QEMU 7.2 gives it by default: a transitional function, with the legacy
// registers in I/O BAR 0, those of Virtio 1 in memory BAR 4, MSI-X in BAR 1, and the window in configuration space through
// which software reaches BAR 4 without mapping it. Bytes of the configuration space are QEMU's.
//
// Registers answer at their offsets whatever the width, as in QEMU. Left out: the bus master bit as a gate for DMA.

import type { AccessSize } from '../../../cpu/bus.js';
import { allOnes } from '../../address-space.js';
import type { MmioHandler, Plain, PortHandler } from '../../device.js';
import { MSIX_BAR_SIZE, MSIX_CAPABILITY, MSIX_CONTROL_WRITABLE, Msix } from '../pci/msix.js';
import { type BarMapping, PciFunction } from '../pci/pci-function.js';
import type { VirtioDevice } from './virtio-device.js';
import { LegacyRegisters, legacyBarSize, NO_VECTOR, type Vectors, type VirtioTransport } from './virtio-pci-legacy.js';
import { ModernRegisters } from './virtio-pci-modern.js';

export const LEGACY_BAR = 0;
export const MSIX_BAR = 1;
export const MODERN_BAR = 4;
export const MODERN_SIZE = 0x4000;

/** Places of the structures in BAR 4. */
const COMMON = 0x0000;
const ISR = 0x1000;
const DEVICE = 0x2000;
const NOTIFY = 0x3000;
const STRUCTURE = 0x1000;
const NOTIFY_MULTIPLIER = 4;

const VENDOR_CAPABILITY = 0x09;
const MSIX_PLACE = 0x98;
const WINDOW_PLACE = 0x84;
const WINDOW_OFFSET = WINDOW_PLACE + 8;
const WINDOW_LENGTH = WINDOW_PLACE + 12;
const WINDOW_DATA = WINDOW_PLACE + 16;
const CAPABILITIES_END = 0xa4;

/** PCI device and class code of a transitional function, and the size of the configuration, by device type. */
const KINDS: Readonly<Record<number, { id: number; classCode: number; configSize: number }>> = {
  2: { id: 0x1001, classCode: 0x010000, configSize: 60 },
  3: { id: 0x1003, classCode: 0x078000, configSize: 12 },
  4: { id: 0x1005, classCode: 0x00ff00, configSize: 0 },
};

export interface VirtioPciWiring {
  /** An interrupt message: a write of `data` to `address`. */
  message: (address: number, data: number) => void;
  /** Where the three BARs are, or nowhere. */
  map: (bar: number) => BarMapping;
}

/** A virtio device behind a PCI function. */
export class VirtioPci extends PciFunction {
  readonly device: VirtioDevice;
  readonly msix: Msix;
  readonly legacy: PortHandler;
  readonly modern: MmioHandler;
  readonly #transport: VirtioTransport;
  readonly #common: ModernRegisters;
  readonly #vectors: Vectors;

  /** @throws RangeError for a kind of device that has no transitional function here */
  constructor(name: string, device: VirtioDevice, wiring: VirtioPciWiring) {
    const kind = KINDS[device.deviceId];
    if (kind === undefined) throw new RangeError(`no PCI function for virtio device type ${device.deviceId}`);
    super(name, {
      vendor: 0x1af4,
      device: kind.id,
      classCode: kind.classCode,
      subsystemDevice: device.deviceId,
      interruptPin: 1,
    });
    this.device = device;
    this.msix = new Msix(device.queues.length + 1, wiring.message);
    this.#vectors = { config: NO_VECTOR, queues: new Map() };
    this.#transport = {
      device,
      queue: 0,
      vectors: this.#vectors,
      vectorCount: this.msix.vectors,
      readIsr: () => this.#readIsr(),
      wasReset: () => this.#deviceWasReset(),
    };
    this.legacy = new LegacyRegisters(this.#transport, () => this.msix.enabled);
    this.#common = new ModernRegisters(this.#transport);
    this.modern = {
      mmioRead: (offset, size) => this.#readModern(offset, size),
      mmioWrite: (offset, size, value) => this.#writeModern(offset, size, value),
    };
    device.connect((queue) => this.#interrupt(queue));
    this.addBar(LEGACY_BAR, { space: 'io', size: legacyBarSize(kind.configSize) }, wiring.map(LEGACY_BAR));
    this.addBar(MSIX_BAR, { space: 'memory', size: MSIX_BAR_SIZE }, wiring.map(MSIX_BAR));
    this.addBar(
      MODERN_BAR,
      { space: 'memory', size: MODERN_SIZE, prefetchable: true, addressBits: 64 },
      wiring.map(MODERN_BAR),
    );
    this.#addCapabilities();
  }

  override reset(): void {
    super.reset();
    this.msix.reset();
    this.device.reset();
    this.#deviceWasReset();
    this.#common.reset();
  }

  override configRead(offset: number, size: AccessSize): number {
    const window = this.#window(offset, size);
    if (window !== undefined) {
      const value = this.#readModern(window.offset, window.length);
      for (let byte = 0; byte < window.length; byte++) this.config[WINDOW_DATA + byte] = value >>> (8 * byte);
    }
    return super.configRead(offset, size);
  }

  protected override configWritten(offset: number, size: number): void {
    if (offset <= MSIX_PLACE + 3 && offset + size > MSIX_PLACE + 3) {
      this.msix.setControl(this.config[MSIX_PLACE + 3]!);
      // Messages take the wire's place.
      if (this.msix.enabled) this.setIrq(false);
    }
    const window = this.#window(offset, size);
    if (window === undefined) return;
    let value = 0;
    for (let byte = window.length - 1; byte >= 0; byte--) value = (value << 8) | this.config[WINDOW_DATA + byte]!;
    this.#writeModern(window.offset, window.length, value >>> 0);
  }

  protected override saveInner(): Plain {
    return {
      device: this.device.save(),
      msix: this.msix.save(),
      queue: this.#transport.queue,
      common: this.#common.save(),
      vectors: { config: this.#vectors.config, queues: [...this.#vectors.queues].map((pair) => [...pair]) },
    };
  }

  protected override loadInner(state: Plain): void {
    const s = state as unknown as {
      device: Plain;
      msix: Plain;
      queue: number;
      common: Plain;
      vectors: { config: number; queues: [number, number][] };
    };
    this.device.load(s.device);
    this.msix.load(s.msix);
    this.#transport.queue = s.queue;
    this.#common.load(s.common);
    this.#setVectors(s.vectors.config, s.vectors.queues);
  }

  /** The structures in the order of QEMU's list, which runs from the last to the first. */
  #addCapabilities(): void {
    this.writeMask.fill(0, 0x40, CAPABILITIES_END);
    const structure = (at: number, next: number, type: number, offset: number, ...rest: readonly number[]) => {
      const where = [MODERN_BAR, 0, 0, 0, ...bytes32(offset), ...bytes32(STRUCTURE)];
      this.setInitial(at, [VENDOR_CAPABILITY, next, 16 + rest.length, type, ...where, ...rest]);
    };
    structure(0x40, 0x00, 1, COMMON);
    structure(0x50, 0x40, 3, ISR);
    structure(0x60, 0x50, 4, DEVICE);
    structure(0x70, 0x60, 2, NOTIFY, ...bytes32(NOTIFY_MULTIPLIER));
    this.setInitial(WINDOW_PLACE, [VENDOR_CAPABILITY, 0x70, 20, 5]);
    this.writeMask.fill(0xff, WINDOW_PLACE + 4, WINDOW_PLACE + 5);
    this.writeMask.fill(0xff, WINDOW_OFFSET, WINDOW_DATA + 4);
    this.setInitial(MSIX_PLACE, [MSIX_CAPABILITY, WINDOW_PLACE, ...this.msix.capability(MSIX_BAR)]);
    this.writeMask[MSIX_PLACE + 3] = MSIX_CONTROL_WRITABLE;
    this.setInitial(0x34, [MSIX_PLACE]);
    this.setInitial(0x06, [0x10]);
  }

  /** What an access of configuration space means for BAR 4, if it touches the window. */
  #window(offset: number, size: number): { offset: number; length: AccessSize } | undefined {
    if (offset + size <= WINDOW_DATA || offset >= WINDOW_DATA + 4) return undefined;
    const view = new DataView(this.config.buffer);
    const length = view.getUint32(WINDOW_LENGTH, true);
    if (length !== 1 && length !== 2 && length !== 4) return undefined;
    return { offset: (view.getUint32(WINDOW_OFFSET, true) & -length) >>> 0, length };
  }

  #readModern(offset: number, size: AccessSize): number {
    const within = offset & (STRUCTURE - 1);
    switch (offset - within) {
      case COMMON:
        return (this.#common.read(within) & allOnes(size)) >>> 0;
      case ISR:
        return this.#readIsr();
      case DEVICE:
        return this.device.readConfig(within, size);
      default:
        return 0;
    }
  }

  #writeModern(offset: number, size: AccessSize, value: number): void {
    const within = offset & (STRUCTURE - 1);
    switch (offset - within) {
      case COMMON:
        this.#common.write(within, value);
        break;
      case DEVICE:
        this.device.writeConfig(within, size, value);
        break;
      case NOTIFY:
        this.device.notify(Math.floor(within / NOTIFY_MULTIPLIER));
        break;
    }
  }

  /** Reading takes the interrupt back. */
  #readIsr(): number {
    const { isr } = this.device;
    this.device.acknowledgeIsr(0xff);
    this.setIrq(false);
    return isr;
  }

  #interrupt(queue: number | undefined): void {
    const { isr } = this.device;
    if (!this.msix.enabled) this.setIrq((isr & 1) !== 0);
    // A reset clears the status, and no message tells of it.
    else if (isr !== 0) {
      const { config, queues } = this.#vectors;
      this.msix.notify(queue === undefined ? config : (queues.get(queue) ?? NO_VECTOR));
    }
  }

  #deviceWasReset(): void {
    this.#setVectors(NO_VECTOR, []);
    this.#transport.queue = 0;
    this.#common.forgetQueues();
  }

  #setVectors(config: number, queues: readonly (readonly [number, number])[]): void {
    this.#vectors.config = config;
    this.#vectors.queues.clear();
    for (const [queue, vector] of queues) this.#vectors.queues.set(queue, vector);
  }
}

const bytes32 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
