import test from 'ava';
import fc from 'fast-check';
import { ImageError } from '../../src/boot/boot-error.js';
import { detectRoutes } from '../../src/boot/detect.js';
import type { BootImage } from '../../src/boot/image.js';
import { type BootRequest, buildBoot } from '../../src/boot/loader.js';
import { firmwareE820 } from '../../src/platform/e820.js';
import { bzImage, elfFile, pvhEntryNote, pvhKernel } from './guest-builder.js';
import { processorTime } from './processor-time.js';
import { VECTORS } from './unpack/vectors.js';

const MIB = 1 << 20;
const memoryMap = firmwareE820(64 * MIB);
const file = (bytes: Uint8Array, name = 'k') => ({ name, bytes });
const initrd = file(new Uint8Array(5000).fill(7), 'initrd.cpio');

/** Guest memory as the image leaves it, at one address. */
function memory(image: BootImage, address: number, length: number): DataView {
  const segment = image.segments.find(
    (one) => address >= one.address && address + length <= one.address + one.data.length,
  );
  if (!segment) throw new Error(`nothing at ${address}`);
  return new DataView(segment.data.buffer, segment.data.byteOffset + address - segment.address, length);
}

function text(image: BootImage, address: number): string {
  const segment = image.segments.find((one) => address >= one.address && address < one.address + one.data.length)!;
  const bytes = segment.data.subarray(address - segment.address);
  return Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString();
}

test('a PVH kernel enters flat 32-bit protected mode with EBX at a version 1 start info', (t) => {
  const modules = [{ name: 'm', bytes: Uint8Array.of(1, 2, 3), cmdline: 'module words' }];
  const request = { route: 'pvh', kernel: file(pvhKernel()), initrd, append: 'a b', modules, memoryMap, rsdp: 0xf1230 };
  const image = buildBoot(request as BootRequest);
  const { entry } = image;
  t.is(entry.rip, 0x10_0000n);
  t.is(entry.cr0, 0x11);
  t.is(entry.cr4, 0);
  t.is(entry.rflags & 0x2_0300, 0);
  t.like(entry.segments.cs, { base: 0n, limit: 0xffff_ffff, attributes: 0xc09b });
  for (const name of ['ds', 'es', 'ss'] as const) {
    t.like(entry.segments[name], { base: 0n, limit: 0xffff_ffff, attributes: 0xc093 });
  }
  t.like(entry.segments.tr, { base: 0n, limit: 0x67, attributes: 0x8b });

  const info = memory(image, Number(entry.registers.rbx), 56);
  t.is(info.getUint32(0, true), 0x336ec578);
  t.is(info.getUint32(4, true), 1);
  t.is(info.getUint32(12, true), 2);
  t.is(info.getBigUint64(32, true), 0xf1230n);
  t.is(text(image, Number(info.getBigUint64(24, true))), 'a b');

  const list = memory(image, Number(info.getBigUint64(16, true)), 64);
  const first = Number(list.getBigUint64(0, true));
  // QEMU: the highest page-aligned address that leaves the last byte of RAM free.
  t.is(first, (64 * MIB - 128 * 1024 - 1 - 5000) & ~4095);
  t.is(list.getBigUint64(8, true), 5000n);
  t.is(list.getBigUint64(16, true), 0n);
  t.is(memory(image, first + 4999, 1).getUint8(0), 7);
  t.is(list.getBigUint64(40, true), 3n);
  t.is(text(image, Number(list.getBigUint64(48, true))), 'module words');

  const entries = info.getUint32(48, true);
  t.is(entries, memoryMap.length);
  const map = memory(image, Number(info.getBigUint64(40, true)), 24 * entries);
  const read = memoryMap.map((_, i) => ({
    address: Number(map.getBigUint64(24 * i, true)),
    length: Number(map.getBigUint64(24 * i + 8, true)),
    type: map.getUint32(24 * i + 16, true),
  }));
  t.deepEqual(read, [...memoryMap]);
});

test('a PVH entry of 4 or 8 bytes counts, in 32-bit and 64-bit files', (t) => {
  for (const bits of [32, 64] as const) {
    for (const bytes of [4, 8] as const) {
      const loads = [{ physical: 0x20_0000, data: new Uint8Array(64) }];
      const kernel = file(elfFile({ bits, loads, notes: [pvhEntryNote(0x20_0010, bytes)] }));
      t.is(buildBoot({ route: 'pvh', kernel, memoryMap }).entry.rip, 0x20_0010n);
    }
  }
});

