// What drives say about themselves: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-6, 8.15 and 8.16). Words are QEMU 7.2's for a drive on its PIIX3, to the bit: guests print some of them.

import type { DiskGeometry } from '../../block/disk-geometry.js';

/** QEMU's version for hardware that must not change with every release. */
export const FIRMWARE_VERSION = '2.5+';
/** Sectors that READ and WRITE MULTIPLE move at once, at most. */
export const MAX_MULTIPLE = 16;
const IDENTIFY_SIZE = 512;

/** Words of a page, by number. */
class Words {
  readonly bytes = new Uint8Array(IDENTIFY_SIZE);
  readonly #view = new DataView(this.bytes.buffer);

  set(values: Readonly<Record<number, number>>): void {
    for (const [word, value] of Object.entries(values)) this.#view.setUint16(2 * Number(word), value & 0xffff, true);
  }

  /** Text has its bytes swapped in pairs. */
  text(word: number, length: number, text: string): void {
    for (let i = 0; i < length; i++) this.bytes[2 * word + (i ^ 1)] = text.charCodeAt(i) || 0x20;
  }
}

/** Words in which SET FEATURES leaves the chosen transfer mode. */
export const IDENTIFY_SINGLE_DMA = 62;
export const IDENTIFY_MULTI_DMA = 63;
export const IDENTIFY_FEATURES_ENABLED = 85;
export const IDENTIFY_ULTRA_DMA = 88;
/** Word 85: NOP, SMART, and the write cache. */
export const FEATURES_WITHOUT_CACHE = 0x4001;
export const WRITE_CACHE = 0x20;

/**
 * @param cylinders of the disk; heads and sectors a track are those that INITIALIZE DEVICE PARAMETERS has left
 * @param multiple the number that SET MULTIPLE MODE has left
 */
export function identifyDisk(
  sectors: number,
  { cylinders, heads, sectors: track }: Omit<DiskGeometry, 'translation'>,
  serial: string,
  multiple: number,
): Uint8Array {
  const words = new Words();
  const addressable = cylinders * heads * track;
  const low28 = Math.min(sectors, 2 ** 28 - 1);
  words.text(10, 20, serial);
  words.text(23, 8, FIRMWARE_VERSION);
  words.text(27, 40, 'QEMU HARDDISK');
  // biome-ignore format: words by number
  words.set({
    0: 0x0040, 1: cylinders, 3: heads, 4: 512 * track, 5: 512, 6: track,
    20: 3, 21: 512, 22: 4,
    47: 0x8000 | MAX_MULTIPLE, 48: 1, 49: 0x0b00, 51: 0x200, 52: 0x200, 53: 0x0007,
    54: cylinders, 55: heads, 56: track, 57: addressable, 58: Math.floor(addressable / 65536),
    59: multiple === 0 ? 0 : 0x100 | multiple, 60: low28, 61: Math.floor(low28 / 65536),
    [IDENTIFY_SINGLE_DMA]: 0x07, [IDENTIFY_MULTI_DMA]: 0x07, 64: 0x03, 65: 120, 66: 120, 67: 120, 68: 120,
    69: 0x4000, 80: 0xf0, 81: 0x16, 82: 0x4021, 83: 0x7400, 84: 0x4000,
    [IDENTIFY_FEATURES_ENABLED]: FEATURES_WITHOUT_CACHE | WRITE_CACHE, 86: 0x3400, 87: 0x4000,
    [IDENTIFY_ULTRA_DMA]: 0x203f, 93: 0x6001,
    100: sectors, 101: Math.floor(sectors / 2 ** 16), 102: Math.floor(sectors / 2 ** 32), 103: 0,
    106: 0x6000, 169: 1,
  });
  return words.bytes;
}

export function identifyPacketDevice(serial: string): Uint8Array {
  const words = new Words();
  words.text(10, 20, serial);
  words.text(23, 8, FIRMWARE_VERSION);
  words.text(27, 40, 'QEMU DVD-ROM');
  // biome-ignore format: words by number
  words.set({
    0: 0x85c0, 20: 3, 21: 512, 22: 4, 48: 1, 49: 0x0300, 53: 7,
    [IDENTIFY_SINGLE_DMA]: 7, [IDENTIFY_MULTI_DMA]: 7, 64: 0x03, 65: 0xb4, 66: 0xb4, 67: 0x12c, 68: 0xb4,
    71: 30, 72: 30, 80: 0x1e, [IDENTIFY_ULTRA_DMA]: 0x203f,
  });
  return words.bytes;
}
