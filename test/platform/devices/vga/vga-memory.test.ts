// Runs of bytes in a VGA's memory against the same bytes one by one, in every mode of the window.

import test from 'ava';
import fc from 'fast-check';
import { MmioSpace } from '../../../../src/platform/mmio-space.js';
import { VGA_WINDOW, wireStdVga } from '../../../../src/platform/pc-vga.js';
import { PortSpace } from '../../../../src/platform/port-space.js';

const FRAMEBUFFER = 0xfd00_0000;

function machine() {
  const ports = new PortSpace();
  const mmio = new MmioSpace();
  const device = wireStdVga(ports, mmio);
  device.configWrite(0x10, 4, FRAMEBUFFER);
  device.configWrite(0x04, 2, 7);
  const memory = device.vga.memory.bytes.subarray(0, 0x8_0000);
  const set = (port: number, index: number, value: number) => ports.write(port, 2, index | (value << 8));
  const begin = (registers: Registers) => {
    memory.fill(0);
    set(0x3c4, 2, registers.planes);
    set(0x3c4, 4, registers.memoryMode);
    set(0x3ce, 4, registers.readPlane);
    set(0x3ce, 5, registers.mode);
    set(0x3ce, 6, registers.misc);
  };
  return { mmio, memory, begin };
}

type Registers = Record<'planes' | 'memoryMode' | 'readPlane' | 'mode' | 'misc', number>;
const registers: fc.Arbitrary<Registers> = fc.record({
  planes: fc.constantFrom(3, 15, 1, 2, 12, 5),
  memoryMode: fc.constantFrom(2, 6, 10, 14),
  readPlane: fc.nat(3),
  mode: fc.constantFrom(0, 0x10, 0x11, 0x12),
  misc: fc.constantFrom(0x0e, 0x0a, 0x04, 0),
});

test('a run of bytes in video memory is the bytes one by one', (t) => {
  const [runs, single] = [machine(), machine()];
  fc.assert(
    fc.property(
      registers,
      fc.constantFrom(VGA_WINDOW, VGA_WINDOW + 0x7ff0, VGA_WINDOW + 0x1_0000, VGA_WINDOW + 0x1_8000, FRAMEBUFFER),
      fc.nat(9),
      fc.constantFrom(1 as const, 2 as const, 4 as const),
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      (values, base, offset, size, bytes) => {
        const at = base + offset * size;
        const data = new Uint8Array(bytes.length * size).map((_, i) => bytes[i % bytes.length]!);
        for (const { begin } of [runs, single]) begin(values);
        runs.mmio.writeString(at, size, data);
        data.forEach((byte, i) => {
          single.mmio.write(at + i, 1, byte);
        });
        t.is(Buffer.compare(runs.memory, single.memory), 0);
        const read = runs.mmio.readString(at, size, bytes.length);
        t.deepEqual(
          [...read],
          [...read].map((_, i) => single.mmio.read(at + i, 1)),
        );
      },
    ),
    { numRuns: 300 },
  );
});
