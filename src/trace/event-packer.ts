// The events of a batch into the payload of an EVTS chunk: symbols found, events grouped by symbol, columns packed. On the
// recorder's thread or on another; the payload follows from the batch alone.

import { encodeCanonical } from './codec.js';
import { CAPACITY, type EventBatch } from './event-batch.js';
import { LAYOUTS, PAGE } from './event-layout.js';
import { awaitHash } from './late-hash.js';
import { VarintWriter, zigzag } from './varint.js';

/** A power of two; not much more than symbols need, so that it stays in the cache. */
const TABLE_SIZE = 0x8000;

/** Packs one batch after the other. */
export class EventPacker {
  // The batch's: symbol of each event, and what is left of its address.
  readonly #symbol = new Uint32Array(CAPACITY);
  readonly #address = new Float64Array(CAPACITY);

  // Symbols: fields by index, and an open-addressed table of index + 1.
  #symbols = 0;
  readonly #shape = new Uint32Array(CAPACITY);
  readonly #symbolName = new Uint32Array(CAPACITY);
  readonly #symbolAddress = new Float64Array(CAPACITY);
  readonly #symbolRipLow = new Uint32Array(CAPACITY);
  readonly #symbolRipHigh = new Uint32Array(CAPACITY);
  readonly #table = new Int32Array(TABLE_SIZE);

  readonly #order = new VarintWriter();
  readonly #values = new VarintWriter();

  pack(batch: EventBatch): Buffer {
    this.#findSymbols(batch);
    for (const { at, hash } of batch.late) {
      awaitHash(hash);
      batch.data.set(hash, at);
    }
    const payload = encodeCanonical({
      code: batch.code.map(({ event, bits, bytes }) => [this.#symbol[event]!, bits, bytes]),
      count: batch.count,
      cycle: batch.baseCycle,
      data: this.#packValues(batch),
      first: batch.first,
      names: batch.names,
      order: this.#packOrder(batch.count),
      rip: batch.baseRipLow,
      symbols: this.#packSymbols(),
      values: this.#values.bytes(),
    });
    this.#symbols = 0;
    this.#table.fill(0);
    return payload;
  }

  #findSymbols(batch: EventBatch): void {
    const { count, shape, name, address, ripLow, ripHigh } = batch;
    for (let i = 0; i < count; i++) {
      const layout = LAYOUTS[shape[i]! & 0xff]!;
      let keyAddress = 0;
      let operand = address[i]!;
      if (layout.address === 'paged') {
        // The remainder of numbers of 33 bits is a call.
        keyAddress = Math.floor(operand / PAGE) * PAGE;
        operand -= keyAddress;
      } else if (layout.address === 'symbol') {
        keyAddress = operand;
      }
      this.#symbol[i] = this.#intern(shape[i]!, name[i]!, keyAddress, layout.ripOperand ? 0 : ripLow[i]!, ripHigh[i]!);
      this.#address[i] = operand;
    }
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

  #packOrder(count: number): Uint8Array {
    this.#order.reset();
    for (let i = 0; i < count; i++) this.#order.write(this.#symbol[i]!);
    return this.#order.bytes();
  }

  /** Fill #values, column by column of symbol by symbol. @returns the data in the same order. */
  #packValues(batch: EventBatch): Uint8Array {
    const { cycle, ripLow, value, valueHigh, dataAt, dataLength } = batch;
    const { starts, bySymbol } = this.#group(batch.count);
    const values = this.#values;
    values.reset();
    const data = new Uint8Array(batch.dataUsed);
    let end = 0;
    for (let s = 0; s < this.#symbols; s++) {
      const events = bySymbol.subarray(starts[s]!, starts[s + 1]!);
      const layout = LAYOUTS[this.#shape[s]! & 0xff]!;
      for (const e of events) {
        values.write(zigzag(cycle[e]! - (e === 0 ? batch.baseCycle : cycle[e - 1]!)));
      }
      if (layout.ripOperand) {
        for (const e of events) {
          values.write(zigzag(ripLow[e]! - (e === 0 ? batch.baseRipLow : ripLow[e - 1]!)));
        }
      }
      if (layout.address === 'paged' || layout.address === 'operand') {
        for (const e of events) values.write(this.#address[e]!);
      }
      if (layout.value) for (const e of events) values.write(value[e]!);
      if (layout.valueHigh) for (const e of events) values.write(valueHigh[e]!);
      if (layout.length) for (const e of events) values.write(dataLength[e]!);
      if (layout.row.data === 'none') continue;
      for (const e of events) {
        const at = dataAt[e]!;
        const length = dataLength[e]!;
        data.set(batch.data.subarray(at, at + length), end);
        end += length;
      }
    }
    return data;
  }

  /** Counting sort of the events by symbol; stable. */
  #group(count: number): { starts: Uint32Array; bySymbol: Uint32Array } {
    const starts = new Uint32Array(this.#symbols + 1);
    for (let i = 0; i < count; i++) starts[this.#symbol[i]! + 1]!++;
    for (let s = 0; s < this.#symbols; s++) starts[s + 1]! += starts[s]!;
    const next = starts.slice();
    const bySymbol = new Uint32Array(count);
    for (let i = 0; i < count; i++) bySymbol[next[this.#symbol[i]!]!++] = i;
    return { starts, bySymbol };
  }

  #intern(shape: number, name: number, address: number, ripLow: number, ripHigh: number): number {
    let hash = Math.imul(shape, 0x9e37_79b1) ^ Math.imul(ripLow, 0x85eb_ca6b) ^ Math.imul(ripHigh, 0xc2b2_ae35);
    hash ^= Math.imul(address | 0, 0x27d4_eb2f) ^ name;
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
    return symbol;
  }
}
