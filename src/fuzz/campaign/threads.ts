// Batches on worker threads, each with a machine of its own. A thread that dies is told of, and its batch is run once
// more on another; when that dies too, the batch is at fault.

import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { UserError } from '../../api/user-error.js';
import { ImageError } from '../../boot/boot-error.js';
import type { Batch, BatchResult } from './batch.js';
import type { Executor, RunnerPlan, WatchOf } from './executor.js';

/** The worker's module: beside this one, where the build leaves it when it joins the modules, or as source. */
const WORKER = ['./batch-worker.js', '../src/fuzz/campaign/batch-worker.js', './batch-worker.ts']
  .map((name) => new URL(name, import.meta.url))
  .find((url) => existsSync(url))!;

/** The module that a thread begins with; a source needs tsx first, which `--import` does not give to threads. */
function entryOf(module: URL): URL {
  if (!module.pathname.endsWith('.ts')) return module;
  const lines = [
    `import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))};`,
    `register(); await import(${JSON.stringify(module.href)});`,
  ];
  return new URL(`data:text/javascript,${encodeURIComponent(lines.join(' '))}`);
}

/** Words of the memory that all threads share: whether to stop, and cases that were done. */
export const STOP = 0;
export const CASES = 1;

export interface WorkerPlan {
  readonly plan: RunnerPlan;
  readonly shared: Int32Array;
}

/** A batch for a thread. */
export interface BatchTask {
  readonly batch: Batch;
  readonly known: ReadonlySet<string>;
  readonly most: number;
}

/** What it answers. */
export type BatchAnswer =
  | { readonly result: BatchResult; readonly start: number }
  | { readonly failure: string; readonly kind: 'user' | 'image' | 'fault' };

interface Task {
  readonly batch: Batch;
  readonly watchOf: WatchOf;
  readonly resolve: (result: BatchResult) => void;
  readonly reject: (error: Error) => void;
  deaths: number;
}

/** An answer of failure as what it was. */
export function failureOf({ failure, kind }: Extract<BatchAnswer, { failure: string }>): Error {
  if (kind === 'user') return new UserError(failure);
  return kind === 'image' ? new ImageError(failure) : new Error(failure);
}

export class Threads implements Executor {
  readonly width: number;
  start: number | undefined;
  readonly #shared = new Int32Array(new SharedArrayBuffer(8));
  readonly #waiting: Task[] = [];
  readonly #workers = new Map<Worker, Task | undefined>();
  #closed = false;

  constructor(
    private readonly plan: RunnerPlan,
    private readonly jobs: number,
    private readonly onWarning: (sentence: string) => void,
  ) {
    // One more for each than it works on, so that none waits for the merging of an earlier one.
    this.width = 2 * jobs;
  }

  /** Cases done since the last call, of batches that are under way or over. */
  takeCases(): number {
    return Atomics.exchange(this.#shared, CASES, 0);
  }

  run(batch: Batch, watchOf: WatchOf): Promise<BatchResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, watchOf, resolve, reject, deaths: 0 });
      this.#share();
    });
  }

  stop(): void {
    Atomics.store(this.#shared, STOP, 1);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#workers.keys()].map((worker) => worker.terminate()));
  }

  /** Work for all who have none. */
  #share(): void {
    while (this.#waiting.length > 0) {
      const idle = [...this.#workers].find(([, task]) => task === undefined)?.[0];
      const worker = idle ?? (this.#workers.size < this.jobs ? this.#startWorker() : undefined);
      if (worker === undefined) return;
      const task = this.#waiting.shift()!;
      this.#workers.set(worker, task);
      worker.postMessage({ batch: task.batch, ...task.watchOf() } satisfies BatchTask);
    }
  }

  #startWorker(): Worker {
    const workerData: WorkerPlan = { plan: this.plan, shared: this.#shared };
    const worker = new Worker(entryOf(WORKER), { workerData, execArgv: [] });
    this.#workers.set(worker, undefined);
    let reason: string | undefined;
    worker.on('message', (answer: BatchAnswer) => {
      const task = this.#workers.get(worker);
      this.#workers.set(worker, undefined);
      if ('failure' in answer) task?.reject(failureOf(answer));
      else {
        this.start = answer.start;
        task?.resolve(answer.result);
      }
      this.#share();
    });
    worker.on('error', (error) => {
      reason = error.message;
    });
    worker.on('exit', (code) => this.#died(worker, reason ?? `exit status ${code}`));
    return worker;
  }

  #died(worker: Worker, reason: string): void {
    const task = this.#workers.get(worker);
    this.#workers.delete(worker);
    if (task === undefined || this.#closed) return;
    const { index, seed } = task.batch;
    if (++task.deaths > 1) {
      const what = `batch ${index} (seed ${seed}) ended its thread twice: ${reason}`;
      task.reject(
        new UserError(`${what}; fewer --jobs need less memory, and --jobs 1 with --seed ${seed} has it alone`),
      );
      return;
    }
    this.onWarning(`the thread of batch ${index} ended: ${reason}; the batch is run once more`);
    this.#waiting.unshift(task);
    this.#share();
  }
}
