// Unpacking payloads on several threads. They are independent of each other, so this thread and a few workers take the
// largest that is left until none is; this thread waits for what the others took. Results do not depend on who made
// them. From TypeScript sources, where there is no worker to start, and for little data this thread does it all.
//
// Invariant: a worker that does not start, fails or dies costs time only: its payload is done here.

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ChunkHeader } from './chunk-place.js';
import { decodePayload } from './chunks.js';

export interface UnpackJob {
  readonly header: ChunkHeader;
  readonly stored: Uint8Array;
}

/** What workers share: [next job, then the state of each], and the bytes. */
export interface SharedJobs {
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly jobs: readonly {
    readonly header: ChunkHeader;
    readonly stored: Uint8Array<SharedArrayBuffer>;
    readonly output: Uint8Array<SharedArrayBuffer>;
  }[];
}

const JOB_DONE = 1;
const JOB_FAILED = 2;
/** Bytes for which a worker is started. */
const WORTH_A_WORKER = 0x8_0000;
const MAX_WORKERS = 3;
/** Milliseconds after which a worker is given up. */
const PATIENCE = 60_000;

/** The module of a worker: beside this one, or where the build leaves it when it joins the modules. */
export const findWorker = (name: string, folders = ['.', '../src/trace']): URL | undefined =>
  folders.map((folder) => new URL(`${folder}/${name}`, import.meta.url)).find((url) => existsSync(url));

/**
 * Unpack payloads.
 * @param module of the worker; without one no thread is started
 * @returns results in order; undefined where there is none: unpack it alone to learn why
 */
export function unpackAll(
  jobs: readonly UnpackJob[],
  module = findWorker('unpack-worker.js'),
): (Uint8Array | undefined)[] {
  const total = jobs.reduce((sum, { header }) => sum + header.rawLength, 0);
  const wanted = Math.min(jobs.length - 1, availableParallelism() - 1, MAX_WORKERS, Math.floor(total / WORTH_A_WORKER));
  if (wanted <= 0 || !module) return jobs.map(alone);
  const order = jobs.map((_, i) => i).sort((a, b) => jobs[b]!.header.rawLength - jobs[a]!.header.rawLength);
  const shared: SharedJobs = {
    control: new Int32Array(new SharedArrayBuffer(4 + 4 * jobs.length)),
    jobs: order.map((i) => {
      const { header, stored } = jobs[i]!;
      const copy = new Uint8Array(new SharedArrayBuffer(stored.length));
      copy.set(stored);
      return { header, stored: copy, output: new Uint8Array(new SharedArrayBuffer(header.rawLength)) };
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
    const state = 1 + n;
    Atomics.wait(shared.control, state, 0, PATIENCE);
    const done = Atomics.load(shared.control, state);
    results[i] = done === JOB_DONE ? shared.jobs[n]!.output : done === JOB_FAILED ? undefined : alone(jobs[i]!);
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
    const result = alone(job);
    if (result) job.output.set(result);
    Atomics.store(control, 1 + n, result ? JOB_DONE : JOB_FAILED);
    Atomics.notify(control, 1 + n);
  }
}

function alone({ header, stored }: UnpackJob): Uint8Array | undefined {
  try {
    return decodePayload(header, stored);
  } catch {
    return undefined;
  }
}
