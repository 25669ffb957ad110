// A sealed replay on several threads: each takes a part of the trace between two checkpoints. A part that agrees ends at
// the state hash that the next one begins with, so parts that agree are a replay that agrees.
//
// Invariant: the outcome is that of one thread. What differs, fails or cannot be done here is left to one thread: a
// worker that does not start costs time only. A checkpoint that is no good is told when all before it agrees.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { prebuilt } from '../cpu/interp/prebuilt-module.js';
import { type LoadedModule, sharedModule } from '../start/kept-module.js';
import { endPatience } from '../start/patience.js';
import { compileBriefly, holdFlags, letGoOfFlags } from '../start/steady-flags.js';
import { TraceError } from '../trace/error.js';
import type { MemoryRuns } from '../trace/memory-runs.js';
import type { TraceReader, Verified } from '../trace/reader.js';
import { findWorker } from '../trace/unpack-pool.js';
import type { ReplayOptions } from './options.js';
import { type Passed, passedBefore } from './passed-events.js';
import { COM1_LCR, type Outcome, replayStretch, type Stretch } from './sealed-replay.js';
import { shareOut } from './sealed-shares.js';
import { type ReadyTranslations, readyTranslations } from './tier.js';

/** What a thread is sent: its work, and when they have been read the translations that it may use. */
export type PartInput = PartWork | { readonly translations: ReadyTranslations | undefined };

export interface PartWork {
  readonly path: string;
  readonly stretch: Stretch;
  readonly console: boolean;
  /** The interpreter, compiled; undefined in a source tree. */
  readonly loaded: LoadedModule | undefined;
  /** The file, with the checkpoints up to its own. */
  readonly verified?: Verified;
  /** The initial memory. */
  readonly runs?: readonly MemoryRuns[];
  /** What the events before it leave. */
  readonly passed?: Passed;
}

/** What it answers: that it has been loaded, console output as it comes, then one of the others. */
export type PartMessage =
  | { readonly loaded: true }
  | { readonly console: Uint8Array }
  | { readonly outcome: Outcome | undefined }
  | { readonly badCheckpoint: string };

/** A thread, and what it has answered. */
interface PartThread {
  readonly worker: Worker;
  /** Settles when its program has been loaded. */
  readonly loaded: Promise<void>;
  /** Settles when there is nothing more to come. */
  readonly done: Promise<void>;
  readonly console: Uint8Array[];
  outcome?: Outcome | undefined;
  badCheckpoint?: string;
}

interface Part extends PartThread {
  readonly stretch: Stretch;
}

const MODULE = findWorker('part-launcher.cjs', ['.']) ?? findWorker('part-worker.js', ['.', '../src/api']);

/** Threads for the parts behind the first, on their way up before there is work for them. Who has them ends them. */
export class PartThreads {
  private constructor(
    readonly first: Stretch,
    /** Behind the first. */
    readonly parts: readonly Part[],
  ) {}

  /**
   * Cut the trace, and start threads for its parts.
   * @returns undefined when it is not to be cut
   * @throws TraceError when its checkpoints cannot be read
   */
  static for(reader: TraceReader, { jobs = 1, screenshots }: ReplayOptions): PartThreads | undefined {
    const module = MODULE;
    if (screenshots || jobs < 2 || !module || !reader.chunks.some(({ type }) => type === 'CHKP')) return undefined;
    const [first, ...others] = shareOut(reader.checkpoints, reader.summary?.cycles ?? 0, jobs);
    if (others.length === 0) return undefined;
    // They take the kept form of their program, and kept code is taken under the flags under which it was made.
    endPatience();
    return new PartThreads(
      first!,
      // Made into parts in place, since their answers are put into them.
      others.map((stretch) => Object.assign(start(module), { stretch })),
    );
  }

  /** Events before each of the parts. */
  get cuts(): number[] {
    return [this.first, ...this.parts.map(({ stretch }) => stretch)].flatMap(({ to }) => (to ? [to.event] : []));
  }

  send(input: PartInput | ((part: Part, n: number) => PartInput)): void {
    this.parts.forEach((part, n) => {
      part.worker.postMessage(typeof input === 'function' ? input(part, n) : input);
    });
  }

  async end(): Promise<void> {
    await Promise.all(this.parts.map(({ worker }) => worker.terminate()));
  }
}

function start(module: URL): PartThread {
  const worker = new Worker(module, { execArgv: [] });
  const console: Uint8Array[] = [];
  const [loaded, setLoaded] = promise();
  const [done, setDone] = promise();
  const settle = (): void => {
    setLoaded();
    setDone();
  };
  const thread: PartThread = { worker, console, loaded, done };
  worker.on('message', (message: PartMessage) => {
    if ('loaded' in message) setLoaded();
    else if ('console' in message) console.push(message.console);
    else {
      Object.assign(thread, message);
      settle();
    }
  });
  worker.on('error', settle);
  worker.on('exit', settle);
  return thread;
}

function promise(): [Promise<void>, settle: () => void] {
  let settle = (): void => {};
  const made = new Promise<void>((resolve) => {
    settle = resolve;
  });
  return [made, settle];
}

/**
 * On one thread or several. What several find to differ is found again by one, which says what it is.
 * @param threads for a replay on several
 */
export async function replaySealed(
  reader: TraceReader,
  options: ReplayOptions,
  threads?: PartThreads,
): Promise<Outcome> {
  let written = 0;
  const { onConsole } = options;
  const count =
    onConsole &&
    ((data: Uint8Array) => {
      written += data.length;
      onConsole(data);
    });
  const counted = { ...options, ...(count && { onConsole: count }) };
  const outcome = threads && (await replayInParts(reader, counted, threads));
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

/** @returns undefined when one thread is to do it: something differs. @throws TraceError */
async function replayInParts(
  reader: TraceReader,
  options: ReplayOptions,
  threads: PartThreads,
): Promise<Outcome | undefined> {
  const { path, header } = reader;
  const runs = [...reader.memoryRuns()];
  await Promise.all(threads.parts.map((part) => part.loaded));
  const loaded = prebuilt && sharedModule(prebuilt.module());
  holdFlags();
  try {
    const console = options.onConsole !== undefined;
    const passed = passedBefore(reader, threads.cuts, COM1_LCR);
    threads.send(({ stretch }, n) => {
      return { path, stretch, console, loaded, verified: reader.verified(stretch.from!), runs, passed: passed[n]! };
    });
    const translations = await readyTranslations(header);
    threads.send({ translations });
    if (availableParallelism() < 2 * (1 + threads.parts.length)) compileBriefly();
    // What differs is reported by one thread; here it is enough to know.
    const shared = { runs, translations: Promise.resolve(translations) };
    const first = await replayStretch(reader, { ...options, jobs: 1 }, threads.first, undefined, shared);
    if (first.exitCode !== 0) return options.signal?.aborted ? first : undefined;
    for (const part of threads.parts) {
      await Promise.race([part.done, aborted(options)]);
      if (options.signal?.aborted) return { ...first, end: { reason: 'interrupted' }, exitCode: 130 };
      if (part.badCheckpoint !== undefined) throw new TraceError(path, part.badCheckpoint);
      for (const data of part.console) options.onConsole?.(data);
      if (part.outcome?.exitCode !== 0) return undefined;
    }
    return threads.parts.at(-1)!.outcome;
  } finally {
    await threads.end();
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
