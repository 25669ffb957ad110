// The first point where a replay is not what was recorded. A divergence is a result, never an exception: the run is
// stopped, and the report says which event was expected, what the guest did instead, and which fields differ.
// Fields are compared in the order of how much they tell; the cycle comes late, as everything shifts once one does.

import { eventText, hex } from '../trace/event-text.js';
import type { TraceEvent } from '../trace/events.js';
import { isEarlierForm } from '../trace/handoff.js';
import type { Site, SiteCode } from '../trace/sink.js';

/** What the guest (or, in live replay, a device) did; fields as in TraceEvent. */
export type ActualEvent = Omit<TraceEvent, 'index'>;

export type EventField = 'kind' | 'cycle' | 'cs' | 'rip' | 'address' | 'size' | 'value' | 'name' | 'data';

export interface Divergence {
  /** Index of the event that was expected: the number of events that agreed. */
  readonly index: number;
  readonly cycle: number;
  readonly cs: number;
  readonly rip: bigint;
  /** Undefined when the trace has no more events. */
  readonly expected: TraceEvent | undefined;
  /** Undefined when the guest went past the expected event without doing anything. */
  readonly actual: ActualEvent | undefined;
  /** The instruction at the site, where its bytes could be read. */
  readonly code: SiteCode | undefined;
  /** Fields that differ, the telling ones first; empty when there is nothing to compare. */
  readonly fields: readonly EventField[];
  /** One sentence. */
  readonly summary: string;
}

/** Fields of `expected` and `actual` that differ, in the order of how much they tell. */
export function differingFields(expected: ActualEvent, actual: ActualEvent): EventField[] {
  const fields: EventField[] = [];
  if (expected.kind !== actual.kind) fields.push('kind');
  if (expected.address !== actual.address) fields.push('address');
  if (expected.size !== actual.size) fields.push('size');
  if (expected.value !== actual.value || expected.valueHigh !== actual.valueHigh) fields.push('value');
  if (expected.name !== actual.name) fields.push('name');
  if (!sameBytes(expected.data, actual.data)) fields.push('data');
  if (expected.cs !== actual.cs) fields.push('cs');
  if (expected.rip !== actual.rip) fields.push('rip');
  if (expected.cycle !== actual.cycle) fields.push('cycle');
  return fields;
}

/** Whether what a replay did is what was recorded, be it by an earlier program that left bits of a hand-off out. */
export function agrees(expected: TraceEvent, actual: ActualEvent): boolean {
  const [field, ...more] = differingFields(expected, actual);
  if (field === undefined) return true;
  return (
    field === 'data' && more.length === 0 && actual.kind === 'handoff' && isEarlierForm(expected.data, actual.data)
  );
}

export function divergence(
  site: Site,
  index: number,
  expected: TraceEvent | undefined,
  actual: ActualEvent | undefined,
): Divergence {
  const fields = expected && actual ? differingFields(expected, actual) : [];
  const summary = summarise(expected, actual, fields);
  const { cycle, cs } = site;
  return { index, cycle, cs, rip: siteRip(site), code: site.code?.(), expected, actual, fields, summary };
}

/** The event that a call at this site makes. */
export function actualEvent(
  site: Site,
  kind: TraceEvent['kind'],
  address: number,
  size: number,
  value: number,
  valueHigh: number,
  name: string,
  data: Uint8Array,
): ActualEvent {
  return { kind, cycle: site.cycle, cs: site.cs, rip: siteRip(site), address, size, value, valueHigh, name, data };
}

export const siteRip = (site: Site): bigint => BigInt(site.ripLow) | (BigInt(site.ripHigh) << 32n);

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

function summarise(
  expected: ActualEvent | undefined,
  actual: ActualEvent | undefined,
  fields: readonly EventField[],
): string {
  if (!expected) return `the trace is over, but the guest went on with ${actual ? eventText(actual) : 'instructions'}`;
  if (!actual) return `the trace has ${eventText(expected)} at cycle ${expected.cycle}, and the guest went past it`;
  if (fields[0] === 'kind' || fields[0] === 'address' || fields[0] === 'size') {
    return `the trace has ${eventText(expected)}, and the guest did ${eventText(actual)}`;
  }
  if (fields.includes('value') || fields.includes('data') || fields.includes('name')) {
    return `${expected.kind}: the trace has ${eventText(expected)}, this run ${eventText(actual)}`;
  }
  if (fields.includes('rip') || fields.includes('cs')) {
    const at = (event: ActualEvent) => `${hex(event.cs)}:${hex(event.rip)}`;
    return `${eventText(expected)} came from ${at(actual)} instead of ${at(expected)}`;
  }
  return `${eventText(expected)} came at cycle ${actual.cycle} instead of ${expected.cycle}`;
}
