// The configuration space of one conventional PCI function (PCI Local Bus Specification 3.0, chapter 6): identity,
// write masks, base address registers, INTx. Initial values and masks are those of QEMU 7.2, where everything from
// 0x40 on is writable unless a device says otherwise. Invariant: a BAR's `map` callback is called exactly when the
// place that the guest sees it at changes. Left out: capability lists, bridges, bus mastering as a gate for DMA.

import type { AccessSize } from '../../../cpu/bus.js';
import type { Device, Plain } from '../../device.js';

export interface PciIdentity {
  vendor: number;
  device: number;
  revision?: number;
  /** 24 bits: class, subclass, programming interface. */
  classCode: number;
  /** Default 1af4:1100, as QEMU. */
  subsystemVendor?: number;
  subsystemDevice?: number;
  /** Further functions exist in this slot. */
  multifunction?: boolean;
  /** 1…4 for INTA…INTD, 0 for none. */
  interruptPin?: number;
}

export interface PciBar {
  space: 'io' | 'memory';
  /** Bytes, a power of two. */
  size: number;
  prefetchable?: boolean;
  /** Memory only: takes this register and the next. Default 32. */
  addressBits?: 32 | 64;
}

/** Where a BAR is decoded, or undefined while it is not. */
export type BarMapping = (address: number | undefined) => void;

/** Config space offsets (chapter 6.1). */
export const PCI_COMMAND = 0x04;
export const PCI_STATUS = 0x06;
export const PCI_BAR0 = 0x10;
export const PCI_ROM_BAR = 0x30;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;

const COMMAND_IO = 0x1;
const COMMAND_MEMORY = 0x2;
const COMMAND_MASTER = 0x4;
const COMMAND_INTX_DISABLE = 0x400;
const STATUS_INTERRUPT = 0x08;

/** Index under which the expansion ROM's register is kept. */
export const ROM_INDEX = 6;
const ROM_ENABLE = 1;

interface BarEntry extends PciBar {
  index: number;
  /** In configuration space. */
  offset: number;
  map: BarMapping;
  address: number | undefined;
}

interface PciFunctionState {
  config: Uint8Array;
  irqLevel: boolean;
  inner: Plain;
}

/** A function on the bus. Subclasses add registers by overriding configWritten(), saveInner() and loadInner(). */
export class PciFunction implements Device {
  readonly name: string;
  /** The 256 bytes as the guest reads them. */
  readonly config = new Uint8Array(256);
  /** Bits that the guest may change. */
  readonly writeMask = new Uint8Array(256);
  /** Bits that the guest clears by writing 1. */
  readonly clearMask = new Uint8Array(256);
  private readonly initial = new Uint8Array(256);
  private readonly bars: BarEntry[] = [];
  private irqLevel = false;
  private drivenLevel = false;
  /** The INTx wire, set by the bus; already gated by the command register. */
  intx: (pin: number, level: boolean) => void = () => {};

  constructor(name: string, identity: PciIdentity) {
    this.name = name;
    const config = this.initial;
    this.put16(config, 0x00, identity.vendor);
    this.put16(config, 0x02, identity.device);
    config[0x08] = identity.revision ?? 0;
    config[0x09] = identity.classCode & 0xff;
    this.put16(config, 0x0a, identity.classCode >> 8);
    config[0x0e] = identity.multifunction ? 0x80 : 0;
    this.put16(config, 0x2c, identity.subsystemVendor ?? 0x1af4);
    this.put16(config, 0x2e, identity.subsystemDevice ?? 0x1100);
    config[PCI_INTERRUPT_PIN] = identity.interruptPin ?? 0;
    // I/O, memory, bus master, SERR#, INTx disable.
    this.put16(this.writeMask, PCI_COMMAND, 0x0507);
    this.writeMask[0x0c] = 0xff;
    this.writeMask[PCI_INTERRUPT_LINE] = 0xff;
    this.writeMask.fill(0xff, 0x40);
    this.put16(this.clearMask, PCI_STATUS, 0xf900);
    this.config.set(config);
  }

  reset(): void {
    this.config.set(this.initial);
    this.updateMappings();
    this.setIrq(false);
  }

  /** Set initial bytes from `offset` on; they come back at every reset. */
  setInitial(offset: number, bytes: readonly number[]): void {
    this.initial.set(bytes, offset);
    this.config.set(bytes, offset);
  }

  /**
   * Add base address register `index` (0…5).
   * @throws RangeError if the size is no power of two or too small
   */
  addBar(index: number, bar: PciBar, map: BarMapping): void {
    const minimum = bar.space === 'io' ? 4 : 16;
    if (bar.size < minimum || 2 ** Math.round(Math.log2(bar.size)) !== bar.size) {
      throw new RangeError(`${this.name}: BAR ${index} cannot have ${bar.size} bytes`);
    }
    const wide = bar.addressBits === 64;
    const offset = PCI_BAR0 + 4 * index;
    const type = bar.space === 'io' ? 1 : (bar.prefetchable ? 8 : 0) | (wide ? 4 : 0);
    this.setInitial(offset, wide ? [type, 0, 0, 0, 0, 0, 0, 0] : [type, 0, 0, 0]);
    this.put32(this.writeMask, offset, -bar.size >>> 0);
    if (wide) this.put32(this.writeMask, offset + 4, 0xffffffff);
    this.bars.push({ ...bar, index, offset, map, address: undefined });
  }

