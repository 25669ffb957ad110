// What SeaBIOS leaves in the pc machine's registers when it hands over to a loader, done by the same port and memory
// accesses: for boots without firmware, where the program takes its place. Values were read from QEMU 7.2.22 after
// SeaBIOS 1.16 (-M pc,smm=off). Invariant: only what a guest could do itself is done here, in a fixed order, so a
// recorder may listen. Left out: what is not in devices (BIOS data area, interrupt vectors, MTRRs), disks and consoles.

import type { Bus } from '../cpu/bus.js';
import { PM_BASE, SCI_IRQ } from './devices/acpi/acpi-pm.js';
import { LAPIC_BASE } from './devices/interrupts/lapic.js';
import { PCI_BAR0, PCI_COMMAND, PCI_INTERRUPT_LINE, PCI_ROM_BAR } from './devices/pci/pci-function.js';
import { PCI_ADDRESS_PORT, PCI_DATA_PORT } from './devices/pci/pci-host.js';

/** Of the bus, only what firmware uses. */
export type FirmwareBus = Pick<Bus, 'portRead' | 'portWrite' | 'mmioWrite'>;

/** ISA interrupts of PIRQA…PIRQD. */
const PIRQ_ROUTES = [10, 10, 11, 11];
/** I/O, memory and SERR# enabled. */
const COMMAND = 0x103;
const IO_START = 0xc000;
/** PCI memory is given out downwards from here. */
const MEMORY_END = 0xfec00000;
const PAGE = 0x1000;
const BAR_REGISTERS = [0, 1, 2, 3, 4, 5].map((n) => PCI_BAR0 + 4 * n).concat(PCI_ROM_BAR);

type RegionKind = 'io' | 'memory' | 'prefetchable';

interface PciResource {
  slot: number;
  number: number;
  register: number;
  size: number;
  wide: boolean;
}

/** Bring a machine after reset into the state in which firmware hands it over. */
export function setUpAsFirmware(bus: FirmwareBus): void {
  setUpInterrupts(bus);
  new PciSetup(bus).run();
}

function setUpInterrupts(bus: FirmwareBus): void {
  const out = (port: number, ...values: readonly number[]) => {
    for (const value of values) bus.portWrite(port, 1, value);
  };
  // A20 is on by port 92h, too.
  out(0x92, 0x02);
  // PICs: vectors 0x08 and 0x70; open are timer, keyboard, cascade, floppy; clock, mouse, coprocessor, disk.
  out(0x20, 0x11);
  out(0xa0, 0x11);
  out(0x21, 0x08, 0x04, 0x01, 0xb8);
  out(0xa1, 0x70, 0x02, 0x01, 0x8e);
  // Level-triggered: 10 and 11, which the PCI wires are routed to.
  out(0x4d0, 0x00);
  out(0x4d1, 0x0c);
  // Channel 0 as rate generator of 65536 periods.
  out(0x43, 0x34);
  out(0x40, 0, 0);
  const apic = (offset: number, value: number) => bus.mmioWrite(LAPIC_BASE + offset, 4, value);
  apic(0x350, 0x8700); // LINT0: ExtINT, level
  apic(0x360, 0x8400); // LINT1: NMI, level
  apic(0x0f0, 0x1ff); // enabled
  apic(0x300, 0xc4500); // INIT and startup for the other processors, which are absent
  apic(0x300, 0xc4610);
}

class PciSetup {
  private readonly bus: FirmwareBus;
  private readonly resources: Record<RegionKind, PciResource[]> = { io: [], memory: [], prefetchable: [] };

  constructor(bus: FirmwareBus) {
    this.bus = bus;
  }

  run(): void {
    const functions = this.functions();
    for (const [slot, number] of functions) this.size(slot, number);
    this.place();
    for (const [slot, number] of functions) this.enable(slot, number);
    this.setUpBoard();
    this.bus.portWrite(PCI_ADDRESS_PORT, 4, 0);
  }

  private functions(): [slot: number, number: number][] {
    const found: [number, number][] = [];
    for (let slot = 0; slot < 32; slot++) {
      if (this.read(slot, 0, 0x00) === 0xffffffff) continue;
      const last = (this.read(slot, 0, 0x0c) >>> 16) & 0x80 ? 7 : 0;
      for (let number = 0; number <= last; number++) {
        if (this.read(slot, number, 0x00) !== 0xffffffff) found.push([slot, number]);
      }
    }
    return found;
  }

