// Debian's own drivers at our devices: libata at the IDE controller with a disk and a CD, virtio_blk on PCI and on
// virtio-mmio, entropy and console of a microvm. The guest says what it reads, writes and reads back; contents must be those
// of the images, and what its kernel logs of the devices must be what it logs in QEMU. Each boot is recorded and replayed.
// Needs the images that `vmreplay fetch` brings, and QEMU for the comparison; else skipped by name.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { hasQemu } from '../../scripts/lockstep/qemu.js';
import type { RecordOptions } from '../../src/api/options.js';
import { record } from '../../src/api/record.js';
import { replay } from '../../src/api/replay.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { GUESTS } from '../../src/fetch/guests.js';
import { moduleInitramfs } from './module-initramfs.js';
import { scratch } from './vmreplay.js';

const KERNEL = 'vmlinuz-cloud-amd64';
const MODULES = GUESTS.find(({ name }) => name === 'drivers')!.files.map((file) => file.as);
const ready =
  hasQemu() && [KERNEL, 'busybox', 'qboot.rom', ...MODULES].every((name) => cachedImage(name) !== undefined);
// One after the other: each takes a processor.
const withImages = ready ? test.serial : test.skip;

const MIB = 1 << 20;
const APPLETS = 'cat cut dd dmesg echo grep head insmod mkdir mount poweroff seq sh sha256sum sleep sync wc'.split(' ');
/** Sector at which the guest writes, and what. */
const PLACE = 100;
const WRITTEN = Array.from({ length: 10_000 }, (_, n) => `${n + 1}\n`).join('');

/** Waits for devices, reads them whole, writes, drops what is cached, and reads back. */
const script = (disks: readonly string[], discs: readonly string[], more = ''): string => `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules); do insmod /lib/$module || echo "insmod $module FAILED"; done
for name in ${[...disks, ...discs].join(' ')}; do
  for wait in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/$name ] || sleep 1; done
  echo "size $name $(cat /sys/block/$name/size)"
  echo "read $name $(sha256sum < /dev/$name | cut -c 1-64)"
done
mkdir -p /mnt
seq 1 10000 > /mnt/data
for name in ${disks.join(' ')}; do
  dd if=/mnt/data of=/dev/$name bs=512 seek=${PLACE} conv=fsync 2>/dev/null
  echo 3 > /proc/sys/vm/drop_caches
  echo "back $name $(dd if=/dev/$name bs=512 skip=${PLACE} 2>/dev/null | head -c $(wc -c < /mnt/data) | sha256sum | cut -c 1-64)"
  echo "whole $name $(sha256sum < /dev/$name | cut -c 1-64)"
done
${more}
dmesg | grep -E 'ata[0-9]|scsi|sd |sr0|cdrom|virtio|hwrng|hvc|vd[a-z]|WARN|BUG|error|fail' | while read -r line; do echo "log $line"; done
echo == done
poweroff -f
`;

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** Bytes that do not repeat soon. */
function image(size: number, seed: number): Uint8Array {
  const data = new Uint8Array(size);
  let state = seed;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    data[at] = state >>> 16;
  }
  return data;
}

/** What the guest prints of an image on a disk that it writes to, or only reads. */
function expected(name: string, data: Uint8Array, written: boolean): string[] {
  const lines = [`size ${name} ${data.length / 512}`, `read ${name} ${sha256(data)}`];
  if (!written) return lines;
  const changed = data.slice();
  const text = new TextEncoder().encode(WRITTEN);
  changed.set(text, PLACE * 512);
  return [...lines, `back ${name} ${sha256(text)}`, `whole ${name} ${sha256(changed)}`];
}

/** Lines of the kernel's log, without the time; those of independent devices come in any order. */
const logOf = (output: string): string[] =>
  output
    .split('\n')
    .filter((line) => line.startsWith('log '))
    .map((line) => line.replace(/\[ *[\d.]+\] /, '').trim())
    .sort();

interface Case {
  init: string;
  options: Omit<RecordOptions, 'output'>;
  /** QEMU's arguments for the machine and its devices. */
  qemu: string[];
}

