// QEMU's standard VGA on the PCI bus (docs/specs/standard-vga.rst): 1234:1111 with 16 MiB of video memory as a linear
// frame buffer in BAR 0, its registers in BAR 2 (EDID, ports 0x3c0–0x3df, DISPI, byte order), an expansion ROM, and the
// legacy ports and window, which are there whatever the command register says. Where BARs lie is told to the wiring.
// Left out: the big-endian frame buffer, which no guest of a PC asks for; the register remembers the request.

import type { MmioHandler, Plain } from '../../device.js';
import { PciFunction } from '../pci/pci-function.js';
import { Vga } from './vga.js';
import { edid } from './vga-edid.js';

export const VGA_MEMORY_SIZE = 16 * 1024 * 1024;
const REGISTERS_SIZE = 0x1000;
const MAX_ROM = 0x10_0000;
const LITTLE_ENDIAN = 0x1e1e_1e1e;
const BIG_ENDIAN = 0xbebe_bebe;
const EXTENSION_SIZE = 8;

/** A part of a BAR, for the wiring to map. */
export interface BarRange {
  name: string;
  offset: number;
  size: number;
  handler: MmioHandler;
  width?: 1 | 2 | 4;
  minWidth?: 1 | 2 | 4;
  unaligned?: boolean;
  memory?: boolean;
}

export interface StdVgaWiring {
  /** Map the parts of a BAR, later ones over earlier ones, or take them away. */
  mapBar: (bar: number, ranges: readonly BarRange[], address: number | undefined) => void;
}

/** The function; ports and window of `vga` are the wiring's to map. */
export class StdVga extends PciFunction {
  readonly vga = new Vga(VGA_MEMORY_SIZE);
  #byteOrder = LITTLE_ENDIAN;

  /**
   * @param rom the VGA BIOS, or nothing
   * @throws RangeError when the ROM is larger than 1 MiB
   */
  constructor(rom: Uint8Array | undefined, wiring: StdVgaWiring) {
    super('vga', { vendor: 0x1234, device: 0x1111, revision: 2, classCode: 0x030000 });
    this.#addBar(wiring, 0, [
      { name: 'vga-framebuffer', offset: 0, size: VGA_MEMORY_SIZE, handler: this.vga.memory.linear, memory: true },
    ]);
    const { dispi, mappedPorts } = this.vga;
    this.#addBar(wiring, 2, [
      { name: 'vga-registers', offset: 0, size: REGISTERS_SIZE, handler: NOTHING },
      { name: 'vga-edid', offset: 0, size: EDID.length, handler: readOnly(EDID), width: 1 },
      { name: 'vga-ports', offset: 0x400, size: 0x20, handler: mappedPorts, width: 2 },
      { name: 'vga-dispi', offset: 0x500, size: 22, handler: dispi.mapped, width: 2, minWidth: 2 },
      { name: 'vga-extension', offset: 0x600, size: EXTENSION_SIZE, handler: this.#extension, minWidth: 4 },
    ]);
    if (rom === undefined || rom.length === 0) return;
    if (rom.length > MAX_ROM) throw new RangeError(`a VGA BIOS of ${rom.length} bytes is larger than 1 MiB`);
    const padded = new Uint8Array(Math.max(2048, 2 ** Math.ceil(Math.log2(rom.length))));
    padded.set(rom);
    const handler = readOnly(padded);
    const ranges = [{ name: 'vga-rom', offset: 0, size: padded.length, handler, unaligned: true, memory: true }];
    this.addRom(padded.length, (address) => wiring.mapBar(6, ranges, address));
  }

  override reset(): void {
    super.reset();
    this.vga.reset();
    this.#byteOrder = LITTLE_ENDIAN;
  }

  protected override saveInner(): Plain {
    return { vga: this.vga.save(), byteOrder: this.#byteOrder };
  }

  protected override loadInner(state: Plain): void {
    const saved = state as unknown as { vga: Plain; byteOrder: number };
    this.vga.load(saved.vga);
    this.#byteOrder = saved.byteOrder;
  }

  #addBar(wiring: StdVgaWiring, index: number, ranges: readonly BarRange[]): void {
    const { size } = ranges[0]!;
    this.addBar(index, { space: 'memory', size, prefetchable: index === 0 }, (address) =>
      wiring.mapBar(index, ranges, address),
    );
  }

  /** QEMU's own registers: their size, and the byte order of the frame buffer. */
  get #extension(): MmioHandler {
    return {
      mmioRead: (offset) => (offset === 0 ? EXTENSION_SIZE : offset === 4 ? this.#byteOrder : 0),
      mmioWrite: (offset, _size, value) => {
        if (offset === 4 && (value === LITTLE_ENDIAN || value === BIG_ENDIAN)) this.#byteOrder = value;
      },
    };
  }
}

const EDID = edid();

/** Where nothing is within BAR 2. */
const NOTHING: MmioHandler = { mmioRead: () => 0xffff_ffff, mmioWrite: () => {} };

function readOnly(bytes: Uint8Array): MmioHandler {
  return {
    mmioRead: (offset, size) => {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = (value << 8) | (bytes[offset + i] ?? 0);
      return value >>> 0;
    },
    mmioWrite: () => {},
    mmioReadBytes: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
  };
}
