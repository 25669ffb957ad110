// The events of one chunk, unpacked into columns; objects are made only when asked for.
// The payload comes from a file: every count, index and length is checked before it is used.

import { decodeCanonical } from './codec.js';
import { impliedDataLength, type KindLayout, LAYOUTS } from './event-layout.js';
import { EMPTY, type EventKind, type TraceEvent } from './events.js';
import { binary, integer, list, unsigned64 } from './fields.js';
import type { SiteCode } from './sink.js';
import { unzigzag, VarintReader } from './varint.js';

/** Most events a chunk may claim. */
const MAX_EVENTS = 0x10_0000;

/** What repeats in the events of a chunk: the part of an event that stands in the chunk's table. */
export interface EventSymbol {
  readonly layout: KindLayout;
  readonly size: number;
  readonly cs: number;
  readonly rip: bigint;
  readonly address: number;
  readonly name: string;
}

/** The events of a chunk by column, as they lie in memory; read only. Rows are events. */
export interface EventColumnsView {
  readonly symbols: readonly EventSymbol[];
  /** Index into `symbols`. */
  readonly symbol: Uint32Array;
  readonly cycle: Float64Array;
  /** Behind the symbol's address. */
  readonly address: Float64Array;
  readonly value: Float64Array;
  readonly valueHigh: Float64Array;
  readonly dataLength: Uint32Array;
}

/** One EVTS chunk. */
export class EventBlock {
  /** Events in the chunk, and their number before it. */
  readonly count: number;
  readonly first: number;
  /** Code of the sites that are new in this chunk, by `siteKey`. */
  readonly code = new Map<string, SiteCode>();
  readonly #symbols: EventSymbol[];
  readonly #symbol: Uint32Array;
  readonly #cycle: Float64Array;
  readonly #rip: Float64Array;
  readonly #address: Float64Array;
  readonly #value: Float64Array;
  readonly #valueHigh: Float64Array;
  readonly #dataAt: Uint32Array;
  readonly #dataLength: Uint32Array;
  readonly #data: Uint8Array;

  /** @throws Error when the payload breaks the format. */
  constructor(payload: Uint8Array) {
    const map = decodeCanonical(payload) as Record<string, unknown>;
    if (map === null || typeof map !== 'object') throw new Error('an event chunk is not a map');
    this.count = integer(map.count, MAX_EVENTS, 'count');
    this.first = integer(map.first, Number.MAX_SAFE_INTEGER, 'first');
    const names = list(map.names, 'names').map(String);
    this.#symbols = list(map.symbols, 'symbols').map((fields) => symbolOf(fields, names));
    this.#data = binary(map.data, 'data');
    this.#readCode(list(map.code, 'code'));

    const count = this.count;
    this.#symbol = new Uint32Array(count);
    this.#cycle = new Float64Array(count);
    this.#rip = new Float64Array(count);
    this.#address = new Float64Array(count);
    this.#value = new Float64Array(count);
    this.#valueHigh = new Float64Array(count);
    this.#dataAt = new Uint32Array(count);
    this.#dataLength = new Uint32Array(count);
    this.#readOrder(binary(map.order, 'order'));
    this.#readValues(binary(map.values, 'values'));
    this.#undelta(integer(map.cycle, Number.MAX_SAFE_INTEGER, 'cycle'), integer(map.rip, 0xffff_ffff, 'rip'));
  }

  /** The columns themselves, for those who go through millions of events. */
  get columns(): EventColumnsView {
    return {
      symbols: this.#symbols,
      symbol: this.#symbol,
      cycle: this.#cycle,
      address: this.#address,
      value: this.#value,
      valueHigh: this.#valueHigh,
      dataLength: this.#dataLength,
    };
  }

  /** Bytes that event `i` carries; a view. */
  data(i: number): Uint8Array {
    const at = this.#dataAt[i]!;
    return this.#data.subarray(at, at + this.#dataLength[i]!);
  }

  /** Cycle of event `i` of the chunk. */
  cycle(i: number): number {
    return this.#cycle[i]!;
  }

  /** Address of event `i` of the chunk. */
  addressOf(i: number): number {
    return this.#symbols[this.#symbol[i]!]!.address + this.#address[i]!;
  }

