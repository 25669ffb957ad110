// Events on their way into a chunk: appended to preallocated columns, then grouped by symbol and packed.
// Appending allocates nothing except for a symbol or name that the chunk has not seen; memory is bounded by
// CAPACITY events and the data of one event past FLUSH_DATA.

import { encodeCanonical } from './codec.js';
import { LAYOUTS, PAGE } from './event-layout.js';
import type { Site } from './sink.js';
import { VarintWriter, zigzag } from './varint.js';

/** Events at which a chunk is written: few, so that a killed recording loses little. */
export const FLUSH_EVENTS = 0x2000;
/** Bytes of data at which a chunk is written. */
export const FLUSH_DATA = 0x10_0000;
/** Room for effects of a request whose answer is still open when the chunk is full. */
const SLACK = 0x1000;
const CAPACITY = FLUSH_EVENTS + SLACK;
const TABLE_SIZE = 0x4_0000;
/** Sites whose code is kept over a whole trace. */
const MAX_SITES = 0x4_0000;

export class EventColumns {
  count = 0;
  readonly #symbol = new Uint32Array(CAPACITY);
  readonly #cycle = new Float64Array(CAPACITY);
  readonly #ripLow = new Uint32Array(CAPACITY);
  readonly #address = new Float64Array(CAPACITY);
  readonly #value = new Float64Array(CAPACITY);
  readonly #valueHigh = new Uint32Array(CAPACITY);
  readonly #dataAt = new Uint32Array(CAPACITY);
  readonly #dataLength = new Uint32Array(CAPACITY);
  #data = new Uint8Array(0x1_0000);
  #dataUsed = 0;

  // Symbols: fields by index, and an open-addressed table of index + 1.
  #symbols = 0;
  readonly #shape = new Uint32Array(CAPACITY);
  readonly #symbolName = new Uint32Array(CAPACITY);
  readonly #symbolAddress = new Float64Array(CAPACITY);
  readonly #symbolRipLow = new Uint32Array(CAPACITY);
  readonly #symbolRipHigh = new Uint32Array(CAPACITY);
  readonly #table = new Int32Array(TABLE_SIZE);
  readonly #names = new Map<string, number>();
  #code: [number, number, Uint8Array][] = [];

  /** Sites of the whole trace whose code has been stored already. */
  readonly #sites = new Set<string>();
  readonly #order = new VarintWriter();
  readonly #values = new VarintWriter();
  #first = 0;
  #baseCycle = 0;
  #baseRipLow = 0;

  constructor(readonly site: Site) {}

  get full(): boolean {
    return this.count >= FLUSH_EVENTS || this.#dataUsed >= FLUSH_DATA;
  }

  /** Events before this chunk. */
  get first(): number {
    return this.#first;
  }

