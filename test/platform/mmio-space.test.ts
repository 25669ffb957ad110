import test from 'ava';
import fc from 'fast-check';
import type { MmioHandler } from '../../src/platform/device.js';
import { MmioSpace } from '../../src/platform/mmio-space.js';

function register(value: number): MmioHandler {
  return { mmioRead: (offset) => value + offset, mmioWrite: () => {} };
}

test('an address without a device reads as zero', (t) => {
  t.is(new MmioSpace().read(0xf000_0000, 4), 0);
});

test('several devices can share a page', (t) => {
  const mmio = new MmioSpace();
  mmio.map('a', 0xfed0_0000, 0x400, register(0x1000));
  mmio.map('b', 0xfed0_0400, 0x400, register(0x2000));
  t.deepEqual([mmio.read(0xfed0_0004, 4), mmio.read(0xfed0_0404, 4), mmio.read(0xfed0_0800, 4)], [0x1004, 0x2004, 0]);
});

test('addresses above 4 GiB are addresses like others', (t) => {
  const mmio = new MmioSpace();
  mmio.map('a', 2 ** 40, 0x1000, register(7));
  t.is(mmio.read(2 ** 40 + 8, 4), 15);
  t.is(mmio.read(8, 4), 0);
});

test('an overlap in the wiring is an error', (t) => {
  const mmio = new MmioSpace();
  mmio.map('a', 0x1000, 0x1000, register(0));
  t.throws(() => mmio.map('b', 0x1fff, 1, register(0)), { message: /b overlaps a/ });
});

test('an unaligned access reads as zero', (t) => {
  const mmio = new MmioSpace();
  mmio.map('a', 0x1000, 0x1000, register(5));
  t.is(mmio.read(0x1001, 2), 0);
});

test('lookups agree with a search of all ranges while ranges come and go', (t) => {
  const range = fc.record({ base: fc.nat(0x5000), size: fc.integer({ min: 1, max: 0x2800 }) });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 6 }), fc.nat(5), fc.array(fc.nat(0x8000)), (ranges, gone, addresses) => {
      const mmio = new MmioSpace();
      const mapped = ranges.map(({ base, size }, index) =>
        mmio.map(`${index}`, base, size, register(0), { overlay: true }),
      );
      const expect = (address: number): string | undefined =>
        mapped.findLast(({ base, size }) => address >= base && address < base + size)?.name;
      for (const address of addresses) t.is(mmio.nameAt(address), expect(address));
      mapped.splice(gone, 1)[0]?.unmap();
      for (const address of addresses) t.is(mmio.nameAt(address), expect(address));
    }),
  );
});
