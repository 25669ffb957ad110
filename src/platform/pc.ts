// The `pc` machine: i440FX and PIIX3/4 with the legacy devices of a PC, wired as QEMU 7.2 wires `-M pc -nodefaults` with
// one serial port, a debug console at 0x402 and isa-debug-exit at 0x501. Wiring only: what happens is in the devices.
//
// Interrupts beside what every board has: PIT and RTC pass through the HPET, which may take their lines over.
// Ports without a device read as all ones. The floppy controller has no drives. Left out: parallel port, VMware
// backdoor.

import type { GuestMemory, ProcessorLines } from '../cpu/bus.js';
import type { Mapping } from './address-space.js';
import { BlockImage, type BlockSource } from './block/block-image.js';
import { Board, type BoardOptions, DEBUG_EXIT_PORT, DEBUGCON_PORT, SERIAL_IRQ, SERIAL_PORT } from './board.js';
import type { PortHandler } from './device.js';
import { AcpiPm, APM_PORT, GPE0_BASE, GPE0_SIZE, PM_SIZE } from './devices/acpi/acpi-pm.js';
import { CPU_BITMAP_SIZE, CPU_HOTPLUG_BASE, CPU_HOTPLUG_SIZE, CpuHotplug } from './devices/acpi/cpu-hotplug.js';
import { PCI_HOTPLUG_BASE, PCI_HOTPLUG_SIZE, PciHotplug } from './devices/acpi/pci-hotplug.js';
import { Debugcon, DebugExit, PostCode } from './devices/debug-ports.js';
import { Dma8237 } from './devices/dma8237.js';
import { FDC_BASE, FDC_IRQ, Fdc } from './devices/floppy/fdc.js';
import { FW_CFG_DMA_PORT, FW_CFG_DMA_PORTS, FW_CFG_PORT, FW_CFG_PORTS, FwCfg } from './devices/fw-cfg.js';
import { IDE_PORTS } from './devices/ide/ide-channel.js';
import { IDE_CHANNELS, type IdeMedia, Piix3Ide } from './devices/ide/piix3-ide.js';
import type { PciFunction } from './devices/pci/pci-function.js';
import { I440fx, PCI_ADDRESS_PORT, PCI_DATA_PORT, PciHost } from './devices/pci/pci-host.js';
import { Piix3Isa, RESET_CONTROL_PORT } from './devices/pci/piix3-isa.js';
import { Port92 } from './devices/port92.js';
import { I8042 } from './devices/ps2/i8042.js';
import { HPET_BASE, HPET_SIZE, Hpet } from './devices/time/hpet.js';
import { PcSpeaker } from './devices/time/pc-speaker.js';
import { Pit } from './devices/time/pit.js';
import { Rtc } from './devices/time/rtc.js';
import { storeBoardSetup, storeDisks } from './devices/time/rtc-board.js';
import { Uart16550 } from './devices/uart16550.js';
import type { StdVga } from './devices/vga/std-vga.js';
import { VirtioBlk } from './devices/virtio/virtio-blk.js';
import { LEGACY_BAR, MSIX_BAR, VirtioPci } from './devices/virtio/virtio-pci.js';
import type { Input } from './inputs.js';
import { VGA_SLOT, wireStdVga } from './pc-vga.js';

const SCI_IRQ = 9;
/** Where firmware looks in CMOS RAM for what a reset was for, and what says that it ends a suspension. */
const SHUTDOWN_STATUS = 0x0f;
const RESUME = 0xfe;
/** Behind host bridge and south bridge. */
const FIRST_FREE_SLOT = 2;

/** What a PC is built from. */
export interface PcOptions extends BoardOptions {
  /** PAM or SMRAM changed: what answers at 0xa0000–0xfffff must be worked out anew. */
  memoryChanged?: (bridge: I440fx) => void;
  /** There is SMM, as on QEMU's default machine; else firmware is told that it is set up already (smm=off). */
  smm?: boolean;
  /** Disks behind virtio PCI functions, in the first free slots. */
  virtioDisks?: readonly BlockSource[];
  /** Disks and CDs by their place on the IDE controller. Default: none. */
  ide?: IdeMedia;
  /** A standard VGA, and its BIOS in the expansion ROM. Default: none. */
  vga?: { rom?: Uint8Array | undefined };
}