  /**
   * Add an expansion ROM of `size` bytes, a power of two from 2 KiB on (chapter 6.2.5.2).
   * @throws RangeError if the size is no power of two or too small
   */
  addRom(size: number, map: BarMapping): void {
    if (size < 2048 || 2 ** Math.round(Math.log2(size)) !== size) {
      throw new RangeError(`${this.name}: an expansion ROM cannot have ${size} bytes`);
    }
    this.put32(this.writeMask, PCI_ROM_BAR, (-size | ROM_ENABLE) >>> 0);
    this.bars.push({ space: 'memory', size, index: ROM_INDEX, offset: PCI_ROM_BAR, map, address: undefined });
  }

  /** Where the guest has put BAR `index` (or ROM_INDEX), undefined while it is not decoded. */
  barAddress(index: number): number | undefined {
    return this.bars.find((bar) => bar.index === index)?.address;
  }

  /** Bytes of BAR `index` (or ROM_INDEX); 0 when there is none. */
  barSize(index: number): number {
    return this.bars.find((bar) => bar.index === index)?.size ?? 0;
  }

  /** The bus master bit of the command register. */
  get busMaster(): boolean {
    return (this.config[PCI_COMMAND]! & COMMAND_MASTER) !== 0;
  }

  /** The device's interrupt; reaches the wire unless the command register disables it. */
  setIrq(level: boolean): void {
    this.irqLevel = level;
    if (level) this.config[PCI_STATUS]! |= STATUS_INTERRUPT;
    else this.config[PCI_STATUS]! &= ~STATUS_INTERRUPT;
    this.driveIntx();
  }

  /** `offset` is 0…255; bytes beyond the 256 read as 0 and are not written. */
  configRead(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | this.config[offset + i]!;
    return value >>> 0;
  }

  configWrite(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      const byte = (value >>> (8 * i)) & 0xff;
      const mask = this.writeMask[at]!;
      this.config[at] = ((this.config[at]! & ~mask) | (byte & mask)) & ~(byte & this.clearMask[at]!);
    }
    if (offset < PCI_ROM_BAR + 4) this.updateMappings();
    if (offset <= PCI_COMMAND + 1 && offset + size > PCI_COMMAND) this.driveIntx();
    this.configWritten(offset, size);
  }

  save(): Plain {
    return { config: this.config.slice(), irqLevel: this.irqLevel, inner: this.saveInner() };
  }

  /** BARs are mapped as the state says; interrupt lines are not driven. */
  load(state: Plain): void {
    const s = state as unknown as PciFunctionState;
    this.config.set(s.config);
    this.irqLevel = s.irqLevel;
    this.drivenLevel = s.irqLevel && !this.intxDisabled();
    this.updateMappings();
    this.loadInner(s.inner);
  }

  /** The guest has written `size` bytes at `offset`; `config` already holds the result. */
  protected configWritten(_offset: number, _size: number): void {}

  /** State beyond the configuration space. */
  protected saveInner(): Plain {
    return null;
  }

  protected loadInner(_state: Plain): void {}

  private intxDisabled(): boolean {
    return (this.config[PCI_COMMAND + 1]! & (COMMAND_INTX_DISABLE >> 8)) !== 0;
  }

  private driveIntx(): void {
    const level = this.irqLevel && !this.intxDisabled();
    if (level === this.drivenLevel) return;
    this.drivenLevel = level;
    this.intx(this.config[PCI_INTERRUPT_PIN]!, level);
  }

  private updateMappings(): void {
    for (const bar of this.bars) {
      const address = this.decodedAddress(bar);
      if (address === bar.address) continue;
      bar.address = address;
      bar.map(address);
    }
  }

  private decodedAddress(bar: BarEntry): number | undefined {
    const enable = bar.space === 'io' ? COMMAND_IO : COMMAND_MEMORY;
    if (!(this.config[PCI_COMMAND]! & enable)) return undefined;
    const low = this.configRead(bar.offset, 4);
    if (bar.index === ROM_INDEX && !(low & ROM_ENABLE)) return undefined;
    const high = bar.addressBits === 64 ? this.configRead(bar.offset + 4, 4) : 0;
    const address = high * 2 ** 32 + ((low & -bar.size) >>> 0);
    const last = address + bar.size - 1;
    // As QEMU: address 0 and the very top, where sizing leaves the register, are not decoded.
    const limit = bar.space === 'io' ? 0xffff : bar.addressBits === 64 ? 2 ** 52 : 0xfffffffe;
    return address === 0 || last > limit ? undefined : address;
  }

  private put16(bytes: Uint8Array, offset: number, value: number): void {
    bytes[offset] = value & 0xff;
    bytes[offset + 1] = (value >> 8) & 0xff;
  }

  private put32(bytes: Uint8Array, offset: number, value: number): void {
    this.put16(bytes, offset, value & 0xffff);
    this.put16(bytes, offset + 2, value >>> 16);
  }
}
