// What a VGA shows, with registers set by hand as the modes' tables have them, and a watcher of the bus beside it.

import test from 'ava';
import fc from 'fast-check';
import { MmioSpace } from '../../../src/platform/mmio-space.js';
import { wireStdVga } from '../../../src/platform/pc-vga.js';
import { PortSpace } from '../../../src/platform/port-space.js';
import { pictureOf } from '../../../src/platform/screen/picture.js';
import { screenMode, textScreen } from '../../../src/platform/screen/screen.js';
import { VgaWatch } from '../../../src/platform/screen/vga-watch.js';

/** The parts of a mode that decide what is seen; index and value. */
interface ModeRegisters {
  sequencer: Record<number, number>;
  crt: Record<number, number>;
  graphics: Record<number, number>;
  attributeMode: number;
}
const TEXT: ModeRegisters = {
  sequencer: { 1: 0, 2: 3, 3: 0, 4: 2 },
  crt: { 1: 0x4f, 6: 0xbf, 7: 0x1f, 9: 0x4f, 10: 0x0d, 11: 0x0e, 18: 0x8f, 19: 0x28, 23: 0xa3, 24: 0xff },
  graphics: { 5: 0x10, 6: 0x0e, 8: 0xff },
  attributeMode: 0x0c,
};
const LOW_256: ModeRegisters = {
  sequencer: { 1: 1, 2: 0x0f, 4: 0x0e },
  crt: { 1: 0x4f, 7: 0x1f, 9: 0x41, 18: 0x8f, 19: 0x28, 23: 0xa3, 24: 0xff },
  graphics: { 5: 0x40, 6: 0x05, 8: 0xff },
  attributeMode: 0x41,
};
const PLANAR: ModeRegisters = {
  sequencer: { 1: 1, 2: 0x0f, 4: 0x06 },
  crt: { 1: 0x4f, 7: 0x3e, 9: 0x40, 18: 0xdf, 19: 0x28, 23: 0xe3, 24: 0xff },
  graphics: { 5: 0, 6: 0x05, 8: 0xff },
  attributeMode: 0x01,
};
const CGA: ModeRegisters = {
  sequencer: { 1: 9, 2: 3, 4: 2 },
  crt: { 1: 0x27, 7: 0x1f, 9: 0xc1, 18: 0x8f, 19: 0x14, 23: 0xa2, 24: 0xff },
  graphics: { 5: 0x30, 6: 0x0f, 8: 0xff },
  attributeMode: 0x01,
};

function screen(mode?: ModeRegisters) {
  const ports = new PortSpace();
  const mmio = new MmioSpace();
  const device = wireStdVga(ports, mmio);
  const { vga } = device;
  const out = (port: number, ...values: number[]): void => {
    for (const value of values) ports.write(port, 1, value);
  };
  out(0x3c2, 0x67);
  for (const [port, registers] of [
    [0x3c4, mode?.sequencer],
    [0x3d4, mode?.crt],
    [0x3ce, mode?.graphics],
  ] as const)
    for (const [index, value] of Object.entries(registers ?? {})) ports.write(port, 2, Number(index) | (value << 8));
  if (mode) {
    ports.read(0x3da, 1);
    // Palette straight through; colour n of the DAC is (n, 2n, 3n).
    for (let n = 0; n < 16; n++) out(0x3c0, n, n);
    out(0x3c0, 0x10, mode.attributeMode, 0x12, 0x0f, 0x20);
    out(0x3c8, 0);
    for (let n = 0; n < 256; n++) out(0x3c9, n & 0x3f, (2 * n) & 0x3f, (3 * n) & 0x3f);
  }
  const dispi = (index: number, value: number): void => {
    ports.write(0x1ce, 2, index);
    ports.write(0x1cf, 2, value);
  };
  const pixel = (x: number, y: number): number => {
    const { width, rgb } = pictureOf(vga);
    const at = (y * width + x) * 3;
    return (rgb[at]! << 16) | (rgb[at + 1]! << 8) | rgb[at + 2]!;
  };
  return { ports, mmio, device, vga, dispi, pixel };
}

/** Colour `n` of the DAC as eight bits a part. */
function color(n: number): number {
  const wide = (six: number): number => ((six & 0x3f) << 2) | ((six & 1) * 3);
  return (wide(n) << 16) | (wide(2 * n) << 8) | wide(3 * n);
}

