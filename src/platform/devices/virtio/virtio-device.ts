// What every virtio device has, whatever bus it sits on (Virtio 1.2, chapter 2): status, feature negotiation, queues,
// configuration space, interrupt status. A transport (virtio-mmio.ts, or a PCI function) gives the driver its registers
// for it and hears of interrupts.
//
// Invariant: a device whose driver broke a rule is dead until it is reset (`broken`), and says so where the driver knows
// Virtio 1. One notification handles no more buffers than the queue has entries. Feature bits offered are QEMU 7.2's.

import type { AccessSize, GuestMemory } from '../../../cpu/bus.js';
import { allOnes } from '../../address-space.js';
import type { Plain } from '../../device.js';
import { Virtqueue, type VirtqueueBuffer, VirtqueueError } from './virtqueue.js';

/** Device status (2.1). */
export const STATUS_DRIVER_OK = 4;
export const STATUS_FEATURES_OK = 8;
export const STATUS_NEEDS_RESET = 0x40;

/** Feature bits of the queues and of the transport (6). */
export const F_NOTIFY_ON_EMPTY = 1n << 24n;
export const F_ANY_LAYOUT = 1n << 27n;
export const F_INDIRECT_DESC = 1n << 28n;
export const F_BAD_FEATURE = 1n << 30n;
export const F_EVENT_IDX = 1n << 29n;
export const F_VERSION_1 = 1n << 32n;
export const F_RING_RESET = 1n << 40n;

/** Interrupt status (4.2.2): a queue has used buffers; the configuration changed. */
export const ISR_QUEUE = 1;
export const ISR_CONFIG = 2;

/** What a device tells its transport: something happened to this queue, or, without one, to the configuration. */
export type VirtioInterrupt = (queue: number | undefined) => void;

interface CommonState {
  status: number;
  features: bigint;
  isr: number;
  generation: number;
  broken: boolean;
}

const initialState = (): CommonState => ({ status: 0, features: 0n, isr: 0, generation: 0, broken: false });

/** A device behind a transport. Subclasses add queues with addQueue() and handle buffers. */
export abstract class VirtioDevice {
  /** Device type (5): 2 block, 3 console, 4 entropy. */
  abstract readonly deviceId: number;
  /** For people and for saved states: `virtio-blk`. */
  abstract readonly name: string;
  readonly queues: Virtqueue[] = [];
  /** Own feature bits; those of queues and transport are added. */
  protected readonly ownFeatures: bigint = 0n;
  /** Own feature bits that only legacy drivers are offered. */
  protected readonly ownLegacyFeatures: bigint = 0n;
  /** Configuration space as it reads now. */
  protected abstract config(): Uint8Array;

  private common = initialState();
  private interrupt: VirtioInterrupt = () => {};

  protected constructor(protected readonly memory: GuestMemory) {}

  /** Wiring: who hears of interrupts. */
  connect(interrupt: VirtioInterrupt): void {
    this.interrupt = interrupt;
  }

  get status(): number {
    return this.common.status;
  }
  get isr(): number {
    return this.common.isr;
  }
  get generation(): number {
    return this.common.generation;
  }
  /** What the driver took of the features. */
  get features(): bigint {
    return this.common.features;
  }
  get broken(): boolean {
    return this.common.broken;
  }

  /** What a legacy driver is offered; 32 bits. */
  get legacyFeatures(): bigint {
    const any = this.anyLayout ? F_ANY_LAYOUT : 0n;
    return this.ownFeatures | this.ownLegacyFeatures | F_INDIRECT_DESC | F_EVENT_IDX | F_NOTIFY_ON_EMPTY | any;
  }

  /** What a legacy driver is offered by a device that knows Virtio 1 as well; 32 bits. */
  get transitionalFeatures(): bigint {
    const queues = F_INDIRECT_DESC | F_EVENT_IDX | F_NOTIFY_ON_EMPTY;
    return this.ownFeatures | queues | F_ANY_LAYOUT | F_BAD_FEATURE;
  }

  /** What a Virtio 1 driver is offered. */
  get modernFeatures(): bigint {
    return this.ownFeatures | F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1 | F_RING_RESET;
  }

  /** The device takes headers that are cut in any way. */
  protected get anyLayout(): boolean {
    return true;
  }

