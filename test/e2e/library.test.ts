// The package as others get it: packed, unpacked into a project of its own, imported by name, with types. Its
// dependencies are those of this checkout, so that no registry is needed.

import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import test from 'ava';
import { execa } from 'execa';
import { packageFile } from '../../bin/package.js';
import { scratch } from './vmreplay.js';

const { version, dependencies } = JSON.parse(await readFile(packageFile('package.json'), 'utf8'));

/** The example of the README. */
async function example(): Promise<string> {
  const [, code] = /^```ts\n(.*?)^```$/ms.exec(await readFile(packageFile('README.md'), 'utf8')) ?? [];
  return code!;
}

/** Neither the DOM's types nor Node's are there. */
const CONSOLE = 'declare const console: { log(...values: unknown[]): void };';

const PROGRAM = `
import { defineConfig, diff, type GateConfig, inspect, record, replay, UserError, type ReplayResult } from 'vmreplay';
import { boots } from 'vmreplay/ava';
import { type BootMatchers, bootMatchers } from 'vmreplay/vitest';
const config: GateConfig = defineConfig({ boots: [{ name: 'smc', kernel: 'corpus/smc/smc.elf', hold: { serial: true } }] });
const matchers: Record<keyof BootMatchers, unknown> = bootMatchers;
if (!boots || !matchers || config.boots.length !== 1) throw new Error('not the gate');
import { hostile, startInfo, type Structure } from 'vmreplay/fuzz';
const { root, exitCode }: { root: string; exitCode: number } = await record({ kernel: 'corpus/smc/smc.elf', output: 'a' });
const replayed: ReplayResult = await replay('a');
const { same } = await diff('a', 'a');
const { end, events } = await inspect('a');
const refused = await record({ kernel: 'nowhere' }).catch((error: unknown) => error);
console.log(JSON.stringify([exitCode, replayed.exitCode, same, end?.reason, events.total > 0, refused instanceof UserError]));
const made: Structure<unknown>[] = [];
hostile(startInfo({ address: 0x7000 })).map((one) => made.push(one));
if (root !== replayed.root) throw new Error('another root');
${CONSOLE}`;

test('the packed library is imported by name, with types, and its example runs', async (t) => {
  t.timeout(120_000);
  const file = await scratch(t);
  const run = (command: string, args: string[], cwd: string) => execa(command, args, { cwd, all: true });
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', file('.')], packageFile('.'));
  const installed = file('node_modules/vmreplay');
  await mkdir(installed, { recursive: true });
  await run('tar', ['-xzf', file(`vmreplay-${version}.tgz`), '--strip-components=1', '-C', installed], file('.'));
  for (const name of Object.keys(dependencies)) {
    await symlink(packageFile(`node_modules/${name}`), file(`node_modules/${name}`));
  }
  await symlink(`${installed}/corpus`, file('corpus'));

  await writeFile(file('package.json'), '{ "type": "module" }');
  await writeFile(file('example.ts'), `${await example()}\n${CONSOLE}`);
  await writeFile(file('program.ts'), PROGRAM);
  const compilerOptions = { strict: true, module: 'nodenext', target: 'es2022', lib: ['es2022'], types: [] };
  await writeFile(file('tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const tsc = packageFile('node_modules/typescript/bin/tsc');
  const compiled = await execa(process.execPath, [tsc, '-p', '.'], { cwd: file('.'), all: true, reject: false });
  t.is(compiled.exitCode, 0, compiled.all);

  const { stdout } = await run(process.execPath, ['program.js'], file('.'));
  t.is(stdout, '[0,0,true,"poweroff",true,true]');
  const shown = await run(process.execPath, ['example.js'], file('.'));
  t.regex(shown.stdout, /^[0-9a-f]{64} no difference\nA a\.trace\nB b\.trace\n.*command line: .* in A, another/s);
  const binary = await run(process.execPath, [`${installed}/dist/bin/vmreplay.js`, '--version'], file('.'));
  t.is(binary.stdout, version);
});
