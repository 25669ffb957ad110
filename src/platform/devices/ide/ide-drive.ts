// What a disk and a CD drive on an ATA channel have in common (ATA/ATAPI-6, T13/1410D): the command block registers, the
// signature, PIO transfers of a buffer, and work that takes time. How things are ordered where the standard leaves a
// choice is QEMU 7.2's (hw/ide/core.c), oddities included: qemu-registers.test.ts compares them.
// Invariant: a drive has at most one piece of work under way, and its channel knows when it is done.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Plain } from '../../device.js';

export const STATUS_ERR = 0x01;
export const STATUS_DRQ = 0x08;
/** Seek complete. */
export const STATUS_DSC = 0x10;
export const STATUS_RDY = 0x40;
export const STATUS_BSY = 0x80;
export const ERROR_ABRT = 0x04;

/** Bits of the device/head register. */
export const SELECT_ALWAYS = 0xa0;
export const SELECT_LBA = 0x40;
export const SELECT_DRIVE = 0x10;

/** Sectors of 512 bytes that fit into the buffer. */
export const BUFFER_SECTORS = 256;
/** QEMU's buffer has room behind the last sector. */
const BUFFER_SIZE = BUFFER_SECTORS * 512 + 4;

/** What a drive does when the guest has moved the last byte of a buffer. */
export type After = 'stop' | 'read' | 'write' | 'packet' | 'reply';

/** What takes time. The drive goes on in `workDone`. */
export type Work = 'pio-read' | 'pio-write' | 'flush' | 'dma' | 'cd-sector' | 'cd-dma';

/** Registers, with the values they had before the last write where 48-bit addresses need those. */
export interface TaskFile {
  feature: number;
  count: number;
  sector: number;
  cylinderLow: number;
  cylinderHigh: number;
  select: number;
  previousFeature: number;
  previousCount: number;
  previousSector: number;
  previousCylinderLow: number;
  previousCylinderHigh: number;
}

/** A piece of guest memory. */
export interface DmaPiece {
  address: number;
  length: number;
}

/** The channel, as a drive sees it. */
export interface IdeHost {
  /** Request the interrupt. */
  interrupt(): void;
  /** Have `workDone` called when moving `bytes` has taken its time. */
  begin(work: Work, bytes: number): void;
  readonly busMaster: IdeBusMaster;
}

/** The bus master of a channel, as a drive sees it. */
export interface IdeBusMaster {
  /** The drive wants to transfer; `dmaStarted` is called when the guest has started the bus master. */
  request(): void;
  /** Follow the table to its end. @returns places for the first `limit` bytes, and how many bytes it describes */
  gather(limit: number): { pieces: DmaPiece[]; described: number };
  /** Write to the next place in the table. @returns false when the table ended before the data did */
  push(data: Uint8Array): boolean;
  read(pieces: readonly DmaPiece[]): Uint8Array;
  write(pieces: readonly DmaPiece[], data: Uint8Array): void;
  /** The transfer is over; the bus master stays active when `more` was described than transferred. */
  finish(more: boolean): void;
}

/** A drive, or the lack of one: its registers are there, too. */
export abstract class IdeDrive {
  status = 0;
  error = 0;
  readonly task: TaskFile = {
    feature: 0,
    count: 0,
    sector: 0,
    cylinderLow: 0,
    cylinderHigh: 0,
    select: SELECT_ALWAYS,
    previousFeature: 0,
    previousCount: 0,
    previousSector: 0,
    previousCylinderLow: 0,
    previousCylinderHigh: 0,
  };
  protected readonly host: IdeHost;
  protected readonly buffer = new Uint8Array(BUFFER_SIZE);
  readonly #view = new DataView(this.buffer.buffer);
  /** What the guest moves next, and where it ends. */
  #at = 0;
  #end = 0;
  #after: After = 'stop';

  constructor(host: IdeHost) {
    this.host = host;
  }

  /** There is a drive. */
  abstract readonly present: boolean;
  abstract readonly isCd: boolean;
  /** Start a command. Whatever can be done at once is done at once. */
  abstract execute(command: number): void;
  /** The guest has moved the last byte of the buffer. */
  protected abstract transferred(after: After): void;
  abstract workDone(work: Work): void;
  abstract dmaStarted(): void;
  protected abstract saveOwn(): Plain;
  protected abstract loadOwn(state: Plain): void;

  /** BSY or DRQ: the registers do not listen. */
  get engaged(): boolean {
    return (this.status & (STATUS_BSY | STATUS_DRQ)) !== 0;
  }

