// A trace in the page: its columns as typed arrays, and what is asked of an event. No object is kept for an event.
// The packer's half, with the meaning of each column, is ../event-pack.ts.

import { KINDS, type TraceEvent } from '../../trace/events.js';
import { type Columns, type EventClass, readVarints, type TraceHead } from '../payload.js';
import { rowWords } from '../row-words.js';

const unzigzag = (value: number): number => (value % 2 === 0 ? value / 2 : -(value + 1) / 2);
const NONE = new Uint8Array(0);

/** An event as fields, for the details of one. Of its data the first bytes. */
export interface EventFields extends Omit<TraceEvent, 'index'> {
  readonly dataLength: number;
}

export class TraceData {
  readonly count: number;
  readonly cycle: Float64Array;
  readonly class: Uint32Array;
  readonly site: Uint32Array;
  readonly value: Float64Array;
  readonly siteCs: Uint32Array;
  readonly siteSymbol: Uint32Array;
  readonly siteCode: Uint32Array;
  readonly #ripLow: Uint32Array;
  readonly #ripHigh: Uint32Array;
  readonly #address: Float64Array;
  readonly #valueHigh: Map<number, number>;
  readonly #data: Uint32Array;
  readonly #dataLength: Uint32Array;
  readonly #pool: readonly Uint8Array[];
  readonly #words: Map<number, number>;

  constructor(
    readonly head: TraceHead,
    columns: Columns,
  ) {
    const { events: count, classes, sites } = head;
    const column = (name: keyof Columns): Uint8Array => columns[name] ?? NONE;
    this.count = count;
    this.class = readVarints(column('class'), new Uint32Array(count));
    this.cycle = readVarints(column('cycle'), new Float64Array(count));
    let cycle = 0;
    for (let i = 0; i < count; i++) {
      cycle += unzigzag(this.cycle[i]!);
      this.cycle[i] = cycle;
    }
    this.site = readVarints(column('site'), new Uint32Array(count));
    const has = {
      address: this.#count((row) => row.address === null),
      value: this.#count((row) => KINDS[row.kind].value !== 'none'),
      high: this.#count((row) => KINDS[row.kind].value === 'u64'),
      data: this.#count((row) => KINDS[row.kind].data !== 'none'),
    };
    const address = readVarints(column('address'), new Float64Array(has.address));
    const value = readVarints(column('value'), new Float64Array(has.value));
    const high = readVarints(column('valueHigh'), new Float64Array(has.high));
    const data = readVarints(column('data'), new Uint32Array(has.data));
    const length = readVarints(column('dataLength'), new Uint32Array(has.data));
    this.value = new Float64Array(count);
    this.#address = new Float64Array(has.address > 0 ? count : 0);
    this.#valueHigh = new Map();
    this.#data = new Uint32Array(has.data > 0 ? count : 0);
    this.#dataLength = new Uint32Array(has.data > 0 ? count : 0);
    const lastAddress = new Float64Array(classes.length);
    const traits = classes.map((row) => {
      const kind = KINDS[row.kind];
      return (
        (row.address === null ? 1 : 0) |
        (kind.value !== 'none' ? 2 : 0) |
        (kind.value === 'u64' ? 4 : 0) |
        (kind.data !== 'none' ? 8 : 0)
      );
    });
    let [a, v, h, d] = [0, 0, 0, 0];
    for (let i = 0; i < count; i++) {
      const id = this.class[i]!;
      const trait = traits[id]!;
      if (trait & 1) {
        lastAddress[id]! += unzigzag(address[a++]!);
        this.#address[i] = lastAddress[id]!;
      }
      if (trait & 2) this.value[i] = value[v++]!;
      if (trait & 4) this.#valueHigh.set(i, high[h++]!);
      if (trait & 8) {
        this.#data[i] = data[d]!;
        this.#dataLength[i] = length[d++]!;
      }
    }
    this.#pool = readPool(column('bytes'));
    this.#words = readWords(column('wordsAt'), column('words'));
    this.siteCs = readVarints(column('siteCs'), new Uint32Array(sites));
    this.#ripLow = readVarints(column('siteRipLow'), new Uint32Array(sites));
    this.#ripHigh = readVarints(column('siteRipHigh'), new Uint32Array(sites));
    this.siteSymbol = readVarints(column('siteSymbol'), new Uint32Array(sites));
    this.siteCode = readVarints(column('siteCode'), new Uint32Array(sites));
  }

