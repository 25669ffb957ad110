// The gate from the command line: baselines are written by people and held by machines, every kind of failure has its
// words and its exit status, and CI can split the work and join the reports.

import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { execa } from 'execa';
import { packageFile } from '../../bin/package.js';
import { program, type Ran, scratch, vmreplayWith } from './vmreplay.js';

const withNasm = (await execa('nasm', ['-v'], { reject: false })).exitCode === 0 ? test : test.skip;

const withScript = (await execa('script', ['--version'], { reject: false })).exitCode === 0 ? test : test.skip;

const guest = (name: string): string => packageFile(`corpus/${name}/${name}.elf`);

interface Project {
  file: (name: string) => string;
  gate: (...args: string[]) => Promise<Ran>;
  configure: (config: unknown) => Promise<void>;
}

/** A folder with a configuration; CI is not set unless a test says so. */
async function project(t: ExecutionContext, config?: unknown, env: Record<string, string> = {}): Promise<Project> {
  const file = await scratch(t);
  const configure = (value: unknown) => writeFile(file('vmreplay.config.json'), JSON.stringify(value));
  if (config !== undefined) await configure(config);
  const gate = (...args: string[]) => vmreplayWith({ cwd: file('.'), env: { CI: '', ...env } }, 'gate', ...args);
  return { file, gate, configure };
}

const one = (boot: object = {}) => ({
  boots: [{ name: 'start', kernel: guest('pvh-start-info'), append: 'one', ...boot }],
});

test('a boot without a baseline fails; accepted, it is held; changed, it fails and says why', async (t) => {
  const { file, gate, configure } = await project(t, one());
  const missing = await gate();
  t.is(missing.code, 1);
  t.regex(
    missing.stdout,
    /start: boot-baselines\/start\.txt: there is no baseline yet; vmreplay gate --accept start writes it/,
  );

  const accepted = await gate('--accept');
  t.is(accepted.code, 0, accepted.stderr + accepted.stdout);
  t.regex(accepted.stdout, /ok {6}start {2}new: boot-baselines\/start\.txt/);
  const text = await readFile(file('boot-baselines/start.txt'), 'utf8');
  t.regex(text, /^vmreplay baseline 1\nboot {7}start\n/);
  t.regex(text, /^\| .*one/m, 'what the guest printed can be read');
  t.is((await gate()).code, 0);
  t.regex((await gate('--accept')).stdout, /start {2}unchanged/);
  t.is(await readFile(file('boot-baselines/start.txt'), 'utf8'), text);

  // Another kernel under the same name: what was asked for is the same, what the guest does is not.
  const bytes = await readFile(guest('pvh-start-info'));
  const at = bytes.indexOf('OK pvh-start-info');
  bytes[at] = 'K'.charCodeAt(0);
  await writeFile(file('kernel.elf'), bytes);
  await configure(one({ kernel: 'kernel.elf' }));
  const { code, stdout } = await gate();
  t.is(code, 1);
  const screen = stdout.split('\n').slice(0, 30).join('\n');
  t.regex(screen, /FAILED {2}start/);
  t.regex(screen, /uart0 THR/);
  t.regex(screen, /0x4b "K"/);
  t.regex(screen, /its trace: \.vmreplay-gate\/start\.vmr; if this is meant: vmreplay gate --accept start/);
  t.is((await vmreplayWith({ cwd: file('.') }, 'inspect', '.vmreplay-gate/start.vmr')).code, 0);
});

test('an image that changed where the guest never looks does not fail the boot, and is named', async (t) => {
  const { file, gate } = await project(t, one({ kernel: 'kernel.elf' }));
  const bytes = await readFile(guest('pvh-start-info'));
  await writeFile(file('kernel.elf'), bytes);
  t.is((await gate('--accept')).code, 0);
  await writeFile(file('kernel.elf'), Buffer.concat([bytes, Buffer.from('built on Monday')]));
  const { code, stdout } = await gate();
  t.is(code, 0, stdout);
  t.regex(stdout, /ok {6}start {2}.* cycles, though kernel kernel\.elf changed/);
});

test('a boot that is asked for in another way is said to be so', async (t) => {
  const { gate, configure } = await project(t, one());
  await gate('--accept');
  await configure(one({ append: 'two', memory: '64M' }));
  const { code, stdout } = await gate();
  t.is(code, 1);
  t.regex(stdout, /asked for in another way than the baseline: memory: 128 MiB in the baseline, 64 MiB now; accept it/);
  t.regex(stdout, /command line: one in the baseline, two now/);
});

