// The ACPI registers for PCI hotplug at 0xae00, which methods of the pc machine's DSDT use (GPE 1), as QEMU 7.2 has them:
// select a bus, see which slots came or are to go, eject a slot, ask for a slot's label. There is one bus, nothing comes
// while a guest runs, and no slot has a label; but a guest may eject what is in a slot. Only 32-bit accesses count.
// Invariant: as in QEMU, a reset leaves the selected bus, and what was ejected stays away.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Device, Plain, PortHandler } from '../../device.js';

export const PCI_HOTPLUG_BASE = 0xae00;
export const PCI_HOTPLUG_SIZE = 0x18;

/** Registers: slots that came; slots that are to go; eject; slots that can change; bus; label. */
const EJECT = 0x08;
const REMOVABLE = 0x0c;
const BUS = 0x10;
const MOST_BUSES = 256;

export interface PciHotplugWiring {
  /** Slots of bus 0 whose functions stay, as bits. */
  fixedSlots: () => number;
  /** The guest ejects what is in a slot. */
  eject: (slot: number) => void;
}

export class PciHotplug implements Device, PortHandler {
  readonly name = 'pci-hotplug';
  private bus = 0;

  constructor(private readonly wiring: PciHotplugWiring) {}

  portRead(offset: number, size: AccessSize): number {
    if (size !== 4 || this.bus >= MOST_BUSES) return 0;
    if (offset === REMOVABLE) return this.bus === 0 ? ~this.wiring.fixedSlots() >>> 0 : 0xffff_ffff;
    return offset === BUS ? this.bus : 0;
  }

  portWrite(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    if (offset === BUS) this.bus = value >>> 0;
    if (offset !== EJECT || this.bus !== 0 || value === 0) return;
    // The lowest slot named, and no other.
    const slot = 31 - Math.clz32(value & -value);
    if ((this.wiring.fixedSlots() & (1 << slot)) === 0) this.wiring.eject(slot);
  }

  reset(): void {}

  save(): Plain {
    return this.bus;
  }

  load(state: Plain): void {
    this.bus = state as number;
  }
}
