// Who runs batches: this thread, others (threads.ts), other machines (queue.ts). Results are the same.

import type { BootOptions } from '../../api/options.js';
import { UserError } from '../../api/user-error.js';
import { CaseRunner } from '../case-runner.js';
import { DifferentialRunner } from '../differential/differential-runner.js';
import type { FuzzOptions } from '../options.js';
import { loadPredicate } from '../predicate.js';
import type { Batch, BatchResult, BatchWatch } from './batch.js';
import { BatchRunner, type Runner } from './run-batch.js';

/** What a campaign wants to be asked for when a batch begins, at once or later. */
export type WatchOf = () => Pick<BatchWatch, 'known' | 'most'>;

export interface Executor {
  /** Batches that are worth having in hand. */
  readonly width: number;
  /** Settles in any order. @throws Error when the batch cannot be run */
  run(batch: Batch, watchOf: WatchOf): Promise<BatchResult>;
  /** Break off what runs: it settles soon, with what was done. */
  stop(): void;
  /** Cycle at which cases begin; known when a batch has been run. */
  readonly start: number | undefined;
  close(): Promise<void>;
}

/** What a thread needs to make its machine: plain data. */
export type RunnerPlan = Pick<
  FuzzOptions,
  'target' | 'boot' | 'panic' | 'caseCycles' | 'until' | 'symbols' | 'predicateFile' | 'coverage' | 'against' | 'skip'
>;

/** What can be sent. */
export function planOf(options: FuzzOptions): RunnerPlan {
  const { target, panic, caseCycles, until, symbols, predicateFile, against, guided = false, skip } = options;
  if (guided && against) throw new UserError('two boots that are compared note no edges; leave --guided out');
  return {
    target,
    boot: plainBoot(options.boot),
    coverage: guided,
    ...(panic && { panic }),
    ...(caseCycles !== undefined && { caseCycles }),
    ...(until !== undefined && { until }),
    ...(symbols !== undefined && { symbols }),
    ...(skip !== undefined && { skip }),
    ...(predicateFile !== undefined && { predicateFile }),
    ...(against && { against: { ...against, boot: plainBoot(against.boot) } }),
  };
}

function plainBoot({ onConsole, onDebugcon, onWarning, onProgress, signal, ...plain }: BootOptions): BootOptions {
  return plain;
}

/** The machine that cases run on. @throws UserError */
export async function makeRunner(plan: RunnerPlan, predicate?: FuzzOptions['predicate']): Promise<Runner> {
  const { target, boot, predicateFile, against } = plan;
  if (against) return new DifferentialRunner(target, boot, against, plan);
  const check = predicateFile === undefined ? predicate : await loadPredicate(predicateFile);
  return new CaseRunner(target, boot, { ...plan, ...(check && { predicate: check }) });
}

/** In this thread, between two turns of the event loop. */
export class Inline implements Executor {
  readonly width = 1;
  #stopped = false;
  readonly #batches: BatchRunner;

  constructor(
    private readonly runner: Runner,
    private readonly onCases: (cases: number) => void,
    private readonly shouldStop: () => boolean,
  ) {
    this.#batches = new BatchRunner(runner);
  }

  get start(): number {
    return this.runner.start;
  }

  async run(batch: Batch, watchOf: WatchOf): Promise<BatchResult> {
    await new Promise((resolve) => setImmediate(resolve));
    const stop = () => {
      this.#stopped ||= this.shouldStop();
      return this.#stopped;
    };
    return this.#batches.run(batch, { ...watchOf(), stop, onCases: this.onCases });
  }

  stop(): void {
    this.#stopped = true;
  }

  async close(): Promise<void> {}
}
