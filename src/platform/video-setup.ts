// A linear mode on QEMU's standard VGA by its DISPI registers (Bochs VBE_DISPI), as a VGA BIOS or a boot loader sets it:
// for boots without either. Only what a guest could do itself is done here.

import type { FirmwareBus } from './firmware-setup.js';

const [INDEX_PORT, DATA_PORT] = [0x1ce, 0x1cf];
const [XRES, YRES, BPP, ENABLE] = [1, 2, 3, 4];
const ENABLED_LINEAR = 0x41;

/** Where setUpAsFirmware puts the frame buffer of the VGA, the only prefetchable memory of the board; and its size. */
export const FRAME_BUFFER = { address: 0xfd00_0000, size: 0x100_0000 };

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
