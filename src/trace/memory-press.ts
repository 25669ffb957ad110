// Memory on its way into the trace while the guest runs: a thread makes payloads of pages and packs them, and packs
// checkpoints, which takes as long as a good part of the boot. Jobs are done in any order and taken in theirs, so a trace does not depend on
// threads. What the other thread has not begun at the end, this one does.
//
// Invariant: a thread that does not start, fails or dies costs time only: its jobs are done here.

import { availableParallelism } from 'node:os';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { ChunkType, PackedPayload } from './chunks.js';
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
}

/** Pages or parts of them by ascending address, as threads share them; each has room for a whole one. */
export interface PageJob {
  readonly addresses: Float64Array<SharedArrayBuffer>;
  readonly lengths: Uint32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly masks: Uint8Array<SharedArrayBuffer>;
}

type PressJob = PageJob | PayloadJob;

/** What the thread is started with. */
export interface PressLine {
  /** State of each job. */
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly port: MessagePort;
}

const PAGE = 4096;
const MASK = 512;
/** Smallest payload for LZMA: what a thread does nobody waits for. */
const MIN_LZMA = 0x4000;
/** What the thread says. */
interface PressResult {
  readonly n: number;
  readonly payloads: readonly PressedPayload[];
}

/** States of a job. */
const WAITING = 0;
const TAKEN = 1;
const DONE = 2;
/** Jobs that there is room for; more wait for the end. */
const MAX_JOBS = 4096;
/** The thread's own heap: what it works on lies in arrays outside of it. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 256 };
/** Milliseconds after which the thread is given up. */
const PATIENCE = 60_000;

export class MemoryPress {
  /** Those that are done are let go. */
  readonly #jobs: (PressJob | undefined)[] = [];
  readonly #control = new Int32Array(new SharedArrayBuffer(4 * MAX_JOBS));
  readonly #results: (readonly PressedPayload[] | undefined)[] = [];
  #worker: Worker | undefined;
  #port: MessagePort | undefined;

  /** @param module of the thread; without one there is none */
  constructor(private readonly module = findWorker('press-worker.js')) {}

  /** Begin with pages of initial memory, if there is a thread. */
  addPages(pages: readonly ObservedPage[]): void {
    this.#add(sharePages(pages));
  }

  /** Begin with a payload. It is copied. */
  addPayload(type: ChunkType, payload: Uint8Array): void {
    const raw = new Uint8Array(new SharedArrayBuffer(payload.length));
    raw.set(payload);
    this.#add({ type, raw });
  }

  #add(job: PressJob): void {
    const n = this.#jobs.push(job) - 1;
    if (n >= MAX_JOBS || !this.module || availableParallelism() < 2) return;
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
      port1.on('message', (result: PressResult) => this.#take(result));
      port1.unref();
    }
    this.#port!.postMessage({ n, job });
  }

  /** All payloads, in the order of the jobs. Waits for them. */
  finish(): PressedPayload[] {
    // From the end, since the thread comes from the beginning.
    for (let n = this.#jobs.length - 1; n >= 0; n--) {
      const job = this.#jobs[n];
      if (!job || (n < MAX_JOBS && Atomics.compareExchange(this.#control, n, WAITING, TAKEN) !== WAITING)) continue;
      this.#results[n] = pressJob(job);
    }
    const payloads = this.#jobs.flatMap((job, n) => {
      if (!this.#results[n] && n < MAX_JOBS) {
        Atomics.wait(this.#control, n, TAKEN, PATIENCE);
        for (let m = this.#receive(); m; m = this.#receive()) this.#take(m);
      }
      return this.#results[n] ?? pressJob(job!);
    });
    this.close();
    return payloads;
  }

  /** End the thread. What it did not do is done at the end. */
  close(): void {
    this.#port?.close();
    void this.#worker?.terminate();
    this.#worker = undefined;
    this.#port = undefined;
  }

  #receive(): PressResult | undefined {
    return this.#port && (receiveMessageOnPort(this.#port)?.message as PressResult | undefined);
  }

  #take({ n, payloads }: PressResult): void {
    this.#results[n] ??= payloads;
    this.#jobs[n] = undefined;
  }
}

/** The thread's side: do the jobs that come and are not taken. */
export function pressOnThread({ control, port }: PressLine): void {
  port.on('message', ({ n, job }: { n: number; job: PressJob }) => {
    if (Atomics.compareExchange(control, n, WAITING, TAKEN) !== WAITING) return;
    // Views are sent with all of what they are views of.
    const payloads = pressJob(job).map((payload) => {
      const raw = 'raw' in job ? job.raw : Uint8Array.from(payload.raw);
      return { ...payload, raw, stored: Uint8Array.from(payload.stored) };
    });
    const buffers = payloads.flatMap(({ raw, stored }) =>
      'raw' in job ? [stored.buffer] : [raw.buffer, stored.buffer],
    );
    port.postMessage({ n, payloads }, buffers as ArrayBuffer[]);
    Atomics.store(control, n, DONE);
    Atomics.notify(control, n);
  });
}

function sharePages(pages: readonly ObservedPage[]): PageJob {
  const { length } = pages;
  const job: PageJob = {
    addresses: new Float64Array(new SharedArrayBuffer(8 * length)),
    lengths: new Uint32Array(new SharedArrayBuffer(4 * length)),
    bytes: new Uint8Array(new SharedArrayBuffer(PAGE * length)),
    masks: new Uint8Array(new SharedArrayBuffer(MASK * length)),
  };
  pages.forEach(({ address, bytes, mask }, i) => {
    job.addresses[i] = address;
    job.lengths[i] = bytes.length;
    job.bytes.set(bytes, PAGE * i);
    job.masks.set(mask, MASK * i);
  });
  return job;
}

/** The pages again; views. */
function* unsharePages({ addresses, lengths, bytes, masks }: PageJob): Generator<ObservedPage> {
  for (let i = 0; i < addresses.length; i++) {
    yield {
      address: addresses[i]!,
      bytes: bytes.subarray(PAGE * i, PAGE * i + lengths[i]!),
      mask: masks.subarray(MASK * i, MASK * (i + 1)),
    };
  }
}

function pressJob(job: PressJob): PressedPayload[] {
  if ('raw' in job) return [{ ...job, ...packKept(job.type, job.raw) }];
  const payloads: PressedPayload[] = [];
  for (const raw of encodePages(unsharePages(job))) {
    payloads.push({ type: 'MEMO', raw, ...packKept('MEMO', raw, MIN_LZMA) });
  }
  return payloads;
}
