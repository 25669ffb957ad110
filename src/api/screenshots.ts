// Pictures of the screen during a run, at the first instruction boundary at or after a cycle, or at the run's end. Taking
// one changes nothing that the guest can see. Of a live machine the picture is its VGA's; a sealed replay has no devices,
// and a VGA that watches the bus is looked at instead (platform/screen/vga-watch.ts).

import type { AccessSize, Bus } from '../cpu/bus.js';
import type { Vga } from '../platform/devices/vga/vga.js';
import { pictureOf } from '../platform/screen/picture.js';
import type { VgaWatch } from '../platform/screen/vga-watch.js';
import { systemReason } from '../trace/error.js';
import { writeWhole } from '../whole-file.js';
import { BusTap } from './bus-tap.js';
import type { Screenshot } from './options.js';
import { encodePng } from './png.js';
import { UserError } from './user-error.js';

/** Something to do when a run has come to a cycle. */
export interface Pause {
  readonly cycle: number;
  readonly reached: () => void;
}

/** The pictures that a run was asked for. */
export class Screenshots {
  #left: Screenshot[];

  /**
   * @param vga what to look at; undefined where there is no screen
   * @throws UserError when pictures are wanted and there is no screen
   */
  constructor(
    wanted: readonly Screenshot[] | undefined,
    private readonly vga: Vga | undefined,
    private readonly onWarning: (text: string) => void = () => {},
  ) {
    this.#left = [...(wanted ?? [])];
    if (vga === undefined && this.#left.length > 0)
      throw new UserError(`--screenshot ${this.#left[0]!.file}: the machine has no screen; boot it with --vga std`);
  }

  /** For the run loop, in the order of the cycles. */
  pauses(): Pause[] {
    return this.#left
      .filter((shot): shot is Screenshot & { cycle: number } => shot.cycle !== undefined)
      .sort((a, b) => a.cycle - b.cycle)
      .map((shot) => ({ cycle: shot.cycle, reached: () => this.#take(shot) }));
  }

  /** The run is over: take those that were to be taken then, and name those whose cycle never came. */
  finish(cycle: number): void {
    for (const shot of [...this.#left]) {
      if (shot.cycle === undefined || shot.cycle <= cycle) this.#take(shot);
      else this.onWarning(`${shot.file} was not written: the run ended at cycle ${cycle}, before ${shot.cycle}`);
    }
  }

  #take(shot: Screenshot): void {
    this.#left = this.#left.filter((other) => other !== shot);
    try {
      writeWhole(shot.file, encodePng(pictureOf(this.vga!)));
    } catch (error) {
      throw new UserError(`${shot.file}: cannot be written: ${systemReason(error)}; check --screenshot`);
    }
  }
}

/** A bus whose traffic a VGA watches. */
export class WatchedBus extends BusTap {
  constructor(
    inner: Bus,
    private readonly watch: VgaWatch,
  ) {
    super(inner);
  }

  override portRead(port: number, size: AccessSize): number {
    this.watch.portRead(port, size);
    return super.portRead(port, size);
  }
  override portWrite(port: number, size: AccessSize, value: number): void {
    this.watch.portWrite(port, size, value);
    super.portWrite(port, size, value);
  }
  override portReadString(port: number, size: AccessSize, count: number): Uint8Array {
    this.watch.portReadString(port, size, count);
    return super.portReadString(port, size, count);
  }
  override portWriteString(port: number, size: AccessSize, data: Uint8Array): void {
    this.watch.portWriteString(port, size, data);
    super.portWriteString(port, size, data);
  }
  override mmioRead(address: number, size: AccessSize): number {
    this.watch.mmioRead(address, size);
    return super.mmioRead(address, size);
  }
  override mmioWrite(address: number, size: AccessSize, value: number): void {
    this.watch.mmioWrite(address, size, value);
    super.mmioWrite(address, size, value);
  }
  override mmioReadString(address: number, size: AccessSize, count: number): Uint8Array {
    this.watch.mmioReadString(address, size, count);
    return super.mmioReadString(address, size, count);
  }
  override mmioWriteString(address: number, size: AccessSize, data: Uint8Array): void {
    this.watch.mmioWriteString(address, size, data);
    super.mmioWriteString(address, size, data);
  }
}
