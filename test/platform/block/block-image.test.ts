// Disks over files: what was written is read back, the source stays as it was, and nothing outside exists.

import test from 'ava';
import fc from 'fast-check';
import { BlockImage, SECTOR_SIZE } from '../../../src/platform/block/block-image.js';

const SECTORS = 40;

function source(size: number) {
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
  return { bytes, size, read: (offset: number, length: number) => bytes.subarray(offset, offset + length) };
}

const write = fc.record({ sector: fc.nat(SECTORS - 1), count: fc.integer({ min: 1, max: 20 }), fill: fc.nat(255) });

test('a disk reads what was written last, and else its source', (t) => {
  fc.assert(
    fc.property(fc.array(write, { maxLength: 8 }), fc.boolean(), (writes, reload) => {
      const under = source(SECTORS * SECTOR_SIZE);
      const before = under.bytes.slice();
      const expected = under.bytes.slice();
      let disk = new BlockImage(under);
      for (const { sector, count, fill } of writes) {
        const data = new Uint8Array(Math.min(count, SECTORS - sector) * SECTOR_SIZE).fill(fill);
        disk.write(sector, data);
        expected.set(data, sector * SECTOR_SIZE);
      }
      if (reload) {
        const copy = new BlockImage(under);
        copy.load(structuredClone(disk.save()));
        disk = copy;
      }
      t.deepEqual(disk.read(0, SECTORS), expected);
      t.deepEqual(disk.read(3, 13), expected.slice(3 * SECTOR_SIZE, 16 * SECTOR_SIZE));
      t.deepEqual(under.bytes, before);
    }),
  );
});

test('a source that ends inside a sector is continued with zeros', (t) => {
  const under = source(3 * SECTOR_SIZE + 10);
  const disk = new BlockImage(under);
  t.is(disk.sectors, 4);
  const last = disk.read(3, 1);
  t.deepEqual(last.subarray(0, 10), under.bytes.subarray(3 * SECTOR_SIZE));
  t.true(last.subarray(10).every((byte) => byte === 0));
  disk.write(2, new Uint8Array(SECTOR_SIZE).fill(1));
  t.deepEqual(disk.read(3, 1), last);
});

test('sectors that do not exist are neither read nor written', (t) => {
  const disk = new BlockImage(source(4 * SECTOR_SIZE));
  for (const [sector, count] of [
    [-1, 1],
    [4, 1],
    [3, 2],
    [2 ** 40, 1],
  ] as const) {
    t.false(disk.has(sector, count));
    t.throws(() => disk.read(sector, count), { instanceOf: RangeError });
    t.throws(() => disk.write(sector, new Uint8Array(count * SECTOR_SIZE)), { instanceOf: RangeError });
  }
});

test('what a caller does to sectors it has read changes no disk', (t) => {
  const under = source(4 * SECTOR_SIZE);
  const disk = new BlockImage(under);
  disk.read(0, 4).fill(0);
  t.is(disk.read(0, 1)[1], under.bytes[1]);
  t.is(under.bytes[1], 7);
});
