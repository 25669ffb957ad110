// The guide is true: its commands run, in its order, with its files; its CI recipes are YAML, and what they run is run.
// The guide boots Debian's kernel; without it that test is skipped by name. It also holds what the gate promises of such
// a boot: three commands to a green gate, and a flipped bit that is explained in the first 30 lines.

import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { execa } from 'execa';
import { parse } from 'yaml';
import { packageFile } from '../../bin/package.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { program, scratch, vmreplay } from './vmreplay.js';

interface Block {
  language: string;
  /** Where the block is to be written, for files. */
  file: string | undefined;
  /** How the commands of the block end. */
  exit: number;
  text: string;
}

const guide = await readFile(packageFile('docs/guide.md'), 'utf8');
const blocks: Block[] = [...guide.matchAll(/^```(\w+)([^\n]*)\n(.*?)^```$/gms)].map(([, language, info, text]) => ({
  language: language!,
  file: /file=(\S+)/.exec(info!)?.[1],
  exit: Number(/exit=(\d+)/.exec(info!)?.[1] ?? 0),
  text: text!,
}));

/** A folder in which `vmreplay` and `npx vmreplay` are this program, and `npm ci` has been done. */
async function workplace(t: ExecutionContext) {
  t.timeout(900_000);
  const file = await scratch(t);
  await mkdir(file('bin'));
  const shims = {
    vmreplay: `exec ${process.execPath} ${program} "$@"`,
    npx: '[ "$1" = vmreplay ] && shift && exec vmreplay "$@"; exit 99',
    npm: '[ "$*" = ci ]',
  };
  for (const [name, body] of Object.entries(shims)) {
    await writeFile(file(`bin/${name}`), `#!/bin/sh\n${body}\n`);
    await chmod(file(`bin/${name}`), 0o755);
  }
  const project = file('project');
  await mkdir(project);
  const shell = async (script: string, env: Record<string, string> = {}) => {
    const { exitCode, all } = await execa('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: project,
      env: { PATH: `${file('bin')}:${process.env.PATH}`, CI: '', NO_COLOR: '1', ...env },
      all: true,
      reject: false,
    });
    return { code: exitCode, text: all };
  };
  const write = async (name: string, text: string) => {
    await mkdir(dirname(`${project}/${name}`), { recursive: true });
    await writeFile(`${project}/${name}`, text);
  };
  return { project, shell, write };
}

test('the guide has commands, files and recipes, and each block says what it is', (t) => {
  const shells = blocks.filter(({ language }) => language === 'sh');
  t.true(shells.length >= 9);
  for (const { language, file } of blocks)
    t.true(language === 'sh' || file !== undefined, `${language} without a file`);
  const commands = shells.flatMap(({ text }) => text.split('\n')).filter((line) => line.startsWith('vmreplay'));
  t.true(commands.length >= 10);
});

const fetched = cachedImage('vmlinuz-cloud-amd64') !== undefined && cachedImage('initrd-busybox.cpio') !== undefined;
(fetched ? test : test.skip)('every command of the guide runs (needs: vmreplay fetch cloud busybox)', async (t) => {
  const { shell, write } = await workplace(t);
  const outputs: { script: string; text: string }[] = [];
  for (const { language, file, exit, text } of blocks) {
    if (file !== undefined) await write(file, text);
    if (language !== 'sh') continue;
    const ran = await shell(text);
    t.is(ran.code, exit, `${text}\n${ran.text}`);
    outputs.push({ script: text, text: ran.text });
  }
  const [quickStart] = outputs;
  t.is(quickStart!.script.trim().split('\n').length, 3, 'three commands');
  t.regex(quickStart!.text, /1 accepted(.|\n)*ok {6}debian\/pvh {2}.* cycles, .*\n\n1 passed/);
  const failed = outputs.find(({ script }) => script === 'vmreplay gate\n')!.text;
  const screen = failed.split('\n').slice(0, 30).join('\n');
  t.regex(screen, /cause: .*initrd/);
  t.regex(screen, /phase: /);
  t.log(screen);
});

/** Options that `vmreplay VERB --help` tells. */
async function optionsOf(verb: string): Promise<string[]> {
  const { code, stdout } = await vmreplay(verb, '--help');
  return code === 0 ? [...stdout.matchAll(/--[a-z-]+/g)].map(([option]) => option) : [];
}

/** Every `vmreplay VERB` of a script is a verb, with options that it has. */
async function assertCommands(t: ExecutionContext, script: string): Promise<void> {
  const commands = [...script.replaceAll('\\\n', ' ').matchAll(/^(?:npx )?vmreplay (\w+)(.*)$/gm)];
  t.true(commands.length > 0 || !script.includes('vmreplay'), script);
  for (const [, verb, rest] of commands) {
    const known = await optionsOf(verb!);
    t.true(known.length > 0, `${verb} is a verb`);
    for (const [option] of rest!.matchAll(/--[a-z-]+/g)) t.true(known.includes(option), `${verb} ${option}`);
  }
}

