// Modes of QEMU's standard VGA for boots without a VGA BIOS: text mode 3 as SeaVGABIOS leaves it (IBM PS/2 Hardware
// Interface Technical Reference, "Video Subsystem"), and linear modes by the DISPI registers (Bochs VBE_DISPI), as a boot
// loader sets them. Only what a guest could do itself is done here. Left out: the font, which is the VGA BIOS's; text is
// there to be read, and a picture of it shows blank cells.

import type { FirmwareBus } from './firmware-setup.js';

const [INDEX_PORT, DATA_PORT] = [0x1ce, 0x1cf];
const [XRES, YRES, BPP, ENABLE] = [1, 2, 3, 4];
const ENABLED_LINEAR = 0x41;

/** Where setUpAsFirmware puts the frame buffer of the VGA, the only prefetchable memory of the board; and its size. */
export const FRAME_BUFFER = { address: 0xfd00_0000, size: 0x100_0000 };

/** The sequencer's registers in text mode 3, and so on. */
const SEQUENCER = [0x03, 0x00, 0x03, 0x00, 0x02];
// biome-ignore format: as in the manual
const CRT = [
  0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00,
  0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
];
const GRAPHICS = [0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff];
const ATTRIBUTE = [0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0, 0x0f, 0x08, 0];
const MISC_OUTPUT = 0x67;
const SCREEN_ON = 0x20;
const TEXT_WINDOW = 0xb_8000;
const TEXT_SIZE = 0x8000;
/** Two blanks, grey on black. */
const BLANKS = 0x0720_0720;

/** Text mode 3, 80 × 25 characters, an empty screen with the cursor in its corner. */
export function setTextMode(bus: FirmwareBus): void {
  const out = (port: number, ...values: readonly number[]): void => {
    for (const value of values) bus.portWrite(port, 1, value);
  };
  const indexed = (port: number, values: readonly number[]): void => {
    for (const [index, value] of values.entries()) {
      out(port, index);
      out(port + 1, value);
    }
  };
  out(0x3c2, MISC_OUTPUT);
  indexed(0x3c4, SEQUENCER);
  // Registers 0 to 7 are protected by register 0x11, which comes after them.
  indexed(0x3d4, CRT);
  indexed(0x3ce, GRAPHICS);
  bus.portRead(0x3da, 1);
  for (const [index, value] of ATTRIBUTE.entries()) out(0x3c0, index, value);
  out(0x3c0, SCREEN_ON);
  out(0x3c8, 0);
  for (let color = 0; color < 64; color++) {
    const part = (strong: number, weak: number): number =>
      ((color >> strong) & 1) * 0x2a + ((color >> weak) & 1) * 0x15;
    out(0x3c9, part(2, 5), part(1, 4), part(0, 3));
  }
  for (let at = 0; at < TEXT_SIZE; at += 4) bus.mmioWrite(TEXT_WINDOW + at, 4, BLANKS);
}

/** Set a mode; the picture is black. */
export function setVideoMode(bus: FirmwareBus, mode: { width: number; height: number; depth: number }): void {
  const set = (register: number, value: number) => {
    bus.portWrite(INDEX_PORT, 2, register);
    bus.portWrite(DATA_PORT, 2, value);
  };
  set(ENABLE, 0);
  set(XRES, mode.width);
  set(YRES, mode.height);
  set(BPP, mode.depth);
  set(ENABLE, ENABLED_LINEAR);
}

/** The screen of a direct boot: text, or what the kernel asked for. */
export function setUpScreen(bus: FirmwareBus, mode?: { width: number; height: number; depth: number }): void {
  setTextMode(bus);
  if (mode) setVideoMode(bus, mode);
}