/** The machine. Devices that not every PC has are added with addDevice() and addPciFunction() before it runs. */
export class Pc extends Board {
  readonly name = 'pc';
  readonly pit: Pit;
  readonly rtc: Rtc;
  readonly hpet: Hpet;
  readonly uart: Uart16550;
  readonly i8042: I8042;
  readonly fwCfg: FwCfg;
  readonly pci = new PciHost();
  readonly acpiPm: AcpiPm;
  readonly vga: StdVga | undefined;
  /** A progress code was written to port 0x80. */
  onPostCode: (code: number) => void = () => {};
  readonly #lines: ProcessorLines;

  constructor(options: PcOptions) {
    super(options);
    const { lines } = options;
    this.#lines = lines;
    this.hpet = this.addDevice(
      new Hpet({
        clock: this.clock,
        irq: (gsi, level) => this.setGsi(gsi, level),
        pitEnabled: (enabled) => this.pit.setIrqEnabled(enabled),
      }),
    );
    this.pit = this.addDevice(new Pit(this.clock, this.hpet.pitIrq));
    this.rtc = this.addDevice(new Rtc(this.clock, this.hpet.rtcIrq, this.inputs.epochSeconds));
    this.rtc.onAlarm = () => this.acpiPm.wake('rtc');
    storeBoardSetup(this.rtc, options.ramSize);
    this.uart = this.addDevice(
      new Uart16550({
        name: 'com1',
        clock: this.clock,
        irq: (level) => this.setGsi(SERIAL_IRQ, level),
        output: (byte) => this.onSerial(byte),
      }),
    );
    this.i8042 = this.addDevice(
      new I8042({
        keyboardIrq: (level) => this.setGsi(1, level),
        mouseIrq: (level) => this.setGsi(12, level),
        setA20: (enabled) => lines.setA20(enabled),
        requestReset: () => this.requestReset(),
      }),
    );
    this.fwCfg = this.addDevice(new FwCfg(options.memory, options.fwCfgDma));
    options.fwCfg?.(this.fwCfg);

    this.addDevice(this.pci);
    const isa = new Piix3Isa({ irq: (irq, level) => this.setGsi(irq, level), reset: () => this.requestReset() });
    this.pci.pirq = (wire, level) => isa.setPirq(wire, level);
    let pmMapping: Mapping | undefined;
    this.acpiPm = new AcpiPm({
      clock: this.clock,
      sci: (level) => this.setGsi(SCI_IRQ, level),
      ...(options.smm !== undefined && { smm: options.smm }),
      poweroff: () => lines.stop({ reason: 'poweroff' }),
      suspend: () => {
        this.rtc.setCmos(SHUTDOWN_STATUS, RESUME);
        lines.suspend();
      },
      wake: () => this.requestReset(),
      smi: () => lines.pulseSmi(),
      mapPm: (base) => {
        pmMapping?.unmap();
        const map = (at: number) => this.ports.map('acpi-pm', at, PM_SIZE, this.acpiPm.pm, { width: 4, overlay: true });
        pmMapping = base === undefined ? undefined : map(base);
      },
    });
    this.addPciFunction(0, 0, new I440fx(options.ramSize, options.memoryChanged));
    this.addPciFunction(1, 0, isa);
    this.addPciFunction(1, 3, this.acpiPm);
    this.#addIde(options);
    if (options.vga) this.vga = this.addPciFunction(VGA_SLOT, 0, wireStdVga(this.ports, this.mmio, options.vga.rom));
    this.#mapPorts(isa, options.fwCfgDma !== false);
    this.#mapMmio();
    this.#addHotplug(options.vga !== undefined);
    for (const [n, source] of (options.virtioDisks ?? []).entries()) this.#addVirtioDisk(source, n, options.memory);
  }

  /** Put a PCI function into a slot of bus 0. */
  addPciFunction<T extends PciFunction>(slot: number, number: number, pciFunction: T): T {
    this.pci.add(slot, number, pciFunction);
    return this.addDevice(pciFunction);
  }

