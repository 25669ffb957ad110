// The program as far as recording and running need it: V8 reads the compiled form of all of it before anything runs, and
// the other verbs are half of it. The launcher chooses by the first word.

import { addRecord } from './commands/record.js';
import { addRun } from './commands/run.js';
import { start } from './program.js';

/** Do what the command line says. */
export const begin = (): Promise<void> => start({ record: addRecord, run: addRun });
