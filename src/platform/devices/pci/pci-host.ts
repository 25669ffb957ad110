// The i440FX host bridge (Intel 82441FX data sheet 290549): configuration mechanism #1 at ports 0xcf8 and 0xcfc, bus 0
// with its functions, and the bridge's own function 00:00.0 with the PAM and SMRAM registers. What PAM and SMRAM do
// to memory is told to the wiring through a hook. Accesses that QEMU's memory core refuses (unaligned) read 0 here as
// there. Left out: other buses, SMRAM's lock bit (QEMU has neither).

import type { AccessSize } from '../../../cpu/bus.js';
import type { Device, Plain, PortHandler } from '../../device.js';
import { PciFunction } from './pci-function.js';

export const PCI_ADDRESS_PORT = 0xcf8;
export const PCI_DATA_PORT = 0xcfc;

const PAM0 = 0x59;
const PAM_COUNT = 7;
const SMRAM = 0x72;

/** One of the 13 ranges that the PAM registers control. */
export interface PamRegion {
  /** Guest physical. */
  start: number;
  length: number;
  /** RAM answers reads (else ROM or PCI). */
  read: boolean;
  /** RAM takes writes (else they are lost in ROM or PCI). */
  write: boolean;
}

/** 00:00.0, Intel 440FX (8086:1237 revision 2). */
export class I440fx extends PciFunction {
  private readonly memoryChanged: (bridge: I440fx) => void;

  /**
   * @param ramSize bytes of RAM; QEMU shows it in units of 8 MiB at the otherwise unused register 0x57
   * @param memoryChanged called after each write that touches PAM or SMRAM
   */
  constructor(ramSize: number, memoryChanged: (bridge: I440fx) => void = () => {}) {
    super('i440fx', { vendor: 0x8086, device: 0x1237, revision: 2, classCode: 0x060000 });
    this.memoryChanged = memoryChanged;
    this.setInitial(0x57, [Math.min(Math.floor(ramSize / (8 * 1024 * 1024)), 255)]);
    this.setInitial(SMRAM, [0x02]);
  }

  override reset(): void {
    super.reset();
    this.memoryChanged(this);
  }

  /** The ranges in ascending order, as the registers have them now. */
  pamRegions(): PamRegion[] {
    const regions: PamRegion[] = [];
    const add = (start: number, length: number, bits: number) =>
      regions.push({ start, length, read: (bits & 1) !== 0, write: (bits & 2) !== 0 });
    for (let i = 0; i < 12; i++)
      add(0xc0000 + i * 0x4000, 0x4000, this.config[PAM0 + 1 + (i >> 1)]! >> (i & 1 ? 4 : 0));
    add(0xf0000, 0x10000, this.config[PAM0]! >> 4);
    return regions;
  }

  /** RAM instead of VGA at 0xa0000–0xbffff also outside SMM (SMRAM.D_OPEN). */
  get smramOpen(): boolean {
    return (this.config[SMRAM]! & 0x40) !== 0;
  }

  /** RAM there while the processor is in SMM (SMRAM.G_SMRAME). */
  get smramInSmm(): boolean {
    return (this.config[SMRAM]! & 0x08) !== 0;
  }

  protected override configWritten(offset: number, size: number): void {
    const touches = (first: number, count: number) => offset < first + count && offset + size > first;
    if (touches(PAM0, PAM_COUNT) || touches(SMRAM, 1)) this.memoryChanged(this);
  }

  protected override loadInner(): void {
    this.memoryChanged(this);
  }
}

/** Bus 0 and the two configuration ports. Functions register themselves at a slot; interrupts go to `pirq`. */
export class PciHost implements Device {
  readonly name = 'pci-host';
  private readonly functions = new Map<number, PciFunction>();
  private readonly intxCount = [0, 0, 0, 0];
  private addressRegister = 0;
  /** Slots that the guest has ejected, as bits. Their functions are devices still, which nobody can reach. */
  private ejected = 0;
  /** Level of the four shared wires PIRQA…PIRQD, set by the south bridge. */
  pirq: (wire: number, level: boolean) => void = () => {};

