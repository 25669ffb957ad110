// The guest tests itself (`self-testing-guest.ts`). What user space prints is compared with the very same programs run on
// this machine. Without the fetched guests the tests are skipped; their titles say what to fetch.

import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { cachedImage } from '../../src/fetch/cache.js';
import { APPLETS, END, START, selfTestingInitramfs, TESTED_MODULES, WORK } from './self-testing-guest.js';
import { scratch, vmreplay } from './vmreplay.js';

const run = promisify(execFile);

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
  await writeFile(file('initrd'), selfTestingInitramfs(await readFile(cachedImage(busybox)!), new Map(loaded)));
  const args = ['--boot', route, '--memory', '256M', '--cpu', cpu, '--kernel', kernel, '--initrd', file('initrd')];
  args.push('--append', 'console=ttyS0 panic=-1 quiet', '--no-reboot', '--max-cycles', '60_000_000_000');
  const trace = file('trace');
  const { code, stdout, stderr } = await vmreplay('record', ...args, '--console', '-o', trace);
  t.is(code, 0, stderr);
  // Billions of instructions with an interrupt or a page fault wherever they may be, and a state hash every 134 million.
  const replayed = await vmreplay('replay', '--console', trace);
  t.is(replayed.code, 0, replayed.stderr);
  t.is(replayed.stdout, stdout);
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
const when = (present: boolean) => (present ? test : test.skip);

const KERNEL = 'vmlinuz-cloud-amd64';
when(cached(KERNEL, 'busybox', ...TESTED_MODULES))(
  "the kernel's cryptography passes its self-tests with SSE4.2 (needs: vmreplay fetch cloud modules busybox)",
  async (t) => {
    const before = await selfTest(t, {
      kernel: KERNEL,
      busybox: 'busybox',
      route: 'pvh',
      cpu: 'x86-64-v2',
      modules: TESTED_MODULES,
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
