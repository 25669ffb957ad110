// The Bochs display interface (DISPI, "VBE_DISPI" of the Bochs VGA BIOS), version 5 as QEMU 7.2 has it: a handful of
// 16-bit registers that set resolution, depth and the place of the picture in video memory. An index port and a data
// port, and the same registers in a PCI function's memory. Invariant: while enabled, the registers describe a picture
// that lies within video memory, and VGA registers that would contradict it are overruled.

import type { MmioHandler, Plain, PortHandler } from '../../device.js';
import type { Vga } from './vga.js';
import {
  CR_DISPLAY_END,
  CR_LINE_COMPARE,
  CR_MAX_SCAN,
  CR_MODE,
  CR_OFFSET,
  CR_OVERFLOW,
  CR_VERTICAL_END,
  GR_MISC,
  GR_MODE,
  SR_CLOCK_MODE,
  SR_MEMORY_MODE,
  SR_PLANE_WRITE,
} from './vga-registers.js';

const ID = 0;
const XRES = 1;
const YRES = 2;
const BPP = 3;
const ENABLE = 4;
const BANK = 5;
const VIRTUAL_WIDTH = 6;
const VIRTUAL_HEIGHT = 7;
const X_OFFSET = 8;
const Y_OFFSET = 9;
/** Read-only, and not among the stored ones: video memory in units of 64 KiB. */
const MEMORY_64K = 10;
const REGISTERS = 10;

const FIRST_ID = 0xb0c0;
const LAST_ID = 0xb0c5;
const ENABLED = 0x01;
const GET_CAPABILITIES = 0x02;
const EIGHT_BIT_DAC = 0x20;
const KEEP_MEMORY = 0x80;
const MAX_X = 16_000;
const MAX_Y = 12_000;
const MAX_BPP = 32;
const DEPTHS = [4, 8, 15, 16, 24, 32];

/** A picture of DISPI's. */
export interface DispiPicture {
  width: number;
  height: number;
  /** Bits a pixel: 4, 8, 15, 16, 24 or 32. */
  depth: number;
  /** Bytes from line to line. */
  pitch: number;
  /** Address of the first pixel in video memory, in units of 4 bytes. */
  start: number;
}

export class Dispi {
  /** What the sequencer's registers are while this interface is enabled. */
  readonly sequencer = new Uint8Array(8);
  readonly #registers = new Uint16Array(REGISTERS);
  #index = 0;
  #pitch = 0;
  #start = 0;
  /** Added to addresses in the 64 KiB window. */
  bankOffset = 0;
  /** DAC components have eight bits. */
  wideDac = false;

  constructor(
    private readonly vga: Vga,
    private readonly memorySize: number,
  ) {
    this.reset();
  }

