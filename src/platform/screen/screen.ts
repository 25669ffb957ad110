// What a VGA shows, worked out from its registers when somebody asks: text, or a picture of some size, or nothing. Rules
// are those of QEMU 7.2's display (hw/display/vga.c, as documented by what it draws), which follow the IBM PS/2 Hardware
// Interface Technical Reference. Looking changes nothing. Sizes are bounded: registers in the middle of a mode switch
// can ask for anything.

import type { Vga } from '../devices/vga/vga.js';
import * as R from '../devices/vga/vga-registers.js';
import { characterOf } from './code-page-437.js';

/** Where the picture starts in video memory, and how far it is from line to line. */
export interface Origin {
  /** In units of 4 bytes. */
  start: number;
  /** Bytes. */
  pitch: number;
  /** After this line the picture goes on at address 0. */
  lineCompare: number;
}

/** Geometry of the display. */
export type ScreenMode =
  | { kind: 'blank' }
  | { kind: 'text'; columns: number; rows: number; cellWidth: number; cellHeight: number }
  | {
      kind: 'graphics';
      width: number;
      height: number /** DISPI's bits a pixel, 0 for the VGA's own modes. */;
      depth: number;
    };

/** A text screen for listings. */
export interface TextScreen {
  columns: number;
  rows: number;
  /** One string a row, trailing blanks removed. */
  lines: string[];
  /** Undefined when it is off or elsewhere. */
  cursor: { column: number; row: number } | undefined;
}

const MAX_CELLS = 160 * 100;
const MAX_PIXELS = 4096 * 4096;
/** The vertical total by which the 160 × 100 mode of CGA programs is known. */
const CGA_HACK_TOTAL = 100;

export function screenMode(vga: Vga): ScreenMode {
  const { crt, graphics } = vga;
  if (!vga.displayed) return { kind: 'blank' };
  if (graphics[R.GR_MISC]! & 1) {
    const { dispi } = vga;
    const { width, height, depth } = dispi.enabled
      ? dispi.picture
      : { width: (crt[R.CR_DISPLAY_END]! + 1) * 8, height: verticalEnd(crt) + 1, depth: 0 };
    if (width * height === 0 || width * height > MAX_PIXELS) return { kind: 'blank' };
    return { kind: 'graphics', width, height, depth };
  }
  const clock = vga.activeSequencer[R.SR_CLOCK_MODE]!;
  const cellHeight = (crt[R.CR_MAX_SCAN]! & 0x1f) + 1;
  const cellWidth = clock & 8 ? 16 : clock & 1 ? 8 : 9;
  const columns = crt[R.CR_DISPLAY_END]! + 1;
  const rows = crt[R.CR_VERTICAL_TOTAL] === CGA_HACK_TOTAL ? 100 : Math.floor((verticalEnd(crt) + 1) / cellHeight);
  if (columns * rows <= 1 || columns * rows > MAX_CELLS) return { kind: 'blank' };
  return { kind: 'text', columns, rows, cellWidth, cellHeight };
}

/** The text on the screen; undefined when it shows none. */
export function textScreen(vga: Vga): TextScreen | undefined {
  const mode = screenMode(vga);
  if (mode.kind !== 'text') return undefined;
  const { columns, rows } = mode;
  const lines: string[] = [];
  for (let row = 0; row < rows; row++) {
    let line = '';
    for (let column = 0; column < columns; column++) line += characterOf(cellOf(vga, row, column) & 0xff);
    lines.push(line.trimEnd());
  }
  return { columns, rows, lines, cursor: cursorOf(vga, columns, rows) };
}

/** Character and attribute (bits 8–15) of a cell. */
export function cellOf(vga: Vga, row: number, column: number): number {
  const { start, pitch } = originOf(vga);
  const at = start * 4 + row * pitch + column * 4;
  const { bytes } = vga.memory;
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

/** The cell of the cursor, when it is on and on the screen. */
export function cursorOf(vga: Vga, columns: number, rows: number): { column: number; row: number } | undefined {
  const { crt } = vga;
  if (crt[R.CR_CURSOR_START]! & 0x20) return undefined;
  const { start, pitch } = originOf(vga);
  const offset = ((crt[R.CR_CURSOR_HIGH]! << 8) | crt[R.CR_CURSOR_LOW]!) - start;
  const cellsPerLine = pitch >> 2;
  if (offset < 0 || cellsPerLine === 0) return undefined;
  const [row, column] = [Math.floor(offset / cellsPerLine), offset % cellsPerLine];
  return row < rows && column < columns ? { column, row } : undefined;
}

export function originOf({ crt, dispi }: Vga): Origin {
  if (dispi.enabled) return { ...dispi.picture, lineCompare: 0xffff };
  return {
    start: (crt[R.CR_START_HIGH]! << 8) | crt[R.CR_START_LOW]!,
    pitch: crt[R.CR_OFFSET]! << 3,
    lineCompare: crt[R.CR_LINE_COMPARE]! | ((crt[R.CR_OVERFLOW]! & 0x10) << 4) | ((crt[R.CR_MAX_SCAN]! & 0x40) << 3),
  };
}

/** Number of the last scan line. */
const verticalEnd = (crt: Uint8Array): number =>
  crt[R.CR_VERTICAL_END]! | ((crt[R.CR_OVERFLOW]! & 0x02) << 7) | ((crt[R.CR_OVERFLOW]! & 0x40) << 3);
