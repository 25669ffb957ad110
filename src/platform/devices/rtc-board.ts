// What the board has put into CMOS RAM when a PC is switched on (register meanings: IBM AT Technical Reference and
// Ralf Brown's CMOS list; values: QEMU 7.2, hw/i386/pc.c): memory sizes, equipment, boot order, number of processors.
//
// Disks have registers, too; whoever adds one sets them with Rtc.setCmos().

import { splitRam } from '../e820.js';
import type { Rtc } from './rtc.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** FPU and PS/2 mouse present, no floppy, display by option ROM. */
const EQUIPMENT = 0x06;
/** Boot devices as nibbles: hard disk, then floppy; then CD-ROM, with the floppy signature check on. */
const BOOT_ORDER = 0x12;
const BOOT_ORDER_3 = 0x30;

/** Tell firmware how much RAM there is. */
export function storeMemorySize(rtc: Pick<Rtc, 'setCmos'>, ramSize: number): void {
  const { below, above } = splitRam(ramSize);
  const word = (index: number, value: number): void => {
    const clamped = Math.min(Math.max(Math.floor(value), 0), 0xffff);
    rtc.setCmos(index, clamped & 0xff);
    rtc.setCmos(index + 1, clamped >>> 8);
  };
  word(0x15, Math.min(below / KIB, 640));
  const extended = below / KIB - 1024;
  word(0x17, extended);
  word(0x30, extended);
  word(0x34, (below - 16 * MIB) / (64 * KIB));
  const high = Math.floor(above / (64 * KIB));
  rtc.setCmos(0x5b, high & 0xff);
  rtc.setCmos(0x5c, (high >>> 8) & 0xff);
  rtc.setCmos(0x5d, (high >>> 16) & 0xff);
}

/** Fill CMOS RAM for a pc with `ramSize` bytes of RAM and one processor. */
export function storeBoardSetup(rtc: Pick<Rtc, 'setCmos'>, ramSize: number): void {
  storeMemorySize(rtc, ramSize);
  rtc.setCmos(0x14, EQUIPMENT);
  rtc.setCmos(0x3d, BOOT_ORDER);
  rtc.setCmos(0x38, BOOT_ORDER_3);
  rtc.setCmos(0x5f, 0);
}