test('damaged, foreign and obsolete baselines fail by name, and --accept mends them', async (t) => {
  const { file, gate } = await project(t, one());
  await gate('--accept');
  const text = await readFile(file('boot-baselines/start.txt'), 'utf8');
  await writeFile(file('boot-baselines/old.txt'), text.replace('start', 'old'));
  await writeFile(file('boot-baselines/start.txt'), text.replace('poweroff', 'power-off'));
  const damaged = await gate();
  t.is(damaged.code, 1);
  t.regex(
    damaged.stdout,
    /boot-baselines\/start\.txt: was changed after it was accepted; vmreplay gate --accept start writes it/,
  );
  t.regex(
    damaged.stdout,
    /FAILED {2}old {2}boot-baselines\/old\.txt is the baseline of a boot that there is not; --accept removes it/,
  );
  t.regex(damaged.stdout, /1 unreadable, 1 obsolete/);
  t.is((await gate('start')).stdout.includes('obsolete'), false, 'who names boots does not ask for others');
  t.is((await gate('--accept')).code, 0);
  t.is((await gate()).code, 0);
  await rm(file('boot-baselines/traces'), { recursive: true });
  t.regex((await gate()).stdout, /start\.txt: its trace boot-baselines\/traces\/[0-9a-f]{64}\.vmr is missing/);
});

test('a baseline from another version of the trace format is told, and accepted again', async (t) => {
  const { file, gate } = await project(t, one());
  await gate('--accept');
  const text = await readFile(file('boot-baselines/start.txt'), 'utf8');
  const [, old] = /^trace {6}(\w+)/m.exec(text)!;
  const bytes = await readFile(file(`boot-baselines/traces/${old}.vmr`));
  bytes.writeUInt16LE(77, 8);
  const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest('hex');
  const hash = sha256(bytes);
  await writeFile(file(`boot-baselines/traces/${hash}.vmr`), bytes);
  const body = text.replace(old!, hash).replace(/sum .*\n$/, '');
  await writeFile(file('boot-baselines/start.txt'), `${body}sum        ${sha256(body)}\n`);
  const { code, stdout } = await gate();
  t.is(code, 1);
  t.regex(
    stdout,
    /the baseline cannot be used: .*is in trace format 77 and this program reads format \d+: use a newer vmreplay; vmreplay gate --accept/,
  );
  t.is((await gate('--accept')).code, 0);
  t.is(await readFile(file('boot-baselines/start.txt'), 'utf8'), text);
  t.is((await gate()).code, 0);
});

test('traces can lie in a store of their own', async (t) => {
  const { file, gate } = await project(t, { ...one(), store: 'store', baselines: 'kept/here' });
  t.is((await gate('--accept')).code, 0);
  t.is((await gate()).code, 0);
  const trace = /^trace {6}(\w+)/m.exec(await readFile(file('kept/here/start.txt'), 'utf8'))![1];
  t.true((await readFile(file(`store/${trace}.vmr`))).length > 0);
});

test('each thing that a boot can be held to fails in its own words, and only when it is held', async (t) => {
  const holds = {
    serial: { serial: true },
    quiet: { serial: { ignore: ['command line', 'cmdline', 'one', 'two'] } },
    handoff: { handoff: true },
    loose: { handoff: { ignore: ['cmdline', 'hvm_start_info'] } },
    writes: { events: { only: ['uart0'] } },
    rest: { events: { ignore: ['uart0', 'processor', 'handoff'] } },
    end: { budgets: { cycles: { end: 1_000_000 } } },
  };
  const config = (kernel: string) => ({
    boots: Object.entries(holds).map(([name, hold]) => ({
      name,
      kernel,
      hold,
      append: 'x',
      modules: [{ path: 'module', cmdline: 'one' }],
    })),
  });
  const { file, gate, configure } = await project(t, config(guest('pvh-start-info')));
  await writeFile(file('module'), 'one');
  t.is((await gate('--accept')).code, 0);
  const bytes = await readFile(guest('pvh-start-info'));
  bytes.write('KO', bytes.indexOf('OK pvh-start-info'));
  await writeFile(file('kernel.elf'), bytes);
  await configure(config('kernel.elf'));
  const { code, stdout } = await gate();
  t.is(code, 1);
  t.regex(stdout, /serial: serial line \d+ is "KO pvh-start-info", in the baseline "OK pvh-start-info"/);
  t.regex(stdout, /writes: uart0 THR: .*"K" where the baseline has uart0 THR: .*"O"/);
  for (const name of ['handoff', 'loose', 'rest', 'end']) t.regex(stdout, new RegExp(`ok {6}${name} `), name);
});

