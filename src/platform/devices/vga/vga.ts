// The VGA's registers (IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem") with the Bochs display
// interface (DISPI) beside them, as QEMU 7.2's standard VGA has both: miscellaneous output, sequencer, CRT controller,
// graphics and attribute controllers, DAC. What the window at 0xa0000 does is in vga-memory.ts, the picture in
// screen/. Invariant: registers hold only bits that exist; while DISPI is enabled, it rules the registers it needs.
// As QEMU: input status 1 toggles at each read (a retrace that is always about to come), the DAC mask and CGA's light
// pen do not exist. Left out: interrupts at retrace, which no PC VGA of QEMU has.

import type { AccessSize } from '../../../cpu/bus.js';
import { allOnes } from '../../address-space.js';
import type { MmioHandler, Plain, PortHandler } from '../../device.js';
import { Dispi } from './vga-dispi.js';
import { VgaMemory } from './vga-memory.js';
import { AR_MODE, CR_OVERFLOW, CR_SYNC_END } from './vga-registers.js';

const SR_MASKS = [0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff];
const GR_MASKS = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff, 0, 0, 0, 0, 0, 0, 0];
/** By attribute register from the mode register on; those before hold six bits. */
const AR_MASKS = [0xef, 0xff, 0x3f, 0x0f, 0x0f];
const MISC_COLOR = 1;
/** Write protection of CR0 to CR7. */
const SYNC_END_PROTECT = 0x80;
const STATUS_TOGGLES = 0x09;
const FIRST_PORT = 0x3b0;
/** Ports that exist, as offsets from 0x3b0, in either of the two places of the CRT controller. */
const exists = (port: number): boolean =>
  (port >= 0x3c0 && port <= 0x3cf) || [0x3b4, 0x3b5, 0x3ba, 0x3d4, 0x3d5, 0x3da].includes(port);

/** Single numbers of the state. */
const POWER_ON = {
  misc: 0,
  feature: 0,
  status1: 0,
  sequencerIndex: 0,
  graphicsIndex: 0,
  crtIndex: 0,
  attributeIndex: 0,
  /** The next write to 0x3c0 is data. */
  attributeData: false,
  dacState: 0,
  dacPart: 0,
  dacReadIndex: 0,
  dacWriteIndex: 0,
};

/** A VGA without a bus. */
export class Vga {
  readonly sequencer = new Uint8Array(8);
  readonly crt = new Uint8Array(256);
  readonly graphics = new Uint8Array(16);
  readonly attribute = new Uint8Array(0x15);
  /** 256 colours of red, green, blue: six bits each, or eight as DISPI has it. */
  readonly palette = new Uint8Array(768);
  readonly dispi: Dispi;
  readonly memory: VgaMemory;
  readonly #dacCache = new Uint8Array(3);
  #state = { ...POWER_ON };

  /** @param size bytes of video memory */
  constructor(size: number) {
    this.dispi = new Dispi(this, size);
    this.memory = new VgaMemory(this, size);
  }

  /** The sequencer registers that count: DISPI has a set of its own. */
  get activeSequencer(): Uint8Array {
    return this.dispi.enabled ? this.dispi.sequencer : this.sequencer;
  }

