// The command line: arguments in, exit status out. Verbs do their work through the library, which is loaded only when a
// verb runs. Exit status: 0 as asked, 1 a difference, 2 bad usage or bad input, 3 the guest failed, 130 interrupted.

import { Command, CommanderError } from 'commander';
import { VERSION } from '../src/api/version.js';
import { askPatience, endPatience } from '../src/start/patience.js';
import { sentence, usageSentence } from './print/errors.js';
import { complain } from './print/output.js';

const BAD_INPUT = 2;

/** What adds a verb to the program, by the verb. */
export type Verbs = Readonly<Record<string, (program: Command) => void>>;

/** Do what the command line says. @returns when it is done; the exit status is set */
export async function start(verbs: Verbs): Promise<void> {
  const program = new Command('vmreplay')
    .description('A deterministic x86 PC: record boots, replay them from the trace alone, compare them event by event.')
    .version(VERSION)
    .option('-q, --quiet', 'no results, no progress: the exit status alone')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: (text) => complain(usageSentence(text)) });

  // What is set above is inherited by every verb. A verb that stands first is the only one that is needed.
  const [first] = process.argv.slice(2);
  const chosen = first !== undefined && Object.hasOwn(verbs, first) ? verbs[first] : undefined;
  for (const add of chosen ? [chosen] : Object.values(verbs)) add(program);
  for (const verb of program.commands) verb.option('-q, --quiet', 'no results, no progress: the exit status alone');

  if (first === undefined) {
    complain('a verb is needed; vmreplay --help lists them');
    process.exitCode = BAD_INPUT;
    return;
  }
  askPatience();
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version were asked for; everything else that commander throws has been said on stderr.
      process.exitCode = error.exitCode === 0 ? 0 : BAD_INPUT;
    } else {
      complain(sentence(error));
      process.exitCode = BAD_INPUT;
    }
  } finally {
    endPatience();
  }
}
