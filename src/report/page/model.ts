// What is looked at, and who wants to know: the trace, the selected event, the stretch of the time axis, the filter and
// the tab. Views change it through methods and draw when told; none keeps a copy.

import type { DifferenceView } from '../payload.js';
import type { Address } from './address.js';
import type { TraceData } from './columns.js';
import { type Lane, lanesOf } from './lanes.js';
import { Filter, parseQuery } from './query.js';
import { SampleData } from './samples.js';

export type Change = 'trace' | 'event' | 'axis' | 'filter' | 'tab' | 'theme';
export type AxisMode = 'time' | 'events';
export const TABS = ['events', 'flame', 'structures', 'console', 'screen', 'difference', 'boot'] as const;
export type Tab = (typeof TABS)[number];

export interface Trace {
  readonly name: 'A' | 'B';
  readonly data: TraceData;
  readonly lanes: readonly Lane[];
  readonly samples: SampleData | undefined;
  readonly pictures: readonly string[];
}

/** Cycles and events that the axis shows at least. */
const LEAST = { time: 16, events: 4 };

export class Model {
  trace: Trace;
  /** Selected event of each trace; -1 for none. */
  readonly selected: number[];
  /** Events that match, undefined for all. */
  matches: Uint32Array | undefined;
  /** Part of the events that was filtered, 1 when done. */
  filtered = 1;
  query = '';
  problem: string | undefined;
  tab: Tab = 'events';
  mode: AxisMode = 'time';
  from = 0;
  to = 1;
  readonly #listeners: ((change: Change) => void)[] = [];
  #filterRun = 0;

  constructor(
    readonly traces: readonly Trace[],
    readonly difference: DifferenceView | undefined,
  ) {
    this.trace = traces[0]!;
    this.selected = traces.map(() => -1);
    this.to = this.whole;
  }

  listen(listener: (change: Change) => void): void {
    this.#listeners.push(listener);
  }

  tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }

  get data(): TraceData {
    return this.trace.data;
  }

  get index(): number {
    return this.traces.indexOf(this.trace);
  }

  get event(): number {
    return this.selected[this.index]!;
  }

  /** Length of the axis: of the longer trace, so that both have one scale. */
  get whole(): number {
    const lengths = this.traces.map(({ data }) => (this.mode === 'time' ? data.head.cycles : Math.max(data.count, 1)));
    return Math.max(...lengths);
  }

  /** The chosen cycle: that of the selected event, else the end. */
  get cycle(): number {
    return this.event < 0 ? this.data.head.cycles : this.data.cycle[this.event]!;
  }

  /** Where an event lies on the axis. */
  place(event: number, data = this.data): number {
    return this.mode === 'time' ? data.cycle[event]! : event;
  }

  select(event: number, reveal = true): void {
    const { count } = this.data;
    const next = count === 0 ? -1 : Math.min(Math.max(event, 0), count - 1);
    this.selected[this.index] = next;
    if (reveal && next >= 0) this.#reveal(this.place(next));
    this.tell('event');
  }

  setTrace(index: number): void {
    const trace = this.traces[index];
    if (!trace || trace === this.trace) return;
    this.trace = trace;
    this.applyFilter();
    this.tell('trace');
  }

  setTab(tab: Tab): void {
    if (tab === 'difference' && !this.difference) return;
    this.tab = tab;
    this.tell('tab');
  }

  setMode(mode: AxisMode): void {
    if (mode === this.mode) return;
    const { data } = this;
    const convert = (at: number): number =>
      mode === 'events' ? data.firstAt(at) : at >= data.count ? data.head.cycles : (data.cycle[Math.floor(at)] ?? 0);
    const [from, to] = [convert(this.from), convert(this.to)];
    this.mode = mode;
    this.setView(from, to);
  }

  /** Show a stretch of the axis; kept within its ends. */
  setView(from: number, to: number): void {
    const { whole } = this;
    const span = Math.min(Math.max(to - from, LEAST[this.mode]), whole);
    const start = Math.min(Math.max(from, 0), whole - span);
    this.from = start;
    this.to = start + span;
    this.tell('axis');
  }

  /** @param factor below 1 shows less @param at stays where it is */
  zoom(factor: number, at = this.#focus()): void {
    this.setView(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }

  /** @param part of what is shown, to the right when positive */
  pan(part: number): void {
    const by = (this.to - this.from) * part;
    this.setView(this.from + by, this.to + by);
  }

  #focus(): number {
    const place = this.event < 0 ? -1 : this.place(this.event);
    return place >= this.from && place <= this.to ? place : (this.from + this.to) / 2;
  }

  #reveal(at: number): void {
    if (at >= this.from && at <= this.to) return;
    const half = (this.to - this.from) / 2;
    this.setView(at - half, at + half);
  }

  setQuery(query: string): void {
    if (query === this.query) return;
    this.query = query;
    this.applyFilter();
  }

  /** Filter in the background, a slice at a time. */
  applyFilter(): void {
    const run = ++this.#filterRun;
    const parsed = parseQuery(this.query);
    this.problem = parsed.problem;
    if (parsed.clauses.length === 0) {
      this.matches = undefined;
      this.filtered = 1;
      this.tell('filter');
      return;
    }
    const steps = new Filter(this.data, parsed).run();
    const { count } = this.data;
    const slice = () => {
      if (run !== this.#filterRun) return;
      const end = performance.now() + 10;
      for (;;) {
        const { value, done } = steps.next();
        if (done) {
          this.matches = value as Uint32Array;
          this.filtered = 1;
          this.tell('filter');
          return;
        }
        if (performance.now() > end) {
          this.filtered = (value as number) / Math.max(count, 1);
          this.tell('filter');
          setTimeout(slice);
          return;
        }
      }
    };
    slice();
  }

  get address(): Address {
    return {
      ...(this.traces.length > 1 && { trace: this.index }),
      ...(this.event >= 0 && { event: this.event }),
      ...(this.tab !== 'events' && { tab: this.tab }),
      ...(this.query !== '' && { query: this.query }),
      ...(this.mode !== 'time' && { axis: this.mode }),
      ...((this.from > 0 || this.to < this.whole) && { from: this.from, to: this.to }),
    };
  }

  /** Go where a link leads. */
  goTo({ trace = 0, event, tab, query = '', axis = 'time', from, to }: Address): void {
    this.setTrace(trace);
    this.mode = axis;
    this.setView(from ?? 0, to ?? this.whole);
    this.setQuery(query);
    if (event !== undefined) this.select(event, from === undefined);
    const known = TABS.find((name) => name === tab) ?? 'events';
    if (known !== this.tab) this.setTab(known);
  }
}

export const makeTrace = (
  data: TraceData,
  name: 'A' | 'B',
  columns: ConstructorParameters<typeof SampleData>[1],
): Trace => ({
  name,
  data,
  lanes: lanesOf(data),
  samples: data.head.samples ? new SampleData(data.head, columns) : undefined,
  pictures: data.head.screens.map(({ image: [at, length] }) => {
    const bytes = (columns.png ?? new Uint8Array(0)).slice(at, at + length);
    return URL.createObjectURL(new Blob([bytes], { type: 'image/png' }));
  }),
});
