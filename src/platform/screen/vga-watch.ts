// A VGA that has no machine around it and is told what a guest asks of the bus. What it shows is what the guest's screen
// showed: all that reaches a VGA comes over the seam. So a trace alone is enough for a picture, though no device takes
// part in its replay. Answers are not used; reads are passed on because they have effects (latches, flip-flops).

import type { AccessSize } from '../../cpu/bus.js';
import { PCI_ADDRESS_PORT, PCI_DATA_PORT, PciHost } from '../devices/pci/pci-host.js';
import type { Vga } from '../devices/vga/vga.js';
import type { FirmwareBus } from '../firmware-setup.js';
import { MmioSpace } from '../mmio-space.js';
import { VGA_SLOT, wireStdVga } from '../pc-vga.js';
import { PortSpace } from '../port-space.js';

export class VgaWatch {
  readonly vga: Vga;
  readonly #ports = new PortSpace();
  readonly #mmio = new MmioSpace();
  readonly #pci = new PciHost();
  readonly #device = wireStdVga(this.#ports, this.#mmio);

  /** @param before what was done to the machine before the first event that is told */
  constructor(before: (bus: FirmwareBus) => void = () => {}) {
    this.vga = this.#device.vga;
    this.#pci.add(VGA_SLOT, 0, this.#device);
    this.#ports.map('pci-address', PCI_ADDRESS_PORT, 1, this.#pci.address, { width: 4 });
    this.#ports.map('pci-data', PCI_DATA_PORT, 4, this.#pci.data, { width: 4 });
    before({
      portRead: (port, size) => this.#ports.read(port, size),
      portWrite: (port, size, value) => this.portWrite(port, size, value),
      mmioWrite: (address, size, value) => this.mmioWrite(address, size, value),
    });
  }

  /** The machine was reset. */
  reset(): void {
    this.#device.reset();
    this.#pci.reset();
  }

  portRead(port: number, size: AccessSize): void {
    this.#ports.read(port, size);
  }

  portWrite(port: number, size: AccessSize, value: number): void {
    this.#ports.write(port, size, value);
  }

  portReadString(port: number, size: AccessSize, count: number): void {
    if (this.#ports.nameAt(port) !== undefined) this.#ports.readString(port, size, count);
  }

  portWriteString(port: number, size: AccessSize, data: Uint8Array): void {
    this.#ports.writeString(port, size, data);
  }

  mmioRead(address: number, size: AccessSize): void {
    this.#mmio.read(address, size);
  }

  mmioWrite(address: number, size: AccessSize, value: number): void {
    this.#mmio.write(address, size, value);
  }

  /** Of memory, a read of a VGA's window keeps what it read last (its latches). */
  mmioReadString(address: number, size: AccessSize, count: number): void {
    if (this.#mmio.nameAt(address) !== undefined) this.#mmio.readString(address, size, count);
  }

  mmioWriteString(address: number, size: AccessSize, data: Uint8Array): void {
    this.#mmio.writeString(address, size, data);
  }
}
