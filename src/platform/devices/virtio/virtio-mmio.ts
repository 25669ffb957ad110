// The virtio-mmio transport (Virtio 1.2, 4.2), as QEMU 7.2's microvm has it: by default the legacy interface
// (force-legacy=true), else that of Virtio 1. 512 bytes of registers, the device's configuration from 0x100 on; one
// level-triggered interrupt. Without a device a slot has magic, version and vendor, and a device ID of 0.
//
// Registers are 32 bits wide and take no other access; those of the other interface read as 0 and drop writes.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Device, Line, MmioHandler, Plain } from '../../device.js';
import { STATUS_FEATURES_OK, type VirtioDevice } from './virtio-device.js';
import { MAX_DESCRIPTORS } from './virtqueue.js';

export const VIRTIO_MMIO_BASE = 0xfeb0_0000;
export const VIRTIO_MMIO_SIZE = 0x200;

const MAGIC = 0x7472_6976;
const VENDOR = 0x554d_4551;
const CONFIG = 0x100;
const MAX_QUEUES = 1024;

/** Registers, by offset. */
const R = {
  MAGIC: 0x00,
  VERSION: 0x04,
  DEVICE_ID: 0x08,
  VENDOR_ID: 0x0c,
  DEVICE_FEATURES: 0x10,
  DEVICE_FEATURES_SEL: 0x14,
  DRIVER_FEATURES: 0x20,
  DRIVER_FEATURES_SEL: 0x24,
  GUEST_PAGE_SIZE: 0x28,
  QUEUE_SEL: 0x30,
  QUEUE_NUM_MAX: 0x34,
  QUEUE_NUM: 0x38,
  QUEUE_ALIGN: 0x3c,
  QUEUE_PFN: 0x40,
  QUEUE_READY: 0x44,
  QUEUE_NOTIFY: 0x50,
  INTERRUPT_STATUS: 0x60,
  INTERRUPT_ACK: 0x64,
  STATUS: 0x70,
  QUEUE_DESC_LOW: 0x80,
  QUEUE_DESC_HIGH: 0x84,
  QUEUE_DRIVER_LOW: 0x90,
  QUEUE_DRIVER_HIGH: 0x94,
  QUEUE_DEVICE_LOW: 0xa0,
  QUEUE_DEVICE_HIGH: 0xa4,
  SHM_LEN_LOW: 0xb0,
  SHM_LEN_HIGH: 0xb4,
  CONFIG_GENERATION: 0xfc,
} as const;

/** Halves of a queue's three addresses, in the order of their registers. */
const ADDRESS_REGISTERS: readonly number[] = [
  R.QUEUE_DESC_LOW,
  R.QUEUE_DESC_HIGH,
  R.QUEUE_DRIVER_LOW,
  R.QUEUE_DRIVER_HIGH,
  R.QUEUE_DEVICE_LOW,
  R.QUEUE_DEVICE_HIGH,
];

/** A queue as the registers of Virtio 1 describe it, before it is made ready. */
interface PlannedQueue {
  size: number;
  halves: number[];
  ready: boolean;
}

interface MmioState {
  deviceFeaturesSel: number;
  driverFeaturesSel: number;
  driverFeatures: number[];
  pageShift: number;
  queueSel: number;
  planned: PlannedQueue[];
}

const clone = (s: MmioState): MmioState => ({
  ...s,
  driverFeatures: [...s.driverFeatures],
  planned: s.planned.map((queue) => ({ ...queue, halves: [...queue.halves] })),
});

/** A slot that nothing is plugged into. */
export const EMPTY_VIRTIO_SLOT = (legacy: boolean): MmioHandler => ({
  mmioRead: (offset) =>
    offset === R.MAGIC || offset === R.VERSION || offset === R.VENDOR_ID ? fixed(offset, legacy) : 0,
  mmioWrite: () => {},
});

function fixed(offset: number, legacy: boolean): number {
  return offset === R.MAGIC ? MAGIC : offset === R.VERSION ? (legacy ? 1 : 2) : VENDOR;
}

/** A slot with a device. */
export class VirtioMmio implements Device, MmioHandler {
  readonly name: string;
  private state: MmioState;

  /** @param slot number of the slot, for the name */
  constructor(
    readonly slot: number,
    readonly device: VirtioDevice,
    private readonly irq: Line,
    private readonly legacy = true,
  ) {
    this.name = `virtio-mmio.${slot}`;
    this.state = this.initial();
    device.connect(() => this.irq(device.isr !== 0));
  }

  reset(): void {
    this.device.reset();
    this.state = this.initial();
  }

