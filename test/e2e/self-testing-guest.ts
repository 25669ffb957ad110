// A guest that tests itself: Debian's kernel runs the self-tests of its cryptography (portable code and what is written
// in SSE2, SSSE3 and SSE4.2) and measures its RAID and XOR routines, and user space computes checksums over 16 MiB that it
// makes, awk in floating point and bc and dc in many digits.

import { GUESTS } from '../../src/fetch/guests.js';
import { moduleInitramfs } from './module-initramfs.js';

/** What both machines compute: the lines are compared as they are. */
export const WORK = `seq 1 20000 > part
for i in 0 1 2 3 4 5 6 7 8 9; do for j in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do echo "$i $j"; cat part; done; done |
  head -c 16777216 > data
for sum in md5sum sha1sum sha256sum sha512sum sha3sum crc32; do echo "$sum $($sum data)"; done
awk 'BEGIN {
  for (i = 1; i <= 5000; i++) { s += 1 / (i * i); leibniz += (i % 2 ? 4 : -4) / (2 * i - 1); h = h / 3 + i / 7 }
  x = 2; for (i = 0; i < 8; i++) x = (x + 2 / x) / 2
  e = 1; for (i = 30; i > 0; i--) e = 1 + e / i
  p = 1; for (i = 1; i <= 300; i++) p *= 10.5; for (i = 1; i <= 640; i++) q = p /= 10.25
  printf "awk %.17g %.17g %.17g %.17g %.17g %.17g %d %.3e\\n", s, leibniz, h, x, e, q, int(s * 1e9) % 97, -0.1 * 3
}'
echo 'scale=60; 4*a(1); e(1); l(2); sqrt(2); s(1)/c(1); 2^200 % 97' | bc -l
dc -e '40k 2 v 3 v * 7 / p 2 200 ^ 97 % p'
`;
export const APPLETS = (
  'awk bc cat crc32 dc dmesg echo grep head insmod md5sum mkdir mount poweroff seq sh sha1sum sha256sum sha3sum ' +
  'sha512sum sort uniq'
).split(' ');

/** Lines around what WORK prints. */
export const START = '== work';
export const END = '== done';
const INIT = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
for module in $(cat /modules); do insmod /lib/$module || echo "insmod $module FAILED"; done
# Asks for every cipher and hash by name and always ends with EAGAIN: it does not want to stay.
if [ -f /lib/tcrypt.ko ]; then insmod /lib/tcrypt.ko 2>/dev/null; fi
echo "selftests $(grep ^selftest /proc/crypto | sort | uniq -c | sort -n)"
dmesg | grep -E 'alg: |raid6: |xor: '
mkdir -p /tmp
cd /tmp
echo '${START}'
sh /work.sh
echo '${END}'
poweroff -f
`;

/** An initial file system that runs INIT. tcrypt never stays loaded: INIT sees to it. */
export const selfTestingInitramfs = (busybox: Uint8Array, modules: ReadonlyMap<string, Uint8Array>): Uint8Array =>
  moduleInitramfs({
    busybox,
    applets: APPLETS,
    modules,
    unlisted: ['tcrypt.ko'],
    init: INIT,
    files: { 'work.sh': WORK },
  });

/** Names, in the cache, of the modules that are tested. */
export const TESTED_MODULES = GUESTS.find(({ name }) => name === 'modules')!.files.map((file) => file.as);
