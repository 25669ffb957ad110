// The schema of trace events: one row a kind. FORMAT.md describes the bytes; this table is what writer, reader,
// player, semantic layer and diff agree on. Adding a kind at the end is a minor change of the format; changing the
// meaning of a row is a major one: bump SCHEMA_VERSION here and the container version in chunks.ts, and say so in
// FORMAT.md.
//
// Roles:
//   request  the guest asked something; the player answers it and compares every field
//   async    arrives between instructions at its cycle; the player brings it about
//   effect   something a device did to memory, lines or the run; the player applies it, right after the request that
//            has the same cycle, or on its own at its cycle
//   check    guest memory or machine state as it must be at this point; the player compares it
//   note     informational; sealed replay skips it, live replay compares it

/** Version of this table, written in every header. */
export const SCHEMA_VERSION = 1;

/** Longest data of a single event in bytes; the recorder splits longer DMA. */
export const MAX_EVENT_DATA = 0x4_0000;
/** A check of more bytes than this is recorded as the SHA-256 of the bytes. */
export const MAX_CHECK_DATA = 64;

/** What the `address` field of a kind holds. */
export type AddressField = 'none' | 'port' | 'physical' | 'msr' | 'vector';
/** What the `value` field of a kind holds. `u64` uses `valueHigh` too. */
export type ValueField = 'none' | 'value' | 'u64' | 'level' | 'nanoseconds' | 'code' | 'length';
/** What the `data` field of a kind holds; `check` is either the bytes or, past MAX_CHECK_DATA, their SHA-256. */
export type DataField = 'none' | 'bytes' | 'check' | 'sha256';
export type Role = 'request' | 'async' | 'effect' | 'check' | 'note';

export interface KindRow {
  readonly id: number;
  readonly kind: string;
  readonly role: Role;
  readonly address: AddressField;
  readonly size: boolean;
  readonly value: ValueField;
  readonly name: boolean;
  readonly data: DataField;
  /** True when the site (cs:rip) belongs to the guest's program and so repeats; false when it is where an event happened to strike. */
  readonly sited: boolean;
}

const row = (
  id: number,
  kind: string,
  role: Role,
  address: AddressField,
  size: boolean,
  value: ValueField,
  name: boolean,
  data: DataField,
  sited: boolean,
): KindRow => ({ id, kind, role, address, size, value, name, data, sited });

// biome-ignore format: a table
const ROWS: readonly KindRow[] = [
  //  id  kind                 role       address     size   value          name   data      sited
  row( 1, 'port-read',         'request', 'port',     true,  'value',       false, 'none',   true),
  row( 2, 'port-write',        'request', 'port',     true,  'value',       false, 'none',   true),
  // REP INS and REP OUTS, one event for the whole string: data.length = count * size.
  row( 3, 'port-read-string',  'request', 'port',     true,  'none',        false, 'bytes',  true),
  row( 4, 'port-write-string', 'request', 'port',     true,  'none',        false, 'bytes',  true),
  row( 5, 'mmio-read',         'request', 'physical', true,  'value',       false, 'none',   true),
  row( 6, 'mmio-write',        'request', 'physical', true,  'value',       false, 'none',   true),
  // Only the registers that devices own (see Bus.msrRead).
  row( 7, 'msr-read',          'request', 'msr',      false, 'u64',         false, 'none',   true),
  row( 8, 'msr-write',         'request', 'msr',      false, 'u64',         false, 'none',   true),
  // The acknowledge cycle of an interrupt that is being delivered; the site is the interrupted instruction.
  row( 9, 'interrupt',         'async',   'vector',   false, 'none',        false, 'none',   false),
  // A line into the processor or the memory map: a20, nmi, or one the platform names; value is its new level.
  row(10, 'line',              'effect',  'physical', false, 'level',       true,  'none',   false),
  row(11, 'dma-write',         'effect',  'physical', false, 'none',        false, 'bytes',  false),
  // A device read guest memory: what it must have found there. value is the length in bytes.
  row(12, 'dma-read',          'check',   'physical', false, 'length',      false, 'check',  false),
  // A device asked for the run to stop; name is RunEnd.reason, value its code + 1, or 0 without one.
  row(13, 'stop',              'effect',  'none',     false, 'code',        true,  'none',   false),
  // value is the absolute virtual time of the deadline; a cancelled timer is armed for 2^53 - 1.
  row(14, 'timer-armed',       'note',    'none',     false, 'nanoseconds', true,  'none',   false),
  row(15, 'timer-fired',       'note',    'none',     false, 'nanoseconds', true,  'none',   false),
  // Outside data entering a device: name is the source (serial, keyboard, disk …).
  row(16, 'input',             'note',    'none',     false, 'none',        true,  'bytes',  false),
  // First time the guest gets somewhere: entry, paging, long-mode, user.
  row(17, 'milestone',         'check',   'none',     false, 'none',        true,  'none',   false),
  row(18, 'state-hash',        'check',   'none',     false, 'none',        false, 'sha256', false),
  // The last event of a complete trace: why the run was over. Same fields as stop.
  row(19, 'end',               'check',   'none',     false, 'code',        true,  'none',   false),
  // A loader is about to enter a kernel: name is the protocol, data the record (trace/handoff.ts).
  row(20, 'handoff',           'check',   'none',     false, 'none',        true,  'bytes',  false),
  // REP MOVS and REP STOS at a device's memory, one event for a run of items: data.length = count * size.
  row(21, 'mmio-read-string',  'request', 'physical', true,  'none',        false, 'bytes',  true),
  row(22, 'mmio-write-string', 'request', 'physical', true,  'none',        false, 'bytes',  true),
];

