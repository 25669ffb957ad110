// Files that are not what they should be, through the command line: one sentence, status 2, nothing left behind.
// What the sentences say, and every other kind of damage, is the matter of test/trace, test/boot and test/api.

import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { execa } from 'execa';
import { packageFile } from '../../bin/package.js';
import { payloadsOf, sealTrace } from '../trace/forged-trace.js';
import { program, scratch, vmreplay, vmreplayWith } from './vmreplay.js';

const kernel = packageFile('corpus/e820/e820.elf');
const SENTENCE = /^vmreplay: [^\n]+\n$/;

async function recorded(t: ExecutionContext): Promise<(name: string) => string> {
  const file = await scratch(t);
  const { code, stderr } = await vmreplay('record', '--kernel', kernel, '-o', file('good'));
  t.is(code, 0, stderr);
  return file;
}

const damaged: [title: string, bytes: (good: Buffer) => Uint8Array, said: RegExp][] = [
  ['an empty file', () => new Uint8Array(), /is empty/],
  ['another kind of file', () => Buffer.from('PK\x03\x04 and so on'), /is not a vmreplay trace/],
  ['a newer format', (good) => Buffer.from(good).fill(3, 8, 9), /is in trace format 3 .* newer vmreplay/],
  ['one flipped bit', (good) => Buffer.from(good).fill(good[900]! ^ 4, 900, 901), /does not match its hash/],
  [
    'a length of 10 GB',
    (good) => Buffer.concat([good.subarray(0, 24), TEN_GB, good.subarray(32)]),
    /10000000000 bytes/,
  ],
  ['a chunk that is missing', (good) => sealTrace(payloadsOf(good).slice(1)), /the header is missing/],
  [
    'events that are missing',
    (good) =>
      sealTrace(payloadsOf(good).map((one) => (one.type === 'EVTS' ? { ...one, raw: Buffer.from([0x80]) } : one))),
    /the EVTS chunk at offset \d+ cannot be read/,
  ],
];
const TEN_GB = Buffer.alloc(8);
TEN_GB.writeBigUInt64LE(10_000_000_000n);

for (const [title, bytes, said] of damaged) {
  test(`${title} is refused as a trace by every verb`, async (t) => {
    const file = await recorded(t);
    await writeFile(file('bad'), bytes(await readFile(file('good'))));
    for (const args of [
      ['replay', file('bad')],
      ['replay', '--live', file('bad')],
      ['diff', file('good'), file('bad')],
      ['diff', '--json', file('bad'), file('good')],
      ['inspect', '--events', file('bad')],
    ]) {
      const { code, stdout, stderr } = await vmreplay(...args);
      t.deepEqual([code, stdout], [2, ''], args[0]);
      t.regex(stderr, SENTENCE);
      t.regex(stderr, said);
    }
  });
}

test('a directory is refused as a trace by every verb', async (t) => {
  const file = await scratch(t);
  for (const args of [['replay'], ['inspect'], ['diff', file('.')]]) {
    const { code, stderr } = await vmreplay(...args, file('.'));
    t.is(code, 2);
    t.regex(stderr, /^vmreplay: [^\n]*: is a directory, not a trace\n$/);
  }
});

test('a trace that was cut off is not replayed, but inspected and compared as far as it goes', async (t) => {
  const file = await recorded(t);
  const good = await readFile(file('good'));
  await writeFile(file('cut'), good.subarray(0, good.length - 100));
  const replayed = await vmreplay('replay', file('cut'));
  t.is(replayed.code, 2);
  t.regex(
    replayed.stderr,
    /^vmreplay: [^\n]*: the recording was cut off at offset \d+ and cannot be replayed: [^\n]*\n$/,
  );
  const inspected = await vmreplay('inspect', file('cut'));
  t.is(inspected.code, 0);
  t.regex(inspected.stdout, /\nroot +none: the recording was cut off\n/);
  const compared = await vmreplay('diff', file('good'), file('cut'));
  t.is(compared.code, 1);
  t.regex(compared.stdout, /note: [^\n]*cut: the recording was cut off at offset/);
  t.regex(compared.stdout, /events up to there agree, but B was cut off/);
});

