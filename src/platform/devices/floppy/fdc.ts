// The floppy disk controller of a PC without floppy drives (Intel 82078 data sheet 290468), as QEMU 7.2's isa-fdc answers
// when nothing is connected to it: registers, commands and results are there, every command that needs a medium ends
// abnormally. SeaBIOS and systems see in CMOS that there is no drive; this is for software that asks all the same.
// Invariant: no command ever transfers sectors. Left out with the drives: DMA, formatting, density.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Clock, Device, Line, Plain, PortHandler, Timer } from '../../device.js';
import { commandOf } from './fdc-commands.js';

export const FDC_IRQ = 6;
/** Ports 1–5 and 7 of the eight from 0x3f0 on; 6 belongs to the IDE controller. */
export const FDC_BASE = 0x3f0;

const SRA_NO_SECOND_DRIVE = 0x40;
const SRA_INTERRUPT = 0x80;
const SRB_RESET = 0xc0;
const SRB_MOTORS = 0x03;
const SRB_DRIVE = 0x20;
const DOR_SELECT = 0x03;
const DOR_RUN = 0x04;
const DOR_DMA = 0x08;
const DSR_RATE = 0x03;
const DSR_POWER_DOWN = 0x40;
const DSR_RESET = 0x80;
const MSR_BUSY = 0x10;
const MSR_TO_HOST = 0x40;
const MSR_READY = 0x80;
const ST0_HEAD = 0x04;
const ST0_SEEK = 0x20;
const ST0_ABNORMAL = 0x40;
const ST0_INVALID = 0x80;
const ST0_READY_CHANGED = 0xc0;
const ST1_MISSING_ADDRESS = 0x01;
const ST1_END_OF_CYLINDER = 0x80;
const CONFIG_RESET = 0x60;
/** Interrupts that a reset owes, one for each drive that could be there. */
const RESET_SENSES = 4;
const VERSION = 0x90;
const PART_ID = 0x41;
/** Bytes of a sector, by code. */
const SECTOR_CODE = 2;
const READ_ID_NS = 20_000_000;

interface Drive {
  head: number;
  track: number;
  sector: number;
  lastSector: number;
  perpendicular: number;
}

const noDrive = (): Drive => ({ head: 0, track: 0, sector: 0, lastSector: 0, perpendicular: 0 });

const powerOn = () => ({
  sra: 0,
  srb: 0,
  dor: 0,
  tdr: 0,
  dsr: 0,
  msr: 0,
  drive: 0,
  status0: 0,
  senses: 0,
  fifo: [] as number[],
  position: 0,
  length: 1,
  /** Specify, configure, lock, power-down: kept to be told again. */
  stepRate: 0,
  headLoad: 0,
  config: CONFIG_RESET,
  precompensation: 0,
  lock: 0,
  power: 0,
  drives: [noDrive(), noDrive()],
});

type State = ReturnType<typeof powerOn>;

/** Try to move the head, whether implied seeks are configured or not. Where no disk is, there is no place to be. */
function moveHead(drive: Drive, head: number, track: number, sector: number): 'track' | 'sector' | 'no disk' {
  if (track > 0 || head !== 0) return 'track';
  if (sector > drive.lastSector) return 'sector';
  if ((drive.track + drive.head) * drive.lastSector + drive.sector !== sector) {
    Object.assign(drive, { head, track, sector });
  }
  return 'no disk';
}

/** The controller. */
export class Fdc implements Device, PortHandler {
  readonly name = 'fdc';
  readonly #clock: Clock;
  readonly #irq: Line;
  readonly #result: Timer;
  #s: State = powerOn();

  constructor(clock: Clock, irq: Line) {
    this.#clock = clock;
    this.#irq = irq;
    this.#result = clock.timer('fdc', () => this.#identified());
    this.reset();
  }

  reset(): void {
    this.#restart(false);
  }

