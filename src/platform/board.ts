// What the boards have in common (pc.ts, microvm.ts): processor-side interrupt controllers, clock, the door for inputs,
// the spaces that devices are mapped in, and the bus that the processor sees of all that.
//
// Interrupts: a global system interrupt below 16 goes to the PIC and to the first I/O APIC (IRQ 0 at pin 2); the PIC's
// INTR goes to LINT0 of the local APIC, which drives the processor. A second I/O APIC takes interrupts 24 to 47.
// Invariant: devices are reset, saved and loaded in the order in which they were added; interrupt controllers come first.

import type { AccessSize, GuestMemory, ProcessorLines, TimingModel } from '../cpu/bus.js';
import { VirtualClock } from './clock.js';
import type { Device, Plain } from './device.js';
import type { FwCfg } from './devices/fw-cfg.js';
import { IOAPIC_BASE, IOAPIC_PINS, IOAPIC_SIZE, Ioapic } from './devices/interrupts/ioapic.js';
import { LAPIC_BASE, LAPIC_SIZE, Lapic, type TscSource } from './devices/interrupts/lapic.js';
import { Pic } from './devices/interrupts/pic.js';
import type { Uart16550 } from './devices/uart16550.js';
import { type Input, type InputOptions, Inputs } from './inputs.js';
import { loadMachine, type Machine, saveMachine } from './machine.js';
import { MmioSpace } from './mmio-space.js';
import { PortSpace } from './port-space.js';

export const SERIAL_IRQ = 4;
export const SERIAL_PORT = 0x3f8;
export const DEBUGCON_PORT = 0x402;
export const DEBUG_EXIT_PORT = 0x501;

/** What every board is built from. */
export interface BoardOptions extends InputOptions {
  lines: ProcessorLines;
  memory: GuestMemory;
  timing: TimingModel;
  /** Bytes of RAM, below and above 4 GiB together. */
  ramSize: number;
  /** What the TSC reads, for the local APIC's deadline timer. Default: 1 GHz from cycle 0. */
  tsc?: TscSource;
  /** fw_cfg has its DMA interface. Default true. */
  fwCfgDma?: boolean;
  /** fw_cfg items and files. */
  fwCfg?: (fwCfg: FwCfg) => void;
}

/** A board. Devices that not every one has are added with addDevice() before it runs. */
export abstract class Board implements Machine {
  abstract readonly name: string;
  abstract readonly uart: Uart16550;
  abstract readonly fwCfg: FwCfg;
  readonly clock: VirtualClock;
  readonly inputs: Inputs;
  readonly ports = new PortSpace();
  readonly mmio = new MmioSpace();
  readonly pic: Pic;
  readonly lapic: Lapic;
  readonly ioapic: Ioapic;
  onSerial: (byte: number) => void = () => {};
  onDebugcon: (byte: number) => void = () => {};
  readonly #ioapics: Ioapic[] = [];
  readonly #devices: Device[] = [];
  readonly #lines: ProcessorLines;