test('images that cannot be booted are refused, and leave no file', async (t) => {
  const file = await scratch(t);
  const good = await readFile(kernel);
  const change = (offset: number, value: number): Buffer => {
    const bytes = Buffer.from(good);
    bytes.writeUInt32LE(value, offset);
    return bytes;
  };
  // An ELF32 file: program headers at 0x34, the first of them PT_LOAD, the second PT_NOTE.
  const images: [name: string, bytes: Uint8Array, said: RegExp][] = [
    [
      'truncated',
      good.subarray(0, good.length - 1),
      /data of program header 0 at offset 0x0 .* past the end of the file/,
    ],
    ['headers', change(28, 0xffff_fff0), /program header table at offset 0xfffffff0 .* past the end of the file/],
    ['memory', change(0x34 + 20, 0x7fff_0000), /kernel needs memory 0x100000 to 0x800f0000, .* --memory/],
    ['notes', change(0x54 + 16, 0xffff_ffff), /data of program header 1 at offset 0x74 .* past the end of the file/],
    ['overlap', Buffer.from(good).fill(good.subarray(0x34, 0x54), 0x54, 0x74), /headers 0 and 1 overlap at physical/],
    ['entry', change(0x34 + 12, 0x20_0000), /PVH entry 0x100088 \(note at offset 0x74\) lies in no loaded segment/],
  ];
  await mkdir(file('out'));
  for (const [name, bytes, said] of images) {
    await writeFile(file(name), bytes);
    const { code, stdout, stderr } = await vmreplay('record', '--kernel', file(name), '-o', file('out/a'));
    t.deepEqual([code, stdout], [2, ''], name);
    t.regex(stderr, /^vmreplay: [^;\n]+; [^;\n]+\n$/, 'one sentence with the mend behind the semicolon');
    t.true(stderr.includes(file(name)));
    t.regex(stderr, said);
  }
  await writeFile(file('initrd'), new Uint8Array(5 << 20));
  for (const args of [
    ['--kernel', kernel, '--initrd', file('initrd'), '--memory', '4M'],
    ['--kernel', '/dev/null'],
    ['--kernel', file('.')],
    ['--kernel', file('none')],
  ]) {
    const { code, stderr } = await vmreplay('record', ...args, '-o', file('out/a'));
    t.is(code, 2);
    t.regex(stderr, /^vmreplay: [^;\n]+; [^;\n]+\n$/);
  }
  t.deepEqual(await readdir(file('out')), []);
});

test('an output that cannot become a trace is refused before the boot', async (t) => {
  const file = await scratch(t);
  await mkdir(file('folder'));
  await symlink('/dev/full', file('device'));
  const before = await readdir(file('.'));
  const outputs: [name: string, said: RegExp][] = [
    ['none/a', /there is no directory .*none; make it/],
    ['folder', /is a directory; name the file/],
    ['folder/', /is a directory; name the file/],
    ['device', /is not a regular file; name one/],
  ];
  for (const [name, said] of outputs) {
    const { code, stdout, stderr } = await vmreplay('record', '--kernel', kernel, '-o', file(name));
    t.deepEqual([code, stdout], [2, '']);
    t.regex(stderr, SENTENCE);
    t.regex(stderr, said);
  }
  t.deepEqual(await readdir(file('.')), before);
});

test('a disk that is full is told, and what was recorded stays readable', async (t) => {
  const file = await scratch(t);
  const { code: small, stderr: none } = await withFileLimit(1, 'record', '--kernel', kernel, '-o', file('small'));
  t.is(small, 2);
  t.regex(none, /^vmreplay: [^\n]*small.partial: cannot be written at offset \d+: [^\n]+\n$/);
  // 18,000 events: the first chunk fits, the memory does not.
  const image = packageFile('corpus/x87-sse/x87-sse.elf');
  const { code, stderr } = await withFileLimit(4, 'record', '--kernel', image, '-o', file('large'));
  t.is(code, 2);
  t.regex(stderr, SENTENCE);
  t.deepEqual(await readdir(file('.')), ['large.partial']);
  const { end, events } = JSON.parse((await vmreplay('inspect', '--json', file('large.partial'))).stdout);
  t.is(end, null);
  t.true(events.total > 0);
});

