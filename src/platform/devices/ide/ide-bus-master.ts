// One channel of the PIIX's bus master (Intel 290550, 2.7; "Programming Interface for Bus Master IDE Controller"): command,
// status, and the table of physical regions in guest memory, which is read when a transfer is planned or while it goes on.
// Behaviour is QEMU 7.2's (hw/ide/pci.c): a table is at most a page long, and is followed to its end even where the drive
// needs less. Without the PCI bus master bit memory cannot be reached: the table reads as zeros, and data goes nowhere.

import type { GuestMemory } from '../../../cpu/bus.js';
import type { Plain, PortHandler } from '../../device.js';
import type { DmaPiece, IdeBusMaster } from './ide-drive.js';

const COMMAND_START = 0x01;
const COMMAND_MASK = 0x09;
const STATUS_ACTIVE = 0x01;
const STATUS_ERROR = 0x02;
const STATUS_INTERRUPT = 0x04;
/** Drives that can do DMA: for software to remember. */
const STATUS_CAPABLE = 0x60;
const TABLE_SIZE = 4096;

/** What the channel does when the guest starts or stops the bus master. */
export interface BusMasterChannel {
  started(): void;
  /** Finish what is under way. */
  settle(): void;
}

interface Registers {
  command: number;
  status: number;
  table: number;
  /** A drive waits for the start. */
  waiting: boolean;
  /** Next entry of the table. */
  entry: number;
  /** What is left of the entry before it. */
  address: number;
  length: number;
  last: boolean;
}

const initial = (): Registers => ({
  command: 0,
  status: 0,
  table: 0,
  waiting: false,
  entry: 0,
  address: 0,
  length: 0,
  last: false,
});

/** Ports 0–7 of a channel in the BAR: command, status, table address. */
export class BusMaster implements IdeBusMaster {
  readonly #memory: GuestMemory;
  readonly #enabled: () => boolean;
  #channel: BusMasterChannel | undefined;
  #r = initial();

  /** @param enabled the bus master bit of the PCI command register */
  constructor(memory: GuestMemory, enabled: () => boolean) {
    this.#memory = memory;
    this.#enabled = enabled;
  }

  connect(channel: BusMasterChannel): void {
    this.#channel = channel;
  }

  reset(): void {
    this.#r = initial();
  }

  /** The drive's interrupt passes here. */
  interrupted(): void {
    this.#r.status |= STATUS_INTERRUPT;
  }

  request(): void {
    Object.assign(this.#r, { waiting: true, address: 0, length: 0, last: false });
    if (this.#r.status & STATUS_ACTIVE) this.#channel!.started();
  }

  gather(limit: number): { pieces: DmaPiece[]; described: number } {
    const pieces: DmaPiece[] = [];
    let described = 0;
    let room = limit;
    const r = this.#r;
    for (;;) {
      if (r.length === 0 && !this.#nextEntry()) return { pieces, described };
      const length = Math.min(room, r.length);
      if (length > 0) pieces.push({ address: r.address, length });
      room -= length;
      described += r.length;
      r.length = 0;
    }
  }

  push(data: Uint8Array): boolean {
    const r = this.#r;
    for (let at = 0; at < data.length; ) {
      if (r.length === 0 && !this.#nextEntry()) return false;
      const some = Math.min(data.length - at, r.length);
      this.#store(r.address, data.subarray(at, at + some));
      r.address += some;
      r.length -= some;
      at += some;
    }
    return true;
  }

  read(pieces: readonly DmaPiece[]): Uint8Array {
    const data = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const { address, length } of pieces) {
      if (this.#enabled()) data.set(this.#memory.read(address, length), at);
      at += length;
    }
    return data;
  }

  write(pieces: readonly DmaPiece[], data: Uint8Array): void {
    let at = 0;
    for (const { address, length } of pieces) {
      this.#store(address, data.subarray(at, at + length));
      at += length;
    }
  }

  finish(more: boolean): void {
    this.#r.waiting = false;
    if (more) this.#r.status |= STATUS_ACTIVE;
    else this.#r.status &= ~STATUS_ACTIVE;
  }

  /** Ports 0–3; only bytes. */
  readonly registers: PortHandler = {
    portRead: (offset, size) => {
      if (size !== 1) return size === 2 ? 0xffff : 0xffff_ffff;
      return offset === 0 ? this.#r.command : offset === 2 ? this.#r.status : 0xff;
    },
    portWrite: (offset, size, value) => {
      if (size !== 1) return;
      if (offset === 0) this.#writeCommand(value);
      else if (offset === 2) {
        const { status } = this.#r;
        const kept = status & ~value & (STATUS_INTERRUPT | STATUS_ERROR);
        this.#r.status = (value & STATUS_CAPABLE) | (status & STATUS_ACTIVE) | kept;
      }
    },
  };

  /** Ports 4–7. */
  readonly address: PortHandler = {
    portRead: (offset, size) => {
      const value = this.#r.table >>> (8 * offset);
      return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
    },
    portWrite: (offset, size, value) => {
      const mask = size === 4 ? 0xffff_ffff : ((1 << (8 * size)) - 1) << (8 * offset);
      this.#r.table = ((this.#r.table & ~mask) | ((value << (8 * offset)) & mask & ~3)) >>> 0;
    },
  };

  save(): Plain {
    return { ...this.#r };
  }

  load(state: Plain): void {
    this.#r = { ...(state as unknown as Registers) };
  }

  #writeCommand(value: number): void {
    const r = this.#r;
    const start = (value & COMMAND_START) !== 0;
    if (start !== ((r.command & COMMAND_START) !== 0)) {
      if (!start) {
        // A transfer is not cut in the middle.
        this.#channel!.settle();
        r.status &= ~STATUS_ACTIVE;
      } else {
        r.entry = r.table;
        if (!(r.status & STATUS_ACTIVE)) {
          r.status |= STATUS_ACTIVE;
          if (r.waiting) this.#channel!.started();
        }
      }
    }
    r.command = value & COMMAND_MASK;
  }

  /** Load the next entry. @returns false at the end of the table, or of its page */
  #nextEntry(): boolean {
    const r = this.#r;
    if (r.last || r.entry - r.table >= TABLE_SIZE) return false;
    const bytes = this.#enabled() ? this.#memory.read(r.entry, 8) : new Uint8Array(8);
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
    r.entry += 8;
    r.address = view.getUint32(0, true);
    const count = view.getUint32(4, true);
    r.length = count & 0xfffe || 0x10000;
    r.last = count >= 0x8000_0000;
    return true;
  }

  #store(address: number, data: Uint8Array): void {
    if (this.#enabled()) this.#memory.write(address, data);
  }
}