test('a gate that names events of which there are none fails, also when the boot did not change', async (t) => {
  const { gate } = await project(t, one({ hold: { events: { only: ['uart0', 'fw_cfg'] } } }));
  t.is((await gate('--accept')).code, 0);
  t.is((await gate()).code, 0);
  const { gate: other } = await project(t, one({ hold: { events: { only: ['uart9'] } } }));
  t.is((await other('--accept')).code, 0);
  const { code, stdout } = await other();
  t.is(code, 1);
  t.regex(stdout, /start: hold\.events\.only names nothing that this boot does: uart9; mend the configuration/);
});

test('budgets are exact, and hold for what is accepted too', async (t) => {
  const budgets = { cycles: { end: 100, paging: 5 }, portAccesses: 1, traceBytes: 1 };
  const { gate } = await project(t, one({ hold: { events: true, budgets } }));
  const { code, stdout } = await gate('--accept');
  t.is(code, 1);
  t.regex(stdout, /start: [\d,]+ cycles to end, [\d,]+ more than the budget of 100/);
  t.regex(
    stdout,
    /also: the boot never comes to paging, for which there is a budget of cycles; it comes to entry, handoff, end/,
  );
  t.regex(stdout, /also: [\d,]+ port accesses, [\d,]+ more than the budget of 1/);
  t.notRegex(stdout, /if this is meant/);
});

test('a boot must end as it is to, and one that does not is no baseline', async (t) => {
  const { gate, configure } = await project(t, {
    boots: [{ name: 'loop', kernel: guest('endless-loop'), maxCycles: 1_000_000 }],
  });
  const wrong = await gate('--accept');
  t.is(wrong.code, 1);
  t.regex(wrong.stdout, /loop: the boot ends by max-cycles, and must end with success/);
  await configure({
    boots: [{ name: 'loop', kernel: guest('endless-loop'), maxCycles: 1_000_000, end: 'max-cycles' }],
  });
  t.is((await gate('--accept')).code, 0);
  t.is((await gate()).code, 0);
});

test('a boot that cannot be started fails like one that differs; the others run', async (t) => {
  const { gate } = await project(t, { boots: [{ name: 'none', kernel: './nowhere' }, ...one().boots] });
  const { code, stdout } = await gate('--accept');
  t.is(code, 1);
  t.regex(stdout, /none: the boot cannot be run: \.\/nowhere: there is no such file; check --kernel/);
  t.regex(stdout, /ok {6}start {2}new/);
});

test('a build runs once before its boots; when it fails, so do they, with its last lines', async (t) => {
  const build = `echo built >> log; cp ${guest('smc')} kernel.elf`;
  const { file, gate, configure } = await project(t, {
    build,
    boots: [
      { name: 'a', kernel: 'kernel.elf' },
      { name: 'b', kernel: 'kernel.elf' },
    ],
  });
  t.is((await gate('--accept')).code, 0);
  t.is(await readFile(file('log'), 'utf8'), 'built\n');
  await mkdir(file('sub'));
  await configure({
    boots: [{ name: 'a', kernel: 'kernel.elf', build: { command: 'pwd; echo no rule >&2; exit 2', cwd: 'sub' } }],
  });
  const { code, stdout } = await gate('a');
  t.is(code, 1);
  t.regex(stdout, /a: the build command "pwd; echo no rule >&2; exit 2" ended with exit status 2/);
  t.regex(stdout, /\/sub\n {2}no rule/);
});

test('baselines are not accepted in CI', async (t) => {
  const { file, gate } = await project(t, one(), { CI: 'true' });
  const { code, stderr } = await gate('--accept');
  t.is(code, 2);
  t.regex(stderr, /^vmreplay: --accept is for people, not for CI \(CI=true\); run it where somebody looks/);
  await t.throwsAsync(readFile(file('boot-baselines/start.txt')));
  t.is((await gate()).code, 1);
});

