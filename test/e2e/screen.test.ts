// The screen of a boot through SeaBIOS: pictures while recording and replaying, the final screen in listings, and QEMU's
// own screen dump of the same boot. Needs the firmware that `vmreplay fetch` brings; without it the tests are skipped.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { makeGuest } from '../../src/api/guest.js';
import { encodePng } from '../../src/api/png.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { pictureOf } from '../../src/platform/screen/picture.js';
import { hasQemu } from '../boot/qemu-entry.js';
import { grubCd, haveGrubCd } from './disk-images.js';
import { scratch, vmreplay } from './vmreplay.js';

const firmware = ['bios-256k.bin', 'kvmvapic.bin', 'vgabios-stdvga.bin'].map((name) => cachedImage(name));
const have = firmware.every((path) => path !== undefined);
const withFirmware = have ? test : test.skip;
const withQemu = have && hasQemu ? test : test.skip;
const NOTHING = 'No bootable device.';
/** Cycles after which SeaBIOS has found nothing to boot. */
const SETTLED = 30_000_000;

withFirmware('SeaBIOS is seen in listings and pictures, live and sealed (needs: vmreplay fetch)', async (t) => {
  t.timeout(300_000);
  const file = await scratch(t);
  const early = file('early.png');
  const recorded = await vmreplay(
    ...['record', '--until-cycle', `${SETTLED}`, '--screenshot', `${early}@100000`, '--screenshot', file('a.png')],
    ...['--screenshot', `${file('late.png')}@${SETTLED * 2}`, '-o', file('a.trace')],
  );
  t.is(recorded.code, 0);
  t.regex(recorded.stderr, /late\.png was not written: the run ended at cycle 30000000/);
  t.false(existsSync(file('late.png')));
  const replayed = await vmreplay('replay', file('a.trace'), '--screenshot', file('b.png'));
  t.is(replayed.code, 0);
  const [a, b, first] = await Promise.all([file('a.png'), file('b.png'), early].map((path) => readFile(path)));
  t.true(a.equals(b));
  t.false(a.equals(first));
  // Without a slice of the run in between, the same picture.
  const guest = makeGuest({});
  guest.cpu.runUntil(SETTLED);
  t.true(a.equals(encodePng(pictureOf(guest.vga!))));
  const shown = await vmreplay('inspect', file('a.trace'));
  t.regex(shown.stdout, /screen {6}80 .* 25 characters/);
  t.regex(shown.stdout, /^ {2}\| SeaBIOS \(version /m);
  t.regex(shown.stdout, /^ {2}\| No bootable device\.$/m);
  const { screen } = JSON.parse((await vmreplay('inspect', '--json', file('a.trace'))).stdout);
  t.deepEqual([screen.kind, screen.columns, screen.rows], ['text', 80, 25]);
  t.true(screen.lines.includes(NOTHING));
});

withFirmware("keys reach SeaBIOS' boot menu, and come again in replays (needs: vmreplay fetch)", async (t) => {
  t.timeout(300_000);
  const file = await scratch(t);
  const args = ['--boot-menu', '--type', '\\e@30000000', '--until-cycle', '100000000'];
  t.is((await vmreplay('record', ...args, '-o', file('a.trace'))).code, 0);
  t.is((await vmreplay('replay', file('a.trace'))).code, 0);
  t.is((await vmreplay('replay', '--live', file('a.trace'))).code, 0);
  const { screen } = JSON.parse((await vmreplay('inspect', '--json', file('a.trace'))).stdout);
  t.true(screen.lines.includes('Select boot device:'), screen.lines.join('\n'));
  const { code, stderr } = await vmreplay('run', '--type', 'é@5');
  t.is(code, 2);
  t.regex(stderr, /no key of a US keyboard types/);
});

(have && haveGrubCd ? test : test.skip)(
  "GRUB's menu is seen, and a key chooses from it (needs: vmreplay fetch, grub-pc-bin, xorriso, mtools)",
  async (t) => {
    t.timeout(900_000);
    const file = await scratch(t);
    const config = 'set timeout=-1\nmenuentry nothing {\n true\n}\nmenuentry guest {\n multiboot /multiboot.elf\n}\n';
    await grubCd(file('cd.iso'), { 'multiboot.elf': packageFile('corpus/multiboot/multiboot.elf') }, config);
    const machine = ['--memory', '64M', '--cdrom', file('cd.iso'), '--no-reboot', '--max-cycles', '20_000_000_000'];
    const shown = await vmreplay('record', ...machine, '--until-cycle', '240_000_000', '-o', file('menu.trace'));
    t.is(shown.code, 0, shown.stderr);
    const { stdout } = await vmreplay('inspect', '--json', file('menu.trace'));
    const { screen } = JSON.parse(Buffer.from(stdout, 'latin1').toString());
    const text = screen.lines.join('\n');
    t.regex(text, /^ +GNU GRUB +version /m);
    t.regex(text, /^ │\*nothing +│$/m);
    t.regex(text, /^ │ guest +│$/m);
    const chosen = await vmreplay('run', ...machine, '--type', '\\e[B\\n@250_000_000');
    t.regex(chosen.stdout, /^magic 2badb002$/m, chosen.stderr);
  },
);

withFirmware('without a screen --screenshot is refused (needs: vmreplay fetch)', async (t) => {
  const file = await scratch(t);
  const { code, stderr } = await vmreplay('run', '--vga', 'none', '--boot', 'firmware', '--screenshot', file('a.png'));
  t.is(code, 2);
  t.regex(stderr, /the machine has no screen; boot it with --vga std/);
});

/** QEMU's picture of its screen when the debug console has shown a text: a PPM's pixels. */
async function qemuScreen(directory: string, text: string): Promise<Uint8Array> {
  const monitor = `${directory}/monitor`;
  const args = [
    ...['-accel', 'tcg', '-M', 'pc', '-nodefaults', '-vga', 'std', '-display', 'none'],
    ...['-L', dirname(firmware[0]!), '-bios', firmware[0]!],
    ...['-debugcon', 'stdio', '-global', 'isa-debugcon.iobase=0x402', '-monitor', `unix:${monitor},server,nowait`],
  ];
  const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    let log = '';
    await new Promise<void>((resolve, reject) => {
      qemu.once('error', reject);
      qemu.once('exit', () => reject(new Error(`QEMU ended: ${log.slice(-200)}`)));
      qemu.stdout.on('data', (data: Buffer) => {
        log += data.toString('latin1');
        if (log.includes(text)) resolve();
      });
    });
    await sleep(500);
    const socket = connect(monitor);
    socket.write(`screendump ${directory}/screen.ppm\nquit\n`);
    await new Promise((resolve) => socket.once('close', resolve).resume());
  } finally {
    qemu.kill();
  }
  const file = await readFile(`${directory}/screen.ppm`);
  const header = Buffer.from('P6\n720 400\n255\n');
  if (!file.subarray(0, header.length).equals(header)) throw new Error(`the screen is no ${header}`);
  return file.subarray(header.length);
}

withQemu(
  'the screen is that of QEMU, pixel by pixel, but for the blinking cursor (needs QEMU, vmreplay fetch)',
  async (t) => {
    t.timeout(120_000);
    const file = await scratch(t);
    const expected = await qemuScreen(dirname(file('x')), NOTHING);
    const guest = makeGuest({});
    guest.cpu.runUntil(SETTLED);
    const vga = guest.vga!;
    const { width, height, rgb } = pictureOf(vga);
    t.deepEqual([width, height], [720, 400]);
    // Off, as half of the time in QEMU.
    vga.crt[0x0a]! |= 0x20;
    const without = pictureOf(vga).rgb;
    const wrong = expected.findIndex((byte, at) => byte !== rgb[at] && byte !== without[at]);
    t.is(wrong, -1);
  },
);
