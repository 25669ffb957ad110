// Payloads that are packed while the guest runs, which takes as long as a good part of the boot: memory, checkpoints, and
// events where they are many. Jobs are done in any order and taken in theirs, so a trace does not depend on threads. What the
// thread (press-thread.ts) has not begun when it is wanted, this one does.

import type { ChunkType } from './chunks.js';
import type { EventBatch } from './event-batch.js';
import type { ObservedPage } from './memory.js';
import { type PressedPayload, sharedPages, sharedPayload } from './press-jobs.js';
import { PressThread, type Ticket } from './press-thread.js';
import type { PagesToSave } from './saved-pages.js';

export class Press {
  /** Jobs whose payloads are to be taken. */
  #tickets: Ticket[] = [];

  /** @param thread that other presses may use, too */
  constructor(private readonly thread = new PressThread()) {}

  /** Begin with pages of initial memory. They are copied. */
  addPages(pages: readonly ObservedPage[]): void {
    this.#tickets.push(this.thread.submit(sharedPages(pages)));
  }

  /** Begin with a payload. It is copied. */
  addPayload(type: ChunkType, payload: Uint8Array): void {
    this.#tickets.push(this.thread.submit(sharedPayload(type, payload)));
  }

  /** Begin with pages of a checkpoint, which give two payloads. */
  addSavedPages(pages: PagesToSave): void {
    this.#tickets.push(this.thread.submit(pages));
  }

  /** Begin with a batch of events, which gives one payload. It must not change before that has been taken. */
  addEvents(events: EventBatch): void {
    this.#tickets.push(this.thread.submit({ events }));
  }

  /**
   * Payloads of the first jobs, in their order, each once.
   * @param open jobs that may be left for later; what is missing until then is done or waited for
   */
  take(open: number): PressedPayload[] {
    const payloads: PressedPayload[] = [];
    this.thread.receive();
    for (;;) {
      this.#divide();
      const waiting = this.#tickets.findIndex(({ payload }) => !payload);
      const done = this.#tickets.splice(0, waiting < 0 ? this.#tickets.length : waiting);
      for (const { payload } of done) payloads.push(payload!);
      if (this.#tickets.length <= open) return payloads;
      // From the end, since the thread comes from the beginning.
      if (!this.#tickets.findLast((ticket) => ticket.tryHere())) this.#tickets[0]!.await();
    }
  }

  /** All payloads that are left. */
  finish(): PressedPayload[] {
    return this.take(0);
  }

  /** Jobs that became several. */
  #divide(): void {
    if (this.#tickets.some(({ parts }) => parts)) this.#tickets = this.#tickets.flatMap((one) => one.parts ?? one);
  }
}
