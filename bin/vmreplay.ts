#!/usr/bin/env node
// The command line: arguments in, exit status out. Verbs are declared here and do their work through the library,
// which is loaded only when a verb runs. Exit status: 0 as asked, 1 a difference, 2 bad usage or bad input,
// 3 the guest failed, 130 interrupted.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addDemo } from './commands/demo.js';
import { addDiff } from './commands/diff.js';
import { addFetch } from './commands/fetch.js';
import { addGate } from './commands/gate.js';
import { addInspect } from './commands/inspect.js';
import { addRecord } from './commands/record.js';
import { addReplay } from './commands/replay.js';
import { addRun } from './commands/run.js';
import { packageFile } from './package.js';
import { sentence, usageSentence } from './print/errors.js';
import { complain } from './print/output.js';

const BAD_INPUT = 2;

// A reader that has seen enough (head, a pager) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string };

const program = new Command('vmreplay')
  .description('A deterministic x86 PC: record boots, replay them from the trace alone, compare them event by event.')
  .version(version)
  .option('-q, --quiet', 'no results, no progress: the exit status alone')
  .helpCommand(false)
  .exitOverride()
  .configureOutput({ outputError: (text) => complain(usageSentence(text)) });

// What is set above is inherited by every verb.
for (const add of [addRecord, addRun, addReplay, addDiff, addInspect, addGate, addFetch, addDemo]) add(program);
for (const verb of program.commands) verb.option('-q, --quiet', 'no results, no progress: the exit status alone');

try {
  if (process.argv.length <= 2) {
    complain('a verb is needed; vmreplay --help lists them');
    process.exitCode = BAD_INPUT;
  } else {
    await program.parseAsync();
  }
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version were asked for; everything else that commander throws has been said on stderr.
    process.exitCode = error.exitCode === 0 ? 0 : BAD_INPUT;
  } else {
    complain(sentence(error));
    process.exitCode = BAD_INPUT;
  }
}