test('bad usage is one sentence and exit status 2', async (t) => {
  const { gate, configure } = await project(t);
  const sentence = async (...args: string[]) => {
    const { code, stdout, stderr } = await gate(...args);
    t.is(code, 2);
    t.is(stdout, '');
    return stderr;
  };
  t.is(
    await sentence(),
    'vmreplay: there is no vmreplay.config.json, .js, .mjs or .ts here; write one, or name it with --config\n',
  );
  await configure(one({ kernal: 'x' }));
  t.is(
    await sentence(),
    'vmreplay: vmreplay.config.json: boots[0]: there is no setting kernal; did you mean kernel?\n',
  );
  await configure(one());
  t.is(await sentence('nobody'), 'vmreplay: nobody: there is no such boot; there are start\n');
  for (const shard of ['0/2', '3/2', 'x', '1/0'])
    t.regex(await sentence('--shard', shard), /--shard <i\/n>.*I\/N is needed|--shard .*I\/N is needed/);
});

test('shards run every boot once', async (t) => {
  const names = ['a', 'b', 'c'];
  const { gate } = await project(t, { boots: names.map((name) => ({ name, kernel: guest('smc') })) });
  await gate('--accept');
  const [first, second] = [await gate('--shard', '1/2'), await gate('--shard', '2/2')];
  t.is(first.code, 0, first.stdout);
  t.is(second.code, 0);
  const ran = [...(first.stdout + second.stdout).matchAll(/^ok {6}(\w) /gm)].map(([, name]) => name);
  t.deepEqual(ran.sort(), names);
});

withNasm('a change of timing alone is one line when timing is ignored (needs: nasm)', async (t) => {
  const hold = { events: { ignore: ['timing'] } };
  const { file, gate } = await project(t, {
    boots: [
      { name: 'calm', kernel: 'kernel.elf', hold },
      { name: 'strict', kernel: 'kernel.elf' },
    ],
  });
  const source = await readFile(packageFile('corpus/irq-pit/irq-pit.asm'), 'utf8');
  const assemble = async (text: string) => {
    await writeFile(file('kernel.asm'), text);
    await execa('nasm', ['-f', 'bin', '-I', packageFile('corpus/'), '-o', file('kernel.elf'), file('kernel.asm')]);
  };
  await assemble(source);
  t.is((await gate('--accept')).code, 0);
  const slower = source.replace(/^(main:)/m, '$1\n times 50 nop');
  t.not(slower, source);
  await assemble(slower);
  const { code, stdout } = await gate();
  t.is(code, 1);
  t.regex(
    stdout,
    /^ok {6}calm {4}only timing changed: [\d,]+ events agree, first by 50 cycles, the boot is [\d,]+ cycles longer/m,
  );
  t.regex(stdout, /^FAILED {2}strict/m);
});

