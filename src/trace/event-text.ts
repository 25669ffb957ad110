// An event in a few words, from its fields alone; what it means to the guest is semantic/.
// The schema decides which fields are shown, so a new kind needs nothing here unless its value has a unit of its own.
// The form is for people: programs read the JSON of event-view.ts.

import { KINDS, type TraceEvent } from './events.js';

/** `dataLength` is given where `data` holds only the first bytes. */
type EventFields = Omit<TraceEvent, 'index'> & { readonly dataLength?: number };

/** An event in a few words: `port-read 0x3fd.1 = 0x60`. */
export function eventText(event: EventFields): string {
  const row = KINDS[event.kind];
  let words: string = event.kind;
  if (row.name) words += ` ${event.name}`;
  if (row.address === 'vector') words += ` ${hex(event.address)}`;
  else if (row.address !== 'none' && !(event.kind === 'line' && event.address === 0)) words += ` ${hex(event.address)}`;
  if (row.size) words += `.${event.size}`;
  words += valueText(event);
  if (row.data !== 'none') words += ` ${dataText(event.data, event.dataLength)}`;
  return words;
}

function valueText(event: EventFields): string {
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
export function dataText(data: Uint8Array, length = data.length): string {
  let shown = '';
  for (const byte of data.subarray(0, 16)) shown += byte.toString(16).padStart(2, '0');
  return length > 16 ? `${shown}… (${length} bytes)` : shown;
}

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
