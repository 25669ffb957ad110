// A machine that helps with campaigns: takes batches out of a queue, runs them on threads of its own, and gives results
// back. The event loop stays free, so that BullMQ can say that a job is still worked on.
// Invariant: it helps only where what the guest sees is the same as with the leader (identity.ts); else it says what
// differs, gives the job back, and ends.

import { hostname } from 'node:os';
import { UserError } from '../../api/user-error.js';
import { ImageError } from '../../boot/boot-error.js';
import type { ServeOptions } from '../options.js';
import { type BullJob, loadBull, Outages, queueAddress } from './bull.js';
import { differenceOf, identityOf } from './identity.js';
import type { QueueAnswer, QueueJob } from './queue.js';
import { Threads } from './threads.js';
import { readText, textOf } from './wire.js';

/** A job whose worker says nothing for so long is another's, ms. */
const LOCK = 10_000;
const STALLED_EVERY = 5000;
/** Workers that may die of a job, or lose the server while they have it. */
const MOST_STALLED = 3;
const LOOK_EVERY = 100;
/** How long a worker that is to end waits for its batches, and for a server that is gone, ms. */
const FAREWELL = 30_000;

/** Help until the signal. @throws UserError when the server cannot be reached, or the files here are others than the leader's */
export async function serveQueue(options: ServeOptions): Promise<void> {
  const { jobs = 1, onWarning = () => {}, onProgress, signal } = options;
  const address = queueAddress('worker', options.queue);
  const { Queue, Worker } = await loadBull();
  const machines = new Machines(jobs, onWarning);
  const outages = new Outages(address, onWarning);
  let misfit: string | undefined;
  let batches = 0;
  let cases = 0;
  const process = async (job: BullJob): Promise<string> => {
    outages.over();
    const answer = await machines.run(readText(job.data.text) as QueueJob);
    if ('misfit' in answer) misfit = answer.misfit;
    if ('result' in answer) {
      batches++;
      cases += answer.result.cases;
      onProgress?.(batches, cases);
    }
    return textOf(answer);
  };
  // A worker that never had a server does not end; a queue does.
  const probe = new Queue(address.name, { connection: address.connection });
  outages.watch(probe);
  await outages.ready(probe, 'worker');
  await probe.close();
  const worker = new Worker(address.name, process, {
    connection: address.connection,
    concurrency: jobs,
    lockDuration: LOCK,
    stalledInterval: STALLED_EVERY,
    maxStalledCount: MOST_STALLED,
  });
  outages.watch(worker);
  try {
    while (signal?.aborted !== true && misfit === undefined)
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    // What was begun is brought to its end.
    const farewell = new Promise<void>((resolve) => setTimeout(resolve, FAREWELL).unref());
    await Promise.race([worker.close(), farewell]);
  } finally {
    outages.end();
    await machines.close();
    void worker.disconnect().catch(() => {});
  }
  if (misfit !== undefined) throw new UserError(misfit);
}

/** The threads for each campaign; those of one that nobody asks for any more are ended. */
class Machines {
  readonly #threads = new Map<string, { threads: Threads; under: number; misfit: string | undefined }>();

  constructor(
    private readonly jobs: number,
    private readonly onWarning: (sentence: string) => void,
  ) {}

  async run({ plan, identity, batch, known }: QueueJob): Promise<QueueAnswer> {
    try {
      const machine = this.#of(plan, identity);
      if (machine.misfit !== undefined) return { misfit: machine.misfit };
      machine.under++;
      try {
        const most = Number.POSITIVE_INFINITY;
        const result = await machine.threads.run(batch, () => ({ known: new Set(known), most }));
        return { result, start: machine.threads.start! };
      } finally {
        machine.under--;
      }
    } catch (error) {
      if (error instanceof UserError || error instanceof ImageError)
        return { failure: `${hostname()}: ${error.message}`, kind: error instanceof UserError ? 'user' : 'image' };
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#threads.values()].map(({ threads }) => threads.close()));
  }

  #of(plan: QueueJob['plan'], identity: QueueJob['identity']) {
    const key = textOf({ plan, identity });
    const known = this.#threads.get(key);
    if (known !== undefined) return known;
    for (const [other, { threads, under }] of this.#threads) {
      if (under > 0) continue;
      void threads.close();
      this.#threads.delete(other);
    }
    const made = { threads: new Threads(plan, this.jobs, this.onWarning), under: 0, misfit: misfitOf(plan, identity) };
    this.#threads.set(key, made);
    return made;
  }
}

/** Why this machine cannot help, in a sentence. */
function misfitOf(plan: QueueJob['plan'], identity: QueueJob['identity']): string | undefined {
  const mend = 'put the same files at the same places, or start the worker elsewhere';
  try {
    const ours = identityOf(plan, { seed: Number(identity.seed), guided: identity.guided === true });
    const difference = differenceOf(identity, ours);
    return difference && `the worker on ${hostname()} does not fit: the campaign has ${difference}; ${mend}`;
  } catch (error) {
    if (!(error instanceof UserError || error instanceof ImageError)) throw error;
    return `the worker on ${hostname()} does not fit: ${error.message}; ${mend}`;
  }
}