  /** Registers as after power-on. Work that is under way is the channel's to cancel. */
  reset(): void {
    const { task } = this;
    for (const name of Object.keys(task) as (keyof TaskFile)[]) task[name] = 0;
    task.select = SELECT_ALWAYS;
    this.error = 0;
    this.status = STATUS_RDY | STATUS_DSC;
    this.setSignature();
    this.buffer.fill(0xff, 0, 4);
    this.#at = this.#end = 0;
    this.#after = 'stop';
  }

  /** By which software tells disks from packet devices (9.12). */
  setSignature(): void {
    const { task } = this;
    task.select = SELECT_ALWAYS | (task.select & SELECT_DRIVE);
    task.count = 1;
    task.sector = 1;
    task.cylinderLow = this.isCd ? 0x14 : this.present ? 0 : 0xff;
    task.cylinderHigh = this.isCd ? 0xeb : this.present ? 0 : 0xff;
  }

  /** The end of a PIO transfer, wherever it stands. */
  stopTransfer(): void {
    this.#at = this.#end = 0;
    this.#after = 'stop';
    this.status &= ~STATUS_DRQ;
  }

  /** EXECUTE DEVICE DIAGNOSTIC, and the end of a reset: always passed. */
  diagnose(): void {
    this.setSignature();
    this.error = 0x01;
    // A packet device is not ready until its first command.
    this.status = this.isCd ? 0 : STATUS_RDY | STATUS_DSC;
    if (!this.isCd) this.host.interrupt();
  }

  protected abort(): void {
    this.stopTransfer();
    this.status = STATUS_RDY | STATUS_ERR;
    this.error = ERROR_ABRT;
  }

  /** Let the guest move `length` bytes of the buffer from `from` on. */
  protected startTransfer(from: number, length: number, after: After): void {
    this.#at = from;
    this.#end = from + length;
    this.#after = after;
    if (!(this.status & STATUS_ERR)) this.status |= STATUS_DRQ;
  }

  /** The data register, 2 or 4 bytes. */
  readData(size: AccessSize): number {
    if (!this.#moves('in') || this.#at + size > this.#end) return 0;
    const value = size === 4 ? this.#view.getUint32(this.#at, true) : this.#view.getUint16(this.#at, true);
    this.#advance(size);
    return value;
  }

  writeData(size: AccessSize, value: number): void {
    if (!this.#moves('out') || this.#at + size > this.#end) return;
    if (size === 4) this.#view.setUint32(this.#at, value, true);
    else this.#view.setUint16(this.#at, value, true);
    this.#advance(size);
  }

  /** As many reads of the data register, which go on into the next buffer if there is one at once. */
  readDataString(size: AccessSize, count: number): Uint8Array {
    const data = new Uint8Array(size * count);
    for (let at = 0; at < data.length; ) {
      const some = this.#moves('in') ? Math.min(this.#end - this.#at, data.length - at) & -size : 0;
      if (some === 0) break;
      data.set(this.buffer.subarray(this.#at, this.#at + some), at);
      at += some;
      this.#advance(some);
    }
    return data;
  }

  writeDataString(size: AccessSize, data: Uint8Array): void {
    for (let at = 0; at < data.length; ) {
      const some = this.#moves('out') ? Math.min(this.#end - this.#at, data.length - at) & -size : 0;
      if (some === 0) break;
      this.buffer.set(data.subarray(at, at + some), this.#at);
      at += some;
      this.#advance(some);
    }
  }

  save(): Plain {
    return {
      status: this.status,
      error: this.error,
      task: { ...this.task },
      // What lies behind is never looked at, but for what a command leaves in a reply: the first bytes.
      buffer: this.buffer.slice(0, Math.max(this.#end, this.bufferUse, 4096)),
      at: this.#at,
      end: this.#end,
      after: this.#after,
      own: this.saveOwn(),
    };
  }

  load(state: Plain): void {
    const s = state as unknown as {
      status: number;
      error: number;
      task: TaskFile;
      buffer: Uint8Array;
      at: number;
      end: number;
      after: After;
      own: Plain;
    };
    this.status = s.status;
    this.error = s.error;
    Object.assign(this.task, s.task);
    this.buffer.fill(0);
    this.buffer.set(s.buffer);
    this.#at = s.at;
    this.#end = s.end;
    this.#after = s.after;
    this.loadOwn(s.own);
  }

  /** Bytes of the buffer that matter beyond those the guest is moving. */
  protected get bufferUse(): number {
    return 0;
  }

  #moves(direction: 'in' | 'out'): boolean {
    const out = this.#after === 'write' || this.#after === 'packet';
    return (this.status & STATUS_DRQ) !== 0 && out === (direction === 'out');
  }

  #advance(bytes: number): void {
    this.#at += bytes;
    if (this.#at < this.#end) return;
    this.status &= ~STATUS_DRQ;
    this.transferred(this.#after);
  }
}
