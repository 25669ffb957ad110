// Batches on many machines, by a queue. The leader, who plans and merges, puts batches into it and looks what became of
// them; workers (serve-queue.ts) take them out. A job is named by its content, so that a leader who was killed and
// started again comes upon its own jobs, and whatever is run twice gives the same once more.
//
// A server that was away and has forgotten a job gets it again. A worker that dies leaves its job to the others (BullMQ's
// stalled jobs); a batch that too many die of is at fault. Images do not travel: a worker needs the same files, told by
// their hashes (identity.ts). Invariant: a batch is merged once, by the leader alone.

import { createHash } from 'node:crypto';
import { UserError } from '../../api/user-error.js';
import type { Batch, BatchResult } from './batch.js';
import { type BullQueue, loadBull, Outages, type QueueAddress } from './bull.js';
import type { Executor, RunnerPlan, WatchOf } from './executor.js';
import type { Identity } from './identity.js';
import { type BatchAnswer, failureOf } from './threads.js';
import { readText, textOf } from './wire.js';

/** What a worker gets. */
export interface QueueJob {
  readonly plan: RunnerPlan;
  readonly identity: Identity;
  readonly batch: Batch;
  readonly known: readonly string[];
}

/** What it gives back; `misfit` when its files are others. */
export type QueueAnswer = BatchAnswer | { readonly misfit: string };

const LOOK_EVERY = 100;
const WIDTH = 64;
/** Seconds after which the server forgets what nobody asked for any more. */
const FORGET = 86_400;
/** How long a farewell to a server that is gone may take, ms. */
const FAREWELL = 2000;

interface Pending {
  readonly batch: Batch;
  readonly text: string;
  readonly resolve: (result: BatchResult) => void;
  readonly reject: (error: Error) => void;
  deaths: number;
}

export class QueueExecutor implements Executor {
  readonly width = WIDTH;
  start: number | undefined;
  readonly #pending = new Map<string, Pending>();
  #stopped = false;
  #closed = false;
  readonly #looking: Promise<void>;

  private constructor(
    private readonly queue: BullQueue,
    private readonly outages: Outages,
    private readonly plan: RunnerPlan,
    private readonly identity: Identity,
    private readonly onCases: (cases: number) => void,
    private readonly onWarning: (sentence: string) => void,
  ) {
    this.#looking = this.#lookOn();
  }

  /** @throws UserError when BullMQ is not installed, or the server cannot be reached */
  static async open(
    address: QueueAddress,
    plan: RunnerPlan,
    identity: Identity,
    onCases: (cases: number) => void,
    onWarning: (sentence: string) => void,
  ): Promise<QueueExecutor> {
    const { Queue } = await loadBull();
    const outages = new Outages(address, onWarning);
    const queue = new Queue(address.name, { connection: address.connection });
    outages.watch(queue);
    await outages.ready(queue, 'queue');
    return new QueueExecutor(queue, outages, plan, identity, onCases, onWarning);
  }

  run(batch: Batch, watchOf: WatchOf): Promise<BatchResult> {
    const { plan, identity } = this;
    const id = createHash('sha256').update(textOf({ identity, batch })).digest('hex');
    const text = textOf({ plan, identity, batch, known: [...watchOf().known] } satisfies QueueJob);
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { batch, text, resolve, reject, deaths: 0 });
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const [id, { resolve }] of this.#pending) {
      resolve({ cases: 0, verdicts: new Uint8Array(), found: [], fresh: [] });
      void this.#remove(id);
    }
    this.#pending.clear();
  }

  async close(): Promise<void> {
    this.stop();
    this.#closed = true;
    const farewell = new Promise<void>((resolve) => setTimeout(resolve, FAREWELL).unref());
    this.outages.end();
    await Promise.race([this.#looking.then(() => this.queue.close()), farewell]);
    await Promise.race([this.queue.disconnect(), farewell]).catch(() => {});
  }

  /** Look after all jobs, again and again. */
  async #lookOn(): Promise<void> {
    while (!this.#closed) {
      try {
        await Promise.all([...this.#pending].map(([id, job]) => this.#look(id, job)));
        this.outages.over();
      } catch (error) {
        // The server is starting, or has gone in the middle of an answer; the next look tells.
        this.outages.note(error as Error);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    }
  }

  async #look(id: string, pending: Pending): Promise<void> {
    const state = await this.queue.getJobState(id);
    if (state === 'unknown') return this.#add(id, pending);
    if (state !== 'completed' && state !== 'failed') return;
    const job = await this.queue.getJob(id);
    if (job === undefined || this.#stopped) return;
    await job.remove();
    const { index } = pending.batch;
    if (state === 'failed') {
      if (++pending.deaths > 1) {
        const what = `batch ${index} (seed ${pending.batch.seed}) ended its workers again and again: ${job.failedReason}`;
        return this.#settle(id, () => pending.reject(new UserError(`${what}; run it with --jobs 1 and that seed`)));
      }
      this.onWarning(`batch ${index} failed: ${job.failedReason}; it is run once more`);
      return this.#add(id, pending);
    }
    const answer = readText(String(job.returnvalue)) as QueueAnswer;
    if ('misfit' in answer) {
      this.onWarning(answer.misfit);
      return this.#add(id, pending);
    }
    this.#settle(id, () => {
      if ('failure' in answer) return pending.reject(failureOf(answer));
      this.start = answer.start;
      this.onCases(answer.result.cases);
      pending.resolve(answer.result);
    });
  }

  async #add(id: string, { text }: Pending): Promise<void> {
    const age = { age: FORGET };
    await this.queue.add('batch', { text }, { jobId: id, removeOnComplete: age, removeOnFail: age });
  }

  #settle(id: string, act: () => void): void {
    if (this.#pending.delete(id)) act();
  }

  /** One that nobody has begun; of others the result is left to be forgotten. */
  async #remove(id: string): Promise<void> {
    try {
      await (await this.queue.getJob(id))?.remove();
    } catch {
      // A worker has it.
    }
  }
}
