// Events as they are recorded: a column for each field, appended to and nothing else, until the batch becomes a chunk
// (event-packer.ts). The columns lie in memory that threads share, so that another one may pack them. Appending allocates
// nothing but for a name or a site that is new; memory is bounded by CAPACITY events and the data of one event past
// FLUSH_DATA.

import { LAYOUTS } from './event-layout.js';
import type { Site, SiteCode } from './sink.js';

/** Events at which a chunk is written: few, so that a killed recording loses little. */
export const FLUSH_EVENTS = 0x2000;
/** Bytes of data at which a chunk is written. */
export const FLUSH_DATA = 0x10_0000;
/** Room for effects of a request whose answer is still open when the chunk is full. */
const SLACK = 0x1000;
export const CAPACITY = FLUSH_EVENTS + SLACK;
/** Sites whose code is kept over a whole trace. */
const MAX_SITES = 0x4_0000;
/** Sites that are known to be kept without looking them up: a power of two. */
const RECENT_SITES = 0x1000;
/** What append() has to know of kinds, by id. */
const NAMED = 1;
const SITED = 2;
const TRAITS = Uint8Array.from({ length: 256 }, (_, kind) => {
  const layout = LAYOUTS[kind];
  return layout ? (layout.row.name ? NAMED : 0) | (layout.ripOperand ? 0 : SITED) : 0;
});

/** Code of the site of an event, the first from there. */
interface EventCode extends SiteCode {
  readonly event: number;
}

/** The events of one chunk. */
export interface EventBatch {
  count: number;
  /** Events of the trace before this batch, and cycle and low half of rip of the last of them. */
  first: number;
  baseCycle: number;
  baseRipLow: number;
  /** Kind, size shifted by 8, selector of the code segment shifted by 16. */
  readonly shape: Uint32Array<SharedArrayBuffer>;
  /** Index into `names`, of kinds with a name. */
  readonly name: Uint32Array<SharedArrayBuffer>;
  names: string[];
  readonly cycle: Float64Array<SharedArrayBuffer>;
  readonly ripLow: Uint32Array<SharedArrayBuffer>;
  readonly ripHigh: Uint32Array<SharedArrayBuffer>;
  readonly address: Float64Array<SharedArrayBuffer>;
  readonly value: Float64Array<SharedArrayBuffer>;
  readonly valueHigh: Uint32Array<SharedArrayBuffer>;
  readonly dataAt: Uint32Array<SharedArrayBuffer>;
  readonly dataLength: Uint32Array<SharedArrayBuffer>;
  data: Uint8Array<SharedArrayBuffer>;
  dataUsed: number;
  code: EventCode[];
  /** Hashes that may come later (late-hash.ts), and where in the data they belong. */
  late: { readonly at: number; readonly hash: Uint8Array<SharedArrayBuffer> }[];
}

/** One buffer: that is what is sent to another thread. Columns of eight bytes come first. */
function newBatch(): EventBatch {
  const buffer = new SharedArrayBuffer((3 * 8 + 7 * 4) * CAPACITY);
  const f64 = (column: number) => new Float64Array(buffer, 8 * CAPACITY * column, CAPACITY);
  const u32 = (column: number) => new Uint32Array(buffer, (3 * 8 + 4 * column) * CAPACITY, CAPACITY);
  return {
    ...{ count: 0, first: 0, baseCycle: 0, baseRipLow: 0, names: [], dataUsed: 0, code: [], late: [] },
    ...{ cycle: f64(0), address: f64(1), value: f64(2) },
    ...{ shape: u32(0), name: u32(1), ripLow: u32(2), ripHigh: u32(3), valueHigh: u32(4) },
    ...{ dataAt: u32(5), dataLength: u32(6) },
    data: new Uint8Array(new SharedArrayBuffer(0x1_0000)),
  };
}

/** The events of a trace, batch by batch. */
export class EventBatches {
  /** The one that is appended to. */
  batch = newBatch();
  readonly #names = new Map<string, number>();
  /** Sites of the whole trace whose code has been kept already. */
  readonly #sites = new Set<string>();
  readonly #recentRipLow = new Uint32Array(RECENT_SITES);
  readonly #recentRest = new Float64Array(RECENT_SITES).fill(-1);