test('reports of shards are joined, and a shard that is missing is not passed over', async (t) => {
  const names = ['a', 'b', 'c'];
  const { file, gate, configure } = await project(t, { boots: names.map((name) => ({ name, kernel: guest('smc') })) });
  await gate('--accept');
  await configure({
    boots: names.map((name) => ({ name, kernel: guest('smc'), ...(name === 'b' && { memory: '64M' }) })),
  });
  const shards = ['1/2', '2/2'];
  const codes: (number | undefined)[] = [];
  for (const shard of shards) {
    const { code, stdout } = await gate('--shard', shard, '--reporter', `json=${shard[0]}.json`);
    t.regex(stdout, /passed|failed/, 'people see what happened all the same');
    codes.push(code);
  }
  t.deepEqual(codes.sort(), [0, 1]);
  const merged = await gate('--merge', '1.json', '2.json', '--reporter', 'json');
  t.is(merged.code, 1);
  const report = JSON.parse(merged.stdout);
  t.deepEqual(report.boots.map(({ name }: { name: string }) => name).sort(), names);
  t.is(report.shard, null);
  const refused = async (...args: string[]) => {
    const { code, stderr } = await gate('--merge', ...args);
    t.is(code, 2);
    return stderr;
  };
  t.regex(await refused('2.json'), /the report of shard 1\/2 is missing; run that shard, or name its report/);
  t.regex(await refused('1.json', '1.json'), /1\.json: shard 1\/2 is in 1\.json too; name each report once/);
  await writeFile(file('x.json'), '{}');
  t.regex(await refused('x.json'), /x\.json: is no report of vmreplay gate \(format: /);
  t.regex(await refused('1.json', '2.json', '--accept'), /--merge runs nothing; leave --accept/);
});

test('reports go to files, one to standard output, and the job summary where GitHub wants it', async (t) => {
  const { file, gate } = await project(t, one());
  const args = ['junit', 'tap', 'sarif', 'markdown', 'json'].flatMap((name) => [
    '--reporter',
    `${name}=report.${name}`,
  ]);
  t.is((await gate(...args)).code, 1);
  for (const [name, start] of [
    ['junit', '<?xml'],
    ['tap', 'TAP version 14'],
    ['sarif', '{'],
    ['markdown', '## Boots: 1 missing'],
  ] as const) {
    t.true((await readFile(file(`report.${name}`), 'utf8')).startsWith(start), name);
  }
  const github = await vmreplayWith(
    { cwd: file('.'), env: { CI: 'true', GITHUB_STEP_SUMMARY: file('summary.md') } },
    'gate',
    '--reporter',
    'github',
  );
  t.regex(github.stdout, /^::error file=vmreplay\.config\.json,title=start%3A baseline::.*no baseline yet/);
  t.regex(await readFile(file('summary.md'), 'utf8'), /^## Boots: 1 missing/);
  const two = await gate('--reporter', 'tap', '--reporter', 'json');
  t.is(two.code, 2);
  t.regex(two.stderr, /tap and json cannot both go to standard output; give one a file: --reporter json=FILE/);
  t.regex((await gate('--reporter', 'xml')).stderr, /there is terminal, junit, tap, sarif, github, markdown, json/);
  t.regex((await gate('--reporter', 'tap=no/where')).stderr, /no\/where: the report cannot be written: /);
});

withScript('a review is held at a terminal, and nowhere else (needs: script)', async (t) => {
  const { file, gate } = await project(t, one());
  const piped = await gate('--review');
  t.is(piped.code, 2);
  t.regex(piped.stderr, /--review asks on a terminal, and this is none; use --accept/);
  const command = `${process.execPath} ${program} gate --review`;
  const atTerminal = (env: Record<string, string>, input: string) =>
    execa('script', ['-qec', command, '/dev/null'], { cwd: file('.'), env, input, reject: false });
  const inCi = await atTerminal({ CI: '1' }, '');
  t.is(inCi.exitCode, 2);
  t.regex(inCi.stdout, /--review is for people, not for CI \(CI=1\)/);
  const { exitCode, stdout } = await atTerminal({ CI: '' }, 'show\naccept\n');
  t.is(exitCode, 0, stdout);
  t.regex(stdout, /1\/1 {2}start: missing/);
  t.regex(stdout, /\+ \| .*one/, 'shows what it would accept');
  t.is((await gate()).code, 0);
});

test('a gate that is killed while it accepts leaves the old baseline or the new one, and no process', async (t) => {
  t.timeout(300_000);
  const { file, gate, configure } = await project(t, one());
  t.is((await gate('--accept')).code, 0);
  const read = () => readFile(file('boot-baselines/start.txt'), 'utf8');
  let before = await read();
  for (const [round, delay] of [700, 1000, 1300, 1700, 2200].entries()) {
    await configure(one({ append: `${round}` }));
    const child = execa(process.execPath, [program, 'gate', '--accept'], {
      cwd: file('.'),
      env: { CI: '' },
      reject: false,
    });
    await new Promise((resolve) => setTimeout(resolve, delay));
    child.kill('SIGKILL');
    // Its output ends when nobody holds it any more: the processes of the boots are gone as well.
    await child;
    const after = await read();
    const { code } = await gate();
    t.is(code, after === before ? 1 : 0, 'the gate says which of the two it has');
    t.notRegex((await gate()).stdout, /unreadable|missing/);
    before = after;
  }
});

test('an interrupted gate says so, and leaves the baselines as they are', async (t) => {
  const { file } = await project(t, { boots: [{ name: 'loop', kernel: guest('endless-loop') }] });
  const child = execa(process.execPath, [program, 'gate', '--accept'], {
    cwd: file('.'),
    env: { CI: '', NO_COLOR: '1' },
    reject: false,
  });
  await new Promise((resolve) => setTimeout(resolve, 3000));
  child.kill('SIGINT');
  const { exitCode, stdout } = await child;
  t.is(exitCode, 130);
  t.regex(stdout, /stopped loop {2}stopped/);
  await t.throwsAsync(readFile(file('boot-baselines/loop.txt')));
});
