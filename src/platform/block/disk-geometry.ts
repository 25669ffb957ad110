// Cylinders, heads and sectors of a disk that has none: QEMU's guess (hw/block/hd-geometry.c). Where the partition table
// of a small disk says what a BIOS has partitioned it with, that is taken; else 16 heads and 63 sectors. The translation
// is what CMOS tells firmware about addressing through INT 13h.

import type { BlockImage } from './block-image.js';

/** How firmware should translate addresses, with the values of CMOS register 0x39. */
export const TRANSLATION = { none: 0, lba: 1, large: 2 } as const;

export interface DiskGeometry {
  /** 2…16383. */
  readonly cylinders: number;
  /** 1…16. */
  readonly heads: number;
  /** Sectors a track, 1…63. */
  readonly sectors: number;
  readonly translation: number;
}

const MAX_CYLINDERS = 16383;

/** The geometry that QEMU gives a disk without one. */
export function guessGeometry(disk: Pick<BlockImage, 'sectors' | 'read'>): DiskGeometry {
  const guess = partitionedWith(disk);
  const standard = { cylinders: clamp(Math.floor(disk.sectors / (16 * 63))), heads: 16, sectors: 63 };
  if (guess === undefined) {
    return { ...standard, translation: standard.cylinders <= 1024 ? TRANSLATION.none : TRANSLATION.lba };
  }
  if (guess.heads > 16) {
    // A BIOS translated addresses when the disk was partitioned.
    const large = standard.cylinders * standard.heads <= 131072;
    return { ...standard, translation: large ? TRANSLATION.large : TRANSLATION.lba };
  }
  return { ...guess, translation: TRANSLATION.none };
}

const clamp = (cylinders: number): number => Math.min(Math.max(cylinders, 2), MAX_CYLINDERS);

/** The first partition's last head and sector, taken for the last of a cylinder. */
function partitionedWith(disk: Pick<BlockImage, 'sectors' | 'read'>): Omit<DiskGeometry, 'translation'> | undefined {
  if (disk.sectors === 0) return undefined;
  const table = disk.read(0, 1);
  if (table[510] !== 0x55 || table[511] !== 0xaa) return undefined;
  const view = new DataView(table.buffer);
  for (let entry = 0x1be; entry < 0x1fe; entry += 16) {
    const heads = table[entry + 5]! + 1;
    const sectors = table[entry + 6]! & 63;
    if (view.getUint32(entry + 12, true) === 0 || heads === 1 || sectors === 0) continue;
    const cylinders = Math.floor(disk.sectors / (heads * sectors));
    if (cylinders >= 1 && cylinders <= MAX_CYLINDERS) return { cylinders, heads, sectors };
  }
  return undefined;
}