test('a PVH entry outside the loaded segments is refused', (t) => {
  const kernel = file(
    elfFile({ loads: [{ physical: 0x10_0000, data: new Uint8Array(16) }], notes: [pvhEntryNote(0x10_0010)] }),
  );
  t.throws(() => buildBoot({ route: 'pvh', kernel, memoryMap }), {
    instanceOf: ImageError,
    message: /^k: the PVH entry 0x100010 \(note at offset 0x[0-9a-f]+\) lies in no loaded segment below 4 GiB;/,
  });
});

test('a Linux kernel enters 64-bit mode at startup_64 over an identity map, RSI at boot_params', (t) => {
  const kernel = bzImage();
  const image = buildBoot({ route: 'linux64', kernel: file(kernel), initrd, append: 'console=ttyS0', memoryMap });
  const { entry } = image;
  t.is(entry.rip, 0x10_0200n);
  t.is(entry.cr0, 0x8000_0011);
  t.is(entry.cr4, 0x20);
  t.is(entry.efer, 0x500);
  t.like(entry.segments.cs, { selector: 0x10, attributes: 0xa09b });
  t.like(entry.segments.ss, { selector: 0x18, attributes: 0xc093 });

  // Walk the tables for addresses at both ends of each GiB.
  for (const address of [0, 0x1234_5678, 0x3fff_ffff, 0x4000_0000, 0x8000_0000, 0xfee0_0000, 0xffff_ffff]) {
    let table = Number(entry.cr3);
    for (const shift of [39, 30]) {
      const next = memory(image, table + 8 * (Math.floor(address / 2 ** shift) % 512), 8).getBigUint64(0, true);
      t.is(next & 0xfffn, 3n);
      table = Number(next & ~0xfffn);
    }
    const leaf = memory(image, table + 8 * (Math.floor(address / 2 ** 21) % 512), 8).getBigUint64(0, true);
    t.is(leaf, BigInt(Math.floor(address / 2 ** 21) * 2 ** 21 + 0x83));
  }

  const params = memory(image, Number(entry.registers.rsi), 4096);
  const header = new DataView(kernel.buffer);
  for (const offset of [0x1f1, 0x1fe, 0x202, 0x206, 0x236, 0x258, 0x260]) {
    t.is(params.getUint8(offset), header.getUint8(offset), `the header's byte ${offset}`);
  }
  t.is(params.getUint8(0x1ef), 0, 'the sentinel');
  t.is(params.getUint8(0x26c), 0, 'behind the header');
  t.is(params.getUint8(0x210), 0xb0);
  t.is(params.getUint8(0x211), 0x81);
  t.is(text(image, params.getUint32(0x228, true)), 'console=ttyS0');
  t.is(params.getUint32(0x218, true), (64 * MIB - 128 * 1024 - 1 - 5000) & ~4095);
  t.is(params.getUint32(0x21c, true), 5000);
  t.is(params.getUint8(0x1e8), memoryMap.length);
  memoryMap.forEach(({ address, length, type }, i) => {
    t.is(params.getBigUint64(0x2d0 + 20 * i, true), BigInt(address));
    t.is(params.getBigUint64(0x2d8 + 20 * i, true), BigInt(length));
    t.is(params.getUint32(0x2e0 + 20 * i, true), type);
  });
});

test('by the 32-bit entry a Linux kernel finds flat segments, no paging, and EBP, EDI and EBX zero', (t) => {
  const image = buildBoot({ route: 'linux32', kernel: file(bzImage({ xloadFlags: 0 })), memoryMap, rsdp: 0xe_0000 });
  const { entry } = image;
  t.is(entry.rip, 0x10_0000n);
  t.is(entry.cr0, 0x11);
  t.is(entry.efer, 0);
  t.like(entry.segments.cs, { selector: 0x10, attributes: 0xc09b });
  t.like(entry.segments.ds, { selector: 0x18, attributes: 0xc093 });
  t.is(entry.registers.rbp | entry.registers.rdi | entry.registers.rbx, 0n);
  const gdt = memory(image, Number(entry.gdtr.base), entry.gdtr.limit + 1);
  t.is(gdt.getBigUint64(0x10, true), 0x00cf9b000000ffffn);
  t.is(gdt.getBigUint64(0x18, true), 0x00cf93000000ffffn);
  t.is(memory(image, Number(entry.registers.rsi), 4096).getBigUint64(0x70, true), 0xe_0000n);
});

