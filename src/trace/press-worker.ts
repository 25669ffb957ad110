// A thread that packs memory while the guest runs (memory-press.ts).
// It lives until the recording ends it.
// Left out: everything but the work.

import { workerData } from 'node:worker_threads';
import { type PressLine, pressOnThread } from './memory-press.js';

pressOnThread(workerData as PressLine);
