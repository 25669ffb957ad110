// The `microvm` machine, wired as QEMU 7.2 wires `-M microvm -nodefaults` under TCG with one serial port, a debug console
// at 0x402 and isa-debug-exit at 0x501. Wiring only: what happens is in the devices.
//
// There is no PCI, no HPET, no keyboard controller, no ISA DMA, no port 0x61: what is left of the PC is PIC, PIT, RTC and
// UART. With ACPI (the default) there are two I/O APICs and 24 virtio-mmio slots at the second one, and the Generic Event
// Device for power button, power-off and reset; without, one I/O APIC, 8 slots at its interrupts 5–12, and a reset by
// triple fault only. Devices take slots from the last one down, as QEMU's do.

import { Board, type BoardOptions, DEBUG_EXIT_PORT, DEBUGCON_PORT, SERIAL_IRQ, SERIAL_PORT } from './board.js';
import type { PortHandler } from './device.js';
import { AcpiGed, GED_BASE, GED_IRQ, GED_REGS_BASE, GED_REGS_SIZE, GED_SIZE } from './devices/acpi/acpi-ged.js';
import { Debugcon, DebugExit } from './devices/debug-ports.js';
import { FW_CFG_DMA_PORT, FW_CFG_DMA_PORTS, FW_CFG_PORT, FW_CFG_PORTS, FwCfg } from './devices/fw-cfg.js';
import { IOAPIC_BASE, IOAPIC_PINS } from './devices/interrupts/ioapic.js';
import { Pit } from './devices/time/pit.js';
import { Rtc } from './devices/time/rtc.js';
import { storeMemorySize } from './devices/time/rtc-board.js';
import { Uart16550 } from './devices/uart16550.js';
import { type BlockStore, VirtioBlk } from './devices/virtio/virtio-blk.js';
import { VirtioConsole } from './devices/virtio/virtio-console.js';
import type { VirtioDevice } from './devices/virtio/virtio-device.js';
import { EMPTY_VIRTIO_SLOT, VIRTIO_MMIO_BASE, VIRTIO_MMIO_SIZE, VirtioMmio } from './devices/virtio/virtio-mmio.js';
import { VirtioRng } from './devices/virtio/virtio-rng.js';
import type { Input } from './inputs.js';

const SECOND_IOAPIC_BASE = 0xfec1_0000;
const PIT_IRQ = 0;
const RTC_IRQ = 8;

/** What a microvm's tables and hints are made from. */
export interface MicrovmLayout {
  readonly acpi: boolean;
  readonly ioapics: readonly { base: number; gsi: number }[];
  /** Interrupt of slot 0, and how many slots there are. */
  readonly firstGsi: number;
  readonly slots: number;
  /** Slots that hold a device, in the order in which they are filled. */
  readonly virtio: readonly { slot: number; gsi: number; address: number }[];
}

/**
 * Where things are on a microvm with so many virtio devices.
 * @throws RangeError when there are more of them than slots
 */
export function microvmLayout(acpi: boolean, devices: number): MicrovmLayout {
  const slots = acpi ? IOAPIC_PINS : 8;
  const firstGsi = acpi ? IOAPIC_PINS : 5;
  if (devices > slots) throw new RangeError(`${devices} virtio devices, and the machine has ${slots} slots`);
  const first = { base: IOAPIC_BASE, gsi: 0 };
  return {
    acpi,
    ioapics: acpi ? [first, { base: SECOND_IOAPIC_BASE, gsi: IOAPIC_PINS }] : [first],
    firstGsi,
    slots,
    virtio: Array.from({ length: devices }, (_, i) => {
      const slot = slots - 1 - i;
      return { slot, gsi: firstGsi + slot, address: VIRTIO_MMIO_BASE + slot * VIRTIO_MMIO_SIZE };
    }),
  };
}

/** What QEMU adds to a kernel's command line where no ACPI tells of the slots that hold a device. */
export function virtioHints({ acpi, virtio }: MicrovmLayout): string {
  if (acpi) return '';
  return virtio.map(({ address, gsi }) => ` virtio_mmio.device=512@0x${address.toString(16)}:${gsi}`).join('');
}

/** A virtio device to be plugged in. */
export type VirtioPlug = { kind: 'blk'; store: BlockStore } | { kind: 'rng' } | { kind: 'console' };

export interface MicrovmOptions extends BoardOptions {
  /** ACPI, and what comes with it. Default true. */
  acpi?: boolean;
  /** virtio-mmio has its interface from before Virtio 1, QEMU's default. Default true. */
  legacyVirtio?: boolean;
  virtio?: readonly VirtioPlug[];
}

/** The machine. */
export class Microvm extends Board {
  readonly name = 'microvm';
  readonly pit: Pit;
  readonly rtc: Rtc;
  readonly uart: Uart16550;
  readonly fwCfg: FwCfg;
  readonly ged: AcpiGed | undefined;
  readonly layout: MicrovmLayout;
  readonly virtio: readonly VirtioMmio[];

