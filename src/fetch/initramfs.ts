// The guest's user space: a static busybox and one script that says what it sees and powers off. What it prints
// is the same on every host; uptime and the processor's flags are printed because they are what a
// nondeterministic machine would get wrong first.
//
// Words on the kernel command line change its end: `vmreplay.end=reboot` and `vmreplay.end=halt` instead of
// powering off, `vmreplay.shell` for an interactive shell on the console.

import { writeCpio } from './cpio.js';

/** Printed when user space runs. */
export const BOOT_MARKER = 'VMREPLAY-MARKER boot ok';
/** Printed last, before the machine is asked to stop. */
export const END_MARKER = 'VMREPLAY-MARKER end';

/** SHA-256 of 4 MiB of zeros, which the guest computes for itself. */
const ZEROS_SHA256 = 'bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8';

/** The script that the kernel starts as process 1. */
export const INIT_SCRIPT = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo '${BOOT_MARKER}'
uname -srvm
sum=$(dd if=/dev/zero bs=64k count=64 2>/dev/null | sha256sum)
if [ "$sum" = '${ZEROS_SHA256}  -' ]; then echo 'VMREPLAY-MARKER sha256 ok'; else echo "VMREPLAY-MARKER sha256 FAIL $sum"; fi
echo "uptime $(cat /proc/uptime)"
grep -m 1 '^model name' /proc/cpuinfo
grep -m 1 '^flags' /proc/cpuinfo
cmdline=" $(cat /proc/cmdline) "
case "$cmdline" in *' vmreplay.shell '*) setsid cttyhack sh ;; esac
echo '${END_MARKER}'
case "$cmdline" in
  *' vmreplay.end=reboot '*) reboot -f ;;
  *' vmreplay.end=halt '*) halt -f ;;
  *) poweroff -f ;;
esac
`;

/** Commands the script needs by name; busybox looks at the name it was started by. */
const APPLETS = 'cat cttyhack dd dmesg echo grep halt ls mount poweroff reboot setsid sh sha256sum uname'.split(' ');

/** The initial file system as an uncompressed cpio archive; the same busybox gives the same bytes. */
export function buildInitramfs(busybox: Uint8Array): Uint8Array {
  return writeCpio([
    { type: 'directory', path: 'bin' },
    { type: 'directory', path: 'dev' },
    // The kernel opens /dev/console for process 1 before the script can mount devtmpfs.
    { type: 'character', path: 'dev/console', major: 5, minor: 1 },
    { type: 'character', path: 'dev/null', major: 1, minor: 3, mode: 0o666 },
    { type: 'directory', path: 'proc' },
    { type: 'directory', path: 'sys' },
    { type: 'directory', path: 'tmp', mode: 0o1777 },
    { type: 'file', path: 'bin/busybox', data: busybox, mode: 0o755 },
    ...APPLETS.map((name) => ({ type: 'link' as const, path: `bin/${name}`, target: 'busybox' })),
    { type: 'file', path: 'init', data: new TextEncoder().encode(INIT_SCRIPT), mode: 0o755 },
  ]);
}
