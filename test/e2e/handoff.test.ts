// The hand-off through the command line: recorded by a direct route and through firmware, shown, compared across routes.
// What needs the firmware that `vmreplay fetch` brings is skipped without it, and its title says so.

import { readFile } from 'node:fs/promises';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { record } from '../../src/api/record.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { scratch, vmreplay } from './vmreplay.js';

const have = (...names: string[]) => names.every((name) => cachedImage(name) !== undefined);
const withPvhRom = have('bios-256k.bin', 'pvh.bin') ? test : test.skip;

const guest = packageFile('corpus/debug-exit/debug-exit.elf');
const boot = (route: string) => ['--boot', route, '--kernel', guest, '--memory', '64M', '--success-code', '85'];

interface View {
  cycle: number;
  rip: string;
  protocol: string;
  structures: { name: string; address: string; fields: Record<string, string> }[];
}

test('a direct boot begins with the hand-off, which inspect shows', async (t) => {
  const file = (await scratch(t))('a.trace');
  t.is((await vmreplay('record', ...boot('pvh'), '--append', 'words', '-o', file)).code, 0);
  const [view, ...more] = JSON.parse((await vmreplay('inspect', '--handoff', '--json', file)).stdout) as View[];
  t.deepEqual(more, []);
  t.like(view, { cycle: 0, protocol: 'pvh' });
  t.is(view!.structures.find(({ name }) => name === 'cmdline')!.fields.text, '"words"');
  const { stdout } = await vmreplay('inspect', '--handoff', file);
  t.regex(stdout, /^handoff pvh at 0x8:0x[0-9a-f]+, cycle 0, route pvh\n/);
  t.regex(stdout, /hvm_start_info +at 0x10000, length 0x38/);
});

test('one byte more of command line is one field more of the hand-off', async (t) => {
  const file = await scratch(t);
  await vmreplay('record', ...boot('pvh'), '--append', 'ab', '-o', file('a.trace'));
  await vmreplay('record', ...boot('pvh'), '--append', 'abc', '-o', file('b.trace'));
  const only = ['diff', '--only', 'handoff', '--json'];
  const { code, stdout } = await vmreplay(...only, file('a.trace'), file('b.trace'));
  t.is(code, 1);
  t.deepEqual(JSON.parse(stdout).handoff, [
    { field: 'cmdline.length', a: '0x3', b: '0x4' },
    { field: 'cmdline.text', a: '"ab"', b: '"abc"' },
  ]);
  const same = await vmreplay(...only, file('a.trace'), file('a.trace'));
  t.is(same.code, 0);
  t.deepEqual(JSON.parse(same.stdout).handoff, []);
  // The whole comparison names the field, too: the hand-off is the first event that differs.
  const whole = await vmreplay('diff', file('a.trace'), file('b.trace'));
  t.regex(whole.stdout, /cmdline\.text "ab" in A, "abc" in B/);
});

test('an address of the user is watched, too, and once', async (t) => {
  const file = await scratch(t);
  const viewsOf = async (name: string) =>
    JSON.parse((await vmreplay('inspect', '--handoff', '--json', name)).stdout) as View[];
  await vmreplay('record', ...boot('pvh'), '-o', file('a.trace'));
  const [entry] = await viewsOf(file('a.trace'));
  // The guest begins with CLI, a byte long; the registers still say by which protocol it was entered.
  const next = `0x${(Number(entry!.rip) + 1).toString(16)}`;
  t.is((await vmreplay('record', ...boot('pvh'), '--handoff-at', next, '-o', file('b.trace'))).code, 0);
  t.is((await vmreplay('replay', file('b.trace'))).code, 0);
  t.is((await vmreplay('replay', '--live', file('b.trace'))).code, 0);
  const views = await viewsOf(file('b.trace'));
  t.deepEqual(
    views.map(({ rip, protocol }) => [rip, protocol]),
    [
      [entry!.rip, 'pvh'],
      [next, 'pvh'],
    ],
  );
});

