// Events on their way into chunks: a single batch is packed where it was recorded, and on a thread when there are more, so
// the first waits to see whether there are. Chunks come out in the order of the events, and the same whoever packed them. No more than
// OPEN batches are under way: a recorder that is ahead packs some itself, or waits. So nothing is lost and memory is
// bounded.

import type { PackedPayload } from './chunks.js';
import { type EventBatch, EventBatches } from './event-batch.js';
import { Press } from './press.js';
import { type PressedPayload, pressEvents } from './press-jobs.js';
import type { PressThread } from './press-thread.js';
import type { Site } from './sink.js';

/** Batches that may be under way; a recording that is killed loses as many. */
const OPEN = 3;

/** An EVTS chunk. */
export interface EventChunk {
  readonly raw: Uint8Array;
  readonly packed: PackedPayload;
  /** Events before it, and the cycle of the last of them. */
  readonly first: number;
  readonly baseCycle: number;
}

export class EventStream {
  readonly batches: EventBatches;
  #begun = false;
  /** The first batch while it waits. */
  #waiting: EventBatch | undefined;
  readonly #open: EventBatch[] = [];
  readonly #free: EventBatch[] = [];
  readonly #press: Press;

  constructor(
    site: Site,
    private readonly thread: PressThread,
  ) {
    this.batches = new EventBatches(site);
    this.#press = new Press(thread);
  }

  /** End the batch. @returns chunks that are to be written now, of this batch or of earlier ones */
  flush(): EventChunk[] {
    const batch = this.batches.next(this.#free.pop());
    this.#open.push(batch);
    if (!this.#begun && !this.thread.isStarted) {
      this.#begun = true;
      this.#waiting = batch;
      return this.thread.canStart ? [] : this.endWait();
    }
    this.#begun = true;
    if (this.#waiting) this.#press.addEvents(this.#waiting);
    this.#waiting = undefined;
    this.#press.addEvents(batch);
    return this.#take(OPEN);
  }

  /** The first batch has waited long enough, for all that more events tell. @returns what flush() does */
  endWait(): EventChunk[] {
    const batch = this.#waiting;
    this.#waiting = undefined;
    if (!batch) return [];
    if (this.thread.isStarted) {
      this.#press.addEvents(batch);
      return [];
    }
    this.thread.onWorkHere?.();
    return [this.#chunk(pressEvents(batch, this.thread.borrower))];
  }

  /** All that is under way. */
  finish(): EventChunk[] {
    return [...this.endWait(), ...this.#take(0)];
  }

  #take(open: number): EventChunk[] {
    return this.#press.take(open).map((payload) => this.#chunk(payload));
  }

  /** Of the first batch that is open, which is free with that. */
  #chunk({ raw, codec, stored }: PressedPayload): EventChunk {
    const batch = this.#open.shift()!;
    this.#free.push(batch);
    const { first, baseCycle } = batch;
    return { raw, packed: { codec, stored }, first, baseCycle };
  }
}
