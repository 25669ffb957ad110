// The Generic Event Device of a hardware-reduced ACPI machine (ACPI 6.4, 5.6.9) and the sleep and reset registers that its
// FADT names (4.8.3.6, 4.8.3.7), as QEMU 7.2's acpi-ged-x86: one event, the power button. The event register is read by
// the GED's _EVT method, which clears it. Left out: memory hotplug.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Device, Line, MmioHandler, Plain } from '../../device.js';

export const GED_BASE = 0xfea0_0000;
export const GED_SIZE = 4;
export const GED_REGS_BASE = 0xfea0_0200;
export const GED_REGS_SIZE = 3;
export const GED_IRQ = 9;

/** Offsets of the registers, and what the reset register takes. */
export const GED_SLEEP_CONTROL = 0;
export const GED_SLEEP_STATUS = 1;
export const GED_RESET = 2;
export const GED_RESET_VALUE = 0x42;
/** \_S5. */
export const GED_SLEEP_TYPE_S5 = 5;

export const GED_POWER_BUTTON = 2;

export interface AcpiGedWiring {
  irq: Line;
  poweroff: () => void;
  reset: () => void;
}

export class AcpiGed implements Device {
  readonly name = 'acpi-ged';
  private events = 0;

  constructor(private readonly wiring: AcpiGedWiring) {}

  reset(): void {
    this.events = 0;
  }

  /** The power button is pressed and released: a pulse on the interrupt. */
  powerButton(): void {
    this.events |= GED_POWER_BUTTON;
    this.wiring.irq(true);
    this.wiring.irq(false);
  }

  /** Which events there were since the last read; 32 bits wide only. */
  readonly selector: MmioHandler = {
    mmioRead: (_offset, size) => {
      if (size !== 4) return 0;
      const { events } = this;
      this.events = 0;
      return events;
    },
    mmioWrite: () => {},
  };

  /** Sleep control, sleep status and reset; bytes only, and they read as 0. */
  readonly registers: MmioHandler = {
    mmioRead: () => 0,
    mmioWrite: (offset, size, value) => this.write(offset, size, value),
  };

  save(): Plain {
    return { events: this.events };
  }

  load(state: Plain): void {
    this.events = (state as { events: number }).events;
  }

  private write(offset: number, size: AccessSize, value: number): void {
    if (size !== 1) return;
    // SLP_TYP in bits 2–4, SLP_EN in bit 5.
    if (offset === GED_SLEEP_CONTROL && value & 0x20 && ((value >> 2) & 7) === GED_SLEEP_TYPE_S5)
      this.wiring.poweroff();
    else if (offset === GED_RESET && value === GED_RESET_VALUE) this.wiring.reset();
  }
}
