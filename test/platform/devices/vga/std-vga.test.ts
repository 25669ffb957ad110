// The standard VGA beside what qemu-registers.test.ts compares with QEMU: saving, resets, BARs, EDID.

import test from 'ava';
import fc from 'fast-check';
import { StdVga } from '../../../../src/platform/devices/vga/std-vga.js';
import { edid } from '../../../../src/platform/devices/vga/vga-edid.js';
import { MmioSpace } from '../../../../src/platform/mmio-space.js';
import { wireStdVga } from '../../../../src/platform/pc-vga.js';
import { PortSpace } from '../../../../src/platform/port-space.js';
import { assertSaveLoad } from '../save-load.js';

const FRAMEBUFFER = 0xfd00_0000;
const REGISTERS = 0xfebf_0000;
const ROM = 0xfebe_0000;

function machine(rom?: Uint8Array) {
  const ports = new PortSpace();
  const mmio = new MmioSpace();
  const device = wireStdVga(ports, mmio, rom);
  device.configWrite(0x10, 4, FRAMEBUFFER);
  device.configWrite(0x18, 4, REGISTERS);
  device.configWrite(0x04, 2, 7);
  // Colour registers at 0x3d0.
  ports.write(0x3c2, 1, 0x67);
  return { ports, mmio, device };
}

type Operation = { write: boolean; mmio: boolean; place: number; size: 1 | 2 | 4; value: number };
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    write: fc.boolean(),
    mmio: fc.constant(false),
    place: fc.oneof(fc.integer({ min: 0x3b0, max: 0x3df }), fc.integer({ min: 0x1ce, max: 0x1d0 })),
    size: fc.constantFrom(1, 1, 2, 4),
    value: fc.oneof(fc.nat(31), fc.nat(0xffff)),
  }),
  fc.record({
    write: fc.boolean(),
    mmio: fc.constant(true),
    place: fc
      .tuple(fc.constantFrom(0xa_0000, 0xb_8000, FRAMEBUFFER, REGISTERS + 0x500, REGISTERS + 0x600), fc.nat(5))
      .map(([base, n]) => base + 4 * n),
    size: fc.constantFrom(1, 2, 4),
    value: fc.nat(0xffff_ffff),
  }),
);

test('a saved VGA cannot be told from the original', (t) => {
  t.notThrows(() =>
    assertSaveLoad((clock) => {
      const { ports, mmio, device } = machine();
      return {
        device,
        clock,
        log: [],
        apply: ({ write, mmio: inMemory, place, size, value }: Operation) => {
          const space = inMemory ? mmio : ports;
          if (!write) return space.read(place, size);
          space.write(place, size, value & (2 ** (8 * size) - 1));
          return undefined;
        },
      };
    }, operation),
  );
});

test('a reset clears registers and keeps video memory', (t) => {
  const { ports, mmio, device } = machine();
  mmio.write(FRAMEBUFFER + 8, 4, 0x1234_5678);
  ports.write(0x1ce, 2, 4);
  ports.write(0x1cf, 2, 0x81);
  ports.write(0x3c4, 2, 0x0f02);
  device.reset();
  t.is(mmio.nameAt(FRAMEBUFFER), undefined);
  t.is(ports.read(0x1ce, 2), 0);
  ports.write(0x3c4, 1, 2);
  t.is(ports.read(0x3c5, 1), 0);
  t.is(device.vga.memory.planes.getUint32(8, true), 0x1234_5678);
});

test('the ROM is decoded only while its enable bit is set, and padded with zeros to a power of two', (t) => {
  const rom = Uint8Array.from({ length: 39_936 }, (_, i) => i * 7);
  const { mmio, device } = machine(rom);
  device.configWrite(0x30, 4, 0xffff_ffff);
  t.is(device.configRead(0x30, 4), 0xffff_0001);
  device.configWrite(0x30, 4, ROM);
  t.is(mmio.nameAt(ROM), undefined);
  device.configWrite(0x30, 4, ROM | 1);
  t.is(mmio.read(ROM + 40, 4), 0x2d26_1f18);
  mmio.write(ROM + 40, 4, 0);
  t.is(mmio.read(ROM + 39_933, 1), (39_933 * 7) & 0xff);
  t.is(mmio.read(ROM + 0xfffc, 4), 0);
  t.throws(() => new StdVga(new Uint8Array(0x10_0001), { mapBar: () => {} }), { instanceOf: RangeError });
});

test('the EDID has the sums that the standard asks for', (t) => {
  const bytes = edid();
  t.is(bytes.length, 384);
  for (const block of [0, 128, 256]) {
    const sum = bytes.subarray(block, block + 128).reduce((total, byte) => total + byte, 0);
    t.is(sum & 0xff, 0, `block at ${block}`);
  }
});