  /** Find the size of every base address register by writing ones. */
  private size(slot: number, number: number): void {
    for (let i = 0; i < BAR_REGISTERS.length; i++) {
      const register = BAR_REGISTERS[i]!;
      const rom = register === PCI_ROM_BAR;
      const before = this.read(slot, number, register);
      this.write(slot, number, register, rom ? 0xfffffffe : 0xffffffff);
      const mask = this.read(slot, number, register);
      this.write(slot, number, register, before);
      if (mask === 0) continue;
      const io = !rom && (mask & 1) !== 0;
      const wide = !rom && !io && (mask & 6) === 4;
      const bytes = -(mask & (io ? ~3 : rom ? ~0x7ff : ~15)) >>> 0;
      const kind: RegionKind = io ? 'io' : !rom && mask & 8 ? 'prefetchable' : 'memory';
      this.resources[kind].push({ slot, number, register, size: io ? bytes : Math.max(bytes, PAGE), wide });
      if (wide) i++;
    }
  }

  /** Largest first within a kind; of the memory kinds, the one with the smaller alignment lies on top. */
  private place(): void {
    const { io, memory, prefetchable } = this.resources;
    for (const list of [io, memory, prefetchable]) list.sort((a, b) => b.size - a.size);
    const alignment = (list: readonly PciResource[]) => list[0]?.size ?? 1;
    const order = alignment(memory) < alignment(prefetchable) ? [memory, prefetchable] : [prefetchable, memory];
    let end = MEMORY_END;
    for (const list of order) {
      const total = list.reduce((sum, { size }) => sum + size, 0);
      end = Math.floor((end - total) / alignment(list)) * alignment(list);
      this.assign(list, end);
    }
    this.assign(io, IO_START);
  }

  private assign(list: readonly PciResource[], start: number): void {
    let at = start;
    for (const { slot, number, register, size, wide } of list) {
      this.write(slot, number, register, at);
      if (wide) this.write(slot, number, register + 4, 0);
      at += size;
    }
  }

  private enable(slot: number, number: number): void {
    const pin = this.read(slot, number, PCI_INTERRUPT_LINE) >>> 8;
    if ((pin & 0xff) !== 0) {
      const route = PIRQ_ROUTES[((pin & 0xff) - 1 + slot - 1) & 3]!;
      this.write8(slot, number, PCI_INTERRUPT_LINE, route);
    }
    this.write16(slot, number, PCI_COMMAND, COMMAND);
  }

  /** The chipset's own registers: interrupt routes, IDE timing, power management, shadowed and protected BIOS. */
  private setUpBoard(): void {
    for (const [wire, irq] of PIRQ_ROUTES.entries()) this.write8(1, 0, 0x60 + wire, irq);
    if (this.read(1, 1, 0x00) === 0x70108086) {
      this.write16(1, 1, 0x40, 0x8000);
      this.write16(1, 1, 0x42, 0x8000);
    }
    this.write8(1, 3, PCI_INTERRUPT_LINE, SCI_IRQ);
    this.write(1, 3, 0x40, PM_BASE | 1);
    this.write8(1, 3, 0x80, 1);
    this.write(1, 3, 0x90, 0x0701); // SMBus
    this.write8(1, 3, 0xd2, 0x09);
    // PAM: read-only RAM from 0xc0000 to the ROMs' end, 0xe8000–0xeffff writable.
    for (const [i, value] of [0x10, 0x11, 0x11, 0x11, 0x11, 0x11, 0x33].entries()) this.write8(0, 0, 0x59 + i, value);
  }

  private select(slot: number, number: number, register: number): void {
    const address = 0x80000000 | (slot << 11) | (number << 8) | (register & 0xfc);
    this.bus.portWrite(PCI_ADDRESS_PORT, 4, address >>> 0);
  }

  private read(slot: number, number: number, register: number): number {
    this.select(slot, number, register);
    return this.bus.portRead(PCI_DATA_PORT, 4);
  }

  private write(slot: number, number: number, register: number, value: number): void {
    this.select(slot, number, register);
    this.bus.portWrite(PCI_DATA_PORT, 4, value >>> 0);
  }

  private write16(slot: number, number: number, register: number, value: number): void {
    this.select(slot, number, register);
    this.bus.portWrite(PCI_DATA_PORT + (register & 2), 2, value);
  }

  private write8(slot: number, number: number, register: number, value: number): void {
    this.select(slot, number, register);
    this.bus.portWrite(PCI_DATA_PORT + (register & 3), 1, value);
  }
}
