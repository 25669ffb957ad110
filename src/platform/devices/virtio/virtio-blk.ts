// The virtio block device (Virtio 1.2, 5.2) as QEMU 7.2 makes it from a raw image: one queue of 256 entries, 512-byte
// blocks, features and configuration to the bit. A request is done within the notification: disks here take no time.
//
// Invariants: no request moves more than MAX_TRANSFER bytes, and no more than 1 MiB of it is held at a time. Discarding
// changes nothing, as with QEMU's default (discard=ignore). Left out: SCSI commands, which QEMU refuses as well, and zones.

import type { GuestMemory } from '../../../cpu/bus.js';
import { type DiskGeometry, guessGeometry } from '../../block/disk-geometry.js';
import type { Plain } from '../../device.js';
import { VirtioDevice } from './virtio-device.js';
import { bufferLength, type Virtqueue, type VirtqueueBuffer, VirtqueueError } from './virtqueue.js';

/** Where the blocks are. All numbers are in sectors of 512 bytes. */
export interface BlockStore {
  readonly sectors: number;
  read(sector: number, count: number): Uint8Array;
  /** `data` is a whole number of sectors. */
  write(sector: number, data: Uint8Array): void;
  /** What was written; part of the device's state, where it is not part of another's. */
  save?(): Plain;
  load?(state: Plain): void;
}

export const SECTOR = 512;

const F_SEG_MAX = 1n << 2n;
const F_GEOMETRY = 1n << 4n;
const F_BLK_SIZE = 1n << 6n;
const F_SCSI = 1n << 7n;
const F_FLUSH = 1n << 9n;
const F_TOPOLOGY = 1n << 10n;
const F_CONFIG_WCE = 1n << 11n;
const F_DISCARD = 1n << 13n;
const F_WRITE_ZEROES = 1n << 14n;

const T_OUT = 1;
const T_SCSI = 2;
const T_FLUSH = 4;
const T_GET_ID = 8;
const T_DISCARD = 11;
const T_WRITE_ZEROES = 13;
/** A write bit, and one that asked for a barrier before Virtio 1. */
const T_MODIFIERS = 0x8000_0001;

const S_OK = 0;
const S_IOERR = 1;
const S_UNSUPP = 2;

const HEADER = 16;
const ID_LENGTH = 20;
const RANGE = 16;
const UNMAP = 1;
const QUEUE_SIZE = 256;
const CONFIG_SIZE = 57;
const CONFIG_WCE_OFFSET = 32;
/** Sectors that one discard or write of zeros may name. */
const MAX_RANGE = 0x3f_ffff;
const MAX_TRANSFER = 64 << 20;
const PIECE = 1 << 20;

export class VirtioBlk extends VirtioDevice {
  readonly deviceId = 2;
  readonly name = 'virtio-blk';
  protected override readonly ownFeatures =
    F_SEG_MAX | F_GEOMETRY | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE | F_DISCARD | F_WRITE_ZEROES;
  protected override readonly ownLegacyFeatures = F_SCSI;
  private readonly geometry: DiskGeometry;
  private writeCache = true;

  /** @param serial what the driver reads as the device's ID; at most 20 characters */
  constructor(
    memory: GuestMemory,
    private readonly store: BlockStore,
    private readonly serial = '',
  ) {
    super(memory);
    this.geometry = guessGeometry(store);
    this.addQueue(QUEUE_SIZE);
  }

  protected override get anyLayout(): boolean {
    return false;
  }

  protected config(): Uint8Array {
    const data = new Uint8Array(CONFIG_SIZE);
    const view = new DataView(data.buffer);
    const { sectors } = this.store;
    view.setBigUint64(0, BigInt(sectors), true);
    view.setUint32(12, QUEUE_SIZE - 2, true); // segments of a request
    view.setUint16(16, this.geometry.cylinders, true);
    data[18] = this.geometry.heads;
    data[19] = this.geometry.sectors;
    view.setUint32(20, SECTOR, true);
    data[CONFIG_WCE_OFFSET] = this.writeCache ? 1 : 0;
    view.setUint16(34, 1, true); // queues
    view.setUint32(36, MAX_RANGE, true);
    view.setUint32(40, 1, true); // ranges of a discard, its alignment
    view.setUint32(44, 1, true);
    view.setUint32(48, MAX_RANGE, true);
    view.setUint32(52, 1, true);
    data[56] = 1; // writing zeros may unmap
    return data;
  }

  protected override configWritten(data: Uint8Array): void {
    this.writeCache = data[CONFIG_WCE_OFFSET] !== 0;
  }

  /** A driver that cannot say what it wants of the cache is taken at its word about flushing. */
  protected override driverReady(): void {
    if (!this.hasFeature(F_CONFIG_WCE)) this.writeCache = this.hasFeature(F_FLUSH);
  }

