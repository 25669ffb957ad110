// VGA registers behind index ports: CRTC, sequencer, graphics controller, attribute controller, palette, and QEMU's and Bochs's
// display interface (DISPI). Follows the guest's index writes and names what its data ports then reach.
// Sources: IBM VGA Technical Reference, chapter 2; Bochs VBE display API (vbe_display_api.txt).

import type { RegisterName } from './registers.js';

const list = (names: string): readonly string[] => names.split(', ');

/** Names by index; one that is missing is shown as its number. */
const CRTC = list(
  'horizontal total, horizontal display end, horizontal blank start, horizontal blank end, horizontal retrace start, ' +
    'horizontal retrace end, vertical total, overflow, preset row scan, maximum scan line, cursor start, cursor end, ' +
    'start address high, start address low, cursor location high, cursor location low, vertical retrace start, ' +
    'vertical retrace end, vertical display end, offset, underline location, vertical blank start, vertical blank end, ' +
    'mode control, line compare',
);
const SEQUENCER = list('reset, clocking mode, map mask, character map select, memory mode');
const GRAPHICS = list(
  'set/reset, enable set/reset, color compare, data rotate, read map select, graphics mode, miscellaneous, ' +
    'color do not care, bit mask',
);
const ATTRIBUTE = list('mode control, overscan color, plane enable, horizontal panning, color select');
const FIRST_ATTRIBUTE = 0x10;
const DISPI = list('ID, width, height, depth, enable, bank, virtual width, virtual height, X offset, Y offset, memory');

interface IndexedBlock {
  /** Port of the index; its data port is the next one. */
  readonly port: number;
  readonly name: string;
  readonly registers: readonly string[];
}

const BLOCKS: readonly IndexedBlock[] = [
  { port: 0x3b4, name: 'CRTC', registers: CRTC },
  { port: 0x3d4, name: 'CRTC', registers: CRTC },
  { port: 0x3c4, name: 'sequencer', registers: SEQUENCER },
  { port: 0x3ce, name: 'graphics', registers: GRAPHICS },
  { port: 0x1ce, name: 'DISPI', registers: DISPI },
];
const ATTRIBUTE_PORT = 0x3c0;
const ATTRIBUTE_DATA = 0x3c1;
const STATUS_PORTS = [0x3ba, 0x3da];
const PALETTE_ACCESS = 0x20;

/** Ports whose accesses change what later ones mean: index ports, and the status that turns 0x3c0 to its index. */
export const isVgaFollowed = (port: number, write: boolean): boolean =>
  write ? port === ATTRIBUTE_PORT || BLOCKS.some((block) => block.port === port) : STATUS_PORTS.includes(port);

/** The index registers of a VGA. */
export class VgaPorts {
  readonly #index = new Map<number, number>();
  #attribute = 0;
  /** The next write to 0x3c0 is data. */
  #data = false;

  access(port: number, size: number, written: number | undefined): RegisterName | undefined {
    if (port === ATTRIBUTE_PORT || port === ATTRIBUTE_DATA) return this.#attributePort(port, written);
    if (STATUS_PORTS.includes(port) && written === undefined) this.#data = false;
    const device = 'vga';
    for (const { port: base, name, registers } of BLOCKS) {
      const wide = name === 'DISPI' ? 2 : 1;
      if (port === base) {
        if (written !== undefined) this.#index.set(base, wide === 2 ? written : written & 0xff);
        const register = `${name} ${this.#name(base, registers)}`;
        // A 16-bit write to the index port writes index and data at once.
        if (written !== undefined && size > wide) return { device, register };
        return { device, register: `index ${register}` };
      }
      if (port === base + 1 || (wide === 2 && port === base + 2))
        return { device, register: `${name} ${this.#name(base, registers)}` };
    }
    return undefined;
  }

  #attributePort(port: number, written: number | undefined): RegisterName {
    const device = 'vga';
    if (port === ATTRIBUTE_PORT && written !== undefined && !this.#data) {
      this.#data = true;
      this.#attribute = written & ~PALETTE_ACCESS & 0xff;
      return { device, register: `index attribute ${this.#attributeName()}` };
    }
    if (port === ATTRIBUTE_PORT && written !== undefined) this.#data = false;
    if (port === ATTRIBUTE_PORT && written === undefined) return { device, register: 'attribute index' };
    return { device, register: `attribute ${this.#attributeName()}` };
  }

  #attributeName(): string {
    const index = this.#attribute;
    return index < FIRST_ATTRIBUTE ? `palette ${index}` : (ATTRIBUTE[index - FIRST_ATTRIBUTE] ?? hex(index));
  }

  #name(port: number, registers: readonly string[]): string {
    const index = this.#index.get(port) ?? 0;
    return registers[index] ?? hex(index);
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;
