// Live replay: the machine runs with its devices and is recorded again, but into a sink that compares instead of
// writing. So every answer of a device, every DMA and every timer is checked against the trace.
// A request is compared when it is made and its answer when it is known: the devices' own effects come in between.

import type { RunEnd } from '../cpu/bus.js';
import { codeToValue, EMPTY, type EventKind, KIND_BY_ID, KINDS, type TraceEvent } from '../trace/events.js';
import type { TraceReader } from '../trace/reader.js';
import type { EventSink, Site } from '../trace/sink.js';
import { actualEvent, agrees, type Divergence, differingFields, divergence } from './divergence.js';

export class ComparingSink implements EventSink {
  readonly #events: Generator<TraceEvent>;
  readonly #site: Site;
  readonly #diverged: (divergence: Divergence) => void;
  #divergence: Divergence | undefined;
  #position = 0;
  /** The recorded form of the request that is being answered. */
  #asked: TraceEvent | undefined;

  /** @param diverged called once, at the first difference: the place to stop the run */
  constructor(reader: TraceReader, site: Site, diverged: (divergence: Divergence) => void) {
    this.#events = reader.events();
    this.#site = site;
    this.#diverged = diverged;
  }

  get divergence(): Divergence | undefined {
    return this.#divergence;
  }

  /** Events that agreed so far. */
  get position(): number {
    return this.#position;
  }

  event(
    kind: number,
    address: number,
    size: number,
    value: number,
    valueHigh: number,
    name: string,
    data: Uint8Array,
  ): void {
    if (this.#divergence) return;
    const expected = this.#next();
    const actual = actualEvent(this.#site, kindName(kind), address, size, value, valueHigh, name, data);
    if (!expected || !agrees(expected, actual)) this.#diverge(expected, actual);
    else this.#position++;
  }

  ask(kind: number, address: number, size: number): void {
    if (this.#divergence) return;
    const expected = this.#next();
    this.#asked = expected;
    const { value, valueHigh, name, data } = expected ?? { value: 0, valueHigh: 0, name: '', data: EMPTY };
    const actual = actualEvent(this.#site, kindName(kind), address, size, value, valueHigh, name, data);
    if (!expected || differingFields(expected, actual).length > 0) this.#diverge(expected, actual);
    else this.#position++;
  }

  answer(value: number, valueHigh: number, data: Uint8Array): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (this.#divergence || !asked) return;
    const actual = { ...asked, value, valueHigh, data };
    if (differingFields(asked, actual).length > 0) this.#diverge(asked, actual);
  }

  /** The run is over: compare how it ended, and whether the trace is over too. */
  finish(end: RunEnd): Divergence | undefined {
    this.event(KINDS.end.id, 0, 0, codeToValue(end.code), 0, end.reason, EMPTY);
    if (!this.#divergence) {
      const rest = this.#next();
      if (rest) this.#diverge(rest, undefined);
    }
    return this.#divergence;
  }

  #next(): TraceEvent | undefined {
    const { value, done } = this.#events.next();
    return done ? undefined : value;
  }

  #diverge(expected: TraceEvent | undefined, actual: Parameters<typeof divergence>[3]): void {
    this.#divergence = divergence(this.#site, expected?.index ?? this.#position, expected, actual);
    this.#diverged(this.#divergence);
  }
}

const kindName = (id: number): EventKind => KIND_BY_ID[id]!.kind as EventKind;
