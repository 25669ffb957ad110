// vmreplay record: run a boot and write its trace.

import type { Command } from 'commander';
import { grouped } from '../../src/figures.js';
import { addBootOptions, bootOptions } from '../options/boot.js';
import { parsePositive, parseText } from '../options/values.js';
import { complain, type OutputOptions, Progress, print } from '../print/output.js';
import { traceText } from '../print/run.js';
import { consoleTo, interruptible } from '../terminal.js';

type Values = Parameters<typeof bootOptions>[0] &
  OutputOptions & { output: string; console?: boolean; checkpointEvery?: number; unsealed?: boolean };

export function addRecord(program: Command): void {
  addBootOptions(program.command('record'))
    .description('run a boot and write its trace')
    .requiredOption('-o, --output <file>', 'the trace to write', parseText)
    .option(
      '--checkpoint-every <cycles>',
      'put checkpoints into the trace, for replay --jobs: at the state hashes (every 134,217,728 cycles) next to ' +
        'multiples of it; each makes the trace a few MB larger',
      parsePositive,
    )
    .option(
      '--unsealed',
      'leave out of the trace what lies in the images of the boot: it is much shorter, has the same root, and needs ' +
        'them (where they were, beside it, or in the cache) to be replayed',
    )
    .option('--console', 'serial output to stdout as it comes')
    .action(async (_options, command: Command) => {
      const { output, console, quiet, checkpointEvery, unsealed, ...values } = command.optsWithGlobals<Values>();
      const { record } = await import('../../src/api/record.js');
      const progress = new Progress({ quiet: quiet === true || console === true });
      const result = await interruptible((signal) =>
        record({
          ...bootOptions(values),
          output,
          checkpointEvery,
          unsealed,
          signal,
          onWarning: complain,
          onProgress: (cycle) => progress.show(`recording: ${grouped(cycle)} cycles`),
          ...(console && { onConsole: consoleTo(process.stdout) }),
        }),
      );
      progress.clear();
      if (!quiet) {
        // The console has stdout for itself.
        const stream = console ? process.stderr : process.stdout;
        print({ stream }, traceText(output, result, stream));
      }
      process.exitCode = result.exitCode;
    });
}