  hasFeature(bit: bigint): boolean {
    return (this.common.features & bit) !== 0n;
  }

  /** The driver's choice of `offered`; too late once it has said FEATURES_OK. */
  setFeatures(wanted: bigint, offered: bigint): void {
    if (this.common.status & STATUS_FEATURES_OK) return;
    this.common.features = wanted & offered;
    for (const queue of this.queues) {
      queue.eventIndex = this.hasFeature(F_EVENT_IDX);
      queue.notifyOnEmpty = this.hasFeature(F_NOTIFY_ON_EMPTY);
    }
  }

  /** 0 resets the device. */
  setStatus(status: number): void {
    if (status === 0) {
      this.reset();
      return;
    }
    const ready = (status & STATUS_DRIVER_OK & ~this.common.status) !== 0;
    this.common.status = status;
    if (ready) this.driverReady();
  }

  acknowledgeIsr(bits: number): void {
    this.common.isr &= ~bits;
  }

  /** Reading the configuration past its end gives ones. */
  readConfig(offset: number, size: AccessSize): number {
    const data = this.config();
    if (offset + size > data.length) return allOnes(size);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | data[offset + i]!;
    return value >>> 0;
  }

  writeConfig(offset: number, size: AccessSize, value: number): void {
    const data = this.config();
    if (offset + size > data.length) return;
    for (let i = 0; i < size; i++) data[offset + i] = value >>> (8 * i);
    this.guarded(() => this.configWritten(data, offset, size));
  }

  /** The driver has made buffers available. */
  notify(index: number): void {
    const queue = this.queues[index];
    if (queue?.hasRings && !this.common.broken) this.guarded(() => this.handle(index, queue));
  }

  /** Back to the state after power-on; also what a driver's reset does. */
  reset(): void {
    this.common = initialState();
    for (const queue of this.queues) queue.reset();
    this.resetOwn();
    this.interrupt(undefined);
  }

  save(): Plain {
    return { ...this.common, queues: this.queues.map((queue) => queue.save()), own: this.saveOwn() };
  }

  load(state: Plain): void {
    const { queues, own, ...common } = state as unknown as CommonState & { queues: Plain[]; own: Plain };
    this.common = { ...common };
    this.queues.forEach((queue, i) => {
      queue.load(queues[i]!);
    });
    this.loadOwn(own);
  }

  protected addQueue(size: number): Virtqueue {
    const queue = new Virtqueue(this.memory, size);
    this.queues.push(queue);
    return queue;
  }

  /** Work on a queue that was notified. @throws VirtqueueError */
  protected abstract handle(index: number, queue: Virtqueue): void;
  protected configWritten(_data: Uint8Array, _offset: number, _size: number): void {}
  protected driverReady(): void {}
  protected resetOwn(): void {}
  protected saveOwn(): Plain {
    return null;
  }
  protected loadOwn(_state: Plain): void {}

  /** Each buffer that is there now, at most as many as the queue has entries: the ring may lie in a buffer of its own. */
  protected *buffers(queue: Virtqueue): Generator<VirtqueueBuffer> {
    for (let n = queue.size; n > 0; n--) {
      const buffer = queue.pop();
      if (buffer === undefined) return;
      yield buffer;
    }
  }

  /** Give a buffer back and interrupt if that is wanted. */
  protected complete(index: number, buffer: VirtqueueBuffer, written: number): void {
    const queue = this.queues[index]!;
    queue.push(buffer, written);
    if (!queue.wantsInterrupt()) return;
    this.common.isr |= ISR_QUEUE;
    this.interrupt(index);
  }

  protected configChanged(): void {
    if (!(this.common.status & STATUS_DRIVER_OK)) return;
    this.common.isr |= ISR_QUEUE | ISR_CONFIG;
    this.common.generation = (this.common.generation + 1) >>> 0;
    this.interrupt(undefined);
  }

  /** Run a device's own work; a rule broken by the driver ends it. */
  protected guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof VirtqueueError)) throw error;
      this.common.broken = true;
      if (!this.hasFeature(F_VERSION_1)) return;
      this.common.status |= STATUS_NEEDS_RESET;
      this.configChanged();
    }
  }
}
