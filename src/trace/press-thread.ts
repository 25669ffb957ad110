// A thread that packs while the guest runs (press-jobs.ts), and the way to it. Each job has a word that both sides share: who
// first writes it does the job. So what the thread has not begun when it is wanted is done by who wants it, at once. What is
// soon done goes before what is not, and in between.
//
// Invariant: a thread that does not start, fails or dies costs time only: its jobs are done here. A job that fails on it does
// so here, too, where that can be told.

import { availableParallelism } from 'node:os';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { Borrower, type LentImages } from './borrowed.js';
import { awaitEnd, begin, end, giveBack, isOver, type JobState, newState } from './job-state.js';
import {
  doJob,
  isHash,
  isQuick,
  type Outcome,
  type PayloadJob,
  type PressedPayload,
  type PressJob,
} from './press-jobs.js';
import { findWorker } from './unpack-pool.js';

/** The thread's own heap: what it works on lies in arrays outside of it. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 256 };

/** A job under a number. The thread gives negative ones to those that come of its own. */
interface SentJob {
  readonly n: number;
  readonly job: PressJob;
  readonly state: JobState;
}

/** What the thread says of job n. */
interface Answer {
  readonly n: number;
  readonly payload?: PressedPayload;
  readonly parts?: readonly SentJob[];
}

/** What the thread is started with. */
export interface PressLine {
  readonly port: MessagePort;
  readonly lent: LentImages | undefined;
}

/** A job that somebody wants the outcome of: in the end a payload, or parts that have payloads. */
export class Ticket {
  #job: PressJob | undefined;
  payload: PressedPayload | undefined;
  parts: readonly Ticket[] | undefined;

  readonly #n: number;
  readonly #state: JobState;

  constructor(
    private readonly thread: PressThread,
    { n, job, state }: SentJob,
  ) {
    this.#n = n;
    this.#job = job;
    this.#state = state;
  }

  get isDone(): boolean {
    return this.#job === undefined || (isHash(this.#job) && isOver(this.#state));
  }