/** Boot here, twice, and in QEMU. @returns what was printed here */
async function boot(t: ExecutionContext, { init, options, qemu }: Case): Promise<string> {
  t.timeout(1_200_000);
  const file = await scratch(t);
  const modules = await Promise.all(MODULES.map(async (name) => [name, await readFile(cachedImage(name)!)] as const));
  const busybox = await readFile(cachedImage('busybox')!);
  await writeFile(file('initrd'), moduleInitramfs({ busybox, applets: APPLETS, modules: new Map(modules), init }));
  const chunks: Uint8Array[] = [];
  const onConsole = (data: Uint8Array): void => void chunks.push(data.slice());
  const plan: RecordOptions = {
    kernel: KERNEL,
    initrd: file('initrd'),
    append: 'console=ttyS0 panic=-1 quiet',
    memory: 256 * MIB,
    maxCycles: 40_000_000_000,
    noReboot: true,
    ...options,
  };
  const first = await record({ ...plan, onConsole, output: file('a.trace') });
  const output = Buffer.concat(chunks).toString('latin1').replaceAll('\r', '');
  t.regex(output, /== done/);
  t.is(first.exitCode, 0, first.end.reason);
  const again = await replay(file('a.trace'));
  t.is(again.divergence, undefined);
  t.is(again.state, first.state);

  // With counted instructions the guest's clocks do not depend on how busy this machine is.
  const args = [...qemu, ...'-accel tcg -icount shift=2,sleep=off -rtc base=2020-01-01,clock=vm -no-reboot'.split(' ')];
  args.push('-cpu', 'qemu64,-svm', '-m', '256', '-nodefaults', '-display', 'none', '-serial', `file:${file('serial')}`);
  args.push('-kernel', cachedImage(KERNEL)!, '-initrd', file('initrd'), '-append', plan.append!);
  const { status, stderr } = spawnSync('qemu-system-x86_64', args, { timeout: 300_000, encoding: 'utf8' });
  t.is(status, 0, stderr);
  const theirs = (await readFile(file('serial'), 'latin1')).replaceAll('\r', '');
  t.regex(theirs, /== done/, 'QEMU comes to its end');
  t.deepEqual(logOf(output), logOf(theirs), 'the kernel says the same of the devices');
  t.true(logOf(output).length >= 2, output);
  t.notRegex(output, /FAILED/);
  return output;
}

const drive = (path: string, more: string): string => `file=${path},format=raw,snapshot=on,${more}`;
const says = (t: ExecutionContext, output: string, lines: readonly string[]): void => {
  for (const line of lines) t.true(output.split('\n').includes(line), `${line}\n${output}`);
};

withImages(
  'libata reads and writes a disk, reads a CD, and virtio_blk a disk on PCI (needs: qemu-system-x86, vmreplay fetch cloud drivers busybox)',
  async (t) => {
    const file = await scratch(t);
    const [disk, cd, virtio] = [image(MIB, 1), image(MIB / 2, 2), image(MIB / 2, 3)];
    for (const [name, data] of Object.entries({ disk, cd, virtio })) await writeFile(file(name), data);
    const output = await boot(t, {
      init: script(['sda', 'vda'], ['sr0']),
      options: {
        drives: [{ path: file('disk') }, { path: file('virtio'), interface: 'virtio' }],
        cdrom: file('cd'),
      },
      qemu: [
        ...['-M', 'pc', '-vga', 'none', '-drive', drive(file('disk'), 'if=ide'), '-cdrom', file('cd')],
        ...['-drive', drive(file('virtio'), 'if=virtio')],
      ],
    });
    says(t, output, [...expected('sda', disk, true), ...expected('vda', virtio, true), ...expected('sr0', cd, false)]);
    t.regex(output, /^log .*ata1\.00: ATA-7: QEMU HARDDISK/m);
    t.deepEqual(await readFile(file('disk')), Buffer.from(disk), 'the image itself stays as it was');
  },
);

withImages(
  "virtio_blk, entropy and console on a microvm's virtio-mmio (needs: qemu-system-x86, vmreplay fetch cloud drivers busybox qemu-roms)",
  async (t) => {
    const file = await scratch(t);
    const disk = image(MIB / 2, 4);
    await writeFile(file('disk'), disk);
    const more = `echo "source $(cat /sys/class/misc/hw_random/rng_current)"
echo "entropy $(dd if=/dev/hwrng bs=64 count=4 2>/dev/null | sha256sum | cut -c 1-64)"
echo 'printed on hvc0' > /dev/hvc0`;
    const options: Case['options'] = {
      machine: 'microvm',
      drives: [{ path: file('disk') }],
      devices: ['virtio-rng', 'virtio-console'],
    };
    const qemu = [
      '-M',
      'microvm',
      '-bios',
      cachedImage('qboot.rom')!,
      '-drive',
      drive(file('disk'), 'if=none,id=disk'),
    ];
    qemu.push('-device', 'virtio-blk-device,drive=disk', '-device', 'virtio-rng-device');
    qemu.push('-device', 'virtio-serial-device', '-chardev', `file,id=hvc,path=${file('hvc')}`);
    qemu.push('-device', 'virtconsole,chardev=hvc');
    const output = await boot(t, { init: script(['vda'], [], more), options, qemu });
    says(t, output, [...expected('vda', disk, true), 'printed on hvc0']);
    t.regex(await readFile(file('hvc'), 'latin1'), /printed on hvc0/);
    t.regex(output, /^source virtio_rng\.0$/m);
    t.regex(output, /^entropy [0-9a-f]{64}$/m);
  },
);
