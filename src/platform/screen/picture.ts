// A VGA's screen as pixels: text with the guest's own font from plane 2, the planar, CGA and 256-colour modes, and
// DISPI's depths. What QEMU 7.2 draws is the reference, with two exceptions: the cursor is always shown, since blinking
// would be a matter of host time, and blank means black.
// Invariant: every address is taken modulo the memory's size; a picture is at most 16 million pixels.

import type { Vga } from '../devices/vga/vga.js';
import { PLANES } from '../devices/vga/vga-memory.js';
import * as R from '../devices/vga/vga-registers.js';
import { cellOf, cursorOf, originOf, type ScreenMode, screenMode } from './screen.js';

/** Rows from top to bottom, three bytes a pixel: red, green, blue. */
export interface Picture {
  width: number;
  height: number;
  rgb: Uint8Array;
}

/** Size of the picture of a blank screen. */
const BLANK = { width: 720, height: 400 };
/** Colours as 0xrrggbb. */
type Palette = Uint32Array;

/** What the VGA shows now. */
export function pictureOf(vga: Vga): Picture {
  const mode = screenMode(vga);
  switch (mode.kind) {
    case 'blank':
      return new Canvas(BLANK.width, BLANK.height);
    case 'text':
      return drawText(vga, mode);
    case 'graphics':
      return drawGraphics(vga, mode);
  }
}

class Canvas implements Picture {
  readonly rgb: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.rgb = new Uint8Array(width * height * 3);
  }

  set(x: number, y: number, color: number): void {
    const at = (y * this.width + x) * 3;
    this.rgb[at] = color >>> 16;
    this.rgb[at + 1] = color >>> 8;
    this.rgb[at + 2] = color;
  }
}

/** Six bits to eight, as QEMU widens them: the lowest bit is repeated. */
const widen = (six: number): number => ((six & 0x3f) << 2) | ((six & 1) * 3);

function colorOf({ palette, dispi }: Vga, index: number): number {
  const part = (n: number): number => (dispi.wideDac ? palette[index * 3 + n]! : widen(palette[index * 3 + n]!));
  return (part(0) << 16) | (part(1) << 8) | part(2);
}

/** The sixteen colours of the attribute controller. */
function palette16(vga: Vga): Palette {
  const { attribute } = vga;
  const select = attribute[R.AR_COLOR_SELECT]!;
  const internal = (attribute[R.AR_MODE]! & 0x80) !== 0;
  return Uint32Array.from({ length: 16 }, (_, i) => {
    const entry = attribute[i]!;
    return colorOf(vga, internal ? ((select & 0x0f) << 4) | (entry & 0x0f) : ((select & 0x0c) << 4) | (entry & 0x3f));
  });
}

function drawText(vga: Vga, mode: ScreenMode & { kind: 'text' }): Picture {
  const { columns, rows, cellWidth, cellHeight } = mode;
  const canvas = new Canvas(columns * cellWidth, rows * cellHeight);
  const colors = palette16(vga);
  const { bytes } = vga.memory;
  const map = vga.activeSequencer[R.SR_CHARACTER_MAP]!;
  const fonts = [fontAt((map >> 4) & 1, map & 3), fontAt((map >> 5) & 1, (map >> 2) & 3)];
  const lineGraphics = (vga.attribute[R.AR_MODE]! & 4) !== 0;
  const cursor = cursorOf(vga, columns, rows);
  const cursorFirst = vga.crt[R.CR_CURSOR_START]! & 0x1f;
  const cursorLast = Math.min(vga.crt[R.CR_CURSOR_END]! & 0x1f, cellHeight - 1);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const cell = cellOf(vga, row, column);
      const character = cell & 0xff;
      const foreground = colors[(cell >> 8) & 0x0f]!;
      const background = colors[cell >> 12]!;
      const glyph = fonts[(cell >> 11) & 1]! + character * 128;
      const joined = lineGraphics && character >= 0xb0 && character <= 0xdf;
      const underCursor = cursor?.row === row && cursor.column === column;
      for (let line = 0; line < cellHeight; line++) {
        const dots = bytes[(glyph + line * 4) % bytes.length]!;
        const solid = underCursor && line >= cursorFirst && line <= cursorLast;
        for (let x = 0; x < cellWidth; x++) {
          const dot = cellWidth === 16 ? x >> 1 : x;
          // The ninth dot repeats the eighth in line-drawing characters.
          const on = solid || (dot < 8 ? (dots >> (7 - dot)) & 1 : joined && dots & 1);
          canvas.set(column * cellWidth + x, row * cellHeight + line, on ? foreground : background);
        }
      }
    }
  }
  return canvas;
}

/** Place of a font's first byte in plane 2: eight fonts of 8 KiB. */
const fontAt = (low: number, high: number): number => (low | (high << 1)) * 8192 * 4 + 2;

type Graphics = ScreenMode & { kind: 'graphics' };
/** Draws the pixels of a line whose data begins at a byte address. */
type DrawLine = (at: number, y: number) => void;

