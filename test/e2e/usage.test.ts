import { readFile, writeFile } from 'node:fs/promises';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { scratch, vmreplay } from './vmreplay.js';

const kernel = packageFile('corpus/e820/e820.elf');

test('--help lists the verbs and ends with success', async (t) => {
  const { code, stdout, stderr } = await vmreplay('--help');
  t.is(code, 0);
  t.is(stderr, '');
  const verbs = [...stdout.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(([, verb]) => verb);
  t.deepEqual(verbs, ['record', 'run', 'replay', 'diff', 'inspect', 'view', 'gate', 'fuzz', 'fetch', 'demo']);
});

test('every verb has help of its own', async (t) => {
  for (const verb of ['record', 'run', 'replay', 'diff', 'inspect', 'view', 'fuzz', 'fetch', 'demo']) {
    const { code, stdout } = await vmreplay(verb, '--help');
    t.is(code, 0);
    t.true(stdout.startsWith(`Usage: vmreplay ${verb}`));
  }
});

test('--version prints the version of the package', async (t) => {
  const { code, stdout } = await vmreplay('--version');
  t.is(code, 0);
  t.regex(stdout, /^\d+\.\d+\.\d+\n$/);
});

const bad: [title: string, args: string[], said: RegExp][] = [
  ['no verb', [], /a verb is needed/],
  ['an unknown verb', ['recrod'], /unknown command/],
  ['an unknown option', ['record', '--kernal', kernel, '-o', 'x'], /unknown option '--kernal'/],
  ['no output file', ['record', '--kernel', kernel], /--output/],
  ['an empty output file', ['record', '--kernel', kernel, '-o', ''], /must not be empty/],
  ['no kernel for a direct boot', ['run', '--boot', 'pvh'], /--boot pvh needs a kernel; .*--kernel/],
  ['a size that is none', ['run', '--kernel', kernel, '--memory', 'lots'], /--memory 'lots': a size/],
  ['an absurd amount of memory', ['run', '--kernel', kernel, '--memory', '900G'], /memory/],
  ['a TiB of memory', ['run', '--kernel', kernel, '--memory', '1T'], /--memory '1T': that is more memory/],
  ['no memory', ['run', '--kernel', kernel, '--memory', '0'], /--memory '0': a machine needs some memory/],
  ['too little memory', ['run', '--kernel', kernel, '--memory', '1K'], /memory/],
  ['an unknown machine', ['run', '--kernel', kernel, '--machine', 'q35'], /--machine 'q35'/],
  ['a property that a machine lacks', ['run', '--kernel', kernel, '--machine', 'pc,acpi=off'], /a pc takes nothing/],
  ['a virtio device on a pc', ['run', '--kernel', kernel, '--device', 'virtio-rng'], /--machine microvm/],
  ['a CD on a microvm', ['run', '--machine', 'microvm', '--kernel', kernel, '--cdrom', kernel], /no IDE/],
  ['an unknown CPU model', ['run', '--kernel', kernel, '--cpu', 'i4004'], /i4004/],
  ['a kernel that is not there', ['run', '--kernel', '/nowhere/vmlinuz'], /nowhere/],
  ['a kernel that is a directory', ['run', '--kernel', '/tmp'], /tmp/],
  ['a kernel that is no kernel', ['run', '--kernel', packageFile('package.json')], /package\.json/],
  ['a count that is none', ['run', '--kernel', kernel, '--max-cycles', 'many'], /--max-cycles 'many'/],
  ['a cycle that is none', ['run', '--kernel', kernel, '--until-cycle', '1e9'], /--until-cycle '1e9': a whole number/],
  ['a negative seed', ['run', '--kernel', kernel, '--seed', '-1'], /--seed '-1': a whole number/],
  [
    'an fw_cfg item that the machine has',
    ['run', '--kernel', kernel, '--fw-cfg', 'name=etc/e820,string=x'],
    /--fw-cfg name=etc\/e820: .* exists already/,
  ],
  ['an fw_cfg item without a name', ['run', '--kernel', kernel, '--fw-cfg', 'string=x'], /--fw-cfg 'string=x'/],
  ['typing without a cycle', ['run', '--kernel', kernel, '--type', 'root'], /--type 'root'/],
  ['an impossible date', ['run', '--kernel', kernel, '--rtc', '2021-02-29'], /--rtc '2021-02-29'/],
  ['a trace that is not there', ['replay', '/nowhere/a.trace'], /nowhere/],
  ['a trace that is none', ['inspect', packageFile('package.json')], /package\.json/],
  ['two traces for replay', ['replay', 'a', 'b'], /1 expected, 2 given/],
  ['one trace for diff', ['diff', 'a'], /missing required argument 'b'/],
  ['an unknown guest', ['fetch', 'windows'], /no guest named windows/],
];

for (const [title, args, said] of bad) {
  test(`${title} is refused in one sentence with status 2`, async (t) => {
    const { code, stdout, stderr } = await vmreplay(...args);
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(stderr, said);
    t.regex(stderr, /^vmreplay: .*[^.\n]\n$/, 'one line, one sentence');
    t.notRegex(stderr, /internal error/);
  });
}

test('a bare number of memory is MiB, as QEMU means it', async (t) => {
  const file = (await scratch(t))('a.trace');
  t.is((await vmreplay('record', '--kernel', kernel, '--memory', '3', '-o', file)).code, 0);
  t.regex((await vmreplay('inspect', file)).stdout, /^machine +pc, 3 MiB,/m);
});

test('a wall clock other than the usual is part of the boot', async (t) => {
  const file = await scratch(t);
  const record = (name: string, ...rtc: string[]) => vmreplay('record', '--kernel', kernel, ...rtc, '-o', file(name));
  t.is((await record('a', '--rtc', '2020-01-01T01:00:00+01:00')).code, 0);
  t.is((await record('b')).code, 0);
  t.is((await vmreplay('diff', file('a'), file('b'))).code, 0, 'the same time in another zone');
  t.is((await record('c', '--rtc', '2033-12-31')).code, 0);
  const { code, stdout } = await vmreplay('diff', file('a'), file('c'));
  t.is(code, 1);
  t.regex(stdout, /option rtc: .*2020-01-01T00:00:00Z.* in A, .*2033-12-31T00:00:00Z.* in B/);
});

test('an output file that cannot be written is refused', async (t) => {
  const { code, stderr } = await vmreplay('record', '--kernel', kernel, '-o', '/nowhere/x.trace');
  t.is(code, 2);
  t.regex(stderr, /^vmreplay: .*nowhere.*\n$/);
});

test('a trace that is cut off in its header is refused, not a crash', async (t) => {
  const file = (await scratch(t))('cut.trace');
  t.is((await vmreplay('record', '--kernel', kernel, '-o', file)).code, 0);
  await writeFile(file, (await readFile(file)).subarray(0, 9));
  for (const verb of ['replay', 'inspect']) {
    const { code, stderr } = await vmreplay(verb, file);
    t.is(code, 2);
    t.regex(stderr, /^vmreplay: .*cut\.trace.*\n$/);
  }
});
