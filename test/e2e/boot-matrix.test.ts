// The boot matrix: each kernel by every route that leads to it. A cell is recorded from power-on until the guest ends by
// itself, replayed from the trace alone, and recorded a second time to the same root; what it printed and by which
// protocols its kernel was entered must be right. Cells need guests that `vmreplay fetch` brings; without them a cell is
// skipped, and its title says what it needs.

import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { parseLinuxImage, unpackKernel } from '../../src/boot/bzimage.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { grubCd, grubDisk, haveGrubCd, haveGrubDisk } from './disk-images.js';
import { scratch, vmreplay } from './vmreplay.js';

interface Cell {
  /** Kernel and the way to it. */
  name: string;
  /** Files of the cache. */
  needs: string[];
  args: string[];
  /** What the guest prints when all went well. */
  marker: string;
  /** Protocols of the hand-offs, in order. */
  handoffs: string[];
  /** The kernel is what this image unpacks to. */
  unpack?: string;
  /** Makes the disk or CD; its file is the last argument. */
  disk?: (image: string) => Promise<void>;
  /** Packages that `disk` needs, when they are not here. */
  packages?: string;
}

const BIOS = ['bios-256k.bin', 'kvmvapic.bin'];
const linux = [
  '--append',
  'console=ttyS0 panic=-1',
  '--memory',
  '256M',
  '--no-reboot',
  '--max-cycles',
  '20_000_000_000',
];

/** Debian's cloud kernel for amd64. */
function amd64(route: string, needs: string[], args: string[], handoffs: string[], unpack = false): Cell {
  const kernel = unpack ? [] : ['--kernel', 'vmlinuz-cloud-amd64'];
  return {
    name: `amd64 kernel by ${route}`,
    needs: ['vmlinuz-cloud-amd64', 'initrd-busybox.cpio', ...needs],
    args: [...kernel, '--initrd', 'initrd-busybox.cpio', ...linux, ...args],
    marker: 'VMREPLAY-MARKER end',
    handoffs,
    ...(unpack && { unpack: 'vmlinuz-cloud-amd64' }),
  };
}

function i386(route: string, needs: string[], args: string[], handoffs: string[]): Cell {
  return {
    name: `i386 kernel by ${route}`,
    needs: ['vmlinuz-686', 'initrd-busybox-i386.cpio', ...needs],
    args: ['--kernel', 'vmlinuz-686', '--initrd', 'initrd-busybox-i386.cpio', ...linux, ...args],
    marker: 'VMREPLAY-MARKER end',
    handoffs,
  };
}

/** The guest of the corpus that speaks both versions of Multiboot. */
function multiboot(route: string, needs: string[], args: string[], handoffs: string[]): Cell {
  const kernel = packageFile('corpus/multiboot/multiboot.elf');
  const module = `${packageFile('corpus/multiboot/module.txt')},first option=1`;
  return {
    name: `multiboot guest by ${route}`,
    needs,
    args: ['--kernel', kernel, '--module', module, '--memory', '64M', '--max-cycles', '500_000_000', ...args],
    marker: 'OK multiboot',
    handoffs,
  };
}

/** Whether GRUB can be put on a disk, or on a CD: the option that takes the image says which. */
const haveDisk = (option: string): boolean => (option === '--drive' ? haveGrubDisk : haveGrubCd);
const PACKAGES = 'grub-pc-bin, grub-common, xorriso, mtools';
const SERIAL = 'serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n';

function grubLinux(option: '--drive' | '--cdrom'): Cell {
  const config = `${SERIAL}linux /vmlinuz console=ttyS0 panic=-1\ninitrd /initrd\nboot\n`;
  return {
    name: `amd64 kernel by GRUB, ${option === '--drive' ? 'from a disk' : 'from a CD'}`,
    needs: [...BIOS, 'vmlinuz-cloud-amd64', 'initrd-busybox.cpio'],
    args: ['--memory', '256M', '--no-reboot', '--max-cycles', '20_000_000_000', option],
    marker: 'VMREPLAY-MARKER end',
    handoffs: ['linux32'],
    disk: (image) => {
      const files = { vmlinuz: cachedImage('vmlinuz-cloud-amd64')!, initrd: cachedImage('initrd-busybox.cpio')! };
      return option === '--drive' ? grubDisk(image, 64, files, config) : grubCd(image, files, config);
    },
    packages: PACKAGES,
  };
}

