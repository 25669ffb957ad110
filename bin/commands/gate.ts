// vmreplay gate: boots as regression tests. The configuration says which boots there are and what each is held to.

import { appendFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { UserError } from '../../src/api/user-error.js';
import { grouped } from '../../src/figures.js';
import type { GateOptions, GateReport, GateRun, Shard } from '../../src/gate/index.js';
import { systemReason } from '../../src/trace/error.js';
import { writeWhole } from '../../src/whole-file.js';
import { parsePositive, parseText } from '../options/values.js';
import { hasColor, type OutputOptions, Progress, print } from '../print/output.js';
import { interruptible } from '../terminal.js';

interface Reporter {
  readonly name: string;
  /** Standard output when undefined. */
  readonly file: string | undefined;
}

type Values = OutputOptions & {
  accept?: boolean;
  review?: boolean;
  config?: string;
  jobs?: number;
  shard?: Shard;
  reporter?: Reporter[];
  merge?: string[];
};

const NAMES = ['terminal', 'junit', 'tap', 'sarif', 'github', 'markdown', 'json'];

export function addGate(program: Command): void {
  program
    .command('gate')
    .description('hold boots to their baselines; exit status 1 when one does not hold')
    .argument('[name...]', "boots of the configuration (default: all); a boot's name stands for all of its routes")
    .option('--accept', 'make what the boots do now their baselines; never in CI')
    .option('--review', 'ask about each boot that does not hold: accept, reject, show, next; on a terminal')
    .option('--config <file>', 'the configuration (default: vmreplay.config.ts, .mjs, .js or .json here)', parseText)
    .option('--jobs <n>', 'boots at once (default: one for each processor)', parsePositive)
    .option(
      '--reporter <name[=file]>',
      `${NAMES.join(', ')}, to standard output or a file; repeatable (default: terminal)`,
      collectReporters,
    )
    .option('--shard <i/n>', 'run part i of n; the split depends on names alone', parseShard)
    .option('--merge <file...>', 'run nothing: join the JSON reports of shards into one')
    .action(async (names: string[], _options, command: Command) => {
      const values = command.optsWithGlobals<Values>();
      process.exitCode = await gate(names, values);
    });
}

async function gate(names: readonly string[], values: Values): Promise<number> {
  const reporters = reportersOf(values);
  if (values.accept) refuseInCi('--accept');
  if (values.review) refuseReview(values);
  if (values.merge) {
    if (values.accept || values.shard || names.length > 0)
      throw new UserError('--merge runs nothing; leave --accept, --shard and names of boots out');
    const { mergeReports } = await import('../../src/gate/index.js');
    return await tell(mergeReports(values.merge), reporters, values);
  }
  const run = await runBoots(names, values);
  try {
    const stopped = run.report.exitCode === 130;
    return await tell(values.review && !stopped ? await reviewed(run) : run.report, reporters, values);
  } finally {
    run.dispose();
  }
}

async function runBoots(names: readonly string[], values: Values): Promise<GateRun> {
  const { loadConfig, runGate } = await import('../../src/gate/index.js');
  const loaded = await loadConfig(process.cwd(), values.config);
  const progress = new Progress({ quiet: values.quiet === true });
  const cycles = new Map<string, number>();
  let left = '';
  const show = () => {
    const running = [...cycles].map(([name, cycle]) => `${name} ${grouped(cycle)}`).join(', ');
    progress.show(running === '' ? `gate${left} …` : `gate${left}: ${running} cycles`);
  };
  let done = 0;
  try {
    return await interruptible((signal) => {
      const options: GateOptions = {
        names,
        signal,
        accept: values.accept === true,
        shard: values.shard,
        jobs: values.jobs,
        onProgress: (name, cycle) => {
          cycles.set(name, cycle);
          show();
        },
        onBoot: ({ name }) => {
          cycles.delete(name);
          left = ` ${++done} done`;
          show();
        },
      };
      show();
      return runGate(loaded, options);
    });
  } finally {
    progress.clear();
  }
}

/** Ask on the terminal what is to become of each failure. */
async function reviewed(run: GateRun): Promise<GateReport> {
  const { review } = await import('../../src/gate/index.js');
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  // What is typed ahead of a question waits for it.
  const answers = lines[Symbol.asyncIterator]();
  try {
    return await review(run, {
      write: (text) => process.stdout.write(text),
      ask: async (question) => {
        lines.setPrompt(question);
        lines.prompt();
        const { value, done } = await answers.next();
        return done ? undefined : value;
      },
    });
  } finally {
    lines.close();
  }
}

/** @throws UserError where nobody can answer */
function refuseReview({ accept, merge, quiet }: Values): void {
  refuseInCi('--review');
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new UserError('--review asks on a terminal, and this is none; use --accept, or run it at a terminal');
  if (accept || merge || quiet)
    throw new UserError('--review decides boot by boot; leave --accept, --merge and --quiet out');
}

/** Write the reports. @returns the exit status */
async function tell(report: GateReport, reporters: readonly Reporter[], values: Values): Promise<number> {
  const { REPORTERS, markdownReport } = await import('../../src/gate/index.js');
  const { stdout } = process;
  for (const { name, file } of reporters) {
    if (file === undefined) {
      const screen = { ...(stdout.isTTY && { rows: stdout.rows, columns: stdout.columns }) };
      const text = REPORTERS[name]!(report, { color: hasColor(stdout), ...screen });
      print({ quiet: values.quiet === true }, text);
    } else written(file, () => writeWhole(file, REPORTERS[name]!(report)));
    const summary = process.env.GITHUB_STEP_SUMMARY;
    if (name === 'github' && summary) written(summary, () => appendFileSync(summary, markdownReport(report)));
  }
  return report.exitCode;
}

function written(file: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw new UserError(`${file}: the report cannot be written: ${systemReason(error)}; check --reporter`);
  }
}

/** Where none writes to standard output, people still see what happened. @throws UserError */
function reportersOf({ reporter = [] }: Values): readonly Reporter[] {
  const shown = reporter.filter(({ file }) => file === undefined);
  if (shown.length > 1) {
    const names = shown.map(({ name }) => name).join(' and ');
    throw new UserError(
      `${names} cannot both go to standard output; give one a file: --reporter ${shown[1]!.name}=FILE`,
    );
  }
  return shown.length === 0 ? [...reporter, { name: 'terminal', file: undefined }] : reporter;
}

/** Baselines are accepted by people. @throws UserError when CI is set */
function refuseInCi(option: string): void {
  const { CI } = process.env;
  if (CI === undefined || CI === '' || CI === 'false' || CI === '0') return;
  throw new UserError(
    `${option} is for people, not for CI (CI=${CI}); run it where somebody looks, and commit what it writes`,
  );
}

function collectReporters(text: string, before: Reporter[] = []): Reporter[] {
  const [, name, file] = /^([^=]*)(?:=(.*))?$/s.exec(text) as unknown as [string, string, string?];
  if (!NAMES.includes(name)) throw new InvalidArgumentError(`there is ${NAMES.join(', ')}, each also as NAME=FILE`);
  if (file === '') throw new InvalidArgumentError('a file is needed behind =');
  return [...before, { name, file }];
}

function parseShard(text: string): Shard {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || count < 1 || index < 1 || index > count)
    throw new InvalidArgumentError('I/N is needed, with I from 1 to N, such as 1/4');
  return { index, count };
}
