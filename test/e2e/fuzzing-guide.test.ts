// The guide to fuzzing is true: its test runs, passes where it says so and fails where it says so, and what is printed of
// a failure is what it shows. Its table names every kind that there is.

import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import { execa } from 'execa';
import { packageFile } from '../../bin/package.js';
import { kinds } from '../fuzz/kinds.js';
import { scratch } from './vmreplay.js';

const guide = await readFile(packageFile('docs/fuzzing.md'), 'utf8');

test('the example runs; the reader that adds lengths up fails on an entry that is there twice', async (t) => {
  const file = await scratch(t);
  const [, name, source] = /^```js file=(\S+)\n(.*?)^```$/ms.exec(guide)!;
  const project = dirname(file(name!));
  await mkdir(join(project, 'node_modules'));
  for (const module of ['ava', 'fast-check'])
    await symlink(packageFile(`node_modules/${module}`), join(project, 'node_modules', module));
  await symlink(packageFile('.'), join(project, 'node_modules/vmreplay'));
  await writeFile(join(project, 'package.json'), '{}');
  await writeFile(file(name!), source!);
  const ava = ['node_modules/ava/entrypoints/cli.mjs', '--tap'];
  const { exitCode, stdout } = await execa('node', ava, { cwd: project, reject: false });
  t.is(exitCode, 1);
  t.regex(stdout, /^ok \d+ - a valid map has no more RAM than the machine$/m);
  t.regex(stdout, /^ok \d+ - any map is read to its end$/m);
  t.regex(stdout, /^not ok \d+ - an entry that is there twice is not counted twice$/m);
  // Lines of the guide's output, in their order.
  const [, shown] = /^```text\n(.*?)^```$/ms.exec(guide)!;
  let at = 0;
  for (const line of shown!.split('\n').filter((text) => text !== '' && text !== '…')) {
    const found = stdout.indexOf(line.trim(), at);
    t.true(found >= at, `${line}\n${stdout}`);
    at = found;
  }
  t.regex(stdout, /\{ seed: -?\d+, path: "[\d:]+"/);
  t.false(/^ +2:$/m.test(stdout), 'more than two entries');
});

test('the table of kinds has every one', async (t) => {
  const source = await readFile(packageFile('test/fuzz/kinds.ts'), 'utf8');
  const names = [...source.matchAll(/fuzz\.(\w+)\(/g)].map(([, name]) => name!);
  t.is(names.length, kinds.length);
  for (const name of names) t.true(guide.includes(`\`${name}\``), name);
});
