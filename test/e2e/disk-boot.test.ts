// Boots from disks and CDs, the boot loader included, beside those of boot-matrix.test.ts: SeaBIOS loads GRUB 2 or
// ISOLINUX, and that loads a multiboot and a multiboot2 guest, or Debian's kernel. Each is recorded, replayed from the
// trace alone, and recorded again to the same root; what the small guests print is compared with QEMU's word for the
// same image.
// Needs firmware and kernel (vmreplay fetch) and the boot loaders (packages grub-pc-bin, grub-common, xorriso, mtools,
// isolinux, syslinux-common); without them the tests are skipped and their titles say what is missing.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { execa } from 'execa';
import { packageFile } from '../../bin/package.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { type Files, grubCd, grubDisk, haveGrubCd, haveGrubDisk, haveIsolinux, isolinuxCd } from './disk-images.js';
import { scratch, vmreplay } from './vmreplay.js';

const fetched = (...names: string[]) => names.every((name) => cachedImage(name) !== undefined);
const firmware = fetched('bios-256k.bin', 'kvmvapic.bin');
const linux = firmware && fetched('vmlinuz-cloud-amd64', 'initrd-busybox.cpio');
const when = (there: boolean) => (there ? test : test.skip);
const qemu = existsSync('/usr/bin/qemu-system-x86_64');

const guest = (name: string): Files => ({
  [`${name}.elf`]: packageFile(`corpus/${name}/${name}.elf`),
  'module.txt': packageFile(`corpus/${name}/module.txt`),
  'second.txt': packageFile(`corpus/${name}/second.txt`),
});
const kernel = (): Files => ({
  vmlinuz: cachedImage('vmlinuz-cloud-amd64')!,
  initrd: cachedImage('initrd-busybox.cpio')!,
});

/** Without a serial terminal: GRUB talks to the screen, through the BIOS. */
const grubGuest = (name: string, command: string): string =>
  `multiboot${command} /${name}.elf one "two three"\n` +
  `module${command} /module.txt first option=1\nmodule${command} /second.txt\nboot\n`;
const ISOLINUX =
  'SERIAL 0 115200\nDEFAULT linux\nLABEL linux\nKERNEL /vmlinuz\nINITRD /initrd\nAPPEND console=ttyS0 panic=-1\n';

/** Record, replay sealed, record again. @returns what the guest printed */
async function boot(t: ExecutionContext, file: (name: string) => string, ...options: string[]): Promise<string> {
  const args = [...options, '--no-reboot', '--max-cycles', '20_000_000_000'];
  const first = await vmreplay('record', ...args, '--console', '-o', file('a.trace'));
  t.is(first.code, 0, first.stderr);
  const replayed = await vmreplay('replay', file('a.trace'), '--console');
  t.is(replayed.code, 0, replayed.stderr);
  t.is(replayed.stdout, first.stdout);
  const second = await vmreplay('record', ...args, '-o', file('b.trace'));
  t.is(second.code, 0, second.stderr);
  const roots = await Promise.all(
    ['a.trace', 'b.trace'].map(async (name) => {
      const { root, end, images } = JSON.parse((await vmreplay('inspect', file(name), '--json')).stdout);
      t.is(end.reason, 'poweroff');
      t.true(images.some(({ role }: { role: string }) => ['drive', 'virtio-drive', 'cdrom'].includes(role)));
      return root;
    }),
  );
  t.is(roots[1], roots[0]);
  return first.stdout;
}

/**
 * The serial console of QEMU's boot from the same image. It goes to a file: into a pipe that is not read at once QEMU writes
 * later, and what is left when the guest turns it off is lost.
 */
async function qemuConsole(output: string, memory: string, ...disk: string[]): Promise<string> {
  const machine = '-M pc -accel tcg -nodefaults -vga std -display none -no-reboot'.split(' ');
  await execa('qemu-system-x86_64', [...machine, '-serial', `file:${output}`, '-m', memory, ...disk], {
    timeout: 120_000,
    stdin: 'ignore',
  });
  return readFile(output, 'latin1');
}

const reachedUserSpace = (t: ExecutionContext, console: string): void => {
  t.regex(console, /Linux version/);
  for (const marker of ['boot ok', 'sha256 ok', 'end']) t.true(console.includes(`VMREPLAY-MARKER ${marker}`), marker);
};

when(linux && haveIsolinux)(
  "ISOLINUX boots Debian's kernel (needs: vmreplay fetch, isolinux, syslinux-common, xorriso)",
  async (t) => {
    t.timeout(1_800_000);
    const file = await scratch(t);
    await isolinuxCd(file('cd.iso'), kernel(), ISOLINUX);
    reachedUserSpace(t, await boot(t, file, '--memory', '256M', '--cdrom', file('cd.iso')));
  },
);

when(firmware && haveGrubDisk)(
  'GRUB on a virtio disk boots the multiboot guest as in QEMU (needs: vmreplay fetch, grub-pc-bin, grub-common, mtools)',
  async (t) => {
    t.timeout(900_000);
    const file = await scratch(t);
    await grubDisk(file('disk.img'), 16, guest('multiboot'), grubGuest('multiboot', ''));
    const console = await boot(t, file, '--memory', '64M', '--drive', `${file('disk.img')},if=virtio`);
    t.true(console.endsWith('OK multiboot\n'), console);
    const disk = `file=${file('disk.img')},format=raw,snapshot=on,if=virtio`;
    if (qemu) t.is(console, await qemuConsole(file('qemu.txt'), '64M', '-drive', disk));
  },
);

for (const [name, command] of [
  ['multiboot', ''],
  ['multiboot2', '2'],
] as const) {
  when(firmware && haveGrubDisk)(
    `GRUB on a hard disk boots the ${name} guest as in QEMU (needs: vmreplay fetch, grub-pc-bin, grub-common, mtools)`,
    async (t) => {
      t.timeout(900_000);
      const file = await scratch(t);
      await grubDisk(file('disk.img'), 16, guest(name), grubGuest(name, command));
      const console = await boot(t, file, '--memory', '64M', '--drive', file('disk.img'));
      t.true(console.endsWith(`OK ${name}\n`), console);
      const disk = `file=${file('disk.img')},format=raw,snapshot=on`;
      if (qemu) t.is(console, await qemuConsole(file('qemu.txt'), '64M', '-drive', disk));
    },
  );

  when(firmware && haveGrubCd)(
    `GRUB on a CD boots the ${name} guest as in QEMU (needs: vmreplay fetch, grub-pc-bin, xorriso, mtools)`,
    async (t) => {
      t.timeout(900_000);
      const file = await scratch(t);
      await grubCd(file('cd.iso'), guest(name), grubGuest(name, command));
      const console = await boot(t, file, '--memory', '64M', '--cdrom', file('cd.iso'));
      t.true(console.endsWith(`OK ${name}\n`), console);
      if (qemu) t.is(console, await qemuConsole(file('qemu.txt'), '64M', '-cdrom', file('cd.iso')));
    },
  );
}