  constructor(readonly site: Site) {}

  get full(): boolean {
    return this.batch.count >= FLUSH_EVENTS || this.batch.dataUsed >= FLUSH_DATA;
  }

  /** Append an event. @returns its slot, for setAnswer(). */
  append(
    kind: number,
    address: number,
    size: number,
    value: number,
    valueHigh: number,
    name: string,
    data: Uint8Array,
  ): number {
    const { batch, site } = this;
    const slot = batch.count;
    if (slot >= CAPACITY) throw new RangeError('a request had too many effects before its answer');
    const traits = TRAITS[kind]!;
    const { cs } = site;
    const ripLow = site.ripLow;
    const ripHigh = site.ripHigh;
    batch.shape[slot] = kind | (size << 8) | (cs << 16);
    batch.name[slot] = (traits & NAMED) !== 0 ? this.#nameIndex(name) : 0;
    batch.cycle[slot] = site.cycle;
    batch.ripLow[slot] = ripLow;
    batch.ripHigh[slot] = ripHigh;
    batch.address[slot] = address;
    batch.value[slot] = value;
    batch.valueHigh[slot] = valueHigh;
    batch.dataLength[slot] = 0;
    batch.count = slot + 1;
    if ((traits & SITED) !== 0) {
      const recent = (ripLow ^ (ripLow >>> 12)) & (RECENT_SITES - 1);
      const rest = cs * 0x1_0000_0000 + ripHigh;
      if (this.#recentRipLow[recent] !== ripLow || this.#recentRest[recent] !== rest) {
        this.#recentRipLow[recent] = ripLow;
        this.#recentRest[recent] = rest;
        this.#keepCode(slot, cs, ripLow, ripHigh);
      }
    }
    if (data.length > 0) this.#setData(slot, data);
    return slot;
  }

  /** The data of the last event is a hash that may come later. */
  setLate(hash: Uint8Array<SharedArrayBuffer>): void {
    this.batch.late.push({ at: this.batch.dataUsed - hash.length, hash });
  }

  setAnswer(slot: number, value: number, valueHigh: number, data: Uint8Array): void {
    const { batch } = this;
    batch.value[slot] = value;
    batch.valueHigh[slot] = valueHigh;
    if (data.length > 0) this.#setData(slot, data);
  }

  #setData(slot: number, data: Uint8Array): void {
    const { batch } = this;
    batch.dataLength[slot] = data.length;
    const used = batch.dataUsed;
    if (used + data.length > batch.data.length) {
      const larger = new Uint8Array(new SharedArrayBuffer(Math.max(batch.data.length * 2, used + data.length)));
      larger.set(batch.data);
      batch.data = larger;
    }
    batch.data.set(data, used);
    batch.dataAt[slot] = used;
    batch.dataUsed = used + data.length;
  }

  /**
   * Begin the next batch.
   * @param room a batch that nobody needs any more; a new one without
   * @returns the batch so far
   */
  next(room = newBatch()): EventBatch {
    const { batch } = this;
    const last = batch.count - 1;
    room.first = batch.first + batch.count;
    room.baseCycle = last < 0 ? batch.baseCycle : batch.cycle[last]!;
    room.baseRipLow = last < 0 ? batch.baseRipLow : batch.ripLow[last]!;
    room.count = 0;
    room.dataUsed = 0;
    room.names = [];
    room.code = [];
    room.late = [];
    this.#names.clear();
    this.batch = room;
    return batch;
  }

  #nameIndex(name: string): number {
    let index = this.#names.get(name);
    if (index === undefined) {
      index = this.batch.names.push(name) - 1;
      this.#names.set(name, index);
    }
    return index;
  }

  #keepCode(event: number, cs: number, ripLow: number, ripHigh: number): void {
    const { site } = this;
    if (!site.code) return;
    const key = `${cs}:${ripHigh}:${ripLow}`;
    if (this.#sites.has(key) || this.#sites.size >= MAX_SITES) return;
    this.#sites.add(key);
    const code = site.code();
    if (code && code.bytes.length > 0) {
      this.batch.code.push({ event, bits: code.bits, bytes: code.bytes.slice(0, 15) });
    }
  }
}
