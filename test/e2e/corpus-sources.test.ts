// The committed images are what their sources give, and QEMU, the reference, prints what the corpus says it prints.
// Both need programs that are not on every machine; then the test says which one is missing.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { execa } from 'execa';
import { corpusGuests } from '../../bin/corpus.js';
import { packageFile } from '../../bin/package.js';

const has = async (program: string) => !(await execa(program, ['--version'], { reject: false })).failed;
const script = (name: string, ...args: string[]) =>
  execa(process.execPath, ['--import=tsx', packageFile(`scripts/${name}`), ...args], { reject: false, all: true });

const withNasm = (await has('nasm')) ? test : test.skip;
const withQemu = (await has('qemu-system-x86_64')) ? test : test.skip;

withNasm('the images of the corpus are what their sources give (needs nasm)', async (t) => {
  const { exitCode, all } = await script('build-corpus.ts', '--check');
  t.is(exitCode, 0, all);
});

withQemu('the corpus prints in QEMU what it is said to print there (needs qemu-system-x86)', async (t) => {
  t.timeout(600_000);
  const { exitCode, all } = await script('corpus-qemu.ts');
  t.is(exitCode, 0, all);
});

test('every guest has its files, and a row in the README', async (t) => {
  const readme = await readFile(packageFile('corpus/README.md'), 'utf8');
  for (const { name, directory, expected, serial } of await corpusGuests()) {
    const files = await readdir(directory);
    for (const file of [`${name}.asm`, `${name}.elf`, 'expected.json', 'serial.txt'])
      t.true(files.includes(file), name);
    t.is(files.includes('qemu.txt'), expected.qemu?.why !== undefined, `${name}: qemu.txt and why go together`);
    t.true(readme.includes(`\n| \`${name}\` `), name);
    t.true(serial.includes(`OK ${name}\n`) && !serial.includes('FAIL'), name);
    const image = await readFile(join(directory, `${name}.elf`));
    t.true(image.length < 32768, `${name} is small`);
  }
});
