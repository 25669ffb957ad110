// Debian's own kernel, end to end: recorded by PVH from power-on to power-off, replayed from the trace alone where
// nothing else is, recorded again by the interpreter alone to the same root, and with one byte of the initrd changed
// to another one that diff explains. The other routes are in boot-matrix.test.ts. Needs the guests that `vmreplay fetch`
// brings; without them the tests are skipped and their titles say what to fetch.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { cachedImage } from '../../src/fetch/cache.js';
import { type Settings, scratch, vmreplay, vmreplayWith } from './vmreplay.js';

const KERNEL = 'vmlinuz-cloud-amd64';
const INITRD = 'initrd-busybox.cpio';
const NEEDS = '(needs: vmreplay fetch cloud busybox)';
const fetched = cachedImage(KERNEL) !== undefined && cachedImage(INITRD) !== undefined;
const withDebian = fetched ? test : test.skip;

const boot = ['--memory', '256M', '--kernel', KERNEL];
const rest = ['--append', 'console=ttyS0 panic=-1', '--no-reboot', '--max-cycles', '20_000_000_000'];
/** Guest RAM and 300 MB, in KiB. */
const MOST_MEMORY = 256 * 1024 + 300_000;

/** Has the process say on stderr how much memory it had at most, in KiB. */
const REPORT = "process.on('exit', () => console.error('maxRSS ' + process.resourceUsage().maxRSS))";
const measured: Settings = { nodeArguments: ['--import', `data:text/javascript,${encodeURIComponent(REPORT)}`] };
const memoryOf = (stderr: string): number => Number(/^maxRSS (\d+)$/m.exec(stderr)?.[1]);

/** A place that has nothing of what the trace was recorded from. */
async function elsewhere(file: (name: string) => string): Promise<Settings> {
  await mkdir(file('elsewhere'));
  return { ...measured, cwd: file('elsewhere'), env: { VMREPLAY_CACHE: file('elsewhere'), HOME: file('elsewhere') } };
}

/** Record with the console on stdout, replay sealed, and compare what both printed. @returns the recording's console */
async function recordAndReplay(t: ExecutionContext, file: (name: string) => string, route: string): Promise<string> {
  const args = ['--boot', route, ...boot, '--initrd', INITRD, ...rest, '--console', '-o', file('a.trace')];
  const recorded = await vmreplayWith(measured, 'record', ...args);
  t.is(recorded.code, 0, recorded.stderr);
  t.regex(recorded.stdout, /Linux version/);
  for (const marker of ['boot ok', 'sha256 ok', 'end']) {
    t.true(recorded.stdout.includes(`VMREPLAY-MARKER ${marker}`), marker);
  }
  const replayed = await vmreplayWith(await elsewhere(file), 'replay', file('a.trace'), '--console');
  t.is(replayed.code, 0, replayed.stderr);
  t.is(replayed.stdout, recorded.stdout);
  t.true(memoryOf(recorded.stderr) <= MOST_MEMORY, `recording: ${memoryOf(recorded.stderr)} KiB`);
  t.true(memoryOf(replayed.stderr) <= MOST_MEMORY, `replay: ${memoryOf(replayed.stderr)} KiB`);
  t.log(`memory at most: ${memoryOf(recorded.stderr)} KiB to record, ${memoryOf(replayed.stderr)} KiB to replay`);
  return recorded.stdout;
}

/** Bytes that a trace of Debian's boot may have. */
const MOST_BYTES = 1_500_000;

for (const [route, ...bios] of [['pvh'], ['linux64'], ['firmware', '--bios', 'bios-256k.bin']]) {
  const isThere = bios.length === 0 || cachedImage('bios-256k.bin') !== undefined;
  const needs = bios.length === 0 ? NEEDS : '(needs: vmreplay fetch cloud busybox seabios qemu-roms)';
  const run = isThere ? withDebian : test.skip;
  run(`a trace by ${route} that is not sealed is short, and replays where the images are ${needs}`, async (t) => {
    t.timeout(900_000);
    const file = await scratch(t);
    const args = ['--boot', route!, ...bios, ...boot, '--initrd', INITRD, ...rest, '--unsealed', '-o', file('a.trace')];
    const recorded = await vmreplay('record', ...args);
    t.is(recorded.code, 0, recorded.stderr);
    const { bytes, sealed, root } = JSON.parse((await vmreplay('inspect', '--json', file('a.trace'))).stdout);
    t.false(sealed);
    t.true(bytes <= MOST_BYTES, `${bytes} bytes`);
    t.log(`${bytes} bytes`);
    const replayed = await vmreplay('replay', file('a.trace'));
    t.is(replayed.code, 0, replayed.stderr);
    t.true(replayed.stdout.includes(`no difference, root ${root}`));
    const bare = await elsewhere(file);
    const missing = await vmreplayWith(bare, 'replay', file('a.trace'));
    t.is(missing.code, 2);
    t.regex(missing.stderr, /it is not sealed and needs the /);
    const inspected = await vmreplayWith(bare, 'inspect', '--json', file('a.trace'));
    t.is(inspected.code, 0, inspected.stderr);
    t.is(JSON.parse(inspected.stdout).root, root, 'what it needs is told all the same');
  });
}

withDebian(`Debian's cloud kernel boots to user space by PVH and replays ${NEEDS}`, async (t) => {
  t.timeout(900_000);
  const file = await scratch(t);
  await recordAndReplay(t, file, 'pvh');
  const record = async (initrd: string, output: string, ...engine: string[]) => {
    const { code, stderr } = await vmreplay(
      'record',
      '--boot',
      'pvh',
      ...boot,
      '--initrd',
      initrd,
      ...rest,
      ...engine,
      '-o',
      output,
    );
    t.is(code, 0, stderr);
    return JSON.parse((await vmreplay('inspect', '--json', output)).stdout);
  };
  const second = await record(INITRD, file('b.trace'), '--engine', 'interp');
  const { root } = JSON.parse((await vmreplay('inspect', '--json', file('a.trace'))).stdout);
  t.is(second.root, root);
  t.true(second.bytes <= 3_100_000, `${second.bytes} bytes`);
  t.is((await vmreplay('diff', file('a.trace'), file('b.trace'))).code, 0);

  const bytes = await readFile(cachedImage(INITRD)!);
  const at = bytes.indexOf('VMREPLAY-MARKER');
  bytes[at]! ^= 0x20;
  await writeFile(file('initrd'), bytes);
  t.not((await record(file('initrd'), file('c.trace'))).root, root);
  const { code, stdout } = await vmreplay('diff', file('a.trace'), file('c.trace'));
  t.is(code, 1);
  const screen = stdout.split('\n').slice(0, 24).join('\n');
  t.regex(screen, new RegExp(`initrd at offset ${at} \\(guest 0x[0-9a-f]+\\), 0x56 in A, 0x76 in B`));
  t.regex(screen, /uart0 THR: port-write 0x3f8\.1 = 0x56 "V".*uart0 THR: port-write 0x3f8\.1 = 0x76 "v"/s);
});
