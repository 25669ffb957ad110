import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { ImageError } from '../../src/boot/boot-error.js';
import { firmwareLoad } from '../../src/boot/firmware.js';
import type { FirmwareRequest } from '../../src/boot/firmware-items.js';
import { FIRMWARE_CASES, flatMultiboot, linuxImage, pattern } from './firmware-cases.js';
import { elfFile, pvhKernel } from './guest-builder.js';

const lowMemoryEnd = 128 << 20;
/** Items by key in hexadecimal: a number, or the SHA-256 of longer content. */
type Vectors = Record<string, { bootorder: string; items: Record<string, number | string> }>;
const vectors: Vectors = JSON.parse(readFileSync(new URL('firmware-vectors.json', import.meta.url), 'utf8'));

const file = (bytes: Uint8Array, name = 'k') => ({ name, bytes });
const load = (kernel: Uint8Array, more: Partial<FirmwareRequest> = {}) =>
  firmwareLoad({ kernel: file(kernel), lowMemoryEnd, ...more });

for (const { name, kernel, bytes, append, initrd, modules } of FIRMWARE_CASES) {
  test(`${name}: option ROM and items are those of QEMU 7.2`, (t) => {
    const vector = vectors[name]!;
    // Directories must not show.
    const { rom, items } = load(bytes, {
      kernel: file(bytes, `some/where/${kernel}`),
      ...(append !== undefined && { append }),
      ...(initrd && { initrd: file(initrd.bytes, `/else/where/${initrd.name}`) }),
      ...(modules && { modules }),
    });
    t.is(`/rom@genroms/${rom}`, vector.bootorder);
    const known = new Set(Object.keys(vector.items));
    for (const { key, data } of items) {
      const hex = key.toString(16).padStart(2, '0');
      const expected = vector.items[hex];
      known.delete(hex);
      if (typeof expected === 'string') t.is(createHash('sha256').update(data).digest('hex'), expected, hex);
      // The vectors have the numbers that are not 0; of a PVH kernel's setup data QEMU keeps a dangling pointer.
      else if (hex === '18') t.deepEqual(data, bytes.subarray(0, 8192));
      else t.is(Buffer.from(data).readUInt32LE(), expected ?? 0, hex);
    }
    t.deepEqual([...known], [], 'items that QEMU has and we have not');
  });
}

test('without DMA the option ROMs that do without are chosen; PVH has one for both', (t) => {
  t.is(load(linuxImage({ version: 0x20f }), { dma: false }).rom, 'linuxboot.bin');
  t.is(load(flatMultiboot({ at: 0, load: 0x10_0000, size: 4096 }), { dma: false }).rom, 'multiboot.bin');
  t.is(load(pvhKernel(), { dma: false }).rom, 'pvh.bin');
});

test('an ELF kernel lies in memory, a Linux image does not', (t) => {
  t.deepEqual(load(linuxImage({ version: 0x20f })).segments, []);
  const [segment] = load(pvhKernel()).segments;
  t.is(segment!.address, 0x10_0000);
});

const REFUSED: readonly [string, Uint8Array, Partial<FirmwareRequest>, RegExp][] = [
  ['a file that is no kernel', pattern(4096), {}, /no Linux setup header, multiboot header or ELF magic/],
  ['an empty file', new Uint8Array(0), {}, /no Linux setup header/],
  ['a setup size past the file', linuxImage({ version: 0x20f, setupSectors: 200 }), {}, /claims 102912 bytes/],
  ['a Linux kernel with modules', linuxImage({ version: 0x20f }), { modules: [file(pattern(1), 'm')] }, /--module/],
  ['an unknown vga= word', linuxImage({ version: 0x20f }), { append: 'vga=best' }, /vga=/],
  ['a zero byte in the command line', linuxImage({ version: 0x20f }), { append: 'a\0b' }, /--append/],
  [
    'an initrd larger than memory',
    linuxImage({ version: 0x20f }),
    { initrd: file(new Uint8Array(2 << 20), 'i'), lowMemoryEnd: 2 << 20 },
    /--memory/,
  ],
  [
    'an ELF kernel without a PVH note',
    elfFile({ loads: [{ physical: 0x10_0000, data: pattern(64) }] }),
    {},
    /Xen note/,
  ],
  ['a PVH kernel past the end of RAM', pvhKernel(), { lowMemoryEnd: 0x10_0000 }, /RAM ends/],
  [
    'multiboot addresses that contradict each other',
    flatMultiboot({ at: 64, load: 0x10_0000, loadEnd: 0x1000, size: 4096 }),
    {},
    /load_end_addr/,
  ],
  [
    'a bss of almost 4 GiB',
    flatMultiboot({ at: 64, load: 0x10_0000, bssEnd: 0xffff_f000, size: 4096 }),
    {},
    /RAM ends at/,
  ],
];
for (const [name, bytes, more, message] of REFUSED) {
  test(`${name} is refused with a sentence`, (t) => {
    t.throws(() => load(bytes, more), { instanceOf: ImageError, message });
  });
}

test('whatever stands in the headers, the answer is items or a sentence', (t) => {
  const kernels = FIRMWARE_CASES.map(({ bytes }) => bytes);
  fc.assert(
    fc.property(
      fc.constantFrom(...kernels),
      fc.array(fc.tuple(fc.nat(0x2ff), fc.nat(255)), { maxLength: 8 }),
      fc.nat(9000),
      (kernel, changes, length) => {
        const bytes = kernel.slice(0, Math.max(length, 16));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          const { items } = load(bytes);
          t.true(items.length > 0);
        } catch (error) {
          t.true(error instanceof ImageError, `${error}`);
        }
      },
    ),
  );
});