  get enabled(): boolean {
    return (this.#registers[ENABLE]! & ENABLED) !== 0;
  }

  get picture(): DispiPicture {
    const r = this.#registers;
    return { width: r[XRES]!, height: r[YRES]!, depth: r[BPP]!, pitch: this.#pitch, start: this.#start };
  }

  reset(): void {
    this.#registers.fill(0);
    this.#registers[ID] = LAST_ID;
    this.sequencer.fill(0);
    this.#index = 0;
    this.#pitch = 0;
    this.#start = 0;
    this.bankOffset = 0;
    this.wideDac = false;
  }

  /** Port 0x1ce; 16 bits only. */
  readonly indexPort: PortHandler = {
    portRead: (_offset, size) => (size === 2 ? this.#index : size === 1 ? 0xff : 0xffff_ffff),
    portWrite: (_offset, size, value) => {
      if (size === 2) this.#index = value;
    },
  };

  /** Ports 0x1cf and 0x1d0; 16 bits only. */
  readonly dataPort: PortHandler = {
    portRead: (_offset, size) => (size === 2 ? this.#read(this.#index) : size === 1 ? 0xff : 0xffff_ffff),
    portWrite: (_offset, size, value) => {
      if (size === 2) this.#write(this.#index, value);
    },
  };

  /** All registers in a row, 16 bits each. Like the ports, an access here chooses the register. */
  readonly mapped: MmioHandler = {
    mmioRead: (offset) => {
      this.#index = offset >>> 1;
      return this.#read(this.#index);
    },
    mmioWrite: (offset, _size, value) => {
      this.#index = offset >>> 1;
      this.#write(this.#index, value & 0xffff);
    },
  };

  /** Overrule the VGA registers that would contradict the picture. */
  rule(): void {
    if (!this.enabled) return;
    const { crt, graphics } = this.vga;
    const lines = this.#registers[YRES]! - 1;
    graphics[GR_MISC] = (graphics[GR_MISC]! & ~0x0c) | 0x05;
    crt[CR_MODE]! |= 3;
    crt[CR_OFFSET] = this.#pitch >> 3;
    crt[CR_DISPLAY_END] = (this.#registers[XRES]! >> 3) - 1;
    crt[CR_VERTICAL_END] = lines;
    crt[CR_OVERFLOW] = (crt[CR_OVERFLOW]! & ~0x42) | ((lines >> 7) & 0x02) | ((lines >> 3) & 0x40) | 0x10;
    crt[CR_LINE_COMPARE] = 0xff;
    // Line comparison beyond every line, and no line twice.
    crt[CR_MAX_SCAN] = (crt[CR_MAX_SCAN]! | 0x40) & ~0x9f;
    const planar = this.#registers[BPP] === 4;
    if (planar) this.sequencer[SR_CLOCK_MODE]! &= ~8;
    else {
      this.sequencer[SR_MEMORY_MODE]! |= 8;
      this.sequencer[SR_PLANE_WRITE]! |= 0x0f;
    }
    graphics[GR_MODE] = (graphics[GR_MODE]! & ~0x60) | (planar ? 0 : 0x40);
  }

  save(): Plain {
    return {
      registers: [...this.#registers],
      sequencer: this.sequencer.slice(),
      index: this.#index,
      pitch: this.#pitch,
      start: this.#start,
      bankOffset: this.bankOffset,
      wideDac: this.wideDac,
    };
  }

  load(state: Plain): void {
    const saved = state as unknown as {
      registers: number[];
      sequencer: Uint8Array;
      index: number;
      pitch: number;
      start: number;
      bankOffset: number;
      wideDac: boolean;
    };
    this.#registers.set(saved.registers);
    this.sequencer.set(saved.sequencer);
    this.#index = saved.index;
    this.#pitch = saved.pitch;
    this.#start = saved.start;
    this.bankOffset = saved.bankOffset;
    this.wideDac = saved.wideDac;
  }

  #read(index: number): number {
    if (index === MEMORY_64K) return this.memorySize >>> 16;
    if (this.#registers[ENABLE]! & GET_CAPABILITIES) {
      const most = { [XRES]: MAX_X, [YRES]: MAX_Y, [BPP]: MAX_BPP }[index];
      if (most !== undefined) return most;
    }
    return this.#registers[index] ?? 0;
  }

  #write(index: number, value: number): void {
    const r = this.#registers;
    switch (index) {
      case ID:
        if (value >= FIRST_ID && value <= LAST_ID) r[ID] = value;
        break;
      case XRES:
      case YRES:
      case BPP:
      case VIRTUAL_WIDTH:
      case X_OFFSET:
      case Y_OFFSET:
        r[index] = value;
        this.#fit();
        this.rule();
        break;
      case BANK:
        r[BANK] = value & ((this.memorySize >>> 16) - 1);
        this.bankOffset = r[BANK]! << 16;
        break;
      case ENABLE:
        this.#enable(value);
        break;
      default:
        break; // the virtual height follows from the rest
    }
  }

  #enable(value: number): void {
    const r = this.#registers;
    if (value & ENABLED && !this.enabled) {
      r[VIRTUAL_WIDTH] = 0;
      r[X_OFFSET] = 0;
      r[Y_OFFSET] = 0;
      r[ENABLE]! |= ENABLED;
      this.#fit();
      this.rule();
      if (!(value & KEEP_MEMORY)) this.vga.memory.clear(r[YRES]! * this.#pitch);
    } else this.bankOffset = 0;
    this.wideDac = (value & EIGHT_BIT_DAC) !== 0;
    r[ENABLE] = value;
  }

  /** Make the picture fit the memory. */
  #fit(): void {
    if (!this.enabled) return;
    const r = this.#registers;
    if (!DEPTHS.includes(r[BPP]!)) r[BPP] = 8;
    const bits = r[BPP] === 15 ? 16 : r[BPP]!;
    const { memorySize } = this;
    r[XRES] = Math.min(Math.max(r[XRES]! & ~7, 8), MAX_X);
    r[VIRTUAL_WIDTH] = Math.max(Math.min(r[VIRTUAL_WIDTH]! & ~7, MAX_X), r[XRES]!);
    const pitch = (r[VIRTUAL_WIDTH]! * bits) >> 3;
    const lines = Math.floor(memorySize / pitch);
    r[YRES] = Math.min(Math.max(r[YRES]!, 1), MAX_Y, lines);
    r[X_OFFSET] = Math.min(r[X_OFFSET]!, MAX_X);
    r[Y_OFFSET] = Math.min(r[Y_OFFSET]!, MAX_Y);
    const size = r[YRES]! * pitch;
    const left = (): number => Math.floor((r[X_OFFSET]! * bits) / 8);
    let offset = left() + r[Y_OFFSET]! * pitch;
    if (offset + size > memorySize) {
      r[Y_OFFSET] = 0;
      offset = left();
      if (offset + size > memorySize) {
        r[X_OFFSET] = 0;
        offset = 0;
      }
    }
    r[VIRTUAL_HEIGHT] = lines;
    this.#pitch = pitch;
    this.#start = offset >>> 2;
  }
}
