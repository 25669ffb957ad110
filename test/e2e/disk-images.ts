// Bootable images, made anew for a test from the boot loaders that Debian has packages of: GRUB on a hard disk with a FAT
// partition, GRUB on a CD, ISOLINUX on a CD. What is missing is told, so that tests can be skipped by name.

import { existsSync } from 'node:fs';
import { copyFile, mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execa } from 'execa';

const GRUB = '/usr/lib/grub/i386-pc';
const ISOLINUX = '/usr/lib/ISOLINUX/isolinux.bin';
const LDLINUX = '/usr/lib/syslinux/modules/bios/ldlinux.c32';
const GRUB_MODULES =
  'biosdisk part_msdos fat iso9660 linux multiboot multiboot2 normal configfile serial terminal echo';

const found = (program: string): boolean => existsSync(`/usr/bin/${program}`);
export const haveGrubDisk = existsSync(`${GRUB}/boot.img`) && ['grub-mkimage', 'mformat', 'mcopy'].every(found);
export const haveGrubCd = existsSync(`${GRUB}/cdboot.img`) && ['grub-mkrescue', 'xorriso', 'mformat'].every(found);
export const haveIsolinux = existsSync(ISOLINUX) && existsSync(LDLINUX) && found('xorriso');

/** Files that the loader finds in the root directory, by their names there. */
export type Files = Readonly<Record<string, string>>;

const SECTOR = 512;
const PARTITION = 2048;
const MIB = 1024 ** 2;

/** A disk of `size` MiB with a FAT partition, GRUB before it, and a configuration. */
export async function grubDisk(image: string, size: number, files: Files, config: string): Promise<void> {
  const early = `${image}.early`;
  const core = `${image}.core`;
  await writeFile(early, 'set root=(hd0,msdos1)\nconfigfile /grub.cfg\n');
  await writeFile(`${image}.cfg`, config);
  await execa('grub-mkimage', ['-O', 'i386-pc', '-p', '/', '-c', early, '-o', core, ...GRUB_MODULES.split(' ')]);
  await writeFile(image, '');
  await truncate(image, size * MIB);
  const disk = await open(image, 'r+');
  try {
    const record = new Uint8Array(SECTOR);
    // Code up to the disk signature; one active FAT partition; addresses by cylinder are the largest there are.
    record.set((await readFile(`${GRUB}/boot.img`)).subarray(0, 440));
    record.set([0x80, 0xfe, 0xff, 0xff, 0x0c, 0xfe, 0xff, 0xff], 446);
    const view = new DataView(record.buffer);
    view.setUint32(454, PARTITION, true);
    view.setUint32(458, (size * MIB) / SECTOR - PARTITION, true);
    record.set([0x55, 0xaa], 510);
    await disk.write(record, 0, SECTOR, 0);
    const loader = await readFile(core);
    if (loader.length > (PARTITION - 1) * SECTOR) throw new Error('GRUB does not fit before the partition');
    await disk.write(loader, 0, loader.length, SECTOR);
  } finally {
    await disk.close();
  }
  const partition = `${image}@@${PARTITION * SECTOR}`;
  await execa('mformat', ['-i', partition, '::']);
  await execa('mcopy', ['-i', partition, `${image}.cfg`, '::/grub.cfg']);
  for (const [name, path] of Object.entries(files)) await execa('mcopy', ['-i', partition, path, `::/${name}`]);
}

/** The root of a CD. */
async function tree(image: string, files: Files): Promise<string> {
  const root = `${image}.root`;
  await mkdir(root);
  for (const [name, path] of Object.entries(files)) await copyFile(path, join(root, name));
  return root;
}

/** A CD by grub-mkrescue, for BIOS alone. */
export async function grubCd(image: string, files: Files, config: string): Promise<void> {
  const root = await tree(image, files);
  await mkdir(join(root, 'boot/grub'), { recursive: true });
  await writeFile(join(root, 'boot/grub/grub.cfg'), config);
  const lean = [`--install-modules=${GRUB_MODULES}`, '--fonts=', '--locales=', '--themes='];
  await execa('grub-mkrescue', ['-d', GRUB, '-o', image, ...lean, root]);
}

/** A CD with ISOLINUX and its configuration. */
export async function isolinuxCd(image: string, files: Files, config: string): Promise<void> {
  const root = await tree(image, files);
  const place = join(root, 'isolinux');
  await mkdir(place);
  for (const file of [ISOLINUX, LDLINUX]) await copyFile(file, join(place, basename(file)));
  await writeFile(join(place, 'isolinux.cfg'), config);
  const boot = ['-b', 'isolinux/isolinux.bin', '-c', 'isolinux/boot.cat', '-no-emul-boot', '-boot-load-size', '4'];
  await execa('xorriso', ['-as', 'mkisofs', '-quiet', '-o', image, ...boot, '-boot-info-table', root]);
}
