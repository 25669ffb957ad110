// The common configuration structure of Virtio 1 (Virtio 1.2, 4.1.4.3): features in halves, queues one at a time. A queue
// is planned register by register and takes effect when it is enabled, as in QEMU 7.2.

import type { Plain } from '../../device.js';
import { STATUS_FEATURES_OK } from './virtio-device.js';
import { knownVector, NO_VECTOR, type VirtioTransport } from './virtio-pci-legacy.js';
import { MAX_DESCRIPTORS } from './virtqueue.js';

/** Registers, by offset. */
const R = {
  DEVICE_FEATURE_SELECT: 0x00,
  DEVICE_FEATURE: 0x04,
  DRIVER_FEATURE_SELECT: 0x08,
  DRIVER_FEATURE: 0x0c,
  MSIX_CONFIG: 0x10,
  NUM_QUEUES: 0x12,
  DEVICE_STATUS: 0x14,
  CONFIG_GENERATION: 0x15,
  QUEUE_SELECT: 0x16,
  QUEUE_SIZE: 0x18,
  QUEUE_MSIX_VECTOR: 0x1a,
  QUEUE_ENABLE: 0x1c,
  QUEUE_NOTIFY_OFF: 0x1e,
  /** Halves of the three addresses: descriptors, driver's ring, device's ring. */
  QUEUE_DESC: 0x20,
  QUEUE_END: 0x38,
  QUEUE_RESET: 0x3a,
} as const;

/** A queue as its registers describe it. */
interface PlannedQueue {
  size: number;
  halves: number[];
  enabled: boolean;
}

interface ModernState {
  deviceFeatureSelect: number;
  driverFeatureSelect: number;
  driverFeatures: number[];
  /** By number: software may describe queues that do not exist. */
  planned: Map<number, PlannedQueue>;
}

const emptyQueue = (): PlannedQueue => ({ size: 0, halves: [0, 0, 0, 0, 0, 0], enabled: false });

export class ModernRegisters {
  readonly #transport: VirtioTransport;
  #state: ModernState;

  constructor(transport: VirtioTransport) {
    this.#transport = transport;
    this.#state = this.#initial();
  }

  reset(): void {
    this.#state = this.#initial();
  }

  /** The device was reset: the driver has to describe the queues again. */
  forgetQueues(): void {
    this.#state.planned = new Map();
  }

  read(offset: number): number {
    const { device, vectors } = this.#transport;
    const s = this.#state;
    const queue = device.queues[this.#transport.queue];
    const planned = s.planned.get(this.#transport.queue);
    switch (offset) {
      case R.DEVICE_FEATURE_SELECT:
        return s.deviceFeatureSelect;
      case R.DEVICE_FEATURE:
        return s.deviceFeatureSelect > 1 ? 0 : half(device.modernFeatures, s.deviceFeatureSelect);
      case R.DRIVER_FEATURE_SELECT:
        return s.driverFeatureSelect;
      case R.DRIVER_FEATURE:
        return s.driverFeatures[s.driverFeatureSelect] ?? 0;
      case R.MSIX_CONFIG:
        return vectors.config;
      case R.NUM_QUEUES:
        return device.queues.length;
      case R.DEVICE_STATUS:
        return device.status;
      case R.CONFIG_GENERATION:
        return device.generation & 0xff;
      case R.QUEUE_SELECT:
        return this.#transport.queue;
      case R.QUEUE_SIZE:
        return queue?.size ?? 0;
      case R.QUEUE_MSIX_VECTOR:
        return vectors.queues.get(this.#transport.queue) ?? NO_VECTOR;
      case R.QUEUE_ENABLE:
        return planned?.enabled ? 1 : 0;
      case R.QUEUE_NOTIFY_OFF:
        // Each queue has an address of its own.
        return this.#transport.queue;
      default:
        if (offset < R.QUEUE_DESC || offset >= R.QUEUE_END || offset % 4 !== 0) return 0;
        return planned?.halves[(offset - R.QUEUE_DESC) / 4] ?? 0;
    }
  }

  write(offset: number, value: number): void {
    const { device, vectors, vectorCount } = this.#transport;
    const s = this.#state;
    const queue = device.queues[this.#transport.queue];
    const planned = this.#planned();
    switch (offset) {
      case R.DEVICE_FEATURE_SELECT:
        s.deviceFeatureSelect = value;
        break;
      case R.DRIVER_FEATURE_SELECT:
        s.driverFeatureSelect = value;
        break;
      case R.DRIVER_FEATURE:
        if (s.driverFeatureSelect > 1) break;
        s.driverFeatures[s.driverFeatureSelect] = value;
        if (!(device.status & STATUS_FEATURES_OK)) {
          const [low, high] = s.driverFeatures as [number, number];
          device.setFeatures((BigInt(high) << 32n) | BigInt(low), device.modernFeatures);
        }
        break;
      case R.MSIX_CONFIG:
        vectors.config = knownVector(value, vectorCount);
        break;
      case R.DEVICE_STATUS:
        device.setStatus(value & 0xff);
        if ((value & 0xff) === 0) this.#transport.wasReset();
        break;
      case R.QUEUE_SELECT:
        if (value < MAX_DESCRIPTORS) this.#transport.queue = value;
        break;
      case R.QUEUE_SIZE:
        planned.size = value & 0xffff;
        queue?.setSize(value & 0xffff);
        break;
      case R.QUEUE_MSIX_VECTOR:
        vectors.queues.set(this.#transport.queue, knownVector(value & 0xffff, vectorCount));
        break;
      case R.QUEUE_ENABLE:
        if (value === 1) this.#enable(planned);
        break;
      case R.QUEUE_RESET:
        if (value === 1) {
          queue?.reset();
          planned.enabled = false;
        }
        break;
      default:
        if (offset >= R.QUEUE_DESC && offset < R.QUEUE_END && offset % 4 === 0)
          planned.halves[(offset - R.QUEUE_DESC) / 4] = value;
    }
  }

  save(): Plain {
    return { ...structuredClone(this.#state), planned: [...structuredClone(this.#state.planned)] } as unknown as Plain;
  }

  load(state: Plain): void {
    const saved = structuredClone(state) as unknown as Omit<ModernState, 'planned'> & {
      planned: [number, PlannedQueue][];
    };
    this.#state = { ...saved, planned: new Map(saved.planned) };
  }

  /** The selected queue's registers. */
  #planned(): PlannedQueue {
    const { queue } = this.#transport;
    let planned = this.#state.planned.get(queue);
    if (planned === undefined) {
      planned = emptyQueue();
      this.#state.planned.set(queue, planned);
    }
    return planned;
  }

  #enable(planned: PlannedQueue): void {
    const queue = this.#transport.device.queues[this.#transport.queue];
    const address = (n: number): number => planned.halves[2 * n]! + planned.halves[2 * n + 1]! * 2 ** 32;
    queue?.setSize(planned.size);
    queue?.setRings(address(0), address(1), address(2));
    planned.enabled = true;
  }

  #initial(): ModernState {
    return {
      deviceFeatureSelect: 0,
      driverFeatureSelect: 0,
      driverFeatures: [0, 0],
      planned: new Map(),
    };
  }
}

const half = (bits: bigint, select: number): number => Number((bits >> BigInt(32 * select)) & 0xffff_ffffn);