  protected constructor(options: BoardOptions) {
    const { lines } = options;
    this.#lines = lines;
    this.clock = new VirtualClock(() => lines.cycle, options.timing.nsPerCycle);
    this.inputs = this.addDevice(new Inputs(this.clock, options));
    this.inputs.connect((input) => this.input(input));
    this.pic = this.addDevice(new Pic((level) => this.lapic.setLint0(level)));
    this.lapic = this.addDevice(
      new Lapic({
        clock: this.clock,
        tsc: options.tsc ?? nanosecondTsc(this.clock),
        intr: (level) => lines.setIntr(level),
        nmi: () => lines.pulseNmi(),
        smi: () => lines.pulseSmi(),
        eoi: (vector) => {
          for (const ioapic of this.#ioapics) ioapic.eoi(vector);
        },
      }),
    );
    this.ioapic = this.addIoapic('ioapic', IOAPIC_BASE);
    this.mmio.map('lapic', LAPIC_BASE, LAPIC_SIZE, this.lapic);
  }

  get devices(): readonly Device[] {
    return this.#devices;
  }

  /**
   * Make a device part of the machine's resets and states; its ports and lines are the caller's to wire.
   * @throws Error when the name is taken
   */
  addDevice<T extends Device>(device: T): T {
    if (this.#devices.some((other) => other.name === device.name)) throw new Error(`two devices named ${device.name}`);
    this.#devices.push(device);
    return device;
  }

  /** Drive a global system interrupt; those below 16 are the ISA lines, which the PIC sees, too. */
  setGsi(gsi: number, level: boolean): void {
    if (gsi < 16) this.pic.setLine(gsi, level);
    this.#ioapics[Math.floor(gsi / IOAPIC_PINS)]?.setGsi(gsi % IOAPIC_PINS, level);
  }

  portRead(port: number, size: AccessSize): number {
    return this.ports.read(port, size);
  }

  portWrite(port: number, size: AccessSize, value: number): void {
    this.ports.write(port, size, value);
  }

  portReadString(port: number, size: AccessSize, count: number): Uint8Array {
    return this.ports.readString(port, size, count);
  }

  portWriteString(port: number, size: AccessSize, data: Uint8Array): void {
    this.ports.writeString(port, size, data);
  }

  mmioRead(address: number, size: AccessSize): number {
    return this.mmio.read(address, size);
  }

  mmioWrite(address: number, size: AccessSize, value: number): void {
    this.mmio.write(address, size, value);
  }

  mmioString(address: number, size: AccessSize, count: number): boolean {
    return this.mmio.isMemory(address, size * count);
  }

  mmioReadString(address: number, size: AccessSize, count: number): Uint8Array {
    return this.mmio.readString(address, size, count);
  }

  mmioWriteString(address: number, size: AccessSize, data: Uint8Array): void {
    this.mmio.writeString(address, size, data);
  }

  msrRead(index: number): bigint {
    return this.lapic.msrRead(index);
  }

  msrWrite(index: number, value: bigint): void {
    this.lapic.msrWrite(index, value);
  }

  /** The local APIC decides; where it passes the cycle on, the PIC answers. */
  acknowledge(): number {
    const vector = this.lapic.acknowledge();
    return vector >= 0 ? vector : this.pic.acknowledge();
  }

  advance(cycle: number): void {
    this.clock.runDue(cycle);
  }

  nextEvent(): number {
    return this.clock.nextEvent();
  }

  reset(): void {
    // Interrupt controllers were added first and are reset last: what the others do to their lines leaves no request.
    for (const device of this.#devices.toReversed()) device.reset();
    this.#lines.setA20(true);
    this.#lines.setIntr(this.lapic.hasInterrupt());
  }

  save(): Plain {
    return saveMachine(this.#devices, this.clock);
  }

  load(state: Plain): void {
    loadMachine(state, this.#devices, this.clock);
    this.#lines.setIntr(this.lapic.hasInterrupt());
  }

  /** Something from outside has arrived. */
  protected abstract input(input: Input): void;

  /** The next I/O APIC, which takes the next 24 interrupts. */
  protected addIoapic(name: string, base: number): Ioapic {
    const ioapic = this.addDevice(
      new Ioapic(
        {
          clock: this.clock,
          deliver: (message) => this.lapic.deliver(message),
          acknowledgePic: () => this.pic.acknowledge(),
        },
        name,
      ),
    );
    this.#ioapics.push(ioapic);
    this.mmio.map(name, base, IOAPIC_SIZE, ioapic);
    return ioapic;
  }

  protected requestReset(): void {
    this.#lines.stop({ reason: 'reset' });
  }
}

/** A TSC that counts nanoseconds. */
function nanosecondTsc(clock: VirtualClock): TscSource {
  return {
    now: () => BigInt(clock.now()),
    timeOf: (tsc) => (tsc > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(tsc)),
  };
}