  /** @throws RangeError for more virtio devices than slots */
  constructor(options: MicrovmOptions) {
    super(options);
    const { lines, virtio = [], legacyVirtio = true } = options;
    this.layout = microvmLayout(options.acpi !== false, virtio.length);
    if (this.layout.ioapics.length > 1) this.addIoapic('ioapic2', SECOND_IOAPIC_BASE);
    this.pit = this.addDevice(new Pit(this.clock, (level) => this.setGsi(PIT_IRQ, level)));
    this.rtc = this.addDevice(new Rtc(this.clock, (level) => this.setGsi(RTC_IRQ, level), this.inputs.epochSeconds));
    storeMemorySize(this.rtc, options.ramSize);
    this.uart = this.addDevice(
      new Uart16550({
        name: 'com1',
        clock: this.clock,
        irq: (level) => this.setGsi(SERIAL_IRQ, level),
        output: (byte) => this.onSerial(byte),
      }),
    );
    this.fwCfg = this.addDevice(new FwCfg(options.memory, options.fwCfgDma));
    options.fwCfg?.(this.fwCfg);
    if (this.layout.acpi) {
      this.ged = this.addDevice(
        new AcpiGed({
          irq: (level) => this.setGsi(GED_IRQ, level),
          poweroff: () => lines.stop({ reason: 'poweroff' }),
          reset: () => this.requestReset(),
        }),
      );
      this.mmio.map('acpi-ged', GED_BASE, GED_SIZE, this.ged.selector);
      this.mmio.map('acpi-ged-regs', GED_REGS_BASE, GED_REGS_SIZE, this.ged.registers);
    }
    this.virtio = virtio.map((plug, i) => {
      const { slot, gsi } = this.layout.virtio[i]!;
      const line = (level: boolean): void => this.setGsi(gsi, level);
      return this.addDevice(new VirtioMmio(slot, this.#makeDevice(plug, options), line, legacyVirtio));
    });
    this.#mapSlots(legacyVirtio);
    this.#mapPorts(options);
  }

  /** A console on virtio shares the terminal with the serial port, and gets the input from when the guest opens it. */
  protected input(input: Input): void {
    if (input.kind === 'power-button') this.ged?.powerButton();
    if (input.kind !== 'serial') return;
    const open = this.virtio
      .map(({ device }) => device)
      .find((device) => device instanceof VirtioConsole && device.isOpen);
    if (open instanceof VirtioConsole) open.receive(input.data);
    else this.uart.receive(input.data);
  }

  #makeDevice(plug: VirtioPlug, { memory }: MicrovmOptions): VirtioDevice {
    switch (plug.kind) {
      case 'blk':
        return new VirtioBlk(memory, plug.store);
      case 'rng':
        return new VirtioRng(memory, (length) => this.inputs.random.bytes(length));
      case 'console':
        return new VirtioConsole(memory, (byte) => this.onSerial(byte));
    }
  }

  #mapSlots(legacy: boolean): void {
    for (let slot = 0; slot < this.layout.slots; slot++) {
      const handler = this.virtio.find((other) => other.slot === slot) ?? EMPTY_VIRTIO_SLOT(legacy);
      this.mmio.map(`virtio-mmio.${slot}`, VIRTIO_MMIO_BASE + slot * VIRTIO_MMIO_SIZE, VIRTIO_MMIO_SIZE, handler);
    }
  }

  /** The port map of QEMU's microvm. */
  #mapPorts({ lines, fwCfgDma }: MicrovmOptions): void {
    const { ports } = this;
    const table: [name: string, base: number, size: number, handler: PortHandler][] = [
      ['pic0', 0x20, 2, this.pic.master],
      ['pit', 0x40, 4, this.pit],
      ['rtc', 0x70, 2, this.rtc],
      ['pic1', 0xa0, 2, this.pic.slave],
      ['elcr0', 0x4d0, 1, this.pic.elcr(0)],
      ['elcr1', 0x4d1, 1, this.pic.elcr(1)],
    ];
    for (const [name, base, size, handler] of table) ports.map(name, base, size, handler);
    ports.map('com1', SERIAL_PORT, 8, this.uart, { unaligned: true });
    ports.map('debugcon', DEBUGCON_PORT, 1, new Debugcon((byte) => this.onDebugcon(byte)), { width: 4 });
    ports.map('debug-exit', DEBUG_EXIT_PORT, 4, new DebugExit(lines), { width: 4 });
    ports.map('fw-cfg', FW_CFG_PORT, FW_CFG_PORTS, this.fwCfg.control, { width: 4 });
    if (fwCfgDma !== false) ports.map('fw-cfg-dma', FW_CFG_DMA_PORT, FW_CFG_DMA_PORTS, this.fwCfg.dma, { width: 4 });
  }
}
