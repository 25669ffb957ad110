// What a packing thread can be asked to do (press-thread.ts), and doing it: on the thread, or where it was asked for.
//
// Invariant: an outcome follows from the job alone, whoever does it.

import type { Borrower } from './borrowed.js';
import { type ChunkType, CODEC_NONE, isPackedInside, type PackedPayload, packBorrowed, packPayload } from './chunks.js';
import type { EventBatch } from './event-batch.js';
import { EventPacker } from './event-packer.js';
import { packKept } from './kept-payloads.js';
import { doHash, type HashBlock, type HashEnd } from './late-hash.js';
import { encodePages, type ObservedPage } from './memory.js';
import { encodeSavedPages, type PagesToSave, packGroups } from './saved-pages.js';
import { MASK_SIZE, PAGE_SIZE } from './state-digest.js';

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

/** Pages of initial memory, which become payloads. */
export interface PagesJob {
  readonly addresses: Float64Array<SharedArrayBuffer>;
  readonly lengths: Uint32Array<SharedArrayBuffer>;
  readonly masks: Uint8Array<SharedArrayBuffer>;
  /** Where the bytes of each page are: in which buffer, from where on. */
  readonly buffers: readonly SharedArrayBuffer[];
  readonly sources: Uint32Array<SharedArrayBuffer>;
  readonly offsets: Float64Array<SharedArrayBuffer>;
}

export type HashJob = HashBlock | HashEnd;
export type PressJob = PayloadJob | EventJob | PagesJob | PagesToSave | HashJob;

/** A payload, or what is left to do for payloads; nothing where it lies in memory that is shared. */
export type Outcome = PressedPayload | readonly PayloadJob[] | undefined;

/** A job that has no payload. */
export const isHash = (job: PressJob): job is HashJob => 'digests' in job;

/** A job that is soon done, and goes before those that are not. */
export const isQuick = (job: PressJob): boolean => 'events' in job || isHash(job);

/**
 * Do a job.
 * @param pause called now and then during a long one
 * @param borrower leaves out what lies in images, in traces that are not sealed
 */
export function doJob(job: PressJob, pause?: () => void, borrower?: Borrower): Outcome {
  if (isHash(job)) {
    doHash(job);
    return undefined;
  }
  if ('events' in job) return pressEvents(job.events, borrower);
  if ('zeros' in job) return pressSaved(job, pause);
  if ('masks' in job) return [...payloadsOf(job, pause)];
  const { type, raw, least } = job;
  if (isPackedInside(type)) return { type, raw, ...packPayload(type, raw) };
  const pack: typeof packPayload = (type, raw, least) => packPayload(type, raw, least, pause);
  return { type, raw, ...(packLent(borrower, type, raw, least, pack) ?? packKept(type, raw, least, undefined, pack)) };
}

/**
 * A payload packed without what lies in images, if that is worth it.
 * @param pack packs it when it has nothing of them
 */
export function packLent(
  borrower: Borrower | undefined,
  type: ChunkType,
  raw: Uint8Array,
  least?: number,
  pack = packPayload,
): PackedPayload | undefined {
  if (!borrower?.wants(type, raw.length)) return undefined;
  const packAny: typeof packPayload = (type, raw, least) => packBorrowed(borrower, type, raw) ?? pack(type, raw, least);
  return packKept(type, raw, least, undefined, packAny, borrower.name);
}

let packer: EventPacker | undefined;

/** The payload of a batch of events, packed: what a job with it comes to. */
export function pressEvents(events: EventBatch, borrower?: Borrower): PressedPayload {
  const own = packer ?? new EventPacker();
  // One that fails in the middle is of no use any more.
  packer = undefined;
  const raw = own.pack(events);
  packer = own;
  return { type: 'EVTS', raw, ...(packLent(borrower, 'EVTS', raw) ?? packPayload('EVTS', raw)) };
}

/** Payloads of pages of a checkpoint. */
function pressSaved(pages: PagesToSave, pause?: () => void): PayloadJob[] {
  const pack: typeof packPayload = (_, raw) => ({ codec: CODEC_NONE, stored: packGroups(raw, pause) });
  const { groups, list } = encodeSavedPages(pages, (raw) => packKept('PAGE', raw, undefined, undefined, pack).stored);
  return [sharedPayload('PAGE', groups), sharedPayload('LIST', list)];
}

/** A payload as threads share it. It is copied. */
export function sharedPayload(type: ChunkType, payload: Uint8Array, least?: number): PayloadJob {
  const raw = new Uint8Array(new SharedArrayBuffer(payload.length));
  raw.set(payload);
  return { type, raw, ...(least !== undefined && { least }) };
}

/** Pages as threads share them. Masks are copied, and bytes where they do not lie in shared memory, as those of images do. */
export function sharedPages(pages: readonly ObservedPage[]): PagesJob {
  const { length } = pages;
  const room = (size: number) => new SharedArrayBuffer(size * length);
  const addresses = new Float64Array(room(8));
  const lengths = new Uint32Array(room(4));
  const masks = new Uint8Array(room(MASK_SIZE));
  const sources = new Uint32Array(room(4));
  const offsets = new Float64Array(room(8));
  const buffers: SharedArrayBuffer[] = [];
  const unshared: number[] = [];
  // Pages come region by region, and to ask what kind of buffer one has costs as much as to copy its mask.
  let last: ArrayBufferLike | undefined;
  let source = -1;
  for (let i = 0; i < length; i++) {
    const { address, bytes, mask } = pages[i]!;
    const { buffer } = bytes;
    if (buffer !== last) source = buffer instanceof SharedArrayBuffer ? placeIn(buffers, buffer) : -1;
    last = buffer;
    if (source < 0) unshared.push(i);
    addresses[i] = address;
    lengths[i] = bytes.length;
    masks.set(mask, i * MASK_SIZE);
    sources[i] = source;
    offsets[i] = bytes.byteOffset;
  }
  const copies = new Uint8Array(new SharedArrayBuffer(unshared.length * PAGE_SIZE));
  unshared.forEach((i, n) => {
    copies.set(pages[i]!.bytes, n * PAGE_SIZE);
    sources[i] = buffers.length;
    offsets[i] = n * PAGE_SIZE;
  });
  if (unshared.length > 0) buffers.push(copies.buffer);
  return { addresses, lengths, masks, buffers, sources, offsets };
}

/** The place of a value in a list, to which it is added where it is not there. */
function placeIn<T>(list: T[], value: T): number {
  const known = list.indexOf(value);
  return known < 0 ? list.push(value) - 1 : known;
}

function* payloadsOf(job: PagesJob, pause?: () => void): Generator<PayloadJob> {
  for (const payload of encodePages(pagesOf(job, pause))) yield sharedPayload('MEMO', payload, MIN_LZMA);
}

function* pagesOf(job: PagesJob, pause?: () => void): Generator<ObservedPage> {
  const { addresses, lengths, masks, buffers, sources, offsets } = job;
  for (let i = 0; i < addresses.length; i++) {
    if (i % PAUSE === 0) pause?.();
    yield {
      address: addresses[i]!,
      bytes: new Uint8Array(buffers[sources[i]!]!, offsets[i], lengths[i]),
      mask: masks.subarray(i * MASK_SIZE, (i + 1) * MASK_SIZE),
    };
  }
}
