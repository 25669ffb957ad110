// A thread that unpacks payloads until there are none (unpack-pool.ts), then ends.
// It does nothing else: no files, no messages.
// Left out: everything but the work.

import { workerData } from 'node:worker_threads';
import { type SharedJobs, workOn } from './unpack-pool.js';

workOn(workerData as SharedJobs);