export type EventKind =
  | 'port-read'
  | 'port-write'
  | 'port-read-string'
  | 'port-write-string'
  | 'mmio-read'
  | 'mmio-write'
  | 'msr-read'
  | 'msr-write'
  | 'interrupt'
  | 'line'
  | 'dma-write'
  | 'dma-read'
  | 'stop'
  | 'timer-armed'
  | 'timer-fired'
  | 'input'
  | 'milestone'
  | 'state-hash'
  | 'end'
  | 'handoff'
  | 'mmio-read-string'
  | 'mmio-write-string';

/** The rows by kind. */
export const KINDS = Object.fromEntries(ROWS.map((r) => [r.kind, r])) as unknown as Readonly<
  Record<EventKind, KindRow & { readonly kind: EventKind }>
>;
/** The rows by id; ids without a row are undefined. */
export const KIND_BY_ID: readonly (KindRow | undefined)[] = (() => {
  const rows: (KindRow | undefined)[] = new Array(32).fill(undefined);
  for (const r of ROWS) rows[r.id] = r;
  return rows;
})();
export const KIND_NAMES = ROWS.map((r) => r.kind) as readonly EventKind[];

/** Deadline of a timer that was cancelled, in nanoseconds. */
export const TIMER_CANCELLED = Number.MAX_SAFE_INTEGER;

/**
 * One event. Every event has all fields, so that the objects share one shape; a field that the kind's row does not
 * name is 0, '' or EMPTY.
 */
export interface TraceEvent {
  /** Position in the trace, from 0. */
  readonly index: number;
  readonly kind: EventKind;
  /** Cycle of the start of the instruction, or of the event that a device ran. */
  readonly cycle: number;
  /** Code segment selector and instruction pointer. */
  readonly cs: number;
  readonly rip: bigint;
  /** Port, physical address, MSR index or vector. */
  readonly address: number;
  /** Access width in bytes. */
  readonly size: number;
  /** Low 32 bits of the value of a u64 kind, the whole value otherwise. */
  readonly value: number;
  /** High 32 bits of the value of a u64 kind. */
  readonly valueHigh: number;
  readonly name: string;
  readonly data: Uint8Array;
}

/** Data of an event that has none. */
export const EMPTY = new Uint8Array(0);

/** The `value` of stop and end events for a code, and back. */
export const codeToValue = (code: number | undefined): number => (code === undefined ? 0 : code + 1);
export const valueToCode = (value: number): number | undefined => (value === 0 ? undefined : value - 1);