  /** Event `i` of the chunk as an object; its data is a view that stays valid. */
  at(i: number): TraceEvent {
    const symbol = this.#symbols[this.#symbol[i]!]!;
    const { layout } = symbol;
    const length = this.#dataLength[i]!;
    const at = this.#dataAt[i]!;
    return {
      index: this.first + i,
      kind: layout.row.kind as EventKind,
      cycle: this.#cycle[i]!,
      cs: symbol.cs,
      rip: layout.ripOperand ? symbol.rip | BigInt(this.#rip[i]!) : symbol.rip,
      address: symbol.address + this.#address[i]!,
      size: symbol.size,
      value: this.#value[i]!,
      valueHigh: this.#valueHigh[i]!,
      name: symbol.name,
      data: length === 0 ? EMPTY : this.#data.subarray(at, at + length),
    };
  }

  #readOrder(bytes: Uint8Array): void {
    const reader = new VarintReader(bytes);
    for (let i = 0; i < this.count; i++) {
      const symbol = reader.read();
      if (symbol >= this.#symbols.length) throw new Error(`symbol ${symbol} is not in the table`);
      this.#symbol[i] = symbol;
    }
    if (!reader.done) throw new Error('the order column is too long');
  }

  #readValues(bytes: Uint8Array): void {
    const reader = new VarintReader(bytes);
    const groups = this.#group();
    let dataAt = 0;
    groups.forEach((events, s) => {
      const { layout } = this.#symbols[s]!;
      for (const e of events) this.#cycle[e] = unzigzag(reader.read());
      if (layout.ripOperand) for (const e of events) this.#rip[e] = unzigzag(reader.read());
      if (layout.address === 'paged' || layout.address === 'operand') {
        for (const e of events) this.#address[e] = reader.read();
      }
      if (layout.value) for (const e of events) this.#value[e] = reader.read();
      if (layout.valueHigh) for (const e of events) this.#valueHigh[e] = reader.read();
      if (layout.row.data === 'none') return;
      for (const e of events) {
        const length = layout.length ? reader.read() : impliedDataLength(layout.row, this.#value[e]!);
        if (length > this.#data.length) throw new Error(`an event claims ${length} bytes of data`);
        this.#dataLength[e] = length;
      }
      for (const e of events) {
        this.#dataAt[e] = dataAt;
        dataAt += this.#dataLength[e]!;
      }
    });
    if (!reader.done) throw new Error('the value column is too long');
    if (dataAt !== this.#data.length) throw new Error('the data column has the wrong length');
  }

  /** Events of each symbol, in order. */
  #group(): Uint32Array[] {
    const starts = new Uint32Array(this.#symbols.length + 1);
    for (let i = 0; i < this.count; i++) starts[this.#symbol[i]! + 1]!++;
    for (let s = 0; s < this.#symbols.length; s++) starts[s + 1]! += starts[s]!;
    const next = starts.slice();
    const events = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i++) events[next[this.#symbol[i]!]!++] = i;
    return this.#symbols.map((_, s) => events.subarray(starts[s]!, starts[s + 1]!));
  }

  #undelta(baseCycle: number, baseRip: number): void {
    let cycle = baseCycle;
    let rip = baseRip;
    for (let i = 0; i < this.count; i++) {
      cycle += this.#cycle[i]!;
      this.#cycle[i] = cycle;
      const symbol = this.#symbols[this.#symbol[i]!]!;
      rip = symbol.layout.ripOperand ? rip + this.#rip[i]! : Number(symbol.rip & 0xffff_ffffn);
      if (rip < 0 || rip > 0xffff_ffff || cycle < 0) throw new Error('a delta leads out of range');
      this.#rip[i] = rip;
    }
  }

  #readCode(rows: unknown[]): void {
    for (const row of rows) {
      const [index, bits, bytes] = list(row, 'code');
      const symbol = this.#symbols[integer(index, 0xffff_ffff, 'code')];
      if (!symbol || (bits !== 16 && bits !== 32 && bits !== 64)) throw new Error('a code entry names no site');
      this.code.set(siteKey(symbol.cs, symbol.rip), { bits, bytes: binary(bytes, 'code') });
    }
  }
}

/** Key of a site in the code maps. */
export const siteKey = (cs: number, rip: bigint): string => `${cs}:${rip}`;

function symbolOf(fields: unknown, names: readonly string[]): EventSymbol {
  const [kind, size, cs, rip, address, name] = list(fields, 'symbols');
  const layout = LAYOUTS[integer(kind, 255, 'kind')];
  if (!layout) throw new Error(`event kind ${kind} is unknown: a newer vmreplay wrote it`);
  const index = integer(name, 0xffff_ffff, 'name');
  if (layout.row.name && index >= names.length) throw new Error(`name ${index} is not in the table`);
  return {
    layout,
    size: integer(size, 255, 'size'),
    cs: integer(cs, 0xffff, 'cs'),
    rip: unsigned64(rip, 'rip'),
    address: integer(address, 2 ** 52, 'address'),
    name: layout.row.name ? names[index]! : '',
  };
}