  /** Bytes; words are two of them, and more is nobody's. */
  portRead(offset: number, size: AccessSize): number {
    if (size === 4) return 0xffff_ffff;
    const low = this.#read(offset);
    if (size === 1) return low;
    return low | ((offset === 5 || offset === 7 ? 0xff : this.#read(offset + 1)) << 8);
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    if (size === 4) return;
    this.#write(offset, value & 0xff);
    if (size === 2 && offset !== 5 && offset !== 7) this.#write(offset + 1, value >>> 8);
  }

  #read(offset: number): number {
    const s = this.#s;
    switch (offset) {
      case 1:
        return s.srb;
      case 2:
        return s.dor | s.drive;
      case 3:
        return s.tdr;
      case 4:
        s.dsr &= ~DSR_POWER_DOWN;
        s.dor |= DOR_RUN;
        return s.msr;
      case 5:
        return this.#readFifo();
      default:
        // The disk was changed: it is gone.
        return 0x80;
    }
  }

  #write(offset: number, value: number): void {
    const s = this.#s;
    if (offset === 2) {
      this.#writeOutput(value);
      return;
    }
    if (!(s.dor & DOR_RUN)) return;
    switch (offset) {
      case 3:
        s.tdr = value & 4;
        break;
      case 4:
        if (value & DSR_RESET) {
          s.dor &= ~DOR_RUN;
          this.#restart(true);
          s.dor |= DOR_RUN;
        }
        if (value & DSR_POWER_DOWN) this.#restart(true);
        s.dsr = value;
        break;
      case 5:
        this.#writeFifo(value);
        break;
      case 7:
        s.dsr = (s.dsr & ~DSR_RATE) | (value & DSR_RATE);
        break;
    }
  }

