// The guest tests itself: Debian's kernel runs the self-tests of its cryptography (portable code and what is written in
// SSE2, SSSE3 and SSE4.2) and measures its RAID and XOR routines, and user space computes checksums over 16 MiB that it
// makes, awk in floating point and bc and dc in many digits. What user space prints is compared with the very same
// programs run on this machine. Without the fetched guests the tests are skipped; their titles say what to fetch.

import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { cachedImage } from '../../src/fetch/cache.js';
import { GUESTS } from '../../src/fetch/guests.js';
import { moduleInitramfs } from './module-initramfs.js';
import { scratch, vmreplay } from './vmreplay.js';

const run = promisify(execFile);

/** What both machines compute: the lines are compared as they are. */
const WORK = `seq 1 20000 > part
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
const APPLETS = (
  'awk bc cat crc32 dc dmesg echo grep head insmod md5sum mkdir mount poweroff seq sh sha1sum sha256sum sha3sum ' +
  'sha512sum sort uniq'
).split(' ');

const START = '== work';
const END = '== done';
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
const initramfs = (busybox: Uint8Array, modules: ReadonlyMap<string, Uint8Array>): Uint8Array =>
  moduleInitramfs({
    busybox,
    applets: APPLETS,
    modules,
    unlisted: ['tcrypt.ko'],
    init: INIT,
    files: { 'work.sh': WORK },
  });

/** What WORK prints here, or undefined where this machine cannot run the program. */
async function onThisMachine(busybox: string): Promise<string | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'vmreplay-self-tests-'));
  try {
    await mkdir(join(directory, 'bin'));
    await copyFile(busybox, join(directory, 'bin', 'busybox'));
    await chmod(join(directory, 'bin', 'busybox'), 0o755);
    for (const name of APPLETS) await symlink('busybox', join(directory, 'bin', name));
    await writeFile(join(directory, 'work.sh'), WORK);
    const { stdout } = await run(join(directory, 'bin', 'sh'), ['work.sh'], {
      cwd: directory,
      env: { PATH: join(directory, 'bin') },
    });
    return stdout;
  } catch {
    return undefined;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Machine {
  kernel: string;
  busybox: string;
  route: string;
  cpu: string;
  modules: readonly string[];
}

/** Boot, let the guest do its work, and compare. @returns everything that it printed before */
async function selfTest(t: ExecutionContext, { kernel, busybox, route, cpu, modules }: Machine): Promise<string> {
  t.timeout(900_000);
  const file = await scratch(t);
  const loaded = await Promise.all(modules.map(async (name) => [name, await readFile(cachedImage(name)!)] as const));
  await writeFile(file('initrd'), initramfs(await readFile(cachedImage(busybox)!), new Map(loaded)));
  const args = ['--boot', route, '--memory', '256M', '--cpu', cpu, '--kernel', kernel, '--initrd', file('initrd')];
  args.push('--append', 'console=ttyS0 panic=-1 quiet', '--no-reboot', '--max-cycles', '60_000_000_000');
  const { code, stdout, stderr } = await vmreplay('run', ...args);
  t.is(code, 0, stderr);
  const printed = stdout.replaceAll('\r', '');
  const [before = '', rest = ''] = printed.split(`${START}\n`);
  const work = rest.split(`${END}\n`)[0]!;
  t.regex(rest, new RegExp(END), printed);
  const expected = await onThisMachine(cachedImage(busybox)!);
  if (expected === undefined) t.log('this machine cannot run the program itself: its results are not compared');
  else t.is(work, expected);
  t.is(work.trim().split('\n').length, 15);
  return before;
}

const cached = (...names: string[]): boolean => names.every((name) => cachedImage(name) !== undefined);
const MODULES = GUESTS.find(({ name }) => name === 'modules')!.files.map((file) => file.as);
const when = (present: boolean) => (present ? test : test.skip);

const KERNEL = 'vmlinuz-cloud-amd64';
when(cached(KERNEL, 'busybox', ...MODULES))(
  "the kernel's cryptography passes its self-tests with SSE4.2 (needs: vmreplay fetch cloud modules busybox)",
  async (t) => {
    const before = await selfTest(t, {
      kernel: KERNEL,
      busybox: 'busybox',
      route: 'pvh',
      cpu: 'x86-64-v2',
      modules: MODULES,
    });
    // -2 is ENOENT: that one is not among the modules here.
    const complaints = before.split('\n').filter((line) => /alg: .*(fail|wrong|differ)|FAILED/.test(line));
    t.deepEqual(
      complaints.filter((line) => !/: -2$|\(rc=-2\)$/.test(line)),
      [],
    );
    const counts = /^selftests +(\d+) selftest +: passed$/m.exec(before);
    t.log(`${counts?.[1]} algorithms passed`);
    t.true(Number(counts?.[1]) >= 100, before);
    t.regex(before, /raid6: using algorithm sse2x[124]/);
    t.regex(before, /xor: using function: \w+/);
  },
);

when(cached(KERNEL, 'busybox'))(
  'checksums, awk, bc and dc agree with this machine on the baseline (needs: vmreplay fetch cloud busybox)',
  async (t) => {
    const before = await selfTest(t, {
      kernel: KERNEL,
      busybox: 'busybox',
      route: 'linux64',
      cpu: 'qemu64-v1',
      modules: [],
    });
    t.regex(before, /^selftests +\d+ selftest +: passed$/m);
  },
);

when(cached('vmlinuz-686', 'busybox-i386'))(
  'the same in 32 bits, with the x87 (needs: vmreplay fetch i386 busybox-i386)',
  async (t) => {
    const before = await selfTest(t, {
      kernel: 'vmlinuz-686',
      busybox: 'busybox-i386',
      route: 'linux32',
      cpu: 'qemu64-v1',
      modules: [],
    });
    t.regex(before, /^selftests +\d+ selftest +: passed$/m);
  },
);
