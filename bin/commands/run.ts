// vmreplay run: the same boot without a trace, serial console on the terminal. What the run came to goes to stderr,
// so that stdout is the guest's alone.

import type { Command } from 'commander';
import { grouped } from '../../src/figures.js';
import { addBootOptions, bootOptions } from '../options/boot.js';
import type { OutputOptions } from '../print/output.js';
import { complain } from '../print/output.js';
import { endText } from '../print/run.js';
import { consoleTo, interruptible } from '../terminal.js';

type Values = Parameters<typeof bootOptions>[0] & OutputOptions;

export function addRun(program: Command): void {
  addBootOptions(program.command('run'))
    .description('run a boot without a trace, serial console on the terminal')
    .action(async (_options, command: Command) => {
      const { quiet, ...values } = command.optsWithGlobals<Values>();
      const { run } = await import('../../src/api/record.js');
      const result = await interruptible((signal) =>
        run({
          ...bootOptions(values),
          hashState: false,
          signal,
          onWarning: complain,
          onConsole: consoleTo(process.stdout),
        }),
      );
      if (!quiet && (process.stderr.isTTY || result.exitCode !== 0)) {
        complain(`${endText(result.end)} after ${grouped(result.cycles)} cycles`);
      }
      process.exitCode = result.exitCode;
    });
}
