// An event as reports show it: plain JSON, 64-bit numbers as hexadecimal text, only the fields that its kind has.
// Also here: what `--kind`, `--only` and `--ignore` may name. Data is cut at 64 bytes; `length` has the whole.
// Scripts parse this: fields are added, never renamed.

import { type EventKind, KINDS, type TraceEvent } from './events.js';
import type { Meaning } from './semantic/semantics.js';

/** Bytes of data that a view shows. */
const SHOWN = 64;

/** JSON form of an event; `address` and `rip` are hexadecimal text. */
export interface EventView {
  readonly index: number;
  readonly cycle: number;
  readonly cs: string;
  readonly rip: string;
  readonly kind: EventKind;
  readonly address?: string;
  readonly size?: number;
  readonly value?: string | number;
  readonly name?: string;
  /** First 64 bytes as hexadecimal text, and the whole length. */
  readonly data?: string;
  readonly length?: number;
  readonly device: string;
  readonly register: string;
  readonly text: string;
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

export function eventView(event: TraceEvent, meaning: Meaning): EventView {
  const row = KINDS[event.kind];
  return {
    index: event.index,
    cycle: event.cycle,
    cs: hex(event.cs),
    rip: hex(event.rip),
    kind: event.kind,
    ...(row.address === 'none' ? {} : { address: hex(event.address) }),
    ...(row.size ? { size: event.size } : {}),
    ...valueView(event),
    ...(row.name ? { name: event.name } : {}),
    ...(row.data === 'none'
      ? {}
      : { data: Buffer.from(event.data.subarray(0, SHOWN)).toString('hex'), length: event.data.length }),
    device: meaning.device,
    register: meaning.register,
    text: meaning.text,
  };
}

function valueView(event: TraceEvent): { value?: string | number } {
  switch (KINDS[event.kind].value) {
    case 'none':
      return {};
    case 'u64':
      return { value: hex((BigInt(event.valueHigh) << 32n) | BigInt(event.value)) };
    case 'value':
      return { value: hex(event.value) };
    default:
      return { value: event.value };
  }
}

/** One line of a listing. */
export function eventLine(view: EventView): string {
  return `${String(view.index).padStart(8)} ${String(view.cycle).padStart(13)} ${view.cs}:${view.rip}  ${view.text}`;
}

/**
 * Whether an event belongs to what people name with --kind, --only and --ignore: an event kind (port-read), a device
 * (uart0, fw_cfg) or a device without its number or place (pci, timer).
 */
export function isNamed(event: TraceEvent, meaning: Meaning, name: string): boolean {
  return event.kind === name || meaning.device === name || meaning.device.startsWith(`${name} `);
}
