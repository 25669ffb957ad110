// The program as far as recording and running need it: V8 reads the compiled form of all of it before anything runs, and
// the other verbs are half of it. The launcher chooses by the first word.

import { addRecord } from './commands/record.js';
import { addRun } from './commands/run.js';
import { start } from './program.js';

/** Settled when the verb is done. */
export const done = start({ record: addRecord, run: addRun });