test('a VGA after reset shows nothing', (t) => {
  const { vga } = screen();
  t.deepEqual(screenMode(vga), { kind: 'blank' });
  t.true(pictureOf(vga).rgb.every((byte) => byte === 0));
  t.is(textScreen(vga), undefined);
});

test('text mode shows characters, trailing blanks removed, and the cursor', (t) => {
  const { vga, mmio, ports } = screen(TEXT);
  for (const [i, byte] of [...Buffer.from('GRUB \xdb', 'latin1')].entries())
    mmio.write(0xb_8000 + 160 + 2 * i, 1, byte);
  ports.write(0x3d4, 2, 0x000e);
  ports.write(0x3d4, 2, 0x510f);
  const text = textScreen(vga)!;
  t.deepEqual([text.columns, text.rows], [80, 25]);
  t.is(text.lines[1], 'GRUB █');
  t.is(text.lines[0], '');
  t.deepEqual(text.cursor, { column: 1, row: 1 });
  ports.write(0x3d4, 2, 0x2d0a);
  t.is(textScreen(vga)!.cursor, undefined);
});

test('text follows the start address', (t) => {
  const { vga, mmio, ports } = screen(TEXT);
  mmio.write(0xb_8000 + 160 * 3, 1, 0x41);
  ports.write(0x3d4, 2, 0x000c);
  ports.write(0x3d4, 2, 0xf00d);
  t.is(textScreen(vga)!.lines[0], 'A');
});

test('text is drawn with the font in plane 2, nine dots wide, in the colours of the attribute', (t) => {
  const { vga, mmio, pixel } = screen(TEXT);
  vga.memory.bytes[2 + 128 * 0x41] = 0b1000_0001;
  vga.memory.bytes[2 + 128 * 0xc4] = 0b0000_0001;
  mmio.write(0xb_8000, 2, 0x1e41);
  mmio.write(0xb_8002, 2, 0x2ac4);
  const { width, height } = pictureOf(vga);
  t.deepEqual([width, height], [720, 400]);
  t.deepEqual(
    [0, 1, 7, 8].map((x) => pixel(x, 0)),
    [14, 1, 14, 1].map(color),
  );
  // The ninth dot of a line-drawing character continues the eighth.
  t.deepEqual(
    [9, 15, 16, 17].map((x) => pixel(x, 0)),
    [2, 2, 10, 10].map(color),
  );
  t.is(pixel(0, 1), color(1));
});

test('320 × 200 in 256 colours is shown with every pixel twice', (t) => {
  const { vga, mmio, pixel } = screen(LOW_256);
  mmio.write(0xa_0000, 1, 0x55);
  mmio.write(0xa_0000 + 320 + 1, 1, 0x66);
  const { width, height } = pictureOf(vga);
  t.deepEqual([width, height], [640, 400]);
  t.deepEqual([pixel(0, 0), pixel(1, 1), pixel(2, 0)], [color(0x55), color(0x55), color(0)]);
  t.deepEqual([pixel(2, 2), pixel(3, 3)], [color(0x66), color(0x66)]);
});

test('640 × 480 in 16 colours takes a bit of each plane', (t) => {
  const { vga, mmio, ports, pixel } = screen(PLANAR);
  ports.write(0x3c4, 2, 0x0502);
  mmio.write(0xa_0000 + 80, 1, 0x81);
  ports.write(0x3c4, 2, 0x0202);
  mmio.write(0xa_0000 + 80, 1, 0x80);
  const { width, height } = pictureOf(vga);
  t.deepEqual([width, height], [640, 480]);
  t.deepEqual(
    [0, 1, 7].map((x) => pixel(x, 1)),
    [7, 0, 5].map(color),
  );
});

test('320 × 200 in four colours interleaves its lines', (t) => {
  const { vga, mmio, pixel } = screen(CGA);
  mmio.write(0xb_8000, 1, 0b0001_1011);
  mmio.write(0xb_a000, 1, 0b1100_0000);
  const { width, height } = pictureOf(vga);
  t.deepEqual([width, height], [640, 400]);
  t.deepEqual(
    [0, 2, 4, 6].map((x) => pixel(x, 0)),
    [0, 1, 2, 3].map(color),
  );
  t.deepEqual(
    [0, 1, 2].map((x) => pixel(x, 2)),
    [3, 3, 0].map(color),
  );
});

