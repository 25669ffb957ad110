// Debian's kernels with each CPU model, by each route that they offer: every one comes to its marker and powers the
// machine off. The cloud kernel on the baseline, with its recordings, is debian.test.ts. Without the fetched guests the
// tests are skipped; their titles say what to fetch.

import test from 'ava';
import { cachedImage } from '../../src/fetch/cache.js';
import { BOOT_MARKER, END_MARKER } from '../../src/fetch/initramfs.js';
import { vmreplay } from './vmreplay.js';

const AMD64 = { initrd: 'initrd-busybox.cpio', machine: 'x86_64' };
const I386 = { initrd: 'initrd-busybox-i386.cpio', machine: 'i686' };
const KERNELS = {
  cloud: { ...AMD64, kernel: 'vmlinuz-cloud-amd64', needs: 'cloud busybox' },
  amd64: { ...AMD64, kernel: 'vmlinuz-amd64', needs: 'amd64 busybox' },
  i386: { ...I386, kernel: 'vmlinuz-686', needs: 'i386 busybox-i386' },
};

/** The 32-bit kernel has no PVH note: it is built without CONFIG_PVH. */
const BOOTS = [
  ['i386', 'linux32', 'qemu64-v1'],
  ['i386', 'linux32', 'x86-64-v2'],
  ['cloud', 'pvh', 'x86-64-v2'],
  ['cloud', 'linux64', 'x86-64-v2'],
  ['cloud', 'linux32', 'qemu64-v1'],
  ['amd64', 'pvh', 'qemu64-v1'],
] as const;

for (const [name, route, cpu] of BOOTS) {
  const { kernel, initrd, machine, needs } = KERNELS[name];
  const present = cachedImage(kernel) !== undefined && cachedImage(initrd) !== undefined;
  (present ? test : test.skip)(
    `Debian's ${name} kernel boots by ${route} with ${cpu} (needs: vmreplay fetch ${needs})`,
    async (t) => {
      t.timeout(900_000);
      const boot = ['--boot', route, '--memory', '256M', '--cpu', cpu, '--kernel', kernel, '--initrd', initrd];
      const ends = ['--no-reboot', '--max-cycles', '20_000_000_000'];
      const { code, stdout, stderr } = await vmreplay('run', ...boot, '--append', 'console=ttyS0 panic=-1', ...ends);
      t.is(code, 0, stderr);
      for (const line of [BOOT_MARKER, 'VMREPLAY-MARKER sha256 ok', END_MARKER]) t.true(stdout.includes(line), line);
      t.regex(stdout, new RegExp(`^Linux \\S+ .* ${machine}\\r?$`, 'm'));
      t.regex(stdout, /reboot: Power down/);
    },
  );
}
