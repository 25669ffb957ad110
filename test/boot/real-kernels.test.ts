// Debian's kernels from the cache, laid out by our routes and run by QEMU from the entry state alone: what boots
// there is a correct hand-off. Each test is skipped by name when its kernel was not fetched.

import { readFileSync } from 'node:fs';
import test from 'ava';
import { detectRoutes } from '../../src/boot/detect.js';
import { buildBoot } from '../../src/boot/loader.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { BOOT_MARKER, END_MARKER } from '../../src/fetch/initramfs.js';
import { firmwareE820 } from '../../src/platform/e820.js';
import { hasQemu, runOnQemu } from './qemu-entry.js';

const MEMORY_MIB = 256;
const file = (path: string) => ({ name: path.split('/').at(-1)!, bytes: new Uint8Array(readFileSync(path)) });

for (const [name, initrdName, routes] of [
  ['vmlinuz-cloud-amd64', 'initrd-busybox.cpio', ['linux64', 'linux32', 'pvh']],
  ['vmlinuz-amd64', 'initrd-busybox.cpio', ['pvh']],
  ['vmlinuz-686', 'initrd-busybox-i386.cpio', ['linux32']],
] as const) {
  const kernel = cachedImage(name);
  const initrd = cachedImage(initrdName);
  (kernel ? test : test.skip)(`${name} offers the Linux routes`, (t) => {
    const expected = name === 'vmlinuz-686' ? ['linux32', 'linux16'] : ['linux64', 'linux32', 'linux16'];
    t.deepEqual(detectRoutes(readFileSync(kernel!)), expected as ReturnType<typeof detectRoutes>);
  });
  for (const route of routes) {
    (kernel && initrd && hasQemu ? test.serial : test.skip)(
      `${name} laid out by ${route} reaches user space on QEMU with no firmware`,
      (t) => {
        t.timeout(180_000);
        const image = buildBoot({
          route,
          kernel: file(kernel!),
          initrd: file(initrd!),
          append: 'console=ttyS0 panic=-1 vmreplay.end=reboot',
          memoryMap: firmwareE820(MEMORY_MIB << 20),
        });
        const output = runOnQemu(image, MEMORY_MIB, 120);
        t.true(output.includes(BOOT_MARKER), output.slice(-500));
        // A kernel that is busy drops lines of its log; that the guest reboots says the same.
        t.regex(output, /vmreplay\.end=reboot|Restarting system/, 'the command line arrived');
        t.true(output.includes('VMREPLAY-MARKER sha256 ok'));
        t.true(output.includes(END_MARKER));
      },
    );
  }
}