  /** The registers behind the DSDT's hotplug methods. */
  #addHotplug(vga: boolean): void {
    const fixed = vga ? 1 << VGA_SLOT : 0;
    const pci = new PciHotplug({ fixedSlots: () => fixed | 3, eject: (slot) => this.pci.eject(slot) });
    this.ports.map('pci-hotplug', PCI_HOTPLUG_BASE, PCI_HOTPLUG_SIZE, this.addDevice(pci), { width: 4 });
    let mapping: Mapping | undefined;
    const map = (bitmap: boolean): void => {
      mapping?.unmap();
      mapping = bitmap
        ? this.ports.map('cpu-bitmap', CPU_HOTPLUG_BASE, CPU_BITMAP_SIZE, cpu.bitmap)
        : this.ports.map('cpu-hotplug', CPU_HOTPLUG_BASE, CPU_HOTPLUG_SIZE, cpu.registers, { width: 4 });
    };
    const cpu: CpuHotplug = this.addDevice(new CpuHotplug({ map }));
    map(true);
  }

  /** The IDE controller, its ports and its bus master, and what CMOS says about disks. */
  #addIde({ memory, ide = [] }: PcOptions): void {
    let mappings: readonly Mapping[] = [];
    const controller: Piix3Ide = new Piix3Ide({
      clock: this.clock,
      memory,
      media: ide,
      irq: (irq, level) => this.setGsi(irq, level),
      mapBusMaster: (base) => {
        for (const mapping of mappings) mapping.unmap();
        const places = base === undefined ? [] : controller.busMasters.entries();
        mappings = [...places].flatMap(([n, { registers, address }]) => [
          this.ports.map('ide-bus-master', base! + 8 * n, 4, registers, { width: 4, overlay: true }),
          this.ports.map('ide-bus-master', base! + 8 * n + 4, 4, address, { width: 4, overlay: true }),
        ]);
      },
    });
    this.addPciFunction(1, 1, controller);
    storeDisks(this.rtc, controller.disks);
    for (const [n, { name, command, control }] of IDE_CHANNELS.entries()) {
      const channel = controller.channels[n]!;
      this.ports.map(name, command, IDE_PORTS, channel.command, { width: 4, unaligned: true });
      this.ports.map(`${name}-control`, control, 1, channel.control, { width: 4, unaligned: true });
    }
  }

  /** A virtio disk in the first free slot. */
  #addVirtioDisk(source: BlockSource, n: number, memory: GuestMemory): void {
    const image = new BlockImage(source);
    const mappings: (Mapping | undefined)[] = [];
    const name = `virtio-blk-pci.${n}`;
    const disk: VirtioPci = new VirtioPci(name, new VirtioBlk(memory, image), {
      message: (address, data) => this.lapic.deliverMsi(address, data),
      map: (bar) => (base) => {
        mappings[bar]?.unmap();
        mappings[bar] = undefined;
        if (base === undefined) return;
        const size = disk.barSize(bar);
        mappings[bar] =
          bar === LEGACY_BAR
            ? this.ports.map(name, base, size, disk.legacy, { width: 4, overlay: true })
            : this.mmio.map(name, base, size, bar === MSIX_BAR ? disk.msix : disk.modern, { overlay: true });
      },
    });
    let slot = FIRST_FREE_SLOT;
    while (this.pci.at(slot, 0) !== undefined) slot += 1;
    this.addPciFunction(slot, 0, disk);
    // What the guest wrote is not the function's to reset or save.
    this.addDevice({
      name: `virtio-disk.${n}`,
      reset: () => {},
      save: () => image.save(),
      load: (state) => image.load(state),
    });
  }

  protected input(input: Input): void {
    switch (input.kind) {
      case 'serial':
        this.uart.receive(input.data);
        break;
      case 'key':
        this.acpiPm.wake('user');
        this.i8042.keyboard.key(input.code, input.down);
        break;
      case 'mouse':
        if (input.buttons !== 0) this.acpiPm.wake('user');
        this.i8042.mouse.move(input);
        break;
      case 'power-button':
        this.acpiPm.powerButton();
        break;
    }
  }

  /** The port map of QEMU's pc. */
  #mapPorts(isa: Piix3Isa, fwCfgDma: boolean): void {
    const { ports } = this;
    const dma = this.addDevice(new Dma8237());
    const speaker = this.addDevice(new PcSpeaker(this.pit));
    const port92 = this.addDevice(
      new Port92(
        (enabled) => this.#lines.setA20(enabled),
        () => this.requestReset(),
      ),
    );
    const postCode = new PostCode((code) => this.onPostCode(code));
    const table: [name: string, base: number, size: number, handler: PortHandler][] = [
      ['dma0-channels', 0x00, 8, dma.channels(0)],
      ['dma0-control', 0x08, 8, dma.control(0)],
      ['pic0', 0x20, 2, this.pic.master],
      ['pit', 0x40, 4, this.pit],
      ['i8042-data', 0x60, 1, this.i8042.data],
      ['port61', 0x61, 1, speaker],
      ['i8042-command', 0x64, 1, this.i8042.command],
      ['rtc', 0x70, 2, this.rtc],
      ['post-code', 0x80, 1, postCode],
      ['port92', 0x92, 1, port92],
      ['pic1', 0xa0, 2, this.pic.slave],
      ['apm', APM_PORT, 2, this.acpiPm.apm],
      ['dma1-channels', 0xc0, 16, dma.channels(1)],
      ['dma1-control', 0xd0, 16, dma.control(1)],
      ['elcr0', 0x4d0, 1, this.pic.elcr(0)],
      ['elcr1', 0x4d1, 1, this.pic.elcr(1)],
      ['reset-control', RESET_CONTROL_PORT, 1, isa.resetPort],
      ['gpe0', GPE0_BASE, GPE0_SIZE, this.acpiPm.gpe],
    ];
    for (const [name, base, size, handler] of table) ports.map(name, base, size, handler);
    const fdc = this.addDevice(new Fdc(this.clock, (level) => this.setGsi(FDC_IRQ, level)));
    ports.map('fdc', FDC_BASE + 1, 5, fdc, { width: 4, offset: 1, unaligned: true });
    ports.map('fdc', FDC_BASE + 7, 1, fdc, { width: 4, offset: 7, unaligned: true });
    // Page registers: 0x81–0x83 and 0x87, 0x89–0x8b and 0x8f; the others do not exist.
    for (const controller of [0, 1] as const) {
      const base = 0x80 + 8 * controller;
      const pages = dma.pages(controller);
      ports.map(`dma${controller}-pages`, base + 1, 3, pages, { width: 4, offset: 1, unaligned: true });
      ports.map(`dma${controller}-page0`, base + 7, 1, pages, { width: 4, offset: 7, unaligned: true });
    }
    ports.map('com1', SERIAL_PORT, 8, this.uart, { unaligned: true });
    ports.map('debugcon', DEBUGCON_PORT, 1, new Debugcon((byte) => this.onDebugcon(byte)), { width: 4 });
    ports.map('debug-exit', DEBUG_EXIT_PORT, 4, new DebugExit(this.#lines), { width: 4 });
    ports.map('fw-cfg', FW_CFG_PORT, FW_CFG_PORTS, this.fwCfg.control, { width: 4 });
    if (fwCfgDma) ports.map('fw-cfg-dma', FW_CFG_DMA_PORT, FW_CFG_DMA_PORTS, this.fwCfg.dma, { width: 4 });
    // The reset control register sits in the middle of the PCI address register.
    ports.map('pci-address', PCI_ADDRESS_PORT, 1, this.pci.address, { width: 4 });
    ports.map('pci-address', PCI_ADDRESS_PORT + 2, 2, this.pci.address, { width: 4, offset: 2 });
    ports.map('pci-data', PCI_DATA_PORT, 4, this.pci.data, { width: 4 });
  }

  #mapMmio(): void {
    this.mmio.map('hpet', HPET_BASE, HPET_SIZE, this.hpet);
  }
}