test('an initrd stays below what an old kernel can reach', (t) => {
  const kernel = file(bzImage({ xloadFlags: 1, initrdAddressMax: 0x2ff_ffff }));
  const image = buildBoot({ route: 'linux64', kernel, initrd, memoryMap });
  t.is(image.segments.find((one) => one.role === 'initrd')!.address, (0x2ff_ffff - 5000) & ~4095);
});

const refused: [string, Partial<BootRequest>, RegExp][] = [
  [
    'an initrd larger than memory',
    { initrd: file(new Uint8Array(64 * MIB), 'big.cpio') },
    /^big\.cpio: the initrd has 67108864 bytes, and between the kernel's end \(0x1200000\) and .* give the guest more memory/,
  ],
  [
    'a command line longer than the kernel takes',
    { append: 'x'.repeat(2048) },
    /^--append is 2048 bytes, the kernel takes 2047/,
  ],
  ['a command line with a zero byte', { append: 'a\0b' }, /^--append holds a zero byte/],
  [
    'a kernel that unpacks past the end of RAM',
    { kernel: file(bzImage({ initSize: 0x300_0000 })) },
    /^k: the kernel needs memory up to 0x4000000 to unpack itself, RAM ends at 0x3fe0000; give/,
  ],
  [
    'a kernel without the entry asked for',
    { kernel: file(bzImage({ xloadFlags: 0 })) },
    /^k: it has no 64-bit entry .*--boot linux32$/,
  ],
  ['modules for a Linux kernel', { modules: [initrd] }, /^--module is not for --boot linux64/],
  [
    'an ELF file',
    { kernel: file(pvhKernel(new Uint8Array(2000))) },
    /^k: there is no Linux setup header at offset 0x202/,
  ],
  ['no RAM at 1 MiB', { memoryMap: [{ address: 0, length: 0xa_0000, type: 1 }] }, /no RAM at 1 MiB/],
  [
    'a kernel over reserved memory',
    { reserved: [{ address: 0x10_0100, length: 4, role: 'ACPI tables' }] },
    /kernel would overwrite ACPI tables/,
  ],
  [
    'PVH from a file without the note',
    { route: 'pvh', kernel: file(elfFile({})) },
    /^k: there is no Xen note of type 18/,
  ],
  [
    'PVH from a kernel of two tables full',
    { route: 'pvh', kernel: file(pvhKernel()), modules: new Array(1024).fill(initrd) },
    /too many modules/,
  ],
  [
    'a PVH kernel larger than RAM',
    { route: 'pvh', kernel: file(pvhKernel(Uint8Array.of(0xf4), 64 * MIB)) },
    /^k: kernel needs memory 0x100000 to 0x4100000, which is not all RAM \(RAM ends at 0x3fe0000\)/,
  ],
  [
    'a PVH kernel over the start info',
    {
      route: 'pvh',
      kernel: file(
        elfFile({ loads: [{ physical: 0x1_0000, data: new Uint8Array(16) }], notes: [pvhEntryNote(0x1_0000)] }),
      ),
    },
    /^k: .* overlaps .* at 0x10000/,
  ],
];
for (const [what, change, message] of refused) {
  test(`${what} is refused in one sentence`, (t) => {
    const request: BootRequest = { route: 'linux64', kernel: file(bzImage()), memoryMap, ...change };
    t.throws(() => buildBoot(request), { instanceOf: ImageError, message });
  });
}