for (const [depth, value, expected] of [
  [8, 0x21, color(0x21)],
  [15, 0x7c1f, 0xf800f8],
  [16, 0x07e0, 0x00fc00],
  [24, 0x123456, 0x123456],
  [32, 0xff654321, 0x654321],
] as const) {
  test(`the linear frame buffer in ${depth} bits a pixel`, (t) => {
    const { vga, dispi, pixel, device, mmio } = screen(LOW_256);
    dispi(1, 320);
    dispi(2, 200);
    dispi(3, depth);
    dispi(4, 0x41);
    dispi(6, 400);
    dispi(9, 1);
    t.deepEqual(screenMode(vga), { kind: 'graphics', width: 320, height: 200, depth });
    device.configWrite(0x10, 4, 0xfd00_0000);
    device.configWrite(0x04, 2, 2);
    const size = (depth + 7) >> 3;
    const at = 0xfd00_0000 + 400 * size * 3 + 5 * size;
    for (let i = 0; i < size; i++) mmio.write(at + i, 1, (value >>> (8 * i)) & 0xff);
    t.is(pixel(5, 2), expected);
    t.is(pixel(5, 1), color(0) & 0);
  });
}

test('no state of the registers makes drawing fail', (t) => {
  const { vga, ports } = screen(TEXT);
  const write = fc.tuple(fc.constantFrom(0x3c4, 0x3ce, 0x3d4, 0x3c0, 0x1ce), fc.nat(0x18), fc.nat(0xffff));
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(write, { maxLength: 30 }), (writes) => {
        for (const [port, index, value] of writes) {
          if (port === 0x1ce) {
            // Small pictures, or the test takes long.
            ports.write(0x1ce, 2, index % 10);
            ports.write(0x1cf, 2, value & 0x1ff);
          } else if (port === 0x3c0) {
            ports.read(0x3da, 1);
            ports.write(port, 1, 0x20 | index);
            ports.write(port, 1, value & 0xff);
          } else ports.write(port, 2, index | ((value & 0xff) << 8));
        }
        const { width, height, rgb } = pictureOf(vga);
        if (rgb.length !== width * height * 3) throw new Error('the picture has another size than it says');
        textScreen(vga);
      }),
      { numRuns: 60 },
    ),
  );
});

test('a watcher of the bus shows what the machine shows, wherever the guest puts the frame buffer', (t) => {
  const { ports, mmio, device, vga } = screen();
  const watch = new VgaWatch();
  const both = (port: number, size: 1 | 2 | 4, value: number): void => {
    ports.write(port, size, value);
    watch.portWrite(port, size, value);
  };
  const config = (register: number, value: number): void => {
    device.configWrite(register, 4, value);
    watch.portWrite(0xcf8, 4, 0x8000_1000 + register);
    watch.portWrite(0xcfc, 4, value);
  };
  config(0x10, 0xe000_0000);
  config(0x04, 7);
  ports.read(0x3da, 1);
  watch.portRead(0x3da, 1);
  for (const value of [0x67]) both(0x3c2, 1, value);
  for (const value of [0x10, 0x41, 0x20]) both(0x3c0, 1, value);
  both(0x3ce, 2, 0x0506);
  for (const [index, value] of [
    [1, 64],
    [2, 32],
    [3, 32],
    [4, 0x41],
  ] as const) {
    both(0x1ce, 2, index);
    both(0x1cf, 2, value);
  }
  for (const [at, value] of [
    [0, 0xabcdef],
    [400, 0x123456],
  ] as const) {
    mmio.write(0xe000_0000 + at, 4, value);
    watch.mmioWrite(0xe000_0000 + at, 4, value);
  }
  t.is(pictureOf(vga).width, 64);
  t.deepEqual(pictureOf(watch.vga), pictureOf(vga));
  t.true(pictureOf(vga).rgb.some((byte) => byte !== 0));
  watch.reset();
  t.deepEqual(screenMode(watch.vga), { kind: 'blank' });
});
