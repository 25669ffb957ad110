// The first point where a replay is not what was recorded. A divergence is a result, never an exception: the run is
// stopped, and the report says which event was expected, what the guest did instead, and which fields differ.

import { KINDS, type TraceEvent } from '../trace/events.js';
import type { Site } from '../trace/sink.js';

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

export function divergence(
  site: Site,
  index: number,
  expected: TraceEvent | undefined,
  actual: ActualEvent | undefined,
): Divergence {
  const fields = expected && actual ? differingFields(expected, actual) : [];
  const rip = siteRip(site);
  return {
    index,
    cycle: site.cycle,
    cs: site.cs,
    rip,
    expected,
    actual,
    fields,
    summary: summarise(expected, actual, fields),
  };
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

export const siteRip = (site: Site): bigint => (BigInt(site.ripHigh) << 32n) | BigInt(site.ripLow);

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** An event in a few words: `port-read 0x3fd.1 = 0x60`. */
export function eventText(event: ActualEvent): string {
  const row = KINDS[event.kind];
  let words: string = event.kind;
  if (row.name) words += ` ${event.name}`;
  if (row.address === 'vector') words += ` ${hex(event.address)}`;
  else if (row.address !== 'none' && !(event.kind === 'line' && event.address === 0)) words += ` ${hex(event.address)}`;
  if (row.size) words += `.${event.size}`;
  words += valueText(event);
  if (row.data !== 'none') words += ` ${dataText(event.data)}`;
  return words;
}

function valueText(event: ActualEvent): string {
  switch (KINDS[event.kind].value) {
    case 'none':
      return '';
    case 'u64':
      return ` = ${hex((BigInt(event.valueHigh) << 32n) | BigInt(event.value))}`;
    case 'nanoseconds':
      return event.value === Number.MAX_SAFE_INTEGER ? ' never' : ` at ${event.value} ns`;
    case 'code':
      return event.value === 0 ? '' : ` code ${event.value - 1}`;
    case 'length':
      return ` ${event.value} bytes`;
    case 'level':
      return ` = ${event.value}`;
    default:
      return ` = ${hex(event.value)}`;
  }
}

/** Bytes as hex, shortened past 16. */
export function dataText(data: Uint8Array): string {
  const shown = Buffer.from(data.subarray(0, 16)).toString('hex');
  return data.length > 16 ? `${shown}… (${data.length} bytes)` : shown;
}

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

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