  save(): Plain {
    return structuredClone(this.#s) as unknown as Plain;
  }

  load(state: Plain): void {
    this.#s = structuredClone(state) as unknown as State;
  }

  // Commands, in the order of the table below.

  seek(): void {
    this.#select();
    moveHead(this.#drive, this.#drive.head, this.#s.fifo[2]!, this.#drive.sector);
    this.#stepped();
  }

  senseInterrupt(): void {
    const s = this.#s;
    let status: number;
    if (s.senses > 0) {
      status = ST0_READY_CHANGED + RESET_SENSES - s.senses;
      s.senses -= 1;
    } else if (!(s.sra & SRA_INTERRUPT)) {
      this.#answer(ST0_INVALID);
      return;
    } else status = (s.status0 & ~(ST0_HEAD | DOR_SELECT)) | s.drive;
    this.#answer(status, this.#drive.track);
    this.#takeBackInterrupt();
    s.status0 = ST0_READY_CHANGED;
  }

  recalibrate(): void {
    this.#select();
    moveHead(this.#drive, 0, 0, 1);
    this.#stepped();
  }

  /** Formatting says that it has done its work, and does none. */
  formatTrack(): void {
    this.#select();
    this.#drive.lastSector = this.#s.fifo[3]!;
    this.#end(0, 0);
  }

  transfer(): void {
    const { fifo } = this.#s;
    this.#select();
    const [track, head, sector] = [fifo[2]!, fifo[3]!, fifo[4]!];
    const end = moveHead(this.#drive, head, track, sector);
    this.#end(ST0_ABNORMAL, end === 'sector' ? ST1_END_OF_CYLINDER : 0);
    fifo[3] = track;
    fifo[4] = head;
    fifo[5] = sector;
  }

  transferDeleted(): void {
    this.#end(ST0_ABNORMAL | ST0_SEEK, 0);
  }

  restore(): void {
    const s = this.#s;
    const { fifo } = s;
    this.#unit(0).track = fifo[3]!;
    this.#unit(1).track = fifo[4]!;
    s.stepRate = fifo[7]!;
    s.headLoad = fifo[8]!;
    this.#drive.lastSector = fifo[9]!;
    s.lock = fifo[10]! >> 7;
    this.#drive.perpendicular = (fifo[10]! >> 2) & 0xf;
    s.config = fifo[11]!;
    s.precompensation = fifo[12]!;
    s.power = fifo[13]!;
    this.#awaitCommand();
  }

  saveState(): void {
    const s = this.#s;
    const { lastSector } = this.#drive;
    const tracks = [this.#unit(0).track, this.#unit(1).track, 0, 0];
    this.#answer(
      ...[0, 0, ...tracks, s.stepRate, s.headLoad, lastSector],
      ...[this.#modes, s.config, s.precompensation, s.power, 0, 0],
    );
  }

  readId(): void {
    this.#drive.head = (this.#s.fifo[1]! >> 2) & 1;
    this.#result.set(this.#clock.now() + READ_ID_NS);
  }

  specify(): void {
    const s = this.#s;
    s.stepRate = s.fifo[1]! >> 4;
    s.headLoad = s.fifo[2]! >> 1;
    s.dor = s.fifo[2]! & 1 ? s.dor & ~DOR_DMA : s.dor | DOR_DMA;
    this.#awaitCommand();
  }

  senseDrive(): void {
    this.#select();
    const drive = this.#drive;
    drive.head = (this.#s.fifo[1]! >> 2) & 1;
    // Ready, two sides, write-protected.
    this.#answer(0x68 | (drive.track === 0 ? 0x10 : 0) | (drive.head << 2) | this.#s.drive);
  }

  perpendicularMode(): void {
    if (this.#s.fifo[1]! & 0x80) this.#drive.perpendicular = this.#s.fifo[1]! & 7;
    this.#awaitCommand();
  }

  configure(): void {
    this.#s.config = this.#s.fifo[2]!;
    this.#s.precompensation = this.#s.fifo[3]!;
    this.#awaitCommand();
  }

  powerDownMode(): void {
    this.#s.power = this.#s.fifo[1]!;
    this.#answer(this.#s.power);
  }

  option(): void {
    this.#awaitCommand();
  }

  driveSpecification(): void {
    const { fifo, position } = this.#s;
    const last = fifo[position - 1]!;
    if ((last & 0xc0) === 0xc0) this.#answer(fifo[1]!, fifo[1]!, 0, 0);
    else if (last & 0x80) this.#awaitCommand();
  }

  relativeSeek(inwards: boolean): void {
    this.#select();
    const { track, head, sector } = this.#drive;
    const by = this.#s.fifo[2]!;
    // Inwards there is no track to go to.
    moveHead(this.#drive, head, inwards ? 0xff : Math.max(0, track - by), sector);
    this.#stepped();
  }

  lockConfiguration(): void {
    this.#s.lock = this.#s.fifo[0]! >> 7;
    this.#answer(this.#s.lock << 4);
  }

  dumpRegisters(): void {
    const s = this.#s;
    const timers = (s.headLoad << 1) | (s.dor & DOR_DMA ? 1 : 0);
    const tracks = [this.#unit(0).track, this.#unit(1).track, 0, 0];
    this.#answer(
      ...[...tracks, s.stepRate, timers & 0xff, this.#drive.lastSector],
      ...[this.#modes, s.config, s.precompensation],
    );
  }

  version(): void {
    this.#answer(VERSION);
  }

  partId(): void {
    this.#answer(PART_ID);
  }

  invalid(): void {
    this.#answer(ST0_INVALID);
  }

  get #modes(): number {
    return (this.#s.lock << 7) | ((this.#drive.perpendicular << 2) & 0x7f);
  }

  get #drive(): Drive {
    return this.#unit(this.#s.drive);
  }

  /** The tape drive register may exchange the two. */
  #unit(number: number): Drive {
    const swapped = (this.#s.tdr & 4) !== 0;
    return this.#s.drives[(number & 1) ^ (swapped ? 1 : 0)]!;
  }

  #select(): void {
    this.#s.drive = this.#s.fifo[1]! & 1;
  }

  #restart(interrupt: boolean): void {
    this.#result.cancel();
    this.#takeBackInterrupt();
    const s = this.#s;
    s.sra = SRA_NO_SECOND_DRIVE;
    s.srb = SRB_RESET;
    s.drive = 0;
    s.dor = DOR_RUN | DOR_DMA;
    s.msr = MSR_READY;
    for (const drive of s.drives) moveHead(drive, 0, 0, 1);
    this.#awaitCommand();
    if (!interrupt) return;
    s.status0 |= ST0_READY_CHANGED;
    this.#interrupt();
    s.senses = RESET_SENSES;
  }

  #writeOutput(value: number): void {
    const s = this.#s;
    s.srb = (s.srb & ~(SRB_MOTORS | SRB_DRIVE)) | ((value >> 4) & SRB_MOTORS) | (value & 1 ? SRB_DRIVE : 0);
    if (value & DOR_RUN && !(s.dor & DOR_RUN)) {
      this.#restart(true);
      s.dsr &= ~DSR_POWER_DOWN;
    }
    s.drive = value & 1;
    s.dor = value;
  }

  #interrupt(): void {
    const s = this.#s;
    if (!(s.sra & SRA_INTERRUPT)) {
      s.sra |= SRA_INTERRUPT;
      this.#irq(true);
    }
    s.senses = 0;
  }

  #takeBackInterrupt(): void {
    const s = this.#s;
    s.status0 = 0;
    if (!(s.sra & SRA_INTERRUPT)) return;
    s.sra &= ~SRA_INTERRUPT;
    this.#irq(false);
  }

  #stepped(): void {
    this.#awaitCommand();
    this.#s.status0 |= ST0_SEEK;
    this.#interrupt();
  }

  /** The seven result bytes of a command that should have transferred something. */
  #end(status0: number, status1: number): void {
    const s = this.#s;
    const { head, track, sector } = this.#drive;
    s.status0 = (s.status0 & ~(ST0_HEAD | DOR_SELECT)) | s.drive | (head ? ST0_HEAD : 0) | status0;
    this.#answer(s.status0, status1, 0, track, head, sector, SECTOR_CODE);
    this.#interrupt();
  }

  #identified(): void {
    const wrongRate = (this.#s.dsr & DSR_RATE) !== 0;
    const drive = this.#drive;
    if (drive.lastSector !== 0) drive.sector = (drive.sector % drive.lastSector) + 1;
    this.#end(wrongRate ? ST0_ABNORMAL : 0, wrongRate ? ST1_MISSING_ADDRESS : 0);
  }

  #awaitCommand(): void {
    const s = this.#s;
    s.position = 0;
    s.length = 1;
    s.msr = (s.msr & ~(MSR_BUSY | MSR_TO_HOST)) | MSR_READY;
  }

  #answer(...bytes: readonly number[]): void {
    const s = this.#s;
    for (const [n, byte] of bytes.entries()) s.fifo[n] = byte;
    s.position = 0;
    s.length = bytes.length;
    s.msr |= MSR_BUSY | MSR_READY | MSR_TO_HOST;
  }

  #readFifo(): number {
    const s = this.#s;
    s.dsr &= ~DSR_POWER_DOWN;
    if (!(s.msr & MSR_READY) || !(s.msr & MSR_TO_HOST)) return 0;
    const value = s.fifo[s.position]!;
    s.position += 1;
    if (s.position === s.length) {
      this.#awaitCommand();
      this.#takeBackInterrupt();
    }
    return value;
  }

  #writeFifo(value: number): void {
    const s = this.#s;
    if (!(s.msr & MSR_READY) || s.msr & MSR_TO_HOST) return;
    s.dsr &= ~DSR_POWER_DOWN;
    s.fifo[s.position] = value;
    s.position += 1;
    if (s.position === 1) {
      s.length = commandOf(value).parameters + 1;
      s.msr |= MSR_BUSY;
    }
    if (s.position < s.length) return;
    s.msr &= ~MSR_READY;
    commandOf(s.fifo[0]!).run(this);
  }
}
