// What a packing thread can be asked to do (press-thread.ts), and doing it: on the thread, or where it was asked for.
//
// Invariant: an outcome follows from the job alone, whoever does it.

import { type ChunkType, type PackedPayload, packPayload } from './chunks.js';
import type { EventBatch } from './event-batch.js';
import { EventPacker } from './event-packer.js';
import { packKept } from './kept-payloads.js';
import { encodePages, type ObservedPage } from './memory.js';

const PAGE = 4096;
const MASK = PAGE / 8;
/** Smallest payload of memory for LZMA: what a thread does nobody waits for. */
const MIN_LZMA = 0x4000;
/** Pages after which what is waited for gets its turn. */
const PAUSE = 128;

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

/** Pages of initial memory, which become payloads: a page and a mask for each. */
export interface PagesJob {
  readonly addresses: Float64Array<SharedArrayBuffer>;
  readonly lengths: Uint32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly masks: Uint8Array<SharedArrayBuffer>;
}

export type PressJob = PayloadJob | EventJob | PagesJob;

/** A payload, or what is left to do for payloads. */
export type Outcome = PressedPayload | readonly PayloadJob[];

/** A job that is soon done, and goes before those that are not. */
export const isQuick = (job: PressJob): boolean => 'events' in job;

/**
 * Do a job.
 * @param pause called now and then during a long one
 */
export function doJob(job: PressJob, pause?: () => void): Outcome {
  if ('events' in job) return pressEvents(job.events);
  if ('masks' in job) return [...payloadsOf(job, pause)];
  const { type, raw, least } = job;
  const pack: typeof packPayload = (type, raw, least) => packPayload(type, raw, least, pause);
  return { type, raw, ...packKept(type, raw, least, undefined, pack) };
}

let packer: EventPacker | undefined;

/** The payload of a batch of events, packed: what a job with it comes to. */
export function pressEvents(events: EventBatch): PressedPayload {
  packer ??= new EventPacker();
  const raw = packer.pack(events);
  return { type: 'EVTS', raw, ...packPayload('EVTS', raw) };
}

/** A payload as threads share it. It is copied. */
export function sharedPayload(type: ChunkType, payload: Uint8Array, least?: number): PayloadJob {
  const raw = new Uint8Array(new SharedArrayBuffer(payload.length));
  raw.set(payload);
  return { type, raw, ...(least !== undefined && { least }) };
}

/** Pages as threads share them. They are copied. */
export function sharedPages(pages: readonly ObservedPage[]): PagesJob {
  const { length } = pages;
  const buffer = new SharedArrayBuffer((8 + 4 + MASK + PAGE) * length);
  const addresses = new Float64Array(buffer, 0, length);
  const lengths = new Uint32Array(buffer, 8 * length, length);
  const masks = new Uint8Array(buffer, 12 * length, MASK * length);
  const bytes = new Uint8Array(buffer, (12 + MASK) * length, PAGE * length);
  pages.forEach((page, i) => {
    addresses[i] = page.address;
    lengths[i] = page.bytes.length;
    masks.set(page.mask, i * MASK);
    bytes.set(page.bytes, i * PAGE);
  });
  return { addresses, lengths, bytes, masks };
}

function* payloadsOf(job: PagesJob, pause?: () => void): Generator<PayloadJob> {
  for (const payload of encodePages(pagesOf(job, pause))) yield sharedPayload('MEMO', payload, MIN_LZMA);
}

function* pagesOf({ addresses, lengths, bytes, masks }: PagesJob, pause?: () => void): Generator<ObservedPage> {
  for (let i = 0; i < addresses.length; i++) {
    if (i % PAUSE === 0) pause?.();
    yield {
      address: addresses[i]!,
      bytes: bytes.subarray(i * PAGE, i * PAGE + lengths[i]!),
      mask: masks.subarray(i * MASK, (i + 1) * MASK),
    };
  }
}