function drawGraphics(vga: Vga, mode: Graphics): Picture {
  const { crt, graphics } = vga;
  const shift = (graphics[R.GR_MODE]! >> 5) & 3;
  const half = mode.depth === 0 && shift < 2 && (vga.activeSequencer[R.SR_CLOCK_MODE]! & 8) !== 0;
  const canvas = new Canvas(mode.width * (half ? 2 : 1), mode.height);
  const draw = lineDrawer(vga, canvas, mode, shift, half);
  const doubled = crt[R.CR_MAX_SCAN]! >> 7;
  // CGA modes interleave their lines in memory instead of repeating them.
  const repeat = shift === 1 ? doubled : (((crt[R.CR_MAX_SCAN]! & 0x1f) + 1) << doubled) - 1;
  const { start, pitch, lineCompare } = originOf(vga);
  const crtMode = crt[R.CR_MODE]!;
  let base = start * 4;
  let left = repeat;
  let line = 0;
  for (let y = 0; y < canvas.height; y++) {
    let at = base;
    if (!(crtMode & 1)) {
      const bank = 1 << (14 + ((crtMode >> 6) & 1));
      at = (at & ~bank) | (line & 1 ? bank : 0);
    }
    if (!(crtMode & 2)) at = (at & ~0x8000) | ((line & 2) << 14);
    draw(at, y);
    if (left === 0) {
      const mask = (crtMode & 3) ^ 3;
      if ((line & mask) === mask) base += pitch;
      line++;
      left = repeat;
    } else left--;
    if (y === lineCompare) base = 0;
  }
  return canvas;
}

function lineDrawer(vga: Vga, canvas: Canvas, mode: Graphics, shift: number, half: boolean): DrawLine {
  if (shift < 2) return planarDrawer(vga, canvas, shift === 1, half);
  return mode.depth === 0 ? doubledDrawer(vga, canvas) : linearDrawer(vga, canvas, mode.depth);
}

/** 16 colours from four planes, or CGA's four colours from two pairs of planes. */
function planarDrawer(vga: Vga, canvas: Canvas, cga: boolean, half: boolean): DrawLine {
  const colors = palette16(vga);
  const { planes, bytes } = vga.memory;
  const enabled = PLANES[vga.attribute[R.AR_PLANE_ENABLE]! & 0x0f]!;
  const scale = half ? 2 : 1;
  const byteOf = (data: number, plane: number): number => (data >>> (8 * plane)) & 0xff;
  /** Pixel 0 to 7 of a group: a bit of each plane, or two bits of each of two planes. */
  const pixel = (data: number, n: number): number => {
    if (cga) {
      const at = 6 - 2 * (n & 3);
      const pair = n >> 2;
      return ((byteOf(data, pair) >> at) & 3) | (((byteOf(data, pair + 2) >> at) & 3) << 2);
    }
    let color = 0;
    for (let plane = 0; plane < 4; plane++) color |= ((byteOf(data, plane) >> (7 - n)) & 1) << plane;
    return color;
  };
  return (at, y) => {
    for (let x = 0; x < canvas.width; x += 8 * scale, at += 4) {
      const data = planes.getUint32((at % bytes.length) & ~3, true) & enabled;
      for (let n = 0; n < 8; n++) {
        const color = colors[pixel(data, n)]!;
        for (let i = 0; i < scale; i++) canvas.set(x + n * scale + i, y, color);
      }
    }
  };
}

/** 256 colours of the VGA's own: every pixel twice. */
function doubledDrawer(vga: Vga, canvas: Canvas): DrawLine {
  const { bytes } = vga.memory;
  const colors = Uint32Array.from({ length: 256 }, (_, i) => colorOf(vga, i));
  return (at, y) => {
    for (let x = 0; x < canvas.width; x++) canvas.set(x, y, colors[bytes[(at + (x >> 1)) % bytes.length]!]!);
  };
}

/** DISPI's depths of 8 bits and more. */
function linearDrawer(vga: Vga, canvas: Canvas, depth: number): DrawLine {
  const { bytes } = vga.memory;
  const colors = Uint32Array.from({ length: 256 }, (_, i) => colorOf(vga, i));
  const size = depth === 15 ? 2 : depth >> 3;
  const wide = (value: number, bits: number): number => (value & ((1 << bits) - 1)) << (8 - bits);
  const colorOfPixel = (value: number): number => {
    if (depth === 8) return colors[value]!;
    if (depth === 15) return (wide(value >> 10, 5) << 16) | (wide(value >> 5, 5) << 8) | wide(value, 5);
    if (depth === 16) return (wide(value >> 11, 5) << 16) | (wide(value >> 5, 6) << 8) | wide(value, 5);
    return value & 0xff_ffff;
  };
  return (at, y) => {
    for (let x = 0; x < canvas.width; x++, at += size) {
      let value = 0;
      for (let i = 0; i < Math.min(size, 3); i++) value |= bytes[(at + i) % bytes.length]! << (8 * i);
      canvas.set(x, y, colorOfPixel(value));
    }
  };
}