  mmioRead(offset: number, size: AccessSize): number {
    if (offset >= CONFIG) return this.device.readConfig(offset - CONFIG, size);
    if (size !== 4) return 0;
    const { device, legacy, state: s } = this;
    const queue = device.queues[s.queueSel];
    switch (offset) {
      case R.MAGIC:
      case R.VERSION:
      case R.VENDOR_ID:
        return fixed(offset, legacy);
      case R.DEVICE_ID:
        return device.deviceId;
      case R.DEVICE_FEATURES:
        return Number((this.offered >> BigInt(32 * s.deviceFeaturesSel)) & 0xffff_ffffn);
      case R.QUEUE_NUM_MAX:
        return queue?.size ? MAX_DESCRIPTORS : 0;
      case R.QUEUE_PFN:
        return legacy && queue ? Math.floor(queue.descriptorTable / 2 ** s.pageShift) % 2 ** 32 : 0;
      case R.QUEUE_READY:
        return legacy || !s.planned[s.queueSel]?.ready ? 0 : 1;
      case R.INTERRUPT_STATUS:
        return device.isr;
      case R.STATUS:
        return device.status;
      case R.CONFIG_GENERATION:
        return legacy ? 0 : device.generation;
      case R.SHM_LEN_LOW: // there is no shared memory
      case R.SHM_LEN_HIGH:
        return 0xffff_ffff;
      default:
        return 0;
    }
  }

  mmioWrite(offset: number, size: AccessSize, value: number): void {
    if (offset >= CONFIG) {
      this.device.writeConfig(offset - CONFIG, size, value);
      return;
    }
    if (size !== 4) return;
    const { device, state: s } = this;
    switch (offset) {
      case R.DEVICE_FEATURES_SEL:
        s.deviceFeaturesSel = value === 0 ? 0 : 1;
        break;
      case R.DRIVER_FEATURES_SEL:
        s.driverFeaturesSel = value === 0 ? 0 : 1;
        break;
      case R.DRIVER_FEATURES:
        if (!this.legacy) s.driverFeatures[s.driverFeaturesSel] = value;
        else if (s.driverFeaturesSel === 0) device.setFeatures(BigInt(value), this.offered);
        break;
      case R.QUEUE_SEL:
        if (value < MAX_QUEUES) s.queueSel = value;
        break;
      case R.QUEUE_NOTIFY:
        device.notify(value);
        break;
      case R.INTERRUPT_ACK:
        device.acknowledgeIsr(value);
        this.irq(device.isr !== 0);
        break;
      case R.STATUS:
        this.setStatus(value & 0xff);
        break;
      default:
        if (this.legacy) this.writeLegacy(offset, value);
        else this.writeModern(offset, value);
    }
  }

  save(): Plain {
    return { ...clone(this.state), device: this.device.save() } as unknown as Plain;
  }

  /** The line is not driven: what it is connected to saves its own inputs. */
  load(state: Plain): void {
    const { device, ...own } = state as unknown as MmioState & { device: Plain };
    this.state = clone(own);
    this.device.load(device);
  }

  private get offered(): bigint {
    return this.legacy ? this.device.legacyFeatures : this.device.modernFeatures;
  }

  private initial(): MmioState {
    const planned = this.legacy
      ? []
      : this.device.queues.map(() => ({ size: 0, halves: [0, 0, 0, 0, 0, 0], ready: false }));
    return {
      deviceFeaturesSel: 0,
      driverFeaturesSel: 0,
      driverFeatures: [0, 0],
      pageShift: 0,
      queueSel: 0,
      planned,
    };
  }

  private setStatus(status: number): void {
    const { device, state: s } = this;
    if (!this.legacy && status & STATUS_FEATURES_OK) {
      const [low, high] = s.driverFeatures as [number, number];
      device.setFeatures((BigInt(high) << 32n) | BigInt(low), this.offered);
    }
    device.setStatus(status);
    if (status === 0) this.deviceWasReset();
  }

  /** A driver's reset takes the selected queue back with it. */
  private deviceWasReset(): void {
    this.state.queueSel = 0;
    for (const queue of this.state.planned) queue.ready = false;
  }

  private writeLegacy(offset: number, value: number): void {
    const { device, state: s } = this;
    const queue = device.queues[s.queueSel];
    switch (offset) {
      case R.GUEST_PAGE_SIZE:
        // Its lowest bit set counts; 0 has none.
        s.pageShift = value === 0 ? 0 : 31 - Math.clz32(value & -value);
        break;
      case R.QUEUE_NUM:
        queue?.setSize(value);
        if (queue?.hasRings) queue.setLegacyRings(queue.descriptorTable);
        break;
      case R.QUEUE_ALIGN:
        queue?.setLegacyAlign(value);
        break;
      case R.QUEUE_PFN:
        if (value !== 0) queue?.setLegacyRings(value * 2 ** s.pageShift);
        else {
          device.reset();
          this.deviceWasReset();
        }
        break;
    }
  }

  private writeModern(offset: number, value: number): void {
    const { device, state: s } = this;
    const planned = s.planned[s.queueSel];
    const queue = device.queues[s.queueSel];
    if (!planned || !queue) return;
    const half = ADDRESS_REGISTERS.indexOf(offset);
    if (half >= 0) planned.halves[half] = value;
    else if (offset === R.QUEUE_NUM) {
      queue.setSize(value);
      planned.size = value;
    } else if (offset === R.QUEUE_READY) {
      planned.ready = value !== 0;
      if (!planned.ready) return;
      const address = (n: number) => planned.halves[2 * n]! + planned.halves[2 * n + 1]! * 2 ** 32;
      queue.setSize(planned.size);
      queue.setRings(address(0), address(1), address(2));
    }
  }
}
