// Wiring of the standard VGA into a PC's spaces: legacy ports, the window at 0xa0000, and the BARs where the guest puts
// them. By itself, so that a trace can be watched by a VGA that has no machine around it (screen/vga-watch.ts).

import type { Mapping } from './address-space.js';
import { type BarRange, StdVga } from './devices/vga/std-vga.js';
import type { MmioSpace } from './mmio-space.js';
import type { PortSpace } from './port-space.js';

/** Slot on bus 0, as QEMU's. */
export const VGA_SLOT = 2;
/** Where video memory shows below 1 MiB. */
export const VGA_WINDOW = 0xa_0000;
export const VGA_WINDOW_SIZE = 0x2_0000;
/** Runs of ports from 0x3b0 on: the CRT controller's two places, and what does not move. */
const PORTS: readonly (readonly [base: number, size: number])[] = [
  [0x3b4, 2],
  [0x3ba, 1],
  [0x3c0, 16],
  [0x3d4, 2],
  [0x3da, 1],
];

/**
 * A standard VGA whose ports and memory are in the given spaces; the PCI function is the caller's to place.
 * @param rom the VGA BIOS
 */
export function wireStdVga(ports: PortSpace, mmio: MmioSpace, rom?: Uint8Array): StdVga {
  const mapped = new Map<number, Mapping[]>();
  const mapBar = (bar: number, ranges: readonly BarRange[], address: number | undefined): void => {
    for (const mapping of mapped.get(bar) ?? []) mapping.unmap();
    const map = ({ name, offset, size, handler, ...options }: BarRange): Mapping =>
      mmio.map(name, address! + offset, size, handler, { ...options, overlay: true });
    mapped.set(bar, address === undefined ? [] : ranges.map(map));
  };
  const device = new StdVga(rom, { mapBar });
  const { vga } = device;
  for (const [base, size] of PORTS)
    ports.map('vga', base, size, vga.ports, { width: 4, unaligned: true, offset: base - 0x3b0 });
  ports.map('vga-dispi', 0x1ce, 1, vga.dispi.indexPort, { width: 4, unaligned: true });
  ports.map('vga-dispi', 0x1cf, 2, vga.dispi.dataPort, { width: 4, unaligned: true });
  mmio.map('vga', VGA_WINDOW, VGA_WINDOW_SIZE, vga.memory.window, { width: 1, memory: true });
  return device;
}
