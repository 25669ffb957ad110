// A thread that packs memory and events while the guest runs (press-thread.ts).
// It lives until the recording ends it.
// Left out: everything but the work.

import { setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import { type PressLine, pressOnThread } from './press-thread.js';

/** Of the values that Unix calls nice: the guest goes first where there are more threads than processors. */
const BEHIND_THE_GUEST = 10;

// On Linux 0 is the calling thread, elsewhere it is the process. A system that does not let it is no reason to stop.
if (process.platform === 'linux') {
  try {
    setPriority(0, BEHIND_THE_GUEST);
  } catch {}
}
pressOnThread(workerData as PressLine);
