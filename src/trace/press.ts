// Payloads that are packed while the guest runs: a thread takes those of memory and of checkpoints, and batches of events,
// which takes as long as a good part of the boot. Jobs are done in any order and taken in theirs, so a trace does not depend
// on threads. What the other thread has not begun when it is wanted, this one does.
//
// Invariant: a thread that does not start, fails or dies costs time only: its jobs are done here.

import { availableParallelism } from 'node:os';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { type ChunkType, type PackedPayload, packPayload } from './chunks.js';
import type { EventBatch } from './event-batch.js';
import { EventPacker } from './event-packer.js';
import { packKept } from './kept-payloads.js';
import { encodePages, type ObservedPage } from './memory.js';
import { findWorker } from './unpack-pool.js';

/** A payload of a chunk, packed. */
export interface PressedPayload extends PackedPayload {
  readonly type: ChunkType;
  readonly raw: Uint8Array;
}

/** A payload that is there already. */
export interface PayloadJob {
  readonly type: ChunkType;
  readonly raw: Uint8Array<SharedArrayBuffer>;
  /** Smallest payload for LZMA, where it is not the usual one. */
  readonly least?: number;
}

/** Events, which stay as they are until the payload has been taken. */
export interface EventJob {
  readonly events: EventBatch;
}

type PressJob = PayloadJob | EventJob;

/** What the thread is started with. */
export interface PressLine {
  /** State of each job, by its number modulo its length. */
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly port: MessagePort;
}

/** Smallest payload for LZMA: what a thread does nobody waits for. */
const MIN_LZMA = 0x4000;
/** What the thread says. */
interface PressResult {
  readonly n: number;
  readonly payload: PressedPayload;
}

/** States of a job. */
const WAITING = 0;
const TAKEN = 1;
const DONE = 2;
/** Jobs that may be under way; more wait for this thread. */
const MAX_JOBS = 4096;
/** The thread's own heap: what it works on lies in arrays outside of it. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 256 };
/** Milliseconds after which the thread is given up. */
const PATIENCE = 60_000;

export class Press {
  /** Those that are done are let go. */
  readonly #jobs: (PressJob | undefined)[] = [];
  readonly #control = new Int32Array(new SharedArrayBuffer(4 * MAX_JOBS));
  readonly #results: (PressedPayload | undefined)[] = [];
  /** Jobs whose payloads have been taken. */
  #taken = 0;
  #worker: Worker | undefined;
  #port: MessagePort | undefined;

  /** @param module of the thread; without one there is none */
  constructor(private readonly module = findWorker('press-worker.js')) {}

  /** Begin with pages of initial memory. Their payloads are made at once: they are a fifth of the pages. */
  addPages(pages: readonly ObservedPage[]): void {
    for (const payload of encodePages(pages)) this.addPayload('MEMO', payload, MIN_LZMA);
  }

  /**
   * Begin with a payload, if there is a thread. It is copied.
   * @param least smallest payload for LZMA, if not the usual one
   */
  addPayload(type: ChunkType, payload: Uint8Array, least?: number): void {
    const raw = new Uint8Array(new SharedArrayBuffer(payload.length));
    raw.set(payload);
    this.#add({ type, raw, ...(least !== undefined && { least }) });
  }

  /** Begin with a batch of events, which gives one payload. It must not change before that has been taken. */
  addEvents(events: EventBatch): void {
    this.#add({ events });
  }

  #add(job: PressJob): void {
    const n = this.#jobs.push(job) - 1;
    if (n - this.#taken >= MAX_JOBS || !this.module || availableParallelism() < 2) return;
    if (!this.#worker) {
      const { port1, port2 } = new MessageChannel();
      const line: PressLine = { control: this.#control, port: port2 };
      this.#worker = new Worker(this.module, {
        workerData: line,
        transferList: [port2],
        execArgv: [],
        resourceLimits: THREAD_LIMITS,
      });
      this.#worker.on('error', () => {});
      this.#worker.unref();
      this.#port = port1;
      port1.on('message', (result: PressResult) => this.#keep(result));
      port1.unref();
    }
    this.#port!.postMessage({ n, job });
  }

