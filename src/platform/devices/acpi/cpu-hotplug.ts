// The ACPI registers for processor hotplug at 0xaf00 (GPE 2), as QEMU 7.2 gives them to the pc machine. They begin as a
// bitmap of the processors that are there; the first 0 that is written to its first byte, by the DSDT's _INI, turns them
// into selector, flags, command and data (12 ports instead of 32). There is one processor, which cannot be ejected, and
// none comes. Invariant: as in QEMU, a reset changes nothing here.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Device, Plain, PortHandler } from '../../device.js';

export const CPU_HOTPLUG_BASE = 0xaf00;
export const CPU_BITMAP_SIZE = 32;
export const CPU_HOTPLUG_SIZE = 12;

const SELECTOR = 0;
const FLAGS = 4;
const PRESENT = 1;
/** The only processor. */
const PROCESSORS = 1;

export interface CpuHotplugWiring {
  /** Decode the bitmap, byte by byte, or the later registers. Called when it changes; it begins as the bitmap. */
  map: (bitmap: boolean) => void;
}

export class CpuHotplug implements Device {
  readonly name = 'cpu-hotplug';
  private isBitmap = true;
  private selector = 0;

  constructor(private readonly wiring: CpuHotplugWiring) {}

  readonly bitmap: PortHandler = {
    portRead: (offset) => (offset === 0 ? (1 << PROCESSORS) - 1 : 0),
    portWrite: (offset, _size, value) => {
      if (offset === 0 && value === 0) this.show(false);
    },
  };

  readonly registers: PortHandler = {
    // Whatever the command, its data is 0 for processor 0: its number, and that of the next with an event.
    portRead: (offset, _size: AccessSize) => (offset === FLAGS && this.selector < PROCESSORS ? PRESENT : 0),
    portWrite: (offset, _size, value) => {
      if (offset === SELECTOR) this.selector = value >>> 0;
    },
  };

  reset(): void {}

  save(): Plain {
    return { bitmap: this.isBitmap, selector: this.selector };
  }

  load(state: Plain): void {
    const s = state as unknown as { bitmap: boolean; selector: number };
    this.selector = s.selector;
    this.show(s.bitmap);
  }

  private show(bitmap: boolean): void {
    if (bitmap === this.isBitmap) return;
    this.isBitmap = bitmap;
    this.wiring.map(bitmap);
  }
}
