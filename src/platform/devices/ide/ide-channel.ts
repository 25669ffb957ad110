// An ATA channel with its two drives (ATA/ATAPI-6, T13/1410D, chapters 7 and 9): which drive listens, the interrupt, the
// control register with its software reset, and the time that work takes. Registers answer as QEMU 7.2's
// (hw/ide/core.c): both drives hear every write, an absent one has registers as well, and a channel without drives reads 0.
// Time is simple on purpose: a fixed cost for each piece of work and one for each byte, whatever the place on the disk.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Clock, Line, Plain, PortHandler, Timer } from '../../device.js';
import type { BusMaster } from './ide-bus-master.js';
import {
  type IdeDrive,
  type IdeHost,
  SELECT_ALWAYS,
  SELECT_DRIVE,
  STATUS_BSY,
  type TaskFile,
  type Work,
} from './ide-drive.js';

/** Device control register. */
const CONTROL_NO_IRQ = 0x02;
const CONTROL_RESET = 0x04;
const CONTROL_HIGH_ORDER = 0x80;
const COMMAND_DEVICE_RESET = 0x08;

/** 20 µs from a command to its data or its end, and 200 MB/s: a disk without moving parts. */
const WORK_NS = 20_000;
const BYTE_NS = 5;
const RESET_NS = 1_000;

/** Ports of the command block. */
export const IDE_PORTS = 8;

/** Primary or secondary. Its command block has eight ports, its control block one. */
export class IdeChannel implements IdeHost {
  readonly busMaster: BusMaster;
  readonly #irq: Line;
  readonly #clock: Clock;
  readonly #timer: Timer;
  #drives: readonly [IdeDrive, IdeDrive] | undefined;
  #unit: 0 | 1 = 0;
  #control = 0;
  /** What the timer ends; both drives are reset at once. */
  #work: Work | 'reset' | undefined;

  /** Connect the drives afterwards: they need the channel. */
  constructor(name: string, clock: Clock, irq: Line, busMaster: BusMaster) {
    this.#irq = irq;
    this.#clock = clock;
    this.busMaster = busMaster;
    this.#timer = clock.timer(name, () => this.#done());
    busMaster.connect({ started: () => this.#active.dmaStarted(), settle: () => this.#settle() });
  }

  connect(master: IdeDrive, slave: IdeDrive): void {
    this.#drives = [master, slave];
  }

  interrupt(): void {
    if (this.#control & CONTROL_NO_IRQ) return;
    this.busMaster.interrupted();
    this.#irq(true);
  }

  begin(work: Work, bytes: number): void {
    this.#work = work;
    this.#timer.set(this.#clock.now() + WORK_NS + bytes * BYTE_NS);
  }

  reset(): void {
    this.#cancel();
    this.#unit = 0;
    this.#control = 0;
    for (const drive of this.#both) drive.reset();
    this.busMaster.reset();
    this.#irq(false);
  }

  readonly command: PortHandler = {
    portRead: (offset, size) => this.#read(offset, size),
    portWrite: (offset, size, value) => this.#write(offset, size, value),
    portReadString: (offset, size, count) => {
      if (offset === 0 && size > 1) return this.#active.readDataString(size, count);
      return repeat(size, count, () => this.#read(offset, size));
    },
    portWriteString: (offset, size, data) => {
      if (offset === 0 && size > 1) {
        this.#active.writeDataString(size, data);
        return;
      }
      for (let at = 0; at < data.length; at += size) this.#write(offset, size, littleEndian(data, at, size));
    },
  };

  /** The alternate status register, which leaves the interrupt alone, and device control. */
  readonly control: PortHandler = {
    portRead: (_offset, size) => {
      if (size === 4) return 0xffff_ffff;
      return this.#visibleStatus() | (size === 2 ? 0xff00 : 0);
    },
    portWrite: (_offset, size, value) => {
      if (size !== 4) this.#writeControl(value & 0xff);
    },
  };

  save(): Plain {
    return {
      unit: this.#unit,
      control: this.#control,
      work: this.#work ?? null,
      drives: this.#both.map((drive) => drive.save()),
      busMaster: this.busMaster.save(),
    };
  }

  load(state: Plain): void {
    const s = state as unknown as {
      unit: 0 | 1;
      control: number;
      work: Work | 'reset' | null;
      drives: Plain[];
      busMaster: Plain;
    };
    this.#unit = s.unit;
    this.#control = s.control;
    this.#work = s.work ?? undefined;
    this.#both.forEach((drive, n) => {
      drive.load(s.drives[n]!);
    });
    this.busMaster.load(s.busMaster);
  }

  get #both(): readonly [IdeDrive, IdeDrive] {
    if (this.#drives === undefined) throw new Error('an IDE channel without drives');
    return this.#drives;
  }

  get #active(): IdeDrive {
    return this.#both[this.#unit];
  }

  get #anyDrive(): boolean {
    return this.#both[0].present || this.#both[1].present;
  }

  /** A slave that is absent does not answer for itself. */
  get #answers(): boolean {
    return this.#anyDrive && (this.#unit === 0 || this.#active.present);
  }