test('by the 16-bit entry a Linux kernel is entered in its setup code, the loader fields filled in', (t) => {
  const image = buildBoot({ route: 'linux16', kernel: file(bzImage()), initrd, append: 'a b', memoryMap });
  const { entry } = image;
  t.is(entry.cr0 & 1, 0);
  t.like(entry.segments.cs, { selector: 0x1020, base: 0x1_0200n, limit: 0xffff });
  t.is(entry.rip, 0n);
  for (const name of ['ds', 'es', 'fs', 'gs', 'ss'] as const) t.is(entry.segments[name].selector, 0x1000);
  t.is(entry.rflags & 0x200, 0);
  const setup = memory(image, 0x1_0000, 0x280);
  t.is(setup.getUint8(0x210), 0xb0);
  t.is(setup.getUint8(0x211), 0x81, 'loaded high, heap usable');
  t.is(setup.getUint16(0x224, true), 0xfe00, 'end of the heap');
  t.true(Number(entry.registers.rsp) <= 0x1_0000 && Number(entry.registers.rsp) >= 0xfe00, 'the stack above the heap');
  t.is(text(image, setup.getUint32(0x228, true)), 'a b');
  t.is(memory(image, setup.getUint32(0x218, true), 1).getUint8(0), 7);
  t.is(setup.getUint32(0x21c, true), 5000);
  t.is(memory(image, 4 * 0x15, 4).getUint16(2, true), 0xf000, 'INT 15h');
  t.true(image.firmware!.every(({ address }) => address >= 0x9_fc00 && address < 0x10_0000));
  t.deepEqual(image.handoffs, [{ address: 0x10_0000n, protocol: 'linux32' }]);
});

test('a file offers the routes that stand in it, the PVH note first', (t) => {
  t.deepEqual(detectRoutes(pvhKernel()), ['pvh']);
  t.deepEqual(detectRoutes(bzImage()), ['linux64', 'linux32', 'linux16']);
  t.deepEqual(detectRoutes(bzImage({ xloadFlags: 0 })), ['linux32', 'linux16']);
  t.deepEqual(detectRoutes(elfFile({})), []);
  t.deepEqual(detectRoutes(new Uint8Array(0)), []);
  const multiboot = new Uint8Array(64);
  const view = new DataView(multiboot.buffer);
  view.setUint32(4, 0x1badb002, true);
  view.setUint32(8, 3, true);
  view.setUint32(12, (-0x1badb002 - 3) >>> 0, true);
  t.deepEqual(detectRoutes(multiboot), ['multiboot']);
  view.setUint32(24, 0xe85250d6, true);
  view.setUint32(32, 24, true);
  view.setUint32(36, (-0xe85250d6 - 24) >>> 0, true);
  t.deepEqual(detectRoutes(multiboot), ['multiboot', 'multiboot2']);
  view.setUint32(12, 1, true);
  view.setUint32(36, 1, true);
  t.deepEqual(detectRoutes(multiboot), []);
});

const originals = {
  pvh: elfFile({
    loads: [
      { physical: 0x10_0000, data: new Uint8Array(64), memorySize: 4096 },
      { physical: 0x20_0000, data: new Uint8Array(64) },
    ],
    notes: [{ name: 'GNU', type: 3, description: new Uint8Array(20) }, pvhEntryNote(0x10_0000)],
    symbols: [{ name: 'start', address: 0x10_0000n }],
  }),
  linux64: bzImage({ payload: Buffer.from(VECTORS.lz4, 'base64') }),
} as const;
const extreme = fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0);
for (const [origin, original] of Object.entries(originals)) {
  for (const route of ['pvh', 'linux64', 'linux32', 'linux16'] as const) {
    test(`a damaged ${origin} file by --boot ${route} is laid out inside RAM or refused, within 100 ms`, (t) => {
      const place = fc.oneof(fc.nat(Math.min(original.length, 0x280) - 4), fc.nat(original.length - 4));
      const change = fc.tuple(place, fc.constantFrom(1, 2, 4), fc.oneof(extreme, fc.nat(0xffff_ffff)));
      const changes = fc.array(change, { minLength: 1, maxLength: 6 });
      fc.assert(
        fc.property(changes, fc.option(fc.nat(original.length)), (list, cut) => {
          const bytes = original.slice(0, cut ?? original.length);
          const view = new DataView(bytes.buffer);
          for (const [at, size, value] of list) {
            if (at + size > bytes.length) continue;
            if (size === 1) view.setUint8(at, value & 0xff);
            else if (size === 2) view.setUint16(at, value & 0xffff, true);
            else view.setUint32(at, value, true);
          }
          return (
            processorTime(100, () => {
              try {
                detectRoutes(bytes);
                const image = buildBoot({ route, kernel: file(bytes), initrd, memoryMap });
                for (const one of image.segments) t.true(one.address + one.data.length <= 64 * MIB - 128 * 1024);
              } catch (error) {
                if (!(error instanceof ImageError)) throw error;
                t.regex(error.message, /^[^;]+; [^;]+$/, 'one sentence with a mend');
              }
            }) <= 100
          );
        }),
        { numRuns: 500 },
      );
    });
  }
}