  reset(): void {
    this.addressRegister = 0;
  }

  /**
   * Put a function at `slot` (0…31), function `number` (0…7).
   * @throws RangeError if the place is taken or does not exist
   */
  add(slot: number, number: number, pciFunction: PciFunction): void {
    const place = slot * 8 + number;
    if (slot < 0 || slot > 31 || number < 0 || number > 7 || this.functions.has(place)) {
      throw new RangeError(`no room for ${pciFunction.name} at 00:${slot.toString(16)}.${number}`);
    }
    this.functions.set(place, pciFunction);
    pciFunction.intx = (pin, level) => {
      if (pin === 0) return;
      // PIIX wiring of slots to wires: INTA of slot 1 is PIRQA.
      const wire = (pin - 1 + slot - 1) & 3;
      const before = this.intxCount[wire]!;
      this.intxCount[wire] = before + (level ? 1 : -1);
      if (before === 0 || this.intxCount[wire] === 0) this.pirq(wire, level);
    };
  }

  /** The function at a place, for wiring and listings. */
  at(slot: number, number: number): PciFunction | undefined {
    return this.functions.get(slot * 8 + number);
  }

  /** All functions with their places, in order of slot and function. */
  list(): { slot: number; number: number; pciFunction: PciFunction }[] {
    return [...this.functions.entries()]
      .sort(([a], [b]) => a - b)
      .map(([place, pciFunction]) => ({ slot: place >> 3, number: place & 7, pciFunction }));
  }

  /** Take the functions of a slot off the bus, for good: not even a reset brings them back. */
  eject(slot: number): void {
    for (const { slot: at, pciFunction } of this.list()) if (at === slot) pciFunction.reset();
    this.ejected |= 1 << slot;
  }

  /** Level of wire PIRQA…PIRQD (0…3). */
  pirqLevel(wire: number): boolean {
    return this.intxCount[wire]! > 0;
  }

  /** Ports 0xcf8–0xcfb. Only a 4-byte write at offset 0 reaches the register; 0xcf9 belongs to the south bridge. */
  readonly address: PortHandler = {
    portRead: (offset, size) => (offset & (size - 1) ? 0 : truncate(this.addressRegister, size)),
    portWrite: (offset, size, value) => {
      if (offset === 0 && size === 4) this.addressRegister = value >>> 0;
    },
  };

  /** Ports 0xcfc–0xcff. */
  readonly data: PortHandler = {
    portRead: (offset, size) => {
      if (offset & (size - 1)) return 0;
      const target = this.selected();
      return target ? target.configRead(this.register(offset), size) : truncate(0xffffffff, size);
    },
    portWrite: (offset, size, value) => {
      if (offset & (size - 1)) return;
      this.selected()?.configWrite(this.register(offset), size, value);
    },
  };

  /** The functions are separate devices, which are reset, saved and loaded by themselves. */
  save(): Plain {
    return { addressRegister: this.addressRegister, intxCount: [...this.intxCount], ejected: this.ejected };
  }

  load(state: Plain): void {
    const s = state as unknown as { addressRegister: number; intxCount: number[]; ejected: number };
    this.addressRegister = s.addressRegister;
    this.ejected = s.ejected;
    s.intxCount.forEach((count, wire) => {
      this.intxCount[wire] = count;
    });
  }

  private selected(): PciFunction | undefined {
    if (!(this.addressRegister & 0x80000000) || this.addressRegister & 0xff0000) return undefined;
    const place = (this.addressRegister >>> 8) & 0xff;
    return this.ejected & (1 << (place >> 3)) ? undefined : this.functions.get(place);
  }

  /** QEMU ORs the port's low bits into the register number, of which it keeps all eight bits. */
  private register(offset: number): number {
    return (this.addressRegister | offset) & 0xff;
  }
}

function truncate(value: number, size: AccessSize): number {
  return size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
}