  /** The attribute controller lets the palette's output through. */
  get displayed(): boolean {
    return (this.#state.attributeIndex & 0x20) !== 0;
  }

  /** Registers to power-on state; video memory keeps its content. */
  reset(): void {
    this.#state = { ...POWER_ON };
    for (const registers of [this.sequencer, this.crt, this.graphics, this.attribute, this.palette, this.#dacCache])
      registers.fill(0);
    this.dispi.reset();
    this.memory.reset();
  }

  /** Offsets count from port 0x3b0. */
  readonly ports: PortHandler = {
    portRead: (offset, size) => this.#wide(offset, size),
    portWrite: (offset, size, value) => {
      if (size === 4) return;
      this.#write(FIRST_PORT + offset, value & 0xff);
      if (size === 2) this.#write(FIRST_PORT + offset + 1, value >>> 8);
    },
  };

  /** The same registers in a PCI function's memory: 0x3c0 to 0x3df. */
  readonly mappedPorts: MmioHandler = {
    mmioRead: (offset, size) => this.ports.portRead(0x10 + offset, size),
    mmioWrite: (offset, size, value) => this.ports.portWrite(0x10 + offset, size, value),
  };

  save(): Plain {
    return {
      registers: { ...this.#state },
      sequencer: this.sequencer.slice(),
      crt: this.crt.slice(),
      graphics: this.graphics.slice(),
      attribute: this.attribute.slice(),
      palette: this.palette.slice(),
      dacCache: this.#dacCache.slice(),
      dispi: this.dispi.save(),
      memory: this.memory.save(),
    };
  }

  load(state: Plain): void {
    const saved = state as unknown as Record<string, Uint8Array> & {
      registers: typeof POWER_ON;
      dispi: Plain;
      memory: Plain;
    };
    this.#state = { ...saved.registers };
    this.sequencer.set(saved.sequencer!);
    this.crt.set(saved.crt!);
    this.graphics.set(saved.graphics!);
    this.attribute.set(saved.attribute!);
    this.palette.set(saved.palette!);
    this.#dacCache.set(saved.dacCache!);
    this.dispi.load(saved.dispi);
    this.memory.load(saved.memory);
  }

  #wide(offset: number, size: AccessSize): number {
    if (size === 4) return allOnes(4);
    const low = this.#read(FIRST_PORT + offset);
    return size === 1 ? low : low | (this.#read(FIRST_PORT + offset + 1) << 8);
  }

  /** The CRT controller and status 1 are at 0x3bx or at 0x3dx, as the miscellaneous output register says. */
  #absent(port: number): boolean {
    if (!exists(port)) return true;
    if (port >= 0x3c0 && port < 0x3d0) return false;
    return port >= 0x3d0 !== ((this.#state.misc & MISC_COLOR) !== 0);
  }

  #read(port: number): number {
    const state = this.#state;
    if (this.#absent(port)) return 0xff;
    switch (port) {
      case 0x3c0:
        return state.attributeData ? 0 : state.attributeIndex;
      case 0x3c1:
        return this.attribute[state.attributeIndex & 0x1f] ?? 0;
      case 0x3c4:
        return state.sequencerIndex;
      case 0x3c5:
        return this.sequencer[state.sequencerIndex]!;
      case 0x3c7:
        return state.dacState;
      case 0x3c8:
        return state.dacWriteIndex;
      case 0x3c9:
        return this.#readDac();
      case 0x3ca:
        return state.feature;
      case 0x3cc:
        return state.misc;
      case 0x3ce:
        return state.graphicsIndex;
      case 0x3cf:
        return this.graphics[state.graphicsIndex]!;
      case 0x3b4:
      case 0x3d4:
        return state.crtIndex;
      case 0x3b5:
      case 0x3d5:
        return this.crt[state.crtIndex]!;
      case 0x3ba:
      case 0x3da:
        state.attributeData = false;
        state.status1 ^= STATUS_TOGGLES;
        return state.status1;
      default:
        return 0; // status 0, the DAC mask, write-only places
    }
  }

  #write(port: number, value: number): void {
    const state = this.#state;
    if (this.#absent(port)) return;
    switch (port) {
      case 0x3c0:
        this.#writeAttribute(value);
        break;
      case 0x3c2:
        state.misc = value & ~0x10;
        break;
      case 0x3c4:
        state.sequencerIndex = value & 7;
        break;
      case 0x3c5:
        this.sequencer[state.sequencerIndex] = value & SR_MASKS[state.sequencerIndex]!;
        break;
      case 0x3c7:
        state.dacReadIndex = value;
        state.dacPart = 0;
        state.dacState = 3;
        break;
      case 0x3c8:
        state.dacWriteIndex = value;
        state.dacPart = 0;
        state.dacState = 0;
        break;
      case 0x3c9:
        this.#writeDac(value);
        break;
      case 0x3ce:
        state.graphicsIndex = value & 0x0f;
        break;
      case 0x3cf:
        this.graphics[state.graphicsIndex] = value & GR_MASKS[state.graphicsIndex]!;
        this.dispi.rule();
        break;
      case 0x3b4:
      case 0x3d4:
        state.crtIndex = value;
        break;
      case 0x3b5:
      case 0x3d5:
        this.#writeCrt(state.crtIndex, value);
        break;
      case 0x3ba:
      case 0x3da:
        state.feature = value & 0x10;
        break;
      default:
        break;
    }
  }

  #writeAttribute(value: number): void {
    const state = this.#state;
    const data = state.attributeData;
    state.attributeData = !data;
    if (!data) {
      state.attributeIndex = value & 0x3f;
      return;
    }
    const index = state.attributeIndex & 0x1f;
    if (index < AR_MODE) this.attribute[index] = value & 0x3f;
    else if (index - AR_MODE < AR_MASKS.length) this.attribute[index] = value & AR_MASKS[index - AR_MODE]!;
  }

  #readDac(): number {
    const state = this.#state;
    const value = this.palette[state.dacReadIndex * 3 + state.dacPart]!;
    if (++state.dacPart === 3) {
      state.dacPart = 0;
      state.dacReadIndex = (state.dacReadIndex + 1) & 0xff;
    }
    return value;
  }

  #writeDac(value: number): void {
    const state = this.#state;
    this.#dacCache[state.dacPart] = value;
    if (++state.dacPart < 3) return;
    this.palette.set(this.#dacCache, state.dacWriteIndex * 3);
    state.dacPart = 0;
    state.dacWriteIndex = (state.dacWriteIndex + 1) & 0xff;
  }

  #writeCrt(index: number, value: number): void {
    const { crt } = this;
    if ((crt[CR_SYNC_END]! & SYNC_END_PROTECT) !== 0 && index <= CR_OVERFLOW) {
      // Bit 4 of CR7 belongs to the line comparison and is never protected.
      if (index !== CR_OVERFLOW) return;
      crt[CR_OVERFLOW] = (crt[CR_OVERFLOW]! & ~0x10) | (value & 0x10);
    } else crt[index] = value;
    this.dispi.rule();
  }
}
