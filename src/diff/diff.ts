// Compares two traces: what was booted, the first event that differs and what it means, and what differs behind it,
// folded into groups. Both are read as streams; memory does not grow with their length.
// Why they differ is found in cause.ts.

import { type EventView, eventView } from '../trace/event-view.js';
import { diffHandoff, handoffsOf, pairHandoffs } from '../trace/handoff.js';
import type { TraceReader } from '../trace/reader.js';
import type { SymbolTable } from '../trace/symbols.js';
import { Aligner, type Alignment, type FirstPlace } from './align.js';
import { causeOf } from './cause.js';
import { ColumnStream, type MeantEvent } from './column-stream.js';
import { dataDetail } from './data-detail.js';
import { EventFilter, type Filter } from './event-filter.js';
import {
  EXPLANATION_VERSION,
  type Explanation,
  type FirstDifference,
  type RegisterCount,
  type Remainder,
  type Verdict,
} from './explanation.js';
import { diffHeaders, diffMemory, type HeaderDifference, type MemoryDifference } from './headers.js';
import { reportSite } from './site.js';
import { SymbolIds } from './symbol-ids.js';

export interface DiffOptions extends Filter {
  /** Events shown before and after the divergence; 5 when absent. */
  readonly context?: number | undefined;
  /** Symbols of the guest's programs, for linear addresses; asked before those in the trace. */
  readonly symbols?: readonly SymbolTable[] | undefined;
}

const DEFAULT_CONTEXT = 5;

/** A comparison with the place of its first difference, for those who look further into it. */
export interface Comparison {
  readonly explanation: Explanation;
  readonly first: FirstPlace | null;
}

/** @throws TraceError when a trace turns out to be unreadable on the way. */
export function diffTraces(a: TraceReader, b: TraceReader, options: DiffOptions = {}): Explanation {
  return compareTraces(a, b, options).explanation;
}

/** @throws TraceError when a trace turns out to be unreadable on the way. */
export function compareTraces(a: TraceReader, b: TraceReader, options: DiffOptions = {}): Comparison {
  if (options.only?.length === 1 && options.only[0] === 'handoff') {
    return { explanation: diffHandoffs(a, b), first: null };
  }
  const filter = new EventFilter(options);
  const { ignoresTiming } = filter;
  const ids = new SymbolIds();
  const left = new ColumnStream(a, ids, filter);
  const right = new ColumnStream(b, ids, filter);
  const aligner = new Aligner(left, right, ids, {
    context: options.context ?? DEFAULT_CONTEXT,
    ignoresTiming,
    endsCount: [a.complete, b.complete],
  });
  const alignment = aligner.run();
  const { first: place, state } = alignment;
  const first = place ? firstDifference(a, b, place, options.symbols ?? []) : null;
  const header = diffHeaders(a.header, b.header);
  const memory = diffMemory(a, b) ?? null;
  const cut = first ? null : cutOff(a, b, alignment);
  // What an image is made of counts by what it does, when only that is compared.
  const booted = ignoresTiming ? header.filter((one) => !isContent(one)) : header;
  const states = ignoresTiming || !comparesState(options) || statesAgree(a, b, memory);
  const same = booted.length === 0 && !first && !(state && !ignoresTiming) && !cut && states;
  const verdict = verdictOf(alignment, same, cut !== null, booted, states);
  const explanation: Explanation = {
    version: EXPLANATION_VERSION,
    verdict,
    same,
    names: [a.path, b.path],
    cause: causeOf({ verdict, header, memory, first, place, alignment, state, states }),
    header,
    memory,
    state,
    first,
    chain: [],
    handoff: null,
    tables: [],
    groups: alignment.groups.list(),
    timing: retiming(alignment),
    agreed: alignment.agreed,
    rest: first ? remainder(alignment) : null,
    cut,
    notes: [
      ...notesOf(a, b),
      ...filter.unseen.map((name) => `neither has an event of the kind, device, phase or item ${name}`),
    ],
  };
  return { explanation, first: place };
}

function verdictOf(
  { first, groups, lastShift, shifted }: Alignment,
  same: boolean,
  cut: boolean,
  booted: readonly HeaderDifference[],
  states: boolean,
): Verdict {
  const elsewhere = first !== null && first.fields.length > 0 && first.fields.every((field) => field !== 'cycle');
  const moved = shifted > 0 || lastShift !== 0 || groups.list().length > 0 || elsewhere;
  if (same) return moved ? 'retimed' : 'equal';
  if (cut) return 'cut';
  if (!first) return 'diverged';
  const timeOnly = first.fields.every((field) => field === 'cycle' || field === 'rip' || field === 'cs');
  const timed = (timeOnly && first.x && first.y) || groups.essential === 0;
  // At other times a machine is in another state; at the same times it must not be.
  return timed && groups.essential === 0 && booted.every(isContent) && (moved || states) ? 'retimed' : 'diverged';
}

