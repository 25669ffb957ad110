// One of the two traces of a diff: its events with their meaning, filtered by --only and --ignore, with a bounded
// look ahead and a few events to look back at.

import { isNamed } from '../trace/event-view.js';
import type { TraceEvent } from '../trace/events.js';
import type { TraceReader } from '../trace/reader.js';
import { type Meaning, Semantics } from '../trace/semantic/semantics.js';

export interface MeantEvent {
  readonly event: TraceEvent;
  readonly meaning: Meaning;
}

export interface Filter {
  /** Kinds or devices to compare; all when empty. */
  readonly only?: readonly string[] | undefined;
  /** Kinds or devices to leave out. */
  readonly ignore?: readonly string[] | undefined;
}

export class EventStream {
  readonly #events: Generator<TraceEvent>;
  readonly #semantics = new Semantics();
  readonly #filter: Filter;
  /** Events read but not passed: #buffer[#at] is the next one. */
  #buffer: MeantEvent[] = [];
  #at = 0;
  readonly #context: number;

  /** @param context passed events that stay available through before() */
  constructor(reader: TraceReader, filter: Filter, context: number) {
    this.#events = reader.events();
    this.#filter = filter;
    this.#context = context;
  }

  /** The event `ahead` of the next one; undefined past the end. */
  peek(ahead = 0): MeantEvent | undefined {
    while (this.#buffer.length <= this.#at + ahead) {
      const next = this.#read();
      if (!next) return undefined;
      this.#buffer.push(next);
    }
    return this.#buffer[this.#at + ahead];
  }

  /** Pass `count` events. */
  pass(count = 1): void {
    this.#at += count;
    if (this.#at > 0x1000 + this.#context) {
      this.#buffer = this.#buffer.slice(this.#at - this.#context);
      this.#at = this.#context;
    }
  }

  /** The last events that were passed, oldest first. */
  before(): readonly MeantEvent[] {
    return this.#buffer.slice(Math.max(0, this.#at - this.#context), this.#at);
  }

  #read(): MeantEvent | undefined {
    const { only = [], ignore = [] } = this.#filter;
    for (;;) {
      const { value: event, done } = this.#events.next();
      if (done) return undefined;
      const meaning = this.#semantics.next(event);
      if (only.length > 0 && !only.some((name) => isNamed(event, meaning, name))) continue;
      if (ignore.some((name) => isNamed(event, meaning, name))) continue;
      return { event, meaning };
    }
  }
}
