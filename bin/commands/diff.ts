// vmreplay diff: what two traces disagree about, in terms of the machine.

import type { Command } from 'commander';
import { collectFiles, collectNames, parseCount } from '../options/values.js';
import { hasColor, json, type OutputOptions, print } from '../print/output.js';

type Values = OutputOptions & { json?: boolean; only?: string[]; ignore?: string[]; context: number } & {
  symbols?: string[];
  replay: boolean;
};

export function addDiff(program: Command): void {
  program
    .command('diff')
    .description('compare two traces; exit status 1 when they differ')
    .argument('<a>', 'a trace')
    .argument('<b>', 'another')
    .option('--json', 'the result as JSON')
    .option(
      '--only <kind>',
      'compare these kinds, devices, phases or fw_cfg items only; repeatable, or separated by commas',
      collectNames,
    )
    .option(
      '--ignore <kind>',
      'leave these out; timing: when things happen; repeatable, or separated by commas',
      collectNames,
    )
    .option('--context <n>', 'events shown around a difference', parseCount, 5)
    .option('--symbols <file>', 'symbols of the guest: ELF or System.map; repeatable', collectFiles)
    .option('--no-replay', 'say what differs, and do not replay both sides to find out why')
    .action(async (a: string, b: string, _options, command: Command) => {
      const { only, ignore, context, symbols, replay, quiet, json: asJson } = command.optsWithGlobals<Values>();
      const { explainDivergence, formatExplanation } = await import('../../src/index.js');
      const result = await explainDivergence(a, b, {
        context,
        ...(only && { only }),
        ...(ignore && { ignore }),
        ...(symbols && { symbols }),
        ...(!replay && { replayLimit: 0 }),
      });
      const color = hasColor(process.stdout);
      const text = asJson ? json(result, 2) : formatExplanation(result, { color });
      print({ quiet: quiet === true }, text.trimEnd());
      process.exitCode = result.same ? 0 : 1;
    });
}