/** Other bytes of an image; that there is one, and of what role, is a choice. */
const isContent = ({ field, a, b }: HeaderDifference): boolean =>
  field.startsWith('image ') && a !== '(none)' && b !== '(none)';

function retiming({ shifted, firstShift, lastShift }: Alignment): Explanation['timing'] {
  return shifted === 0 ? null : { shifts: shifted, first: firstShift, last: lastShift };
}

function remainder({ equal, shifted, resyncs, groups }: Alignment): Remainder {
  const registers = new Map<string, RegisterCount>();
  for (const { kind, device, register, count } of groups.list()) {
    if (kind === 'moved') continue;
    const key = `${device}\n${register}`;
    const row = registers.get(key) ?? { device, register, changed: 0, onlyA: 0, onlyB: 0 };
    registers.set(key, row);
    row[kind === 'changed' ? 'changed' : kind === 'only-a' ? 'onlyA' : 'onlyB'] += count;
  }
  const total = (row: RegisterCount) => row.changed + row.onlyA + row.onlyB;
  return {
    equal,
    shifted,
    changed: groups.changedCount,
    onlyA: groups.loneCount.a,
    onlyB: groups.loneCount.b,
    moved: groups.movedCount,
    resyncs,
    registers: [...registers.values()].sort((p, q) => total(q) - total(p)),
  };
}

const notesOf = (...readers: TraceReader[]): string[] =>
  readers.filter(({ damage }) => damage !== undefined).map(({ path, damage }) => `${path}: ${damage}`);

/** The hand-offs of both, field by field, whatever the routes: nothing else of the boots is looked at. */
function diffHandoffs(a: TraceReader, b: TraceReader): Explanation {
  const [left, right] = [handoffsOf(a), handoffsOf(b)];
  const notes = notesOf(a, b);
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
  const [field] = handoff;
  return {
    version: EXPLANATION_VERSION,
    verdict: same ? 'equal' : 'diverged',
    same,
    names: [a.path, b.path],
    cause: field
      ? {
          kind: 'structure',
          text: `the loader leaves ${field.field} ${field.a} in A and ${field.b} in B`,
          subject: field.field,
          phase: 'loader',
          symbol: null,
        }
      : null,
    header: [],
    memory: null,
    state: null,
    first: null,
    chain: [],
    handoff,
    tables: [],
    groups: [],
    timing: null,
    agreed: Math.min(left.length, right.length),
    rest: null,
    cut: null,
    notes,
  };
}

/** Whether the machine's state counts: who names what to compare, or leaves state hashes out, does not mean it. */
function comparesState({ only = [], ignore = [] }: DiffOptions): boolean {
  return only.length > 0 ? only.includes('state-hash') : !ignore.includes('state-hash');
}

function statesAgree(a: TraceReader, b: TraceReader, memory: MemoryDifference | null): boolean {
  return memory === null && a.summary?.state === b.summary?.state;
}

/** Which of two recordings ended before the comparison could. */
function cutOff(a: TraceReader, b: TraceReader, { ended }: Alignment): Explanation['cut'] {
  const x = !a.complete && ended[0];
  const y = !b.complete && ended[1];
  return x && y ? 'both' : x ? 'a' : y ? 'b' : null;
}

function firstDifference(
  a: TraceReader,
  b: TraceReader,
  place: FirstPlace,
  symbols: readonly SymbolTable[],
): FirstDifference {
  const { x, y, fields } = place;
  const detail = x && y ? dataDetail(x, y) : undefined;
  return {
    a: x ? view(x) : null,
    b: y ? view(y) : null,
    siteA: x ? reportSite(a, x.event, undefined, { symbols }) : null,
    siteB: y ? reportSite(b, y.event, undefined, { symbols }) : null,
    phaseA: x?.phase ?? null,
    phaseB: y?.phase ?? null,
    fields,
    ...(detail === undefined ? {} : { detail }),
    before: place.before.map(view),
    afterA: place.afterA.map(view),
    afterB: place.afterB.map(view),
  };
}

const view = ({ event, meaning }: MeantEvent): EventView => eventView(event, meaning);
