// vmreplay gate: boots as regression tests. The configuration says which boots there are and what each is held to.

import { type Command, InvalidArgumentError } from 'commander';
import { UserError } from '../../src/api/user-error.js';
import type { GateOptions, Shard } from '../../src/gate/index.js';
import { parsePositive, parseText } from '../options/values.js';
import { grouped, hasColor, type OutputOptions, Progress, print } from '../print/output.js';
import { interruptible } from '../terminal.js';

type Values = OutputOptions & {
  accept?: boolean;
  config?: string;
  jobs?: number;
  shard?: Shard;
};

export function addGate(program: Command): void {
  program
    .command('gate')
    .description('hold boots to their baselines; exit status 1 when one does not hold')
    .argument('[name...]', "boots of the configuration (default: all); a boot's name stands for all of its routes")
    .option('--accept', 'make what the boots do now their baselines; never in CI')
    .option('--config <file>', 'the configuration (default: vmreplay.config.ts, .mjs, .js or .json here)', parseText)
    .option('--jobs <n>', 'boots at once (default: one for each processor)', parsePositive)
    .option('--shard <i/n>', 'run part i of n; the split depends on names alone', parseShard)
    .action(async (names: string[], _options, command: Command) => {
      const values = command.optsWithGlobals<Values>();
      process.exitCode = await gate(names, values);
    });
}

async function gate(names: readonly string[], values: Values): Promise<number> {
  if (values.accept) refuseInCi('--accept');
  const output = { quiet: values.quiet === true };
  const { loadConfig, runGate, terminalReport } = await import('../../src/gate/index.js');
  const loaded = await loadConfig(process.cwd(), values.config);
  const progress = new Progress(output);
  const cycles = new Map<string, number>();
  const show = () => {
    const running = [...cycles].map(([name, cycle]) => `${name} ${grouped(cycle)}`);
    progress.show(running.length === 0 ? 'gate …' : `${running.join(', ')} cycles`);
  };
  const run = await interruptible((signal) => {
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
        show();
      },
    };
    show();
    return runGate(loaded, options);
  });
  try {
    progress.clear();
    const { stdout } = process;
    const screen = { ...(stdout.isTTY && { rows: stdout.rows, columns: stdout.columns }) };
    print(output, terminalReport(run.report, { color: hasColor(stdout), ...screen }));
    return run.report.exitCode;
  } finally {
    run.dispose();
  }
}

/** Baselines are accepted by people. @throws UserError when CI is set */
function refuseInCi(option: string): void {
  const { CI } = process.env;
  if (CI === undefined || CI === '' || CI === 'false' || CI === '0') return;
  throw new UserError(
    `${option} is for people, not for CI (CI=${CI}); run it where somebody looks, and commit what it writes`,
  );
}

function parseShard(text: string): Shard {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || count < 1 || index < 1 || index > count)
    throw new InvalidArgumentError('I/N is needed, with I from 1 to N, such as 1/4');
  return { index, count };
}