  /** Make the job this thread's, if nobody has begun it. @returns whether it is: doHere() has to follow */
  take(): boolean {
    return !this.isDone && begin(this.#state);
  }

  /** Do the job, if nobody has begun it. @returns whether it was done */
  tryHere(): boolean {
    if (!this.take()) return false;
    this.doHere();
    return true;
  }

  /** Wait for the thread, which has begun the job. */
  await(): void {
    awaitEnd(this.#state, () => this.thread.isThere);
    this.thread.receive();
    if (!this.isDone) this.doHere();
  }

  /** Have it done, by whom it may be. */
  finish(): void {
    if (!this.isDone && !this.tryHere()) this.await();
  }

  /** It is done: the job may go. */
  keep(payload: PressedPayload | undefined, parts: readonly Ticket[] | undefined): void {
    this.#job = undefined;
    this.payload = payload;
    this.parts = parts;
  }

  /** Do the job, which take() made this thread's. */
  doHere(): void {
    const job = this.#job!;
    if (!isHash(job)) this.thread.onWorkHere?.();
    const outcome = doJob(job, undefined, this.thread.borrower);
    this.thread.forget(this.#n);
    end(this.#state);
    if (!outcome) this.keep(undefined, undefined);
    else if ('codec' in outcome) this.keep(outcome, undefined);
    else this.keep(undefined, this.thread.share(outcome));
  }
}

export class PressThread {
  /** Jobs that the thread has not answered. */
  readonly #open = new Map<number, Ticket>();
  #sent = 0;
  #worker: Worker | undefined;
  #port: MessagePort | undefined;
  /** It did not start, or ended before its time: there is not to be another. */
  #isLost = false;

  /** Called before anything but a hash is done where it was asked for: what it stands on may be under way. */
  onWorkHere: (() => void) | undefined;

  /** Leaves out of payloads what lies in images, and so does the thread: to be put here before the first job. */
  borrower: Borrower | undefined;

  /** @param module of the thread; without one there is none. It starts with the first job */
  constructor(private readonly module = findWorker('press-worker.js')) {}

  get isStarted(): boolean {
    return this.#worker !== undefined;
  }

  /**
   * Whether it may still end what it has begun. The events of its end come only when this thread is idle, but an event
   * loop that is over has an idle time of -1 at once. Node tells that only of a loop that it was asked about before,
   * since this thread was idle: so each job that is sent asks.
   */
  get isThere(): boolean {
    return this.#worker !== undefined && this.#worker.performance.eventLoopUtilization().idle >= 0;
  }

  /** There is a processor for it. */
  get canStart(): boolean {
    return this.module !== undefined && !this.#isLost && availableParallelism() > 1;
  }

  /**
   * Begin with a job, if there can be a thread.
   * @param state the word that both sides share
   */
  submit(job: PressJob, state = newState()): Ticket {
    const sent: SentJob = { n: this.#sent++, job, state };
    const ticket = new Ticket(this, sent);
    if (!this.isStarted && !this.canStart) return ticket;
    if (!this.#worker && !this.#start(this.module!)) return ticket;
    if (!isHash(job)) this.#open.set(sent.n, ticket);
    if (this.isThere) this.#port!.postMessage(sent);
    return ticket;
  }

  /** The parts that a job came to where it was done here. */
  share(parts: readonly PayloadJob[]): Ticket[] {
    return parts.map((part) => this.submit(part));
  }

  /** The thread is not to answer any more. */
  forget(n: number): void {
    this.#open.delete(n);
  }

  /** Take what the thread has said. */
  receive(): void {
    if (!this.#port) return;
    for (let m = receiveMessageOnPort(this.#port); m; m = receiveMessageOnPort(this.#port)) this.#keep(m.message);
  }

  /** End the thread. What it did not do is done when it is wanted. */
  close(): void {
    this.receive();
    this.#port?.close();
    void this.#worker?.terminate();
    this.#worker = undefined;
    this.#port = undefined;
  }

  /** @returns false when there is no thread to be had */
  #start(module: URL): boolean {
    const { port1, port2 } = new MessageChannel();
    const line: PressLine = { port: port2, lent: this.borrower?.lent };
    let worker: Worker;
    try {
      worker = new Worker(module, {
        workerData: line,
        transferList: [port2],
        execArgv: [],
        resourceLimits: THREAD_LIMITS,
      });
    } catch {
      this.#isLost = true;
      port1.close();
      return false;
    }
    worker.on('error', () => {});
    worker.on('exit', () => this.#lose(worker));
    worker.unref();
    this.#worker = worker;
    this.#port = port1;
    port1.on('message', (answer: Answer) => this.#keep(answer));
    port1.unref();
    return true;
  }

  /** A thread has ended. */
  #lose(worker: Worker): void {
    if (worker !== this.#worker) return;
    this.#isLost = true;
    this.close();
  }

  #keep({ n, payload, parts }: Answer): void {
    const ticket = this.#open.get(n);
    this.#open.delete(n);
    if (!ticket || ticket.isDone) return;
    const tickets = parts?.map((part) => {
      const made = new Ticket(this, part);
      this.#open.set(part.n, made);
      return made;
    });
    ticket.keep(payload, tickets);
  }
}

/** The thread's side: do the jobs that come and are not taken. */
export function pressOnThread({ port, lent }: PressLine): void {
  const borrower = lent && new Borrower(lent);
  const later: SentJob[] = [];
  let made = 0;
  const answer = (state: JobState, message?: Answer, buffers: ArrayBuffer[] = []): void => {
    if (message) port.postMessage(message, buffers);
    end(state);
  };
  const work = ({ n, job, state }: SentJob, pause?: () => void): void => {
    const outcome: Outcome = doJob(job, pause, borrower);
    if (!outcome) {
      answer(state);
      return;
    }
    if (!('codec' in outcome)) {
      const parts = outcome.map((part) => ({ n: --made, job: part, state: newState() }));
      later.push(...parts);
      answer(state, { n, parts });
      return;
    }
    // Views are sent with all of what they are views of.
    const raw = 'raw' in job ? job.raw : Uint8Array.from(outcome.raw);
    const stored = Uint8Array.from(outcome.stored);
    const buffers = 'raw' in job ? [stored.buffer] : [raw.buffer, stored.buffer];
    answer(state, { n, payload: { ...outcome, raw, stored } }, buffers as ArrayBuffer[]);
  };
  const tryWork = (sent: SentJob, pause?: () => void): void => {
    if (!begin(sent.state)) return;
    try {
      work(sent, pause);
    } catch {
      giveBack(sent.state);
    }
  };
  const come = (sent: SentJob): void => {
    if (isQuick(sent.job)) tryWork(sent);
    else later.push(sent);
  };
  const pause = (): void => {
    for (let m = receiveMessageOnPort(port); m; m = receiveMessageOnPort(port)) come(m.message);
  };
  port.on('message', (sent: SentJob) => {
    come(sent);
    for (let next = later.shift(); next; next = later.shift()) tryWork(next, pause);
  });
}
