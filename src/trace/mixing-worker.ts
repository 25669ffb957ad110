// A thread of the mixing coder: takes payloads until there are none (mixing-pool.ts), then ends.
// It does nothing else: no files, no messages.
// Left out: everything but the work.

import { workerData } from 'node:worker_threads';
import { type SharedJobs, workOn } from './mixing-pool.js';

workOn(workerData as SharedJobs);
