// vmreplay fuzz as people run it: findings on stdout and in folders, the command of a folder has the finding again.

import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { execa } from 'execa';
import { packageFile } from '../../bin/package.js';
import type { FuzzReport, ReportedFinding } from '../../src/fuzz/index.js';
import { ORACLES } from '../../src/fuzz/verdict.js';
import { scratch, vmreplay, vmreplayWith } from './vmreplay.js';

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

const strictly = (_: string, value: { type?: unknown; properties?: unknown }) =>
  value?.type === 'object' && value.properties ? { ...value, additionalProperties: false } : value;

test('--json has the published schema and nothing else, and but for the host it is the same again', async (t) => {
  const file = await scratch(t);
  const schema = JSON.parse(await readFile(packageFile('schemas/fuzz-1.json'), 'utf8'), strictly);
  t.deepEqual(schema.$defs.oracle.enum, [...ORACLES]);
  const isReport = new Ajv2020({ allowUnionTypes: true }).compile(schema);
  const out = file('findings');
  const campaign = ['start-info', '--memory', '8M', '--kernel', kernel, '--runs', '2000', '--out', out, '--json'];
  const run = async (code: number, ...more: string[]) => {
    const ran = await vmreplay('fuzz', ...campaign, ...more);
    t.is(ran.code, code, ran.stderr);
    const report = JSON.parse(ran.stdout);
    t.true(isReport(report), JSON.stringify(isReport.errors));
    return report as Omit<FuzzReport, 'findings'> & {
      findings: (Omit<ReportedFinding, 'bytes'> & { bytes: string })[];
    };
  };
  const { host, ...said } = await run(1, '--guided');
  t.true(host.processorSeconds > 0);
  const { host: _, ...again } = await run(1, '--guided', '--jobs', '2');
  t.deepEqual(again, said);
  t.true(said.guided!.edges > 10);
  const found = said.findings.find(({ oracle }) => oracle === 'triple fault')!;
  t.is(found.cause, 'triple fault at 0x100280');
  t.is(found.bytes, (await readFile(join(found.folder!, 'structure.bin'))).toString('hex'));
  const { cases, structure, bytes, folder, command, ...facts } = found;
  t.deepEqual(facts, JSON.parse(await readFile(join(folder!, 'finding.json'), 'utf8')));
  t.is(`${command}\n`, await readFile(join(folder!, 'command.txt'), 'utf8'));
  // One case alone, which is not written; and none.
  const alone = await run(
    1,
    '--seed',
    `${found.seed}`,
    ...(found.tape ? ['--tape', found.tape] : []),
    '--path',
    found.path,
  );
  t.deepEqual([alone.cases, alone.findings.length, alone.findings[0]!.folder], [1, 1, null]);
  t.deepEqual((await run(0, '--runs', '1')).findings, []);
});

test('the regression test of a folder fails as long as the finding is there, and passes when it is not', async (t) => {
  const file = await scratch(t);
  const out = file('findings');
  await vmreplay('fuzz', 'start-info', '--memory', '8M', '--kernel', kernel, '--runs', '200', '--out', out);
  const [name] = (await readdir(out)).filter((one) => one.includes('triple-fault'));
  const folder = join(out, name!);
  await mkdir(join(folder, 'node_modules'));
  await symlink(packageFile('.'), join(folder, 'node_modules/vmreplay'));
  await symlink(packageFile('node_modules/ava'), join(folder, 'node_modules/ava'));
  await writeFile(join(folder, 'package.json'), '{}');
  const ava = () => execa('node', ['node_modules/ava/entrypoints/cli.mjs', '--tap'], { cwd: folder, reject: false });
  const fails = await ava();
  t.is(fails.exitCode, 1, fails.stderr);
  t.regex(fails.stdout, /not ok 1 - start-info: no triple fault at 0x100280/);
  t.true(fails.stdout.includes("'triple fault at 0x100280'"));
  // A loader that does not divide by the length of an entry.
  const test = join(folder, 'regression.test.mjs');
  await writeFile(test, (await readFile(test, 'utf8')).replace('map-zero-length.elf', 'map-top-of-last.elf'));
  const passes = await ava();
  t.is(passes.exitCode, 0, passes.stdout);
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

const other = process.env.VMREPLAY_OTHER_NODE;
const withOther = other === undefined ? test.skip : test;

withOther('another Node finds the same (needs VMREPLAY_OTHER_NODE, the path of one)', async (t) => {
  const file = await scratch(t);
  for (const guided of [[], ['--guided']]) {
    const campaign = ['start-info', '--memory', '8M', '--kernel', kernel, '--runs', '2000', ...guided];
    const found = async (node: string, out: string) => {
      const { stdout } = await vmreplayWith({ node }, 'fuzz', ...campaign, '--out', file(out));
      const folders = (await readdir(file(out))).sort();
      const read = (folder: string, name: string) => readFile(join(file(out), folder, name), 'utf8');
      const findings = folders.map(async (one) => [await read(one, 'finding.json'), await read(one, 'structure.txt')]);
      return { said: stdout.replaceAll(file(out), ''), folders, findings: await Promise.all(findings) };
    };
    const here = await found(process.execPath, `here${guided.length}`);
    t.true(here.folders.length > 0);
    t.deepEqual(await found(other!, `there${guided.length}`), here);
  }
});
