// What is measured: boots of Debian's kernels by several routes, SeaBIOS with nothing to boot, a guest that tests itself,
// and five bare guests that lean on one thing each (bench/guests, assembled here by nasm). Every workload ends by itself
// and prints a line that shows that it got there; what it prints must be the same in every machine.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { parseLinuxImage, unpackKernel } from '../src/boot/bzimage.js';
import { cachedImage } from '../src/fetch/cache.js';
import { END, selfTestingInitramfs, TESTED_MODULES } from '../test/e2e/self-testing-guest.js';

export interface Workload {
  name: string;
  /** One line for the report. */
  what: string;
  /** Guests of the cache that it needs. */
  needs: readonly string[];
  /** Where the program leaves with `reached`, QEMU may go on: it is stopped there. */
  until?: 'debugcon';
  /** What the console shows at the end. */
  reached: string;
  memory: string;
  /** Options of the boot for `vmreplay`, and for QEMU; memory and console are added. */
  images(scratch: string): Promise<{ ours: string[]; qemu: string[]; v86?: { kernel: string; initrd: string } }>;
  append?: string;
}

const MARKER = 'VMREPLAY-MARKER end';
const APPEND = 'console=ttyS0 panic=-1';
const QUIET = `${APPEND} quiet`;
const NOTHING = 'No bootable device.';

const cached = (name: string): string => {
  const file = cachedImage(name);
  if (!file) throw new Error(`${name} is missing; vmreplay fetch brings it`);
  return file;
};

/** @throws Error that names what is missing */
export function demandGuests({ name, needs }: Workload): void {
  const missing = needs.filter((guest) => cachedImage(guest) === undefined);
  if (missing.length > 0) throw new Error(`${name} needs ${missing.join(', ')}; vmreplay fetch brings them`);
}

/** QEMU's options of a boot as this program has them. */
const asOurs = (options: readonly string[]): string[] =>
  options.map((option) => (option.startsWith('-') ? `-${option}` : option));

/** A boot of Debian's kernel to user space and off; QEMU goes through its firmware whatever the route. */
function linux(name: string, what: string, kernel: string, initrd: string, route: string): Workload {
  return {
    name,
    what,
    needs: [kernel, initrd, ...(route === 'firmware' ? ['bios-256k.bin', 'linuxboot_dma.bin'] : [])],
    reached: MARKER,
    memory: '256M',
    append: APPEND,
    async images(scratch) {
      let image = cached(kernel);
      if (route === 'pvh') {
        // The file that the PVH boot enters, so that no side spends time on decompression in the guest.
        const vmlinux = join(scratch, 'vmlinux');
        await writeFile(vmlinux, unpackKernel(parseLinuxImage(image, await readFile(image))));
        image = vmlinux;
      }
      const files = ['-kernel', image, '-initrd', cached(initrd), '-append', APPEND];
      return {
        ours: ['--boot', route, ...asOurs(files)],
        qemu: files,
        ...(kernel === 'vmlinuz-686' && { v86: { kernel: image, initrd: cached(initrd) } }),
      };
    },
  };
}

/** Debian's kernel tests its cryptography, and user space computes: the guest of `test/e2e/self-tests.test.ts`. */
const selfTests: Workload = {
  name: 'selftests',
  what: "CPU-bound: the kernel's cryptographic self-tests, check sums, awk, bc and dc",
  needs: ['vmlinuz-cloud-amd64', 'busybox', ...TESTED_MODULES],
  reached: END,
  memory: '256M',
  append: QUIET,
  async images(scratch) {
    const modules = await Promise.all(
      TESTED_MODULES.map(async (name) => [name, await readFile(cached(name))] as const),
    );
    const initrd = join(scratch, 'initrd');
    await mkdir(scratch, { recursive: true });
    await writeFile(initrd, selfTestingInitramfs(await readFile(cached('busybox')), new Map(modules)));
    const files = ['-kernel', cached('vmlinuz-cloud-amd64'), '-initrd', initrd, '-append', QUIET];
    return {
      ours: ['--boot', 'pvh', '--cpu', 'x86-64-v2', ...asOurs(files)],
      // The first of QEMU's processors with all of x86-64-v2.
      qemu: ['-cpu', 'Nehalem', ...files],
    };
  },
};

/** A guest of bench/guests. `sizes` are constants of its source. */
export function bare(name: string, what: string, sizes: Readonly<Record<string, number>> = {}): Workload {
  return {
    name,
    what,
    needs: [],
    reached: `OK ${name}`,
    memory: '128M',
    async images(scratch) {
      const image = join(scratch, `${name}.elf`);
      const source = join(import.meta.dirname, 'guests', `${name}.asm`);
      const include = `${join(import.meta.dirname, '..', 'corpus')}/`;
      await mkdir(scratch, { recursive: true });
      const defined = Object.entries(sizes).map(([constant, value]) => `-D${constant}=${value}`);
      await execa('nasm', ['-Wall', '-Werror', '-f', 'bin', '-I', include, ...defined, '-o', image, source]);
      return { ours: ['--kernel', image], qemu: ['-kernel', image] };
    },
  };
}

export const debian = linux(
  'boot',
  "Debian's cloud kernel by PVH",
  'vmlinuz-cloud-amd64',
  'initrd-busybox.cpio',
  'pvh',
);

export const WORKLOADS: readonly Workload[] = [
  debian,
  linux('linux64', "Debian's cloud kernel by linux64", 'vmlinuz-cloud-amd64', 'initrd-busybox.cpio', 'linux64'),
  linux(
    'firmware',
    "Debian's cloud kernel by SeaBIOS and linuxboot_dma",
    'vmlinuz-cloud-amd64',
    'initrd-busybox.cpio',
    'firmware',
  ),
  linux('i386', "Debian's 686 kernel by linux32", 'vmlinuz-686', 'initrd-busybox-i386.cpio', 'linux32'),
  {
    name: 'seabios',
    what: 'SeaBIOS from reset to "No bootable device"',
    needs: ['bios-256k.bin'],
    until: 'debugcon',
    reached: NOTHING,
    memory: '128M',
    async images() {
      const bios = cached('bios-256k.bin');
      return {
        ours: ['--bios', bios, '--until-debugcon', NOTHING],
        qemu: [
          ...['-vga', 'std', '-L', dirname(bios), '-bios', bios],
          ...['-debugcon', 'stdio', '-global', 'isa-debugcon.iobase=0x402'],
        ],
      };
    },
  },
  bare('sha256', 'CPU-bound: SHA-256'),
  bare('lz4', 'CPU-bound: unpacking LZ4'),
  selfTests,
  bare('cold', 'cold code: 60,000 blocks run twelve times'),
  bare('interrupts', 'a million interrupts'),
  bare('syscalls', '1.9 million system calls, 490,000 page faults'),
];