  #count(is: (row: EventClass) => boolean): number {
    const wanted = this.head.classes.map(is);
    let count = 0;
    for (const id of this.class) if (wanted[id]) count++;
    return count;
  }

  classOf(i: number): EventClass {
    return this.head.classes[this.class[i]!]!;
  }

  address(i: number): number {
    return this.classOf(i).address ?? this.#address[i]!;
  }

  /** The upper 32 bits of a value that has 64. */
  valueHigh(i: number): number {
    return this.#valueHigh.get(i) ?? 0;
  }

  rip(i: number): bigint {
    const site = this.site[i]!;
    return (BigInt(this.#ripHigh[site]!) << 32n) | BigInt(this.#ripLow[site]!);
  }

  /** cs:rip as hexadecimal text. */
  place(i: number): string {
    return `0x${this.siteCs[this.site[i]!]!.toString(16)}:0x${this.rip(i).toString(16)}`;
  }

  symbol(i: number): string {
    const id = this.siteSymbol[this.site[i]!]!;
    return id === 0 ? '' : this.head.symbols[id - 1]!;
  }

  instruction(i: number): string {
    const id = this.siteCode[this.site[i]!]!;
    return id === 0 ? '' : this.head.instructions[id - 1]!;
  }

  data(i: number): Uint8Array {
    return this.#data.length === 0 ? NONE : (this.#pool[this.#data[i]!] ?? NONE);
  }

  fields(i: number): EventFields {
    const { kind, size, name } = this.classOf(i);
    const hasData = KINDS[kind].data !== 'none';
    return {
      kind,
      cycle: this.cycle[i]!,
      cs: this.siteCs[this.site[i]!]!,
      rip: this.rip(i),
      address: this.address(i),
      size,
      value: this.value[i]!,
      valueHigh: this.valueHigh(i),
      name,
      data: hasData ? this.data(i) : NONE,
      dataLength: hasData ? this.#dataLength[i]! : 0,
    };
  }

  /** The words of `inspect --events`. */
  words(i: number): string {
    const own = this.#words.get(i);
    if (own !== undefined) return this.head.strings[own]!;
    const { device, register } = this.classOf(i);
    return rowWords(this.fields(i), device, register);
  }

  /** The first event at or after a cycle; `count` when there is none. */
  firstAt(cycle: number): number {
    return lowerBound(this.cycle, cycle);
  }
}

/** First index of an ascending array whose value is not below `wanted`. */
export function lowerBound(array: Float64Array | Uint32Array, wanted: number, from = 0, to = array.length): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (array[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

function readPool(bytes: Uint8Array): Uint8Array[] {
  const all = readAll(bytes);
  const pool: Uint8Array[] = [];
  for (let at = 0; at < all.length; ) {
    const length = all[at++]!;
    pool.push(Uint8Array.from(all.subarray(at, at + length)));
    at += length;
  }
  return pool;
}

function readWords(at: Uint8Array, words: Uint8Array): Map<number, number> {
  const places = readAll(at);
  const strings = readAll(words);
  const found = new Map<number, number>();
  let index = 0;
  places.forEach((distance, n) => {
    index += distance;
    found.set(index, strings[n]!);
  });
  return found;
}

/** All varints of a column. */
export function readAll(bytes: Uint8Array): Float64Array {
  let count = 0;
  for (const byte of bytes) if (byte < 128) count++;
  return readVarints(bytes, new Float64Array(count));
}
