// What the board has put into CMOS RAM when a PC is switched on (register meanings: IBM AT Technical Reference and
// Ralf Brown's CMOS list; values: QEMU 7.2, hw/i386/pc.c): memory sizes, equipment, boot order, number of processors, and
// the geometry of the disks on the primary channel.

import type { DiskGeometry } from '../../block/disk-geometry.js';
import { splitRam } from '../../e820.js';
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

/** Drive type that stands for "see the registers". */
const USER_DEFINED = 47;

/** Tell firmware about disks by place: primary master, primary slave, secondary master, secondary slave. */
export function storeDisks(
  rtc: Pick<Rtc, 'setCmos'>,
  disks: readonly ({ readonly geometry: DiskGeometry } | undefined)[],
): void {
  const primary = [
    { type: 0x19, registers: 0x1b, present: 0xf0 },
    { type: 0x1a, registers: 0x24, present: 0x0f },
  ];
  let present = 0;
  for (const [n, place] of primary.entries()) {
    const disk = disks[n];
    if (disk === undefined) continue;
    const { cylinders, heads, sectors } = disk.geometry;
    const control = 0xc0 | (heads > 8 ? 8 : 0);
    const [low, high] = [cylinders & 0xff, cylinders >>> 8];
    // Cylinders, heads, write precompensation (none), control, landing zone, sectors.
    const values = [low, high, heads, 0xff, 0xff, control, low, high, sectors];
    for (const [at, value] of values.entries()) rtc.setCmos(place.registers + at, value);
    rtc.setCmos(place.type, USER_DEFINED);
    present |= place.present;
  }
  rtc.setCmos(0x12, present);
  const translations = disks.reduce((bits, disk, n) => bits | ((disk?.geometry.translation ?? 0) << (2 * n)), 0);
  rtc.setCmos(0x39, translations);
}
