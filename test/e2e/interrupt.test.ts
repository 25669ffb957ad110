// A recording that is ended from outside. Ctrl-C: exit status 130, and what was recorded so far is a trace like any
// other. A kill leaves FILE.partial, which can be inspected and compared up to its last whole chunk.

import { readdir, writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import { execa } from 'execa';
import { corpusGuests } from '../../bin/corpus.js';
import { pvhKernel } from '../boot/guest-builder.js';
import { corpusArguments, program, scratch, vmreplay } from './vmreplay.js';

test('an interrupted recording ends with status 130 and replays', async (t) => {
  const file = (await scratch(t))('a.trace');
  const args = corpusArguments((await corpusGuests()).find(({ name }) => name === 'endless-loop')!);
  args.splice(args.indexOf('--max-cycles'), 2);
  const child = execa(process.execPath, [program, 'record', ...args, '--console', '-o', file], { reject: false });
  // The guest has printed its line: the run is under way, and would go on for ever.
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  await setTimeout(300);
  child.kill('SIGINT');
  t.is((await child).exitCode, 130);

  const { code, stdout } = await vmreplay('inspect', '--json', file);
  t.is(code, 0);
  const { end, cycles } = JSON.parse(stdout);
  t.is(end.reason, 'interrupted');
  t.true(cycles > 100_000);
  const replayed = await vmreplay('replay', file);
  t.is(replayed.code, 0, replayed.stdout + replayed.stderr);
});

test('a recording that is killed can be inspected and compared', async (t) => {
  const file = await scratch(t);
  // mov al, '.'; mov dx, 3f8h; again: out dx, al; jmp again
  const code = Uint8Array.of(0xb0, 0x2e, 0x66, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xfd);
  await writeFile(file('kernel'), pvhKernel(code));
  const boot = ['--kernel', file('kernel'), '--memory', '4M'];
  const child = execa(process.execPath, [program, 'record', ...boot, '--console', '-o', file('a')], { reject: false });
  let printed = 0;
  child.stdout.on('data', (data: Buffer) => {
    printed += data.length;
    if (printed > 50_000) child.kill('SIGKILL');
  });
  t.is((await child).signal, 'SIGKILL');
  t.deepEqual((await readdir(file('.'))).sort(), ['a.partial', 'kernel']);

  const inspected = await vmreplay('inspect', '--json', file('a.partial'));
  t.is(inspected.code, 0, inspected.stderr);
  const { end, root, cycles, events } = JSON.parse(inspected.stdout);
  t.deepEqual([end, root], [null, null]);
  t.true(events.total > 8000, `${events.total} events`);

  t.is((await vmreplay('record', ...boot, '--until-cycle', `${cycles + 10_000}`, '-o', file('b'))).code, 0);
  const compared = await vmreplay('diff', '--json', file('a.partial'), file('b'));
  t.is(compared.code, 1, compared.stderr);
  t.like(JSON.parse(compared.stdout), { same: false, first: null, agreed: events.total, cut: 'a' });
  const replayed = await vmreplay('replay', file('a.partial'));
  t.is(replayed.code, 2);
  t.regex(replayed.stderr, /^vmreplay: [^\n]*a\.partial: the recording was cut off at offset \d+ [^\n]*\n$/);
});
