// The program with all its verbs. The build joins another with few of them, which starts sooner: boots.ts.

import { addDemo } from './commands/demo.js';
import { addDiff } from './commands/diff.js';
import { addFetch } from './commands/fetch.js';
import { addFuzz } from './commands/fuzz.js';
import { addGate } from './commands/gate.js';
import { addInspect } from './commands/inspect.js';
import { addRecord } from './commands/record.js';
import { addReplay } from './commands/replay.js';
import { addRun } from './commands/run.js';
import { addView } from './commands/view.js';
import { start } from './program.js';

/** Do what the command line says. */
export const begin = (): Promise<void> =>
  start({
    record: addRecord,
    run: addRun,
    replay: addReplay,
    diff: addDiff,
    inspect: addInspect,
    view: addView,
    gate: addGate,
    fuzz: addFuzz,
    fetch: addFetch,
    demo: addDemo,
  });
