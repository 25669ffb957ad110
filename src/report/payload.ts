// What a page carries for each trace, and how: a JSON head with everything that is small, and byte columns for
// everything that grows with the trace. Written by Node, read by the page, so this file knows neither.
//
//   u32 little-endian: bytes of the head · head, JSON in UTF-8 · the columns, in the order of `head.columns`
//
// The whole is deflated and lies in the page as base64 in an element that is no script. Columns of whole numbers are
// unsigned LEB128; signed ones are zigzagged. Invariant: the head never grows with the number of events.

import type { Explanation } from '../diff/explanation.js';
import type { EventKind } from '../trace/events.js';
import type { HandoffView } from '../trace/handoff.js';
import type { Inspection } from '../trace/inspect.js';

/** What events of a class share: all that does not change from one to the next. */
export interface EventClass {
  readonly kind: EventKind;
  readonly device: string;
  readonly register: string;
  /** Access width in bytes, 0 without one. */
  readonly size: number;
  readonly name: string;
  /** Port, MSR or vector; null where each event has its own physical address. */
  readonly address: number | null;
}

export interface Phase {
  readonly name: string;
  /** First cycle, and the cycle after the last. */
  readonly from: number;
  readonly to: number;
}

/** Processor samples at equal distances, as a tree of frames from the outermost inwards. */
export interface SampleTree {
  /** Cycles between two samples; sample n was taken at n × interval. */
  readonly interval: number;
  readonly count: number;
  readonly names: readonly string[];
  /** Where the names come from, in a few words. */
  readonly source: string;
}

/** Bytes of a fw_cfg item as far as the guest read them, and what they say. */
export interface ItemView {
  readonly name: string;
  /** Bytes that the guest took. */
  readonly length: number;
  /** The first of them, as hexadecimal text. */
  readonly data: string;
  /** Entries in words, where the layout is known. */
  readonly entries: readonly string[];
  /** Memory ranges, for an e820 table. */
  readonly ranges?: readonly { address: string; length: string; type: string }[];
}

/** The screen from a cycle on: `image` is a place in the column `png`. */
export interface ScreenView {
  readonly cycle: number;
  readonly image: readonly [offset: number, length: number];
  readonly width: number;
  readonly height: number;
  /** What a text screen says. */
  readonly lines?: readonly string[];
}

/** Names of the columns; README of each in event-pack.ts and tree-pack.ts. */
export const COLUMNS = [
  'class',
  'cycle',
  'site',
  'address',
  'value',
  'valueHigh',
  'data',
  'dataLength',
  'bytes',
  'wordsAt',
  'words',
  'siteCs',
  'siteRipLow',
  'siteRipHigh',
  'siteSymbol',
  'siteCode',
  'nodeParent',
  'nodeName',
  'sample',
  'png',
] as const;
export type ColumnName = (typeof COLUMNS)[number];
export type Columns = Partial<Record<ColumnName, Uint8Array>>;

export interface TraceHead {
  /** File name without its folder. */
  readonly file: string;
  readonly inspection: Inspection;
  readonly memory: number;
  readonly route: string;
  readonly commandLine: string;
  /** Sentences about what is missing, such as samples of a recording that was cut off. */
  readonly notes: readonly string[];
  readonly events: number;
  /** Cycles that the page's time axis covers. */
  readonly cycles: number;
  readonly classes: readonly EventClass[];
  /** Texts of events whose words do not follow from their columns, and of sites. */
  readonly strings: readonly string[];
  readonly symbols: readonly string[];
  readonly instructions: readonly string[];
  readonly sites: number;
  readonly phases: readonly Phase[];
  readonly samples: SampleTree | null;
  readonly handoffs: readonly HandoffView[];
  readonly items: readonly ItemView[];
  readonly screens: readonly ScreenView[];
  readonly columns: readonly (readonly [name: ColumnName, bytes: number])[];
}

/** An instruction of a listing; `here` marks the one that the processor is at. */
export interface ListedInstruction {
  readonly address: string;
  readonly bytes: string;
  readonly text: string;
  readonly symbol?: string;
  readonly here: boolean;
}

/** The processor before the instruction of a divergence. */
export interface MachineView {
  readonly cycle: number;
  readonly registers: readonly (readonly [name: string, value: string])[];
  readonly listing: readonly ListedInstruction[];
}

/** What `diff` says of two traces, and the processors where they part. */
export interface DifferenceView {
  readonly explanation: Explanation;
  /** The report of `vmreplay diff`, line by line. */
  readonly report: readonly string[];
  /** The first event that differs, by its place in both traces; null when none does. */
  readonly index: number | null;
  readonly machines: readonly (MachineView | null)[];
}

/** Bytes of a payload before compression. */
export function joinPayload(head: Omit<TraceHead, 'columns'>, columns: Columns): Uint8Array {
  const present = COLUMNS.flatMap((name) => (columns[name] ? [[name, columns[name]] as const] : []));
  const full: TraceHead = { ...head, columns: present.map(([name, bytes]) => [name, bytes.length]) };
  const json = new TextEncoder().encode(JSON.stringify(full));
  const total = present.reduce((sum, [, bytes]) => sum + bytes.length, 4 + json.length);
  const payload = new Uint8Array(total);
  new DataView(payload.buffer).setUint32(0, json.length, true);
  payload.set(json, 4);
  let at = 4 + json.length;
  for (const [, bytes] of present) {
    payload.set(bytes, at);
    at += bytes.length;
  }
  return payload;
}

/** The other way; columns are views of the payload. @throws Error when it was cut off or is none */
export function splitPayload(payload: Uint8Array): { head: TraceHead; columns: Columns } {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const length = payload.length < 4 ? 0 : view.getUint32(0, true);
  if (length === 0 || 4 + length > payload.length) throw new Error('the data of the report is cut off');
  const head = parseHead(new TextDecoder().decode(payload.subarray(4, 4 + length)));
  const columns: Columns = {};
  let at = 4 + length;
  for (const [name, bytes] of head.columns) {
    if (!(bytes >= 0 && at + bytes <= payload.length)) throw new Error('the data of the report is cut off');
    columns[name] = payload.subarray(at, at + bytes);
    at += bytes;
  }
  return { head, columns };
}

function parseHead(text: string): TraceHead {
  let head: TraceHead | null = null;
  try {
    head = JSON.parse(text);
  } catch {
    // Told below.
  }
  const isHead = Array.isArray(head?.columns) && head.columns.every((one) => Array.isArray(one));
  if (!isHead) throw new Error('the data of the report has no head');
  return head!;
}

/** Read `count` varints into `out`. @throws RangeError when the column is too short */
export function readVarints<T extends Float64Array | Uint32Array>(bytes: Uint8Array, out: T): T {
  const count = out.length;
  const last = bytes.length;
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at >= last) throw new RangeError('a column ends early');
    let byte = bytes[at++]!;
    let value = byte & 127;
    for (let scale = 128; byte >= 128 && at < last; scale *= 128) {
      byte = bytes[at++]!;
      value += (byte & 127) * scale;
    }
    out[i] = value;
  }
  return out;
}