  /**
   * Payloads of the first jobs, in their order, each once.
   * @param open jobs that may be left for later; what is missing until then is done or waited for
   */
  take(open: number): PressedPayload[] {
    this.#receive();
    const payloads: PressedPayload[] = [];
    for (;;) {
      for (let result = this.#results[this.#taken]; result; result = this.#results[this.#taken]) {
        payloads.push(result);
        this.#results[this.#taken] = undefined;
        Atomics.store(this.#control, this.#taken++ % MAX_JOBS, WAITING);
      }
      if (this.#jobs.length - this.#taken <= open) return payloads;
      // From the end, since the thread comes from the beginning.
      if (!this.#doLast()) this.#await(this.#taken);
    }
  }

  /** All payloads that are left. The thread ends. */
  finish(): PressedPayload[] {
    const payloads = this.take(0);
    this.close();
    return payloads;
  }

  /** End the thread. What it did not do is done when it is wanted. */
  close(): void {
    this.#port?.close();
    void this.#worker?.terminate();
    this.#worker = undefined;
    this.#port = undefined;
  }

  /** Do the last job that nobody has begun. @returns whether there was one */
  #doLast(): boolean {
    for (let n = this.#jobs.length - 1; n >= this.#taken; n--) {
      const job = this.#jobs[n];
      if (!job || this.#results[n] || !this.#begin(n)) continue;
      this.#keep({ n, payload: pressJob(job) });
      return true;
    }
    return false;
  }

  #begin(n: number): boolean {
    if (n - this.#taken >= MAX_JOBS) return true;
    return Atomics.compareExchange(this.#control, n % MAX_JOBS, WAITING, TAKEN) === WAITING;
  }

  #await(n: number): void {
    Atomics.wait(this.#control, n % MAX_JOBS, TAKEN, PATIENCE);
    this.#receive();
    if (!this.#results[n]) this.#keep({ n, payload: pressJob(this.#jobs[n]!) });
  }

  #receive(): void {
    if (!this.#port) return;
    for (let m = receiveMessageOnPort(this.#port); m; m = receiveMessageOnPort(this.#port)) this.#keep(m.message);
  }

  #keep({ n, payload }: PressResult): void {
    if (n < this.#taken) return;
    this.#results[n] ??= payload;
    this.#jobs[n] = undefined;
  }
}

/** The thread's side: do the jobs that come and are not taken. */
export function pressOnThread({ control, port }: PressLine): void {
  port.on('message', ({ n, job }: { n: number; job: PressJob }) => {
    const slot = n % control.length;
    if (Atomics.compareExchange(control, slot, WAITING, TAKEN) !== WAITING) return;
    // Views are sent with all of what they are views of.
    const payload = pressJob(job);
    const raw = 'raw' in job ? job.raw : Uint8Array.from(payload.raw);
    const stored = Uint8Array.from(payload.stored);
    const buffers = 'raw' in job ? [stored.buffer] : [raw.buffer, stored.buffer];
    port.postMessage({ n, payload: { ...payload, raw, stored } }, buffers as ArrayBuffer[]);
    Atomics.store(control, slot, DONE);
    Atomics.notify(control, slot);
  });
}

function pressJob(job: PressJob): PressedPayload {
  if ('raw' in job) return { type: job.type, raw: job.raw, ...packKept(job.type, job.raw, job.least) };
  return pressEvents(job.events);
}

let packer: EventPacker | undefined;

/** The payload of a batch of events, packed: what a job with it comes to. */
export function pressEvents(events: EventBatch): PressedPayload {
  packer ??= new EventPacker();
  const raw = packer.pack(events);
  return { type: 'EVTS', raw, ...packPayload('EVTS', raw) };
}