  protected override resetOwn(): void {
    this.writeCache = true;
  }

  protected override saveOwn(): Plain {
    return { writeCache: this.writeCache, store: this.store.save?.() ?? null };
  }

  protected override loadOwn(state: Plain): void {
    const { writeCache, store } = state as { writeCache: boolean; store: Plain };
    this.writeCache = writeCache;
    this.store.load?.(store);
  }

  protected handle(index: number, queue: Virtqueue): void {
    for (const buffer of this.buffers(queue)) {
      const room = bufferLength(buffer.writable);
      const header = queue.gather(buffer.readable, 0, HEADER);
      if (header.length < HEADER) throw new VirtqueueError('a block request without a header');
      if (room === 0) throw new VirtqueueError('a block request without a status byte');
      const view = new DataView(header.buffer);
      const status = this.perform(queue, buffer, view.getUint32(0, true), Number(view.getBigUint64(8, true)), room - 1);
      queue.scatter(buffer.writable, room - 1, Uint8Array.of(status));
      this.complete(index, buffer, room);
    }
  }

  /** @param room bytes for the answer, without the status */
  private perform(queue: Virtqueue, buffer: VirtqueueBuffer, type: number, sector: number, room: number): number {
    switch ((type & ~T_MODIFIERS) >>> 0) {
      case 0:
        return type & T_OUT ? this.write(queue, buffer, sector) : this.read(queue, buffer, sector, room);
      case T_FLUSH:
        return S_OK;
      case T_GET_ID: {
        // The zero behind it is written where there is room for it.
        const id = Uint8Array.from(`${this.serial}\0`, (character) => character.charCodeAt(0) & 0xff);
        queue.scatter(buffer.writable, 0, id.subarray(0, Math.min(ID_LENGTH, room)));
        return S_OK;
      }
      case T_DISCARD & ~T_OUT:
      case T_WRITE_ZEROES & ~T_OUT:
        return this.range(queue, buffer, (type & ~T_MODIFIERS) === (T_WRITE_ZEROES & ~T_OUT));
      case T_SCSI:
        return this.refuseScsi(queue, buffer);
      default:
        return S_UNSUPP;
    }
  }

  private isInside(sector: number, bytes: number): boolean {
    return bytes % SECTOR === 0 && bytes <= MAX_TRANSFER && sector + bytes / SECTOR <= this.store.sectors;
  }

  private read(queue: Virtqueue, buffer: VirtqueueBuffer, sector: number, length: number): number {
    if (!this.isInside(sector, length)) return S_IOERR;
    for (let done = 0; done < length; done += PIECE) {
      const n = Math.min(PIECE, length - done);
      queue.scatter(buffer.writable, done, this.store.read(sector + done / SECTOR, n / SECTOR));
    }
    return S_OK;
  }

  private write(queue: Virtqueue, buffer: VirtqueueBuffer, sector: number): number {
    const length = bufferLength(buffer.readable) - HEADER;
    if (!this.isInside(sector, length)) return S_IOERR;
    for (let done = 0; done < length; done += PIECE) {
      const data = queue.gather(buffer.readable, HEADER + done, Math.min(PIECE, length - done));
      this.store.write(sector + done / SECTOR, data);
    }
    return S_OK;
  }

  /** SCSI commands are off in QEMU, too: the errors field of their answer says so, where there is one. */
  private refuseScsi(queue: Virtqueue, { readable, writable }: VirtqueueBuffer): number {
    if (readable.length < 2 || writable.length < 3) return S_IOERR;
    queue.scatter([writable.at(-2)!], 0, Uint8Array.of(255, 0, 0, 0));
    return S_UNSUPP;
  }

  /** Discard or fill with zeros: one range of sectors. */
  private range(queue: Virtqueue, buffer: VirtqueueBuffer, zeros: boolean): number {
    const length = bufferLength(buffer.readable) - HEADER;
    if (length > RANGE) return S_UNSUPP;
    if (length < RANGE) throw new VirtqueueError('a range of sectors that is cut short');
    const view = new DataView(queue.gather(buffer.readable, HEADER, RANGE).buffer);
    const sector = Number(view.getBigUint64(0, true));
    const count = view.getUint32(8, true);
    const flags = view.getUint32(12, true);
    if (count > MAX_RANGE || sector + count > this.store.sectors) return S_IOERR;
    if ((zeros ? flags & ~UNMAP : flags) !== 0) return S_UNSUPP;
    if (!zeros) return S_OK;
    for (let done = 0; done < count; done += PIECE / SECTOR) {
      this.store.write(sector + done, new Uint8Array(Math.min(PIECE, (count - done) * SECTOR)));
    }
    return S_OK;
  }
}
