// A thread that packs memory and events while the guest runs (press-thread.ts).
// It lives until the recording ends it.
// Left out: everything but the work.

import { workerData } from 'node:worker_threads';
import { type PressLine, pressOnThread } from './press-thread.js';

pressOnThread(workerData as PressLine);