  /** Bytes at the ports; words and double words are data at the first port, and pairs of bytes at the others. */
  #read(offset: number, size: AccessSize): number {
    if (offset === 0 && size > 1) return this.#active.readData(size);
    if (size === 1) return this.#readRegister(offset);
    if (size === 4) return 0xffff_ffff;
    return this.#readRegister(offset) | ((offset + 1 < IDE_PORTS ? this.#readRegister(offset + 1) : 0xff) << 8);
  }

  #write(offset: number, size: AccessSize, value: number): void {
    if (offset === 0 && size > 1) this.#active.writeData(size, value);
    else if (size === 1) this.#writeRegister(offset, value);
    else if (size === 2) {
      this.#writeRegister(offset, value & 0xff);
      if (offset + 1 < IDE_PORTS) this.#writeRegister(offset + 1, value >>> 8);
    }
  }

  #readRegister(offset: number): number {
    const { task, error } = this.#active;
    const previous = (this.#control & CONTROL_HIGH_ORDER) !== 0;
    if (offset === 7) {
      const status = this.#visibleStatus();
      this.#irq(false);
      return status;
    }
    if (!this.#anyDrive) return 0;
    // A word all the same, of which the other half is lost.
    if (offset === 0) return this.#active.readData(2) & 0xff;
    if (offset === 1 && !this.#answers) return 0;
    if (offset === 1 && !previous) return error;
    const fields = TWO_DEEP[offset];
    return fields === undefined ? task.select : task[fields[previous ? 1 : 0]];
  }

  #visibleStatus(): number {
    return this.#answers ? this.#active.status : 0;
  }

  #writeRegister(offset: number, value: number): void {
    if (offset !== 7 && this.#active.engaged) return;
    if (offset > 0) this.#control &= ~CONTROL_HIGH_ORDER;
    for (const { task } of offset < 7 ? this.#both : []) {
      const fields = TWO_DEEP[offset];
      if (fields === undefined) {
        if (offset === 6) task.select = value | SELECT_ALWAYS;
        continue;
      }
      const [current, previous] = fields;
      task[previous] = task[current];
      task[current] = value;
    }
    if (offset === 6) this.#unit = value & SELECT_DRIVE ? 1 : 0;
    if (offset === 7) this.#execute(value);
  }

  #execute(command: number): void {
    this.#irq(false);
    const drive = this.#active;
    if (this.#unit === 1 && !drive.present) return;
    if (drive.engaged) {
      if (command !== COMMAND_DEVICE_RESET || !drive.isCd) return;
      // DEVICE RESET takes effect at any time; a bus master transfer is finished first.
      this.#settle();
      this.#cancel();
    }
    drive.execute(command);
  }

  #writeControl(value: number): void {
    if (!(this.#control & CONTROL_RESET) && value & CONTROL_RESET) {
      this.#settle();
      for (const drive of this.#both) drive.status |= STATUS_BSY;
      this.#work = 'reset';
      this.#timer.set(this.#clock.now() + RESET_NS);
    }
    this.#control = value;
  }

  #done(): void {
    const work = this.#work;
    this.#work = undefined;
    if (work === undefined) return;
    if (work !== 'reset') {
      this.#active.workDone(work);
      return;
    }
    for (const drive of this.#both) {
      drive.stopTransfer();
      drive.reset();
      drive.diagnose();
    }
    this.#control &= ~CONTROL_RESET;
  }

  /** A bus master transfer is finished at once; nothing cuts it in the middle. */
  #settle(): void {
    while (this.#work === 'dma' || this.#work === 'cd-dma') {
      this.#timer.cancel();
      this.#done();
    }
  }

  #cancel(): void {
    this.#work = undefined;
    this.#timer.cancel();
  }
}

/** Registers that keep two values, by offset: the last one written, and the one before it for 48-bit commands. */
const TWO_DEEP: Readonly<Record<number, readonly [current: keyof TaskFile, previous: keyof TaskFile]>> = {
  1: ['feature', 'previousFeature'],
  2: ['count', 'previousCount'],
  3: ['sector', 'previousSector'],
  4: ['cylinderLow', 'previousCylinderLow'],
  5: ['cylinderHigh', 'previousCylinderHigh'],
};

function littleEndian(data: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let byte = size - 1; byte >= 0; byte--) value = (value << 8) | data[at + byte]!;
  return value >>> 0;
}

function repeat(size: AccessSize, count: number, read: () => number): Uint8Array {
  const data = new Uint8Array(size * count);
  for (let at = 0; at < data.length; at += size) {
    const value = read();
    for (let byte = 0; byte < size; byte++) data[at + byte] = value >>> (8 * byte);
  }
  return data;
}
