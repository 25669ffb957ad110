// vmreplay diff: what two traces disagree about, in terms of the machine.

import type { Command } from 'commander';
import { collectNames, parseCount } from '../options/values.js';
import { hasColor, json, type OutputOptions, print } from '../print/output.js';

type Values = OutputOptions & { json?: boolean; only?: string[]; ignore?: string[]; context: number };

export function addDiff(program: Command): void {
  program
    .command('diff')
    .description('compare two traces; exit status 1 when they differ')
    .argument('<a>', 'a trace')
    .argument('<b>', 'another')
    .option('--json', 'the result as JSON')
    .option('--only <kind>', 'compare these kinds of events only; repeatable, or separated by commas', collectNames)
    .option('--ignore <kind>', 'leave these kinds of events out; repeatable, or separated by commas', collectNames)
    .option('--context <n>', 'events shown around a difference', parseCount, 5)
    .action(async (a: string, b: string, _options, command: Command) => {
      const { only, ignore, context, quiet, json: asJson } = command.optsWithGlobals<Values>();
      const { diff, renderDiff } = await import('../../src/index.js');
      const result = await diff(a, b, { context, ...(only && { only }), ...(ignore && { ignore }) });
      const text = asJson ? json(result, 2) : renderDiff(result, { color: hasColor(process.stdout) });
      print({ quiet: quiet === true }, text.trimEnd());
      process.exitCode = result.same ? 0 : 1;
    });
}
