// The example projects as people have them: copied to a folder of their own, this package installed beside them, accepted,
// held, changed, and found out. What a project needs and is not here is named in the title, and its tests are skipped.

import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { execa } from 'execa';
import { packageFile } from '../../bin/package.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { program, scratch } from './vmreplay.js';

const has = async (command: string) =>
  (await execa('sh', ['-c', `command -v ${command}`], { reject: false })).exitCode === 0;
/** A folder with vitest, which this repository does not depend on; undefined where no registry gives it. */
async function installVitest(): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'vmreplay-vitest-'));
  await writeFile(join(folder, 'package.json'), '{ "private": true }');
  const args = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--fetch-retries=0', 'vitest@4'];
  const { exitCode } = await execa('npm', args, { cwd: folder, reject: false, timeout: 180_000 });
  const { exitCode: runs } = await execa('node_modules/.bin/vitest', ['--version'], { cwd: folder, reject: false });
  if (exitCode === 0 && runs === 0) return folder;
  await rm(folder, { recursive: true, force: true });
  return undefined;
}

const nasm = await has('nasm');
const compiler = (await has('gcc')) && (await has('make'));
const vitest = compiler ? await installVitest() : undefined;
test.after.always(() => vitest && rm(vitest, { recursive: true, force: true }));
const withVitest = vitest ? test : test.skip;
const seabios = cachedImage('bios-256k.bin') !== undefined;
const withRom = seabios && nasm ? test : test.skip;
const withCompiler = compiler ? test : test.skip;
const withSeabios = seabios ? test : test.skip;

interface Example {
  file: (name: string) => string;
  run: (
    command: string,
    args: string[],
    env?: Record<string, string>,
  ) => Promise<{ code: number | undefined; text: string }>;
  gate: (...args: string[]) => Promise<{ code: number | undefined; text: string }>;
}

async function example(t: ExecutionContext, name: string, packages: readonly string[] = []): Promise<Example> {
  t.timeout(300_000);
  const file = await scratch(t);
  await cp(packageFile(`examples/${name}`), file('.'), { recursive: true });
  await mkdir(file('node_modules'), { recursive: true });
  for (const other of packages) await symlink(packageFile(`node_modules/${other}`), file(`node_modules/${other}`));
  await symlink(packageFile('.'), file('node_modules/vmreplay'));
  const run: Example['run'] = async (command, args, env = {}) => {
    const { exitCode, all } = await execa(command, args, {
      cwd: file('.'),
      env: { CI: '', NO_COLOR: '1', ...env },
      all: true,
      reject: false,
      timeout: 240_000,
    });
    return { code: exitCode, text: all };
  };
  return { file, run, gate: (...args) => run(process.execPath, [program, 'gate', ...args]) };
}

const edit = async (path: string, from: string, to: string) => {
  const text = await readFile(path, 'utf8');
  if (!text.includes(from)) throw new Error(`${path} has no ${from}`);
  await writeFile(path, text.replace(from, to));
};

withRom('an option ROM in assembly has a gate (needs: nasm, vmreplay fetch seabios)', async (t) => {
  const { file, gate } = await example(t, 'option-rom');
  t.like(await gate('--accept'), { code: 0 });
  t.like(await gate(), { code: 0 });
  await edit(file('hello.asm'), 'hello from', 'Hello from');
  const { code, text } = await gate();
  t.is(code, 1);
  t.regex(text, /"H" where the baseline has .*"h"/);
  t.regex(text, /phase: option ROM/);
  t.regex(text, /also: serial line \d+ is "Hello from the option ROM"/);
});

withRom('an option ROM has the same gate as a test of ava (needs: nasm, vmreplay fetch seabios)', async (t) => {
  const { file, run } = await example(t, 'option-rom', ['ava']);
  t.like(await run('npm', ['run', '--silent', 'build']), { code: 0 });
  const ava = (env?: Record<string, string>) => run(process.execPath, ['node_modules/ava/entrypoints/cli.mjs'], env);
  const missing = await ava();
  t.is(missing.code, 1);
  t.regex(missing.text, /there is no baseline yet; the tests with VMREPLAY_ACCEPT=1 writes it/);
  t.is((await ava({ VMREPLAY_ACCEPT: '1', CI: 'true' })).code, 1, 'nothing is accepted in CI');
  const accepted = await ava({ VMREPLAY_ACCEPT: '1' });
  t.is(accepted.code, 0, accepted.text);
  const held = await ava();
  t.is(held.code, 0, held.text);
  t.regex(held.text, /2 tests passed/);
  t.regex(await readFile(file('boot-baselines/hello-does-what-it-did.txt'), 'utf8'), /^vmreplay baseline 1\n/);
});

withCompiler("a unikernel's PVH entry has a gate in TypeScript (needs: gcc, make)", async (t) => {
  const { file, gate } = await example(t, 'unikernel-pvh');
  const accepted = await gate('--accept');
  t.is(accepted.code, 0, accepted.text);
  t.like(await gate(), { code: 0 });
  await edit(file('kernel.c'), '"command line: "', '"Command line: "');
  const { code, text } = await gate();
  t.is(code, 1);
  t.regex(text, /cause: .*kernel/);
  t.regex(text, /symbol: /);
  t.regex(text, /^ok {6}small/m, 'the hand-off is the same');
});

withSeabios('SeaBIOS has a gate of firmware alone (needs: vmreplay fetch seabios)', async (t) => {
  const { file, gate } = await example(t, 'seabios');
  t.like(await gate('--accept'), { code: 0 });
  t.like(await gate(), { code: 0 });
  const bytes = await readFile(cachedImage('bios-256k.bin')!);
  // The name of a file that it asks fw_cfg for, so that it finds none.
  bytes.write('etc/E820', bytes.indexOf('etc/e820'));
  await writeFile(file('bios-256k.bin'), bytes);
  const { code, text } = await gate();
  t.is(code, 1);
  t.regex(text, /^FAILED {2}fw_cfg/m);
});

withVitest('a kernel has its hand-off matched by vitest (needs: gcc, make, vitest from the registry)', async (t) => {
  t.timeout(300_000);
  // Modules are found from where the test file is, so vitest lies above it.
  const project = join(vitest!, 'project');
  await cp(packageFile('examples/unikernel-pvh'), project, { recursive: true });
  await mkdir(join(project, 'node_modules'));
  await symlink(packageFile('.'), join(project, 'node_modules/vmreplay'));
  const options = { cwd: project, env: { CI: '', NO_COLOR: '1' }, all: true, reject: false, timeout: 240_000 } as const;
  t.is((await execa('make', ['--silent'], options)).exitCode, 0);
  const vitestRun = async (...args: string[]) => {
    const { exitCode, all } = await execa('../node_modules/.bin/vitest', ['run', ...args], options);
    return { code: exitCode, text: all };
  };
  const missing = await vitestRun();
  t.is(missing.code, 1);
  t.regex(missing.text, /there is no baseline yet/);
  t.regex(missing.text, /1 passed/, 'the hand-off needs none');
  const updated = await vitestRun('-u');
  t.is(updated.code, 0, updated.text);
  const held = await vitestRun();
  t.is(held.code, 0, held.text);
  t.regex(held.text, /2 passed/);
});