test('tables and segments in the upper half of memory are recorded and compared to the last bit', async (t) => {
  const file = await scratch(t);
  const kernel = packageFile('corpus/high-tables/high-tables.elf');
  const entry = '0xffffffff80101000';
  for (const word of ['even', 'odd']) {
    const high = ['--kernel', kernel, '--memory', '64M', '--append', word, '--handoff-at', entry];
    t.is((await vmreplay('record', ...high, '-o', file(word))).code, 0);
    t.is((await vmreplay('replay', file(word))).code, 0);
    t.is((await vmreplay('replay', '--live', file(word))).code, 0);
  }
  const views = JSON.parse((await vmreplay('inspect', '--handoff', '--json', file('odd'))).stdout);
  t.like(views[1], { rip: entry, protocol: 'unknown', segments: { fs: { base: '0xffff888000000001' } } });
  const { stdout } = await vmreplay('diff', '--only', 'handoff', '--json', file('even'), file('odd'));
  const found = (JSON.parse(stdout).handoff as { field: string; a: string; b: string }[]).filter(
    ({ field }) => !field.startsWith('pvh: cmdline'),
  );
  t.deepEqual(
    found.map(({ field }) => field),
    ['gs.base', 'ldtr.base', 'tr.base', 'control.gdtr.base', 'control.idtr.base'].map((field) => `unknown: ${field}`),
  );
  for (const { a, b } of found) t.is(BigInt(a) ^ BigInt(b), 1n);
  t.like(found[0], { a: '0xffffffff82001000', b: '0xffffffff82001001' });
  t.like(found[4], { a: '0xfffffe0000001000', b: '0xfffffe0000001001' });
  const text = (await vmreplay('diff', '--only', 'handoff', file('even'), file('odd'))).stdout;
  t.regex(text, /unknown: control\.idtr\.base: 0xfffffe0000001000 in A, 0xfffffe0000001001 in B/);
  // A program may say the address as text, too: what both say is the same point.
  await record({ kernel, memory: 64 << 20, append: 'odd', handoffAt: [entry], output: file('again') });
  t.deepEqual(await readFile(file('again')), await readFile(file('odd')));
});

test('an address that has more than 64 bits is refused', async (t) => {
  const file = (await scratch(t))('a.trace');
  const { code, stderr } = await vmreplay('record', ...boot('pvh'), '--handoff-at', '0x10000000000000000', '-o', file);
  t.is(code, 2);
  t.regex(stderr, /an address of 64 bits such as 0xffffffff81000000 is needed/);
  const guest = { kernel: packageFile('corpus/debug-exit/debug-exit.elf'), output: file };
  for (const address of ['0x', 'main', '0x10000000000000000', 2 ** 53, -1])
    await t.throwsAsync(record({ ...guest, handoffAt: [address] }), { message: /^--handoff-at .* is needed$/ });
});

withPvhRom(
  'start info made by pvh.bin and by the direct route differs in these fields (needs: vmreplay fetch)',
  async (t) => {
    t.timeout(300_000);
    const file = await scratch(t);
    for (const route of ['pvh', 'firmware']) {
      const name = file(`${route}.trace`);
      t.is((await vmreplay('record', ...boot(route), '--append', 'words', '-o', name)).code, 0, route);
      t.is((await vmreplay('replay', name)).code, 0, route);
    }
    t.is((await vmreplay('replay', '--live', file('firmware.trace'))).code, 0);
    const { code, stdout } = await vmreplay(
      'diff',
      '--only',
      'handoff',
      '--json',
      file('pvh.trace'),
      file('firmware.trace'),
    );
    t.is(code, 1);
    const found = (JSON.parse(stdout).handoff as { field: string }[]).map(({ field }) => field);
    t.deepEqual(
      found.filter((field) => /^(hvm_start_info|cmdline|memory map)/.test(field)),
      ['hvm_start_info.address', 'hvm_start_info.cmdline_paddr', 'hvm_start_info.memmap_paddr', 'cmdline.address'],
    );
  },
);

const withLinuxRom = have('bios-256k.bin', 'linuxboot_dma.bin', 'vmlinuz-cloud-amd64', 'initrd-busybox.cpio')
  ? test
  : test.skip;

withLinuxRom(
  'boot_params over our BIOS services and over SeaBIOS differs in one field (needs: vmreplay fetch)',
  async (t) => {
    t.timeout(300_000);
    const file = await scratch(t);
    for (const route of ['linux16', 'firmware']) {
      const image = ['--kernel', 'vmlinuz-cloud-amd64', '--initrd', 'initrd-busybox.cpio', '--append', 'console=ttyS0'];
      // Without a screen, which our services have none of either.
      const until = ['--vga', 'none', '--until-cycle', '60_000_000', '-o', file(`${route}.trace`)];
      const { code, stderr } = await vmreplay('record', '--boot', route, '--memory', '256M', ...image, ...until);
      t.is(code, 0, stderr);
    }
    const { stdout } = await vmreplay(
      'diff',
      '--only',
      'handoff',
      '--json',
      file('linux16.trace'),
      file('firmware.trace'),
    );
    const found = (JSON.parse(stdout).handoff as { field: string }[]).map(({ field }) => field);
    // linuxboot_dma.bin puts the initrd a page higher than QEMU says, and leaves its own sums in AX and the flags.
    t.deepEqual(found, [
      'linux16: route',
      'linux16: registers.rflags',
      'linux16: registers.rax',
      'linux16: setup_header.ramdisk_image',
      'linux32: route',
      'linux32: setup_header.ramdisk_image',
    ]);
  },
);