  /** Cycle of the last event before this chunk. */
  get baseCycle(): number {
    return this.#baseCycle;
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
    const slot = this.count;
    if (slot >= CAPACITY) throw new RangeError('a request had too many effects before its answer');
    const site = this.site;
    const layout = LAYOUTS[kind]!;
    let keyAddress = 0;
    let operand = address;
    if (layout.address === 'paged') {
      operand = address % PAGE;
      keyAddress = address - operand;
    } else if (layout.address === 'symbol') {
      keyAddress = address;
    }
    const ripLow = site.ripLow;
    this.#symbol[slot] = this.#intern(
      (kind | (size << 8) | (site.cs << 16)) >>> 0,
      layout.row.name ? this.#nameIndex(name) : 0,
      keyAddress,
      layout.ripOperand ? 0 : ripLow,
      site.ripHigh,
      !layout.ripOperand,
    );
    this.#cycle[slot] = site.cycle;
    this.#ripLow[slot] = ripLow;
    this.#address[slot] = operand;
    this.count = slot + 1;
    this.setAnswer(slot, value, valueHigh, data);
    return slot;
  }

  setAnswer(slot: number, value: number, valueHigh: number, data: Uint8Array): void {
    this.#value[slot] = value;
    this.#valueHigh[slot] = valueHigh;
    this.#dataLength[slot] = data.length;
    if (data.length === 0) return;
    if (this.#dataUsed + data.length > this.#data.length) {
      const larger = new Uint8Array(Math.max(this.#data.length * 2, this.#dataUsed + data.length));
      larger.set(this.#data);
      this.#data = larger;
    }
    this.#data.set(data, this.#dataUsed);
    this.#dataAt[slot] = this.#dataUsed;
    this.#dataUsed += data.length;
  }

  /** Pack the events into the payload of an EVTS chunk and start the next chunk. */
  take(): Buffer {
    const payload = encodeCanonical({
      code: this.#code,
      count: this.count,
      cycle: this.#baseCycle,
      data: this.#packValues(),
      first: this.#first,
      names: [...this.#names.keys()],
      order: this.#packOrder(),
      rip: this.#baseRipLow,
      symbols: this.#packSymbols(),
      values: this.#values.bytes(),
    });
    const last = this.count - 1;
    this.#baseCycle = this.#cycle[last]!;
    this.#baseRipLow = this.#ripLow[last]!;
    this.#first += this.count;
    this.count = 0;
    this.#dataUsed = 0;
    this.#symbols = 0;
    this.#table.fill(0);
    this.#names.clear();
    this.#code = [];
    return payload;
  }

  #packSymbols(): (number | bigint)[][] {
    const rows: (number | bigint)[][] = [];
    for (let s = 0; s < this.#symbols; s++) {
      const shape = this.#shape[s]!;
      const rip = (BigInt(this.#symbolRipHigh[s]!) << 32n) | BigInt(this.#symbolRipLow[s]!);
      rows.push([shape & 0xff, (shape >>> 8) & 0xff, shape >>> 16, rip, this.#symbolAddress[s]!, this.#symbolName[s]!]);
    }
    return rows;
  }

  #packOrder(): Uint8Array {
    this.#order.reset();
    for (let i = 0; i < this.count; i++) this.#order.write(this.#symbol[i]!);
    return this.#order.bytes();
  }

  /** Fill #values, column by column of symbol by symbol. @returns the data in the same order. */
  #packValues(): Uint8Array {
    const { starts, bySymbol } = this.#group();
    const values = this.#values;
    values.reset();
    const data = new Uint8Array(this.#dataUsed);
    let dataAt = 0;
    for (let s = 0; s < this.#symbols; s++) {
      const events = bySymbol.subarray(starts[s]!, starts[s + 1]!);
      const layout = LAYOUTS[this.#shape[s]! & 0xff]!;
      for (const e of events) {
        values.write(zigzag(this.#cycle[e]! - (e === 0 ? this.#baseCycle : this.#cycle[e - 1]!)));
      }
      if (layout.ripOperand) {
        for (const e of events) {
          values.write(zigzag(this.#ripLow[e]! - (e === 0 ? this.#baseRipLow : this.#ripLow[e - 1]!)));
        }
      }
      if (layout.address === 'paged' || layout.address === 'operand') {
        for (const e of events) values.write(this.#address[e]!);
      }
      if (layout.value) for (const e of events) values.write(this.#value[e]!);
      if (layout.valueHigh) for (const e of events) values.write(this.#valueHigh[e]!);
      if (layout.length) for (const e of events) values.write(this.#dataLength[e]!);
      if (layout.row.data === 'none') continue;
      for (const e of events) {
        const at = this.#dataAt[e]!;
        const length = this.#dataLength[e]!;
        data.set(this.#data.subarray(at, at + length), dataAt);
        dataAt += length;
      }
    }
    return data;
  }

  /** Counting sort of the events by symbol; stable. */
  #group(): { starts: Uint32Array; bySymbol: Uint32Array } {
    const starts = new Uint32Array(this.#symbols + 1);
    for (let i = 0; i < this.count; i++) starts[this.#symbol[i]! + 1]!++;
    for (let s = 0; s < this.#symbols; s++) starts[s + 1]! += starts[s]!;
    const next = starts.slice();
    const bySymbol = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i++) bySymbol[next[this.#symbol[i]!]!++] = i;
    return { starts, bySymbol };
  }

  #nameIndex(name: string): number {
    let index = this.#names.get(name);
    if (index === undefined) {
      index = this.#names.size;
      this.#names.set(name, index);
    }
    return index;
  }

  #intern(shape: number, name: number, address: number, ripLow: number, ripHigh: number, sited: boolean): number {
    let hash = Math.imul(shape, 0x9e37_79b1) ^ Math.imul(ripLow, 0x85eb_ca6b) ^ Math.imul(ripHigh, 0xc2b2_ae35);
    hash ^= Math.imul((address % 0x1_0000_0000) | 0, 0x27d4_eb2f) ^ name;
    hash ^= hash >>> 15;
    let at = hash & (TABLE_SIZE - 1);
    for (;;) {
      const found = this.#table[at]! - 1;
      if (found < 0) break;
      if (
        this.#shape[found] === shape &&
        this.#symbolRipLow[found] === ripLow &&
        this.#symbolRipHigh[found] === ripHigh &&
        this.#symbolAddress[found] === address &&
        this.#symbolName[found] === name
      ) {
        return found;
      }
      at = (at + 1) & (TABLE_SIZE - 1);
    }
    const symbol = this.#symbols++;
    this.#table[at] = symbol + 1;
    this.#shape[symbol] = shape;
    this.#symbolName[symbol] = name;
    this.#symbolAddress[symbol] = address;
    this.#symbolRipLow[symbol] = ripLow;
    this.#symbolRipHigh[symbol] = ripHigh;
    if (sited) this.#keepCode(symbol, `${shape >>> 16}:${ripHigh}:${ripLow}`);
    return symbol;
  }

  #keepCode(symbol: number, key: string): void {
    if (!this.site.code || this.#sites.size >= MAX_SITES || this.#sites.has(key)) return;
    this.#sites.add(key);
    const code = this.site.code();
    if (code && code.bytes.length > 0) this.#code.push([symbol, code.bits, code.bytes.slice(0, 15)]);
  }
}
