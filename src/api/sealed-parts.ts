// A sealed replay on several threads: each takes a part of the trace between two checkpoints. A part that agrees ends at
// the state hash that the next one begins with, so parts that agree are a replay that agrees.
//
// Invariant: the outcome is that of one thread. What differs, fails or cannot be done here is left to one thread: a
// worker that does not start costs time only. A checkpoint that is no good is told when all before it agrees.

import { Worker } from 'node:worker_threads';
import { prebuilt } from '../cpu/interp/prebuilt-module.js';
import { type LoadedModule, sharedModule } from '../start/kept-module.js';
import { endPatience } from '../start/patience.js';
import { holdFlags, letGoOfFlags } from '../start/steady-flags.js';
import { TraceError } from '../trace/error.js';
import type { TraceReader } from '../trace/reader.js';
import { findWorker } from '../trace/unpack-pool.js';
import type { ReplayOptions } from './options.js';
import { type Outcome, replayStretch, type Stretch } from './sealed-replay.js';
import { shareOut } from './sealed-shares.js';

/** What a worker is started with. */
export interface PartWork {
  readonly path: string;
  readonly unpacked: ReadonlyMap<number, Uint8Array>;
  readonly stretch: Stretch;
  readonly console: boolean;
  /** The interpreter, compiled; undefined in a source tree. */
  readonly loaded: LoadedModule | undefined;
}

/** What it answers: console output as it comes, then one of the others. */
export type PartMessage =
  | { readonly console: Uint8Array }
  | { readonly outcome: Outcome | undefined }
  | { readonly badCheckpoint: string };

/** A part as its thread leaves it. */
interface Part {
  readonly console: Uint8Array[];
  outcome?: Outcome | undefined;
  badCheckpoint?: string;
}

const MODULE = findWorker('part-worker.js', ['.', '../src/api']);

/** On one thread or several. What several find to differ is found again by one, which says what it is. */
export async function replaySealed(reader: TraceReader, options: ReplayOptions): Promise<Outcome> {
  let written = 0;
  const { onConsole, jobs = 1 } = options;
  const count =
    onConsole &&
    ((data: Uint8Array) => {
      written += data.length;
      onConsole(data);
    });
  const counted = { ...options, ...(count && { onConsole: count }) };
  const outcome = jobs > 1 && !options.screenshots ? await replayInParts(reader, counted, jobs) : undefined;
  if (outcome) return outcome;
  const rest =
    onConsole &&
    ((data: Uint8Array) => {
      const known = Math.min(written, data.length);
      written -= known;
      if (known < data.length) onConsole(data.subarray(known));
    });
  return replayStretch(reader, { ...options, ...(rest && { onConsole: rest }) });
}

/** @returns undefined when one thread is to do it: there is nothing to share out, or something differs. @throws TraceError */
async function replayInParts(reader: TraceReader, options: ReplayOptions, jobs: number): Promise<Outcome | undefined> {
  const stretches = shareOut(reader.checkpoints, reader.summary?.cycles ?? 0, jobs);
  if (stretches.length < 2 || !MODULE) return undefined;
  const parts: Part[] = stretches.map(() => ({ console: [] }));
  const { unpacked, path } = reader;
  const workers: Worker[] = [];
  // Kept code is taken under the flags under which it was made, here and there.
  endPatience();
  const loaded = prebuilt && sharedModule(prebuilt.module());
  holdFlags();
  try {
    const done = stretches.slice(1).map(
      (stretch, n) =>
        new Promise<void>((resolve) => {
          const part = parts[n + 1]!;
          const workerData: PartWork = { path, unpacked, stretch, console: options.onConsole !== undefined, loaded };
          const worker = new Worker(MODULE, { workerData, execArgv: [] });
          workers.push(worker);
          worker.on('message', (message: PartMessage) => {
            if ('console' in message) part.console.push(message.console);
            else Object.assign(part, message);
          });
          worker.on('error', () => resolve());
          worker.on('exit', () => resolve());
        }),
    );
    // What differs is reported by one thread; here it is enough to know.
    const first = await replayStretch(reader, { ...options, jobs: 1 }, stretches[0]);
    if (first.exitCode !== 0) return options.signal?.aborted ? first : undefined;
    for (const [n, part] of parts.entries()) {
      if (n === 0) continue;
      await Promise.race([done[n - 1], aborted(options)]);
      if (options.signal?.aborted) return { ...first, end: { reason: 'interrupted' }, exitCode: 130 };
      if (part.badCheckpoint !== undefined) throw new TraceError(path, part.badCheckpoint);
      for (const data of part.console) options.onConsole?.(data);
      if (part.outcome?.exitCode !== 0) return undefined;
    }
    return parts.at(-1)!.outcome;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
    letGoOfFlags();
  }
}

/** Settles when the replay is to be given up; looked at now and then, since the signal may be no AbortSignal. */
async function aborted({ signal }: ReplayOptions): Promise<void> {
  if (!signal) return new Promise(() => {});
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!signal.aborted) return;
      clearInterval(timer);
      resolve();
    }, 50);
    timer.unref();
  });
}
