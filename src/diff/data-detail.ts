// Where the bytes of two events part, by the structure that they belong to: the byte, both values, and the field's name
// where the layout of the item is known (trace/semantic). A value counts as bytes when the event belongs to such an
// item, as port reads of fw_cfg do.

import type { TraceEvent } from '../trace/events.js';
import { decodeHandoff, diffHandoff } from '../trace/handoff.js';
import type { Meaning } from '../trace/semantic/semantics.js';

/** Fields of a hand-off that are named. */
const SHOWN_FIELDS = 4;

interface Meant {
  readonly event: Omit<TraceEvent, 'index'>;
  readonly meaning: Meaning;
}

/** The first byte that differs, and its structure field where the layout is known; undefined when no bytes differ. */
export function dataDetail(x: Meant, y: Meant, names: readonly [string, string] = ['A', 'B']): string | undefined {
  const [p, q] = [dataOf(x), dataOf(y)];
  const [a, b] = names;
  if (x.event.kind === 'handoff' && y.event.kind === 'handoff') return handoffDetail(x.event, y.event, names);
  const length = Math.min(p.length, q.length);
  let at = 0;
  while (at < length && p[at] === q[at]) at++;
  if (at === p.length && at === q.length) return undefined;
  if (at === length) return `${p.length} bytes in ${a}, ${q.length} in ${b}, equal as far as both go`;
  const byte = (value: number) => `0x${value.toString(16).padStart(2, '0')}`;
  const where = `byte ${at} is ${byte(p[at]!)} in ${a}, ${byte(q[at]!)} in ${b}`;
  const fieldA = x.meaning.fieldAt?.(at);
  const fieldB = y.meaning.fieldAt?.(at);
  if (fieldA === undefined && fieldB === undefined) return x.event.data.length > 0 ? where : undefined;
  return `${where}; ${fieldA === fieldB ? fieldA : `${a}: ${fieldA}; ${b}: ${fieldB}`}`;
}

/** The fields of two hand-offs that differ, the first few. */
function handoffDetail(x: Meant['event'], y: Meant['event'], [a, b]: readonly [string, string]): string | undefined {
  try {
    const fields = diffHandoff(decodeHandoff(x.data, x), decodeHandoff(y.data, y));
    const shown = fields.slice(0, SHOWN_FIELDS).map((field) => `${field.field} ${field.a} in ${a}, ${field.b} in ${b}`);
    if (fields.length > shown.length) shown.push(`${fields.length - shown.length} more fields`);
    return shown.length === 0 ? undefined : shown.join('; ');
  } catch {
    return 'no hand-off record in one of them';
  }
}

/** The bytes that an event carried: its data, or its value. */
function dataOf({ event, meaning }: Meant): Uint8Array {
  if (event.data.length > 0 || !meaning.fieldAt) return event.data;
  return Uint8Array.from({ length: event.size }, (_, i) => event.value >>> (8 * i));
}