/** Folders of the cache that boots begin with (kept-translations.ts, kept-payloads.ts). */
const KEPT = ['translated', 'packed'];

interface Step {
  uses?: string;
  run?: string;
  shell?: string;
  with?: Record<string, string>;
  env?: Record<string, string>;
}

test('the action is composite, passes no input to the shell as text, and its commands are real', async (t) => {
  const text = await readFile(packageFile('action.yml'), 'utf8');
  const action = parse(text, { strict: true, uniqueKeys: true });
  t.is(action.runs.using, 'composite');
  const inputs = Object.keys(action.inputs);
  for (const [, name] of text.matchAll(/\$\{\{ inputs\.([a-z-]+) \}\}/g)) t.true(inputs.includes(name!), name);
  const all = action.runs.steps as Step[];
  for (const step of all.filter(({ run }) => run !== undefined)) {
    t.is(step.shell, 'bash');
    t.false(step.run!.includes('${{'), 'inputs come through the environment');
    await assertCommands(t, step.run!);
  }
  const kept = all.filter(({ run }) => run === undefined);
  t.deepEqual(
    kept.map(({ uses }) => uses),
    ['actions/cache@v4'],
  );
  t.deepEqual(kept[0]!.with!.path!.match(/[a-z]+$/gm), KEPT);
  const workflow = parse(blocks.find(({ file }) => file?.endsWith('boots.yml'))!.text);
  const steps = workflow.jobs.gate.steps as Step[];
  const used = steps.find(({ uses }) => uses === './node_modules/vmreplay')!;
  for (const name of Object.keys(used.with!)) t.true(inputs.includes(name), name);
});

test("the action's steps run, and write their reports", async (t) => {
  const { project, shell, write } = await workplace(t);
  const { runs, inputs } = parse(await readFile(packageFile('action.yml'), 'utf8'));
  const kernel = packageFile('corpus/smc/smc.elf');
  await write(
    'vmreplay.config.json',
    JSON.stringify({
      boots: [
        { name: 'smc', kernel },
        { name: 'other', kernel },
      ],
    }),
  );
  t.is((await shell('vmreplay gate --accept')).code, 0);
  const { run } = (runs.steps as (Step & { name: string })[]).find(({ name }) => name === 'Gate')!;
  const env = {
    BOOTS: '',
    CONFIG: '',
    SHARD: '',
    REPORTS: inputs.reports.default,
    CI: 'true',
    GITHUB_STEP_SUMMARY: `${project}/summary`,
  };
  const held = await shell(run!, env);
  t.is(held.code, 0, held.text);
  t.is(JSON.parse(await readFile(`${project}/vmreplay-reports/gate.json`, 'utf8')).boots.length, 2);
  t.regex(await readFile(`${project}/summary`, 'utf8'), /2 passed/);
  const chosen = await shell(run!, { ...env, BOOTS: 'smc', CONFIG: 'vmreplay.config.json', SHARD: '1/1' });
  t.is(chosen.code, 0, chosen.text);
  t.is(JSON.parse(await readFile(`${project}/vmreplay-reports/gate.json`, 'utf8')).boots.length, 1);
});

test('the GitLab jobs are YAML, and their scripts run shard by shard and join the reports', async (t) => {
  const { shell, write } = await workplace(t);
  const jobs = parse(blocks.find(({ file }) => file === '.gitlab-ci.yml')!.text, { strict: true, uniqueKeys: true });
  t.deepEqual(Object.keys(jobs), ['boots', 'boots-report']);
  const kept = (jobs.boots.cache.paths as string[]).map((path) => path.replace('.vmreplay-cache/', ''));
  t.deepEqual(kept, KEPT);
  t.is(jobs.boots.variables.VMREPLAY_CACHE, '$CI_PROJECT_DIR/.vmreplay-cache');
  for (const { script } of Object.values(jobs) as { script: string[] }[])
    for (const line of script) await assertCommands(t, line);
  const kernel = packageFile('corpus/smc/smc.elf');
  await write('vmreplay.config.json', JSON.stringify({ boots: ['a', 'b'].map((name) => ({ name, kernel })) }));
  t.is((await shell('vmreplay gate --accept')).code, 0);
  // Nothing is fetched for these boots.
  const script = (jobs.boots.script as string[]).filter((line) => !line.includes('fetch')).join('\n');
  for (const index of ['1', '2']) {
    const ran = await shell(script, { CI: 'true', CI_NODE_INDEX: index, CI_NODE_TOTAL: String(jobs.boots.parallel) });
    t.is(ran.code, 0, ran.text);
  }
  const merged = await shell((jobs['boots-report'].script as string[]).join('\n'), { CI: 'true' });
  t.is(merged.code, 0, merged.text);
  t.regex(merged.text, /## Boots: 2 passed/);
});
