// vmreplay view: one trace or two as a page that needs nothing but itself.

import type { Command } from 'commander';
import { grouped, sizeText } from '../../src/figures.js';
import { collectNames, parsePositive, parseText } from '../options/values.js';
import { type OutputOptions, Progress, print } from '../print/output.js';

type Values = OutputOptions & { output: string; symbols?: string[]; interval?: number; replay: boolean };

export function addView(program: Command): void {
  program
    .command('view')
    .description('write a page that shows one trace, or two and what they disagree about')
    .argument('<file>', 'a trace')
    .argument('[file2]', 'another, to compare it with')
    .requiredOption('-o, --output <file>', 'the page to write', parseText)
    .option(
      '--symbols <file>',
      'names of functions: an ELF file, a System.map or a packed kernel; repeatable',
      collectNames,
    )
    .option('--interval <cycles>', 'cycles between two processor samples', parsePositive)
    .option('--no-replay', 'leave out what takes a replay: processor samples and registers')
    .action(async (file: string, other: string | undefined, _options, command: Command) => {
      const { output, symbols, interval, quiet, replay } = command.optsWithGlobals<Values>();
      const { view } = await import('../../src/index.js');
      const progress = new Progress({ quiet: quiet === true });
      const result = await view(other === undefined ? [file] : [file, other], {
        output,
        noReplay: !replay,
        ...(symbols && { symbols }),
        ...(interval !== undefined && { interval }),
        onProgress: (text) => progress.show(text),
      });
      progress.clear();
      const events = result.events.map(grouped).join(' and ');
      print({ quiet: quiet === true }, `${output}: ${sizeText(result.bytes)}, ${events} events`);
    });
}
