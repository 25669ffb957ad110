// The mixing coder on several threads. Payloads are independent of each other, so this thread and a few workers take
// the largest that is left until none is; this thread waits for what the others took. Results do not depend on who
// made them. From TypeScript sources, where there is no worker to start, and for little data this thread does it all.
//
// Invariant: a worker that does not start, fails or dies costs time only: its payload is done here.

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { mix, unmix } from './mixing-coder.js';

export interface MixingJob {
  readonly input: Uint8Array;
  /** Bytes to make of it; undefined to encode. */
  readonly length?: number;
}

/** What workers share: states of jobs (JOB_*), lengths of results, and the bytes. */
export interface SharedJobs {
  /** [next job, then state and length of each]. */
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly jobs: readonly {
    readonly input: Uint8Array<SharedArrayBuffer>;
    readonly output: Uint8Array<SharedArrayBuffer>;
    readonly decode: boolean;
  }[];
}

const JOB_DONE = 1;
const JOB_FAILED = 2;
/** Bytes for which a worker is started. */
const WORTH_A_WORKER = 0x8_0000;
const MAX_WORKERS = 3;
/** Milliseconds after which a worker is given up. */
const PATIENCE = 60_000;

/** The worker's module: beside this one, or where the build leaves it when it joins the modules. */
const WORKER = ['./mixing-worker.js', '../src/trace/mixing-worker.js']
  .map((name) => new URL(name, import.meta.url))
  .find((url) => existsSync(url));

/**
 * Encode or decode payloads.
 * @param module of the worker; without one no thread is started
 * @returns results in order; undefined where there is none: incompressible, or damaged (decode it alone to learn why)
 */
export function mixAll(jobs: readonly MixingJob[], module = WORKER): (Uint8Array | undefined)[] {
  const total = jobs.reduce((sum, { input, length }) => sum + (length ?? input.length), 0);
  const wanted = Math.min(jobs.length - 1, availableParallelism() - 1, MAX_WORKERS, Math.floor(total / WORTH_A_WORKER));
  if (wanted <= 0 || !module) return jobs.map(alone);
  const size = ({ input, length }: MixingJob) => length ?? input.length;
  const order = jobs.map((_, i) => i).sort((a, b) => size(jobs[b]!) - size(jobs[a]!));
  const shared: SharedJobs = {
    control: new Int32Array(new SharedArrayBuffer(4 + 8 * jobs.length)),
    jobs: order.map((i) => {
      const job = jobs[i]!;
      const input = new Uint8Array(new SharedArrayBuffer(job.input.length));
      input.set(job.input);
      return {
        input,
        output: new Uint8Array(new SharedArrayBuffer(size(job))),
        decode: job.length !== undefined,
      };
    }),
  };
  const workers: Worker[] = [];
  for (let i = 0; i < wanted; i++) {
    const worker = new Worker(module, { workerData: shared, execArgv: [] });
    worker.on('error', () => {});
    worker.unref();
    workers.push(worker);
  }
  workOn(shared);
  const results: (Uint8Array | undefined)[] = [];
  order.forEach((i, n) => {
    const { output, decode } = shared.jobs[n]!;
    const state = 1 + 2 * n;
    Atomics.wait(shared.control, state, 0, PATIENCE);
    const done = Atomics.load(shared.control, state) === JOB_DONE;
    if (done) results[i] = output.subarray(0, shared.control[state + 1]!);
    else results[i] = decode || Atomics.load(shared.control, state) === JOB_FAILED ? undefined : alone(jobs[i]!);
  });
  for (const worker of workers) void worker.terminate();
  return results;
}

/** Take jobs until there are none. Never throws. */
export function workOn({ control, jobs }: SharedJobs): void {
  for (;;) {
    const n = Atomics.add(control, 0, 1);
    const job = jobs[n];
    if (!job) return;
    const result = alone({ input: job.input, ...(job.decode && { length: job.output.length }) });
    if (result) {
      job.output.set(result);
      control[2 + 2 * n] = result.length;
    }
    Atomics.store(control, 1 + 2 * n, result ? JOB_DONE : JOB_FAILED);
    Atomics.notify(control, 1 + 2 * n);
  }
}

function alone({ input, length }: MixingJob): Uint8Array | undefined {
  try {
    return length === undefined ? mix(input) : unmix(input, length);
  } catch {
    return undefined;
  }
}
