// Kernels for boots through firmware, small and odd on purpose, each with the options it is booted with. The
// vectors beside are what QEMU 7.2.22 put into fw_cfg for the same files (-M pc,smm=off -m 128 -nodefaults), read
// through its test port; bytes between the parts of a multiboot block, which it leaves to chance, are zeroed.

import { elfFile, pvhEntryNote } from './guest-builder.js';

export interface FirmwareCase {
  name: string;
  /** File name to content; names are guest-visible in multiboot command lines. */
  kernel: string;
  bytes: Uint8Array;
  append?: string;
  initrd?: { name: string; bytes: Uint8Array };
  /** Multiboot modules behind the initrd. */
  modules?: { name: string; bytes: Uint8Array; cmdline: string }[];
}

/** Bytes that differ from place to place. */
export function pattern(length: number, seed = 1): Uint8Array {
  const data = new Uint8Array(length);
  for (let i = 0, x = seed; i < length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    data[i] = x >>> 16;
  }
  return data;
}

/** An image with a setup header of any protocol version. */
export function linuxImage(plan: {
  version: number;
  setupSectors?: number;
  loadFlags?: number;
  xloadFlags?: number;
  initrdMax?: number;
  size?: number;
}): Uint8Array {
  const bytes = pattern(plan.size ?? 9000);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, plan.setupSectors ?? 4);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x5372_6448, true);
  view.setUint16(0x206, plan.version, true);
  view.setUint8(0x211, plan.loadFlags ?? 1);
  view.setUint32(0x22c, plan.initrdMax ?? 0x37ff_ffff, true);
  view.setUint16(0x236, plan.xloadFlags ?? 0, true);
  return bytes;
}

/** A flat file with a multiboot header that gives addresses; `at` is the header's offset. */
export function flatMultiboot(plan: {
  at: number;
  load: number;
  loadEnd?: number;
  bssEnd?: number;
  size: number;
}): Uint8Array {
  const bytes = pattern(plan.size, 7);
  const view = new DataView(bytes.buffer);
  const flags = 0x1_0003;
  const words = [
    0x1bad_b002,
    flags,
    -(0x1bad_b002 + flags) >>> 0,
    plan.load + plan.at,
    plan.load,
    plan.loadEnd ?? 0,
    plan.bssEnd ?? 0,
    plan.load + plan.at + 48,
  ];
  words.forEach((word, i) => {
    view.setUint32(plan.at + 4 * i, word, true);
  });
  return bytes;
}

function elfMultiboot(): Uint8Array {
  const text = pattern(5000, 3);
  const view = new DataView(text.buffer);
  [0x1bad_b002, 3, -(0x1bad_b002 + 3) >>> 0].forEach((word, i) => {
    view.setUint32(16 + 4 * i, word, true);
  });
  return elfFile({
    bits: 32,
    loads: [
      { physical: 0x10_0000, data: text },
      { physical: 0x10_3010, data: pattern(100, 4), memorySize: 0x2345 },
    ],
  });
}

/** Longer than the 8 KiB that QEMU takes for a header. */
function pvhKernel(): Uint8Array {
  return elfFile({
    loads: [
      { physical: 0x10_0000, data: pattern(9000, 2) },
      { physical: 0x20_0000, data: pattern(10, 8), memorySize: 0x1_0001 },
    ],
    notes: [pvhEntryNote(0x10_0010)],
  });
}

const initrd = { name: 'initrd.img', bytes: pattern(70_001, 9) };

export const FIRMWARE_CASES: readonly FirmwareCase[] = [
  { name: 'protocol 2.12', kernel: 'k', bytes: linuxImage({ version: 0x20c }), append: 'console=ttyS0', initrd },
  { name: 'protocol 2.12, high initrd', kernel: 'k', bytes: linuxImage({ version: 0x20c, xloadFlags: 2 }), initrd },
  {
    name: 'protocol 2.03, low initrd',
    kernel: 'k',
    bytes: linuxImage({ version: 0x203, initrdMax: 0x1ff_ffff }),
    initrd,
  },
  { name: 'protocol 2.02', kernel: 'k', bytes: linuxImage({ version: 0x202 }), append: 'vga=ask x', initrd },
  {
    name: 'protocol 2.01, zImage',
    kernel: 'k',
    bytes: linuxImage({ version: 0x201, loadFlags: 0 }),
    append: 'vga=0x301',
  },
  { name: 'protocol 2.01, bzImage', kernel: 'k', bytes: linuxImage({ version: 0x201 }), append: 'vga=normal', initrd },
  { name: 'protocol 2.00', kernel: 'k', bytes: linuxImage({ version: 0x200 }), append: '16 characters 16', initrd },
  { name: 'no setup sectors, no command line', kernel: 'k', bytes: linuxImage({ version: 0x20f, setupSectors: 0 }) },
  {
    name: 'long setup code',
    kernel: 'k',
    bytes: linuxImage({ version: 0x20f, setupSectors: 30, size: 20_000 }),
    append: 'vga=010',
  },
  { name: 'PVH', kernel: 'k', bytes: pvhKernel(), append: 'a b c', initrd },
  { name: 'PVH without anything', kernel: 'k', bytes: pvhKernel() },
  { name: 'flat multiboot', kernel: 'mb', bytes: flatMultiboot({ at: 64, load: 0x10_0000, size: 6000 }) },
  {
    name: 'flat multiboot, part of the file, with bss and modules',
    kernel: 'mb.bin',
    bytes: flatMultiboot({ at: 4096, load: 0x20_0000, loadEnd: 0x20_1234, bssEnd: 0x20_4321, size: 9000 }),
    append: 'one two',
    initrd,
    modules: [
      { name: 'second', bytes: pattern(4096, 5), cmdline: 'its words' },
      { name: 'third', bytes: pattern(1, 6), cmdline: '' },
    ],
  },
  { name: 'ELF multiboot', kernel: 'mb.elf', bytes: elfMultiboot(), append: 'x', initrd },
];
