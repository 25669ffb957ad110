// Geometries as QEMU 7.2 guesses them: read from IDENTIFY DEVICE and CMOS register 0x39 there.

import test from 'ava';
import { guessGeometry, TRANSLATION } from '../../../src/platform/block/disk-geometry.js';

/** A disk of so many sectors, perhaps with a partition that ends at a head and sector. */
function disk(sectors: number, end?: { head: number; sector: number }) {
  const table = new Uint8Array(512);
  if (end) {
    table.set([0x80, 1, 1, 0, 0x83, end.head, end.sector, 0xff, 0, 8, 0, 0, 0, 8, 0, 0], 0x1be);
    table.set([0x55, 0xaa], 510);
  }
  return { sectors, read: () => table };
}

const cases = [
  { what: 'a tiny disk', on: disk(100), is: [2, 16, 63, TRANSLATION.none] },
  { what: 'a disk of 64 MiB', on: disk(131_072), is: [130, 16, 63, TRANSLATION.none] },
  { what: 'a disk of 1 GiB', on: disk(2_097_152), is: [2080, 16, 63, TRANSLATION.lba] },
  { what: 'a disk past the last cylinder', on: disk(2 ** 32), is: [16383, 16, 63, TRANSLATION.lba] },
  {
    what: 'a disk that a BIOS has partitioned by large translation',
    on: disk(131_072, { head: 254, sector: 63 }),
    is: [130, 16, 63, TRANSLATION.large],
  },
  {
    what: 'a large disk with 255 heads',
    on: disk(2 ** 25, { head: 254, sector: 63 }),
    is: [16383, 16, 63, TRANSLATION.lba],
  },
  {
    what: 'a disk partitioned with few heads',
    on: disk(131_072, { head: 7, sector: 0x20 }),
    is: [512, 8, 32, TRANSLATION.none],
  },
  { what: 'a partition without sectors a track', on: disk(131_072, { head: 7, sector: 0x40 }), is: [130, 16, 63, 0] },
] as const;

for (const { what, on, is } of cases) {
  test(`${what} has ${is.slice(0, 3).join('/')} and translation ${is[3]}`, (t) => {
    const { cylinders, heads, sectors, translation } = guessGeometry(on);
    t.deepEqual([cylinders, heads, sectors, translation], [...is]);
  });
}