test('a picture or a page that has no room leaves what lies under its name', async (t) => {
  const file = await recorded(t);
  const picture = ['run', '--kernel', kernel, '--vga', 'std', '--screenshot', `${file('out')}@1000`];
  for (const args of [picture, ['view', file('good'), '-o', file('out')]]) {
    for (const before of [['good'], ['good', 'out']]) {
      if (before.length > 1) await writeFile(file('out'), 'old');
      const { code, stderr } = await withFileLimit(1, ...args);
      t.is(code, 2);
      t.regex(stderr, /^vmreplay: [^\n]*out: cannot be written: the file may not grow any further; [^\n]+\n$/);
      t.deepEqual(await readdir(file('.')), before);
    }
    t.is(await readFile(file('out'), 'utf8'), 'old');
    await rm(file('out'));
  }
});

/** Run with a limit on the size of files, in KiB: what a full disk looks like, without one. */
const withFileLimit = (kib: number, ...args: string[]) => inBash(`ulimit -f ${kib}; exec "$@"`, ...args);

/** Run as `"$@"` of a script. */
async function inBash(script: string, ...args: string[]) {
  const command = ['-c', script, 'bash', process.execPath, program, ...args];
  const { exitCode, stderr } = await execa('bash', command, { reject: false, stripFinalNewline: false });
  return { code: exitCode, stderr };
}

/** /dev/full, and a limit on addresses that bash can set. */
const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('output that is lost is told, and loses no trace (needs: Linux)', async (t) => {
  const file = await scratch(t);
  const record = ['record', '--kernel', kernel, '-o', file('trace')];
  for (const args of [['--version'], record, [...record, '--console'], ['inspect', '--json', file('trace')]]) {
    const { code, stderr } = await inBash('exec "$@" > /dev/full', ...args);
    t.is(code, 2, args[0]);
    t.regex(stderr, /^vmreplay: standard output: it cannot all be written: no space left on the device$/m);
    t.notRegex(stderr, /^ +at /m);
  }
  t.is((await vmreplay('replay', file('trace'))).code, 0);
  // Errors that nobody can be told leave the exit status.
  t.is((await inBash('exec "$@" 2> /dev/full', 'inspect', file('nothing'))).code, 2);
  // A reader that has seen enough has lost nothing.
  const { code, stderr } = await inBash(
    'set -o pipefail; "$@" | head -n 1 > /dev/null',
    'inspect',
    '--events',
    file('trace'),
  );
  t.deepEqual([code, stderr], [0, '']);
});

onLinux('a machine without room for the guest says so (needs: Linux)', async (t) => {
  const file = await scratch(t);
  const limit = 'ulimit -v 8000000; exec "$@"';
  const { code, stderr } = await inBash(limit, 'record', '--kernel', kernel, '-o', file('trace'));
  t.is(code, 2);
  t.regex(stderr, SENTENCE);
  t.regex(stderr, /there is no room for the guest's memory/);
  t.deepEqual(await readdir(file('.')), []);
});

test('a read-only file is not overwritten', async (t) => {
  const file = await scratch(t);
  await writeFile(file('precious'), 'x', { mode: 0o444 });
  // To root every file is writable; then there is nothing to refuse.
  const { code, stderr } = await vmreplayWith({ cwd: file('.') }, 'record', '--kernel', kernel, '-o', 'precious');
  if (process.getuid?.() === 0) t.is(code, 0);
  else {
    t.is(code, 2);
    t.regex(stderr, /^vmreplay: precious: cannot be overwritten: permission denied; [^\n]+\n$/);
    t.is(await readFile(file('precious'), 'utf8'), 'x');
  }
});
