// vmreplay fuzz as people run it: findings on stdout and in folders, the command of a folder has the finding again.

import { readdir, readFile } from 'node:fs/promises';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { scratch, vmreplay } from './vmreplay.js';

const kernel = packageFile('corpus/defects/map-zero-length.elf');

test('a finding is printed and written, its trace replays, and its command has it again', async (t) => {
  const file = await scratch(t);
  const out = file('findings');
  const boot = ['start-info', '--memory', '8M', '--kernel', kernel];
  const { code, stdout } = await vmreplay('fuzz', ...boot, '--runs', '200', '--out', out);
  t.is(code, 1);
  t.regex(stdout, /^triple fault at 0x100280: an exception that could not be delivered \(entry of no length\)$/m);
  t.regex(stdout, /^200 cases from cycle 1,584, \d+ findings?$/m);
  const [folder] = (await readdir(out)).filter((name) => name.includes('triple-fault'));
  t.is((await vmreplay('replay', `${out}/${folder}/boot.trace`)).code, 0);
  const command = (await readFile(`${out}/${folder}/command.txt`, 'utf8')).trim();
  const again = await vmreplay(...command.split(' ').slice(1));
  t.is(again.code, 1);
  t.regex(again.stdout, /^1 cases|start-info, broken: entry of no length/m);
});

test('no finding is exit status 0, a wrong target one sentence', async (t) => {
  const file = await scratch(t);
  const none = await vmreplay(
    'fuzz',
    'start-info',
    '--memory',
    '8M',
    '--kernel',
    kernel,
    '--runs',
    '1',
    '--out',
    file('o'),
  );
  t.is(none.code, 0);
  const wrong = await vmreplay('fuzz', 'nothing', '--memory', '8M', '--kernel', kernel);
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /^vmreplay: there is no fuzz target nothing; choose one of [^\n]+\n?$/);
});
