// vmreplay replay: run a trace again, every event compared. Sealed by default: nothing but the trace is needed.

import type { Command } from 'commander';
import type { ReplayOptions } from '../../src/index.js';
import { collectScreenshots, parsePositive } from '../options/values.js';
import { complain, hasColor, type OutputOptions, Progress, print } from '../print/output.js';
import { runText } from '../print/run.js';
import { consoleTo, interruptible } from '../terminal.js';

type Values = OutputOptions & {
  live?: boolean;
  jobs?: number;
  console?: boolean;
  screenshot?: ReplayOptions['screenshots'];
};

export function addReplay(program: Command): void {
  program
    .command('replay')
    .description('run a boot again from its trace alone; every event is compared')
    .argument('<file>', 'a trace')
    .option('--live', 'devices run too, and every answer of theirs is compared')
    .option(
      '--jobs <n>',
      'at most so many threads replay the parts between checkpoints (record --checkpoint-every), fewer where that is quicker',
      parsePositive,
    )
    .option('--screenshot <file@cycle>', 'write the screen as a PNG file; repeatable', collectScreenshots)
    .option('--console', 'serial output to stdout as it comes')
    .action(async (file: string, _options, command: Command) => {
      const { live, jobs, console, quiet, screenshot } = command.optsWithGlobals<Values>();
      const { renderDivergence, replay } = await import('../../src/index.js');
      // The console has stdout for itself.
      const output = { quiet: quiet === true, stream: console ? process.stderr : process.stdout };
      const progress = new Progress({ quiet: quiet === true || console === true });
      progress.show(`replaying ${file}`);
      const result = await interruptible((signal) =>
        replay(file, {
          live: live === true,
          jobs,
          signal,
          onWarning: complain,
          ...(screenshot && { screenshots: screenshot }),
          ...(console && { onConsole: consoleTo(process.stdout) }),
        }),
      );
      progress.clear();
      if (result.divergence) {
        print(output, await renderDivergence(file, result.divergence, { color: hasColor(output.stream) }));
      } else if (result.exitCode === 0) {
        print(output, `${runText(result, output.stream)}\nno difference, root ${result.root}`);
      }
      process.exitCode = result.exitCode;
    });
}
