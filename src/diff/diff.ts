// Compares two traces: what was booted, the first event that differs and what it means, and a summary of the rest.
// Both are read as streams; memory does not grow with their length.

import { differingFields, type EventField } from '../replay/divergence.js';
import { type EventView, eventView } from '../trace/event-view.js';
import { diffHandoff, type HandoffDifference, handoffsOf, pairHandoffs } from '../trace/handoff.js';
import type { TraceReader } from '../trace/reader.js';
import { alignRest, type Remainder } from './align.js';
import { dataDetail } from './data-detail.js';
import { EventStream, type Filter, type MeantEvent } from './event-stream.js';
import { diffHeaders, diffMemory, type HeaderDifference, type MemoryDifference } from './headers.js';
import { type ReportSite, reportSite } from './site.js';

export interface DiffOptions extends Filter {
  /** Events shown before and after the divergence; 5 when absent. */
  readonly context?: number | undefined;
}

/** The first event that differs; a side is null when its trace has ended. */
export interface FirstDifference {
  readonly a: EventView | null;
  readonly b: EventView | null;
  readonly siteA: ReportSite | null;
  readonly siteB: ReportSite | null;
  readonly fields: readonly EventField[];
  /** Structure field or byte in which the data of the two differ first. */
  readonly detail?: string;
  readonly before: readonly EventView[];
  readonly afterA: readonly EventView[];
  readonly afterB: readonly EventView[];
}

/** A periodic state hash that differed before any event did. */
export interface StateDifference {
  readonly index: number;
  /** The machine states agreed at this cycle (0: at entry) … */
  readonly agreedAt: number;
  /** … and no longer at this one. */
  readonly differAt: number;
}

export interface DiffReport {
  readonly same: boolean;
  readonly header: readonly HeaderDifference[];
  readonly memory: MemoryDifference | null;
  readonly state: StateDifference | null;
  readonly first: FirstDifference | null;
  /** With `--only handoff`: the fields that differ, and nothing else is compared. */
  readonly handoff: readonly HandoffDifference[] | null;
  /** Events that were compared before the first difference. */
  readonly agreed: number;
  readonly rest: Remainder | null;
  /** The recording that was cut off and so ended the comparison: no difference was found, and none can be ruled out. */
  readonly cut: 'a' | 'b' | 'both' | null;
  /** One sentence for each recording that was cut off. */
  readonly notes: readonly string[];
}

const DEFAULT_CONTEXT = 5;

/** @throws TraceError when a trace turns out to be unreadable on the way. */
export function diffTraces(a: TraceReader, b: TraceReader, options: DiffOptions = {}): DiffReport {
  if (options.only?.length === 1 && options.only[0] === 'handoff') return diffHandoffs(a, b);
  const context = options.context ?? DEFAULT_CONTEXT;
  const header = diffHeaders(a.header, b.header);
  const left = new EventStream(a, options, context);
  const right = new EventStream(b, options, context);
  let agreed = 0;
  let agreedAt = 0;
  let state: StateDifference | null = null;
  let first: FirstDifference | null = null;
  for (;;) {
    const x = left.peek();
    const y = right.peek();
    if (!x && !y) break;
    // That a recording was cut off says nothing about the boot.
    if ((!x && !a.complete) || (!y && !b.complete)) break;
    const fields = x && y ? differingFields(x.event, y.event) : [];
    if (
      x &&
      y &&
      x.event.kind === 'state-hash' &&
      fields.length <= 1 &&
      (fields.length === 0 || fields[0] === 'data')
    ) {
      if (fields.length === 0) agreedAt = x.event.cycle;
      else state ??= { index: x.event.index, agreedAt, differAt: x.event.cycle };
    } else if (!x || !y || fields.length > 0) {
      first = firstDifference(a, b, left, right, fields, context);
      break;
    }
    agreed++;
    left.pass();
    right.pass();
  }
  const cut = first ? null : cutOff(a, b, left, right);
  const rest = first ? alignRest(left, right) : null;
  const memory = diffMemory(a, b) ?? null;
  const notes = [a, b].filter(({ damage }) => damage !== undefined).map(({ path, damage }) => `${path}: ${damage}`);
  const same =
    header.length === 0 && !first && !state && !cut && (!comparesState(options) || statesAgree(a, b, memory));
  return { same, header, memory, state, first, handoff: null, agreed, rest, cut, notes };
}

/** The hand-offs of both, field by field, whatever the routes: nothing else of the boots is looked at. */
function diffHandoffs(a: TraceReader, b: TraceReader): DiffReport {
  const [left, right] = [handoffsOf(a), handoffsOf(b)];
  const notes = [a, b].filter(({ damage }) => damage !== undefined).map(({ path, damage }) => `${path}: ${damage}`);
  for (const [{ path }, found] of [
    [a, left],
    [b, right],
  ] as const)
    if (found.length === 0) notes.push(`${path}: no loader entered a kernel`);
  const pairs = pairHandoffs(left, right);
  const handoff = pairs.flatMap(([x, y]) => {
    const fields = diffHandoff(x, y);
    return pairs.length === 1 ? fields : fields.map((one) => ({ ...one, field: `${x.protocol}: ${one.field}` }));
  });
  // One that has none is not the same as one that has.
  if ((left.length === 0) !== (right.length === 0)) {
    const count = (n: number) => (n === 0 ? '(none)' : `${n}`);
    handoff.push({ field: 'hand-offs', a: count(left.length), b: count(right.length) });
  }
  const same = handoff.length === 0;
  const nothing = { header: [], memory: null, state: null, first: null, rest: null, cut: null };
  return { same, ...nothing, handoff, agreed: Math.min(left.length, right.length), notes };
}

/** Whether the machine's state counts: who names what to compare, or leaves state hashes out, does not mean it. */
function comparesState({ only = [], ignore = [] }: DiffOptions): boolean {
  return only.length > 0 ? only.includes('state-hash') : !ignore.includes('state-hash');
}

function statesAgree(a: TraceReader, b: TraceReader, memory: MemoryDifference | null): boolean {
  return memory === null && a.summary?.state === b.summary?.state;
}

/** Which of two recordings ended before the comparison could. */
function cutOff(a: TraceReader, b: TraceReader, left: EventStream, right: EventStream): DiffReport['cut'] {
  const x = !a.complete && !left.peek();
  const y = !b.complete && !right.peek();
  return x && y ? 'both' : x ? 'a' : y ? 'b' : null;
}

function firstDifference(
  a: TraceReader,
  b: TraceReader,
  left: EventStream,
  right: EventStream,
  fields: EventField[],
  context: number,
): FirstDifference {
  const x = left.peek();
  const y = right.peek();
  const detail = x && y ? dataDetail(x, y) : undefined;
  return {
    a: x ? view(x) : null,
    b: y ? view(y) : null,
    siteA: x ? reportSite(a, x.event) : null,
    siteB: y ? reportSite(b, y.event) : null,
    fields,
    ...(detail === undefined ? {} : { detail }),
    before: left.before().map(view),
    afterA: following(left, context),
    afterB: following(right, context),
  };
}

const view = ({ event, meaning }: MeantEvent): EventView => eventView(event, meaning);

function following(stream: EventStream, count: number): EventView[] {
  const views: EventView[] = [];
  for (let i = 1; i <= count; i++) {
    const meant = stream.peek(i);
    if (meant) views.push(view(meant));
  }
  return views;
}
