// PCI configuration mechanism #1 (PCI Local Bus 3.0, section 3.2.2.3.2): CONFIG_ADDRESS at 0xcf8, data at 0xcfc.
// Follows the address register, and the base of the PIIX4's power management block (82371AB, section 7.1.21).

import { PciBars } from './pci-bars.js';
import type { RegisterName } from './registers.js';

/** What QEMU's machines use until the guest writes another base. */
const DEFAULT_PM_BASE = 0x600;
const PM_FUNCTION = '00:01.3';
/** Offset of the first base address register. */
export const HEADER_BAR0 = 0x10;

// biome-ignore format: a table
const HEADER: readonly (readonly [offset: number, size: number, name: string])[] = [
  [0x00, 2, 'vendor ID'], [0x02, 2, 'device ID'], [0x04, 2, 'command'], [0x06, 2, 'status'], [0x08, 1, 'revision'], [0x09, 3, 'class'],
  [0x0c, 1, 'cache line size'], [0x0d, 1, 'latency timer'], [0x0e, 1, 'header type'], [0x0f, 1, 'BIST'],
  [0x10, 4, 'BAR0'], [0x14, 4, 'BAR1'], [0x18, 4, 'BAR2'], [0x1c, 4, 'BAR3'], [0x20, 4, 'BAR4'], [0x24, 4, 'BAR5'],
  [0x28, 4, 'CIS pointer'], [0x2c, 2, 'subsystem vendor ID'], [0x2e, 2, 'subsystem ID'], [0x30, 4, 'expansion ROM'],
  [0x34, 1, 'capabilities'], [0x3c, 1, 'interrupt line'], [0x3d, 1, 'interrupt pin'],
];

// biome-ignore format: a table
const OWN: Readonly<Record<string, readonly (readonly [offset: number, size: number, name: string])[]>> = {
  '00:00.0': [[0x59, 7, 'PAM'], [0x72, 1, 'SMRAM']],
  '00:01.0': [[0x4e, 2, 'XBCS'], [0x60, 4, 'PIRQ routing']],
  '00:01.1': [[0x40, 4, 'IDE timing']],
  '00:01.3': [[0x40, 4, 'PM base'], [0x58, 4, 'device activity B'], [0x80, 1, 'PM miscellaneous'], [0x90, 4, 'SMBus base']],
};

export class PciConfig {
  readonly bars = new PciBars();
  #address = 0;
  #pmBase = DEFAULT_PM_BASE;

  /** I/O base of the ACPI PM block. */
  get pmBase(): number {
    return this.#pmBase;
  }

  /** Name a port access, and follow it: what was written, or the value that was read. Undefined for other ports. */
  access(port: number, size: number, written: number | undefined, read: number): RegisterName | undefined {
    if (port === 0xcf8 && size === 4) {
      if (written !== undefined) this.#address = written;
      return { device: 'pci', register: `address ${this.#place()}` };
    }
    if (port < 0xcfc || port > 0xcff) return undefined;
    const offset = (this.#address & 0xfc) + (port - 0xcfc);
    const place = bdf(this.#address);
    if (written !== undefined && size === 4 && place === PM_FUNCTION && offset === 0x40) {
      this.#pmBase = written & 0xffc0;
    }
    if (size === 4) this.bars.config(place, offset, written ?? read, written !== undefined);
    return { device: `pci ${place}`, register: registerName(place, offset) };
  }

  #place(): string {
    return `${bdf(this.#address)} register 0x${(this.#address & 0xfc).toString(16)}`;
  }
}

function bdf(address: number): string {
  const two = (value: number) => value.toString(16).padStart(2, '0');
  return `${two((address >>> 16) & 0xff)}:${two((address >>> 11) & 31)}.${(address >>> 8) & 7}`;
}

function registerName(place: string, offset: number): string {
  const found = [...(OWN[place] ?? []), ...HEADER].find(([base, size]) => offset >= base && offset < base + size);
  if (!found) return `register 0x${offset.toString(16)}`;
  return offset === found[0] ? found[2] : `${found[2]}+${offset - found[0]}`;
}