function grubMultiboot(version: '' | '2'): Cell {
  const files = {
    'guest.elf': packageFile('corpus/multiboot/multiboot.elf'),
    'module.txt': packageFile('corpus/multiboot/module.txt'),
  };
  const config = `multiboot${version} /guest.elf one\nmodule${version} /module.txt two\nboot\n`;
  return {
    name: `multiboot guest by GRUB, multiboot${version}`,
    needs: BIOS,
    args: ['--memory', '64M', '--no-reboot', '--max-cycles', '2_000_000_000', '--drive'],
    marker: 'OK multiboot',
    handoffs: [`multiboot${version}`],
    disk: (image) => grubDisk(image, 16, files, config),
    packages: PACKAGES,
  };
}

const microvm = ['--machine', 'microvm'];
const setup = ['linux16', 'linux32'];
const cells: Cell[] = [
  ...['pvh', 'linux64', 'linux32'].map((route) => amd64(route, [], ['--boot', route], [route])),
  amd64('linux16', [], ['--boot', 'linux16'], setup),
  amd64('SeaBIOS and linuxboot.bin', [...BIOS, 'linuxboot.bin'], ['--boot', 'firmware', '--no-fw-cfg-dma'], setup),
  amd64('SeaBIOS and linuxboot_dma.bin', [...BIOS, 'linuxboot_dma.bin'], ['--boot', 'firmware'], setup),
  amd64('SeaBIOS and pvh.bin', [...BIOS, 'pvh.bin'], ['--boot', 'firmware'], ['pvh'], true),
  amd64('microvm, qboot and the setup code', ['qboot.rom'], [...microvm, '--bios', 'qboot.rom'], setup),
  amd64('microvm, qboot and PVH', ['qboot.rom'], [...microvm, '--bios', 'qboot.rom'], ['pvh'], true),
  amd64(
    'microvm and its SeaBIOS',
    ['bios-microvm.bin', 'linuxboot_dma.bin'],
    [...microvm, '--boot', 'firmware'],
    setup,
  ),
  amd64('microvm and PVH', [], [...microvm, '--boot', 'pvh'], ['pvh']),
  grubLinux('--drive'),
  grubLinux('--cdrom'),
  ...['multiboot', 'multiboot2'].map((route) => multiboot(route, [], ['--boot', route], [route])),
  multiboot(
    'SeaBIOS and multiboot.bin',
    [...BIOS, 'multiboot.bin'],
    ['--boot', 'firmware', '--no-fw-cfg-dma'],
    ['multiboot'],
  ),
  multiboot('SeaBIOS and multiboot_dma.bin', [...BIOS, 'multiboot_dma.bin'], ['--boot', 'firmware'], ['multiboot']),
  grubMultiboot(''),
  grubMultiboot('2'),
  i386('linux32', [], ['--boot', 'linux32'], ['linux32']),
  i386('SeaBIOS and linuxboot_dma.bin', [...BIOS, 'linuxboot_dma.bin'], ['--boot', 'firmware'], setup),
];

for (const { name, needs, args, marker, handoffs, unpack, disk, packages } of cells) {
  const missing = needs.filter((image) => cachedImage(image) === undefined);
  if (disk && !haveDisk(args.at(-1)!)) missing.push('a boot loader');
  const all = [...(needs.length === 0 ? [] : ['vmreplay fetch']), ...(packages === undefined ? [] : [packages])];
  const title = all.length === 0 ? name : `${name} (needs: ${all.join(', ')})`;
  // One after the other: a cell's two recordings take both processors, and its result comes when it is there.
  const run = missing.length === 0 ? test.serial : test.skip;
  run(title, async (t) => {
    t.timeout(1_800_000);
    const file = await scratch(t);
    const boot = [...args];
    if (unpack !== undefined) {
      const packed = readFileSync(cachedImage(unpack)!);
      await writeFile(file('vmlinux'), unpackKernel(parseLinuxImage(unpack, packed)));
      boot.push('--kernel', file('vmlinux'));
    }
    if (disk) {
      await disk(file('disk'));
      boot.push(file('disk'));
    }
    const record = (output: string) => vmreplay('record', ...boot, '--console', '-o', file(output));
    const [first, second] = await Promise.all([record('a.trace'), record('b.trace')]);
    for (const { code, stdout, stderr } of [first, second]) {
      t.is(code, 0, stderr);
      t.true(stdout.includes(marker), stdout.slice(-2000));
    }
    const replayed = await vmreplay('replay', file('a.trace'));
    t.is(replayed.code, 0, replayed.stdout);
    const inspect = async (output: string) => JSON.parse((await vmreplay('inspect', '--json', file(output))).stdout);
    const [a, b] = [await inspect('a.trace'), await inspect('b.trace')];
    t.is(a.end.reason, 'poweroff');
    t.is(b.root, a.root);
    const views = JSON.parse((await vmreplay('inspect', '--handoff', '--json', file('a.trace'))).stdout);
    t.deepEqual(
      views.map(({ protocol }: { protocol: string }) => protocol),
      handoffs,
    );
  });
}
