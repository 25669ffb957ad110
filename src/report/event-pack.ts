// The events of a trace as columns for the page: small, and decoded there into typed arrays without an object an event.
//
//   class               what an event shares with others (EventClass), by number
//   cycle               since the event before, zigzagged: a device's event may belong to an earlier cycle
//   site                instruction, by number
//   address             of classes with a physical address; zigzagged distance from the class's last
//   value, valueHigh    of kinds that have them
//   data, dataLength    of kinds that have data: number of the bytes' pool entry, whole length
//   bytes               pool: length and bytes, for each entry
//   wordsAt, words      events whose words do not follow from the columns: distance from the last such, string
//   site*               cs, rip, symbol and instruction of each site; the last two are 1 + their number, 0 for none
//
// Invariant: what the page shows as an event's text is what `inspect --events` prints.

import { KINDS, type TraceEvent } from '../trace/events.js';
import type { Meaning } from '../trace/semantic/semantics.js';
import type { SiteCode } from '../trace/sink.js';
import { VarintWriter, zigzag } from '../trace/varint.js';
import type { Columns, EventClass } from './payload.js';
import { rowWords } from './row-words.js';

/** Bytes of an event's data that the page shows. */
export const SHOWN_DATA = 64;

/** What the page is told about an instruction. */
export interface SiteNames {
  symbol(cs: number, rip: bigint): string | undefined;
  instruction(code: SiteCode, rip: bigint): string;
}

interface ClassState {
  readonly id: number;
  address: number;
}

/** Numbers for things, in the order in which they first come. */
class Numbered<T> {
  readonly all: T[] = [];
  readonly #ids = new Map<string, number>();
  id(key: string, make: () => T): number {
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.all.length;
      this.#ids.set(key, id);
      this.all.push(make());
    }
    return id;
  }
}

const COLUMNS = ['class', 'cycle', 'site', 'address', 'value', 'valueHigh', 'data', 'dataLength', 'wordsAt', 'words'];

export class EventPacker {
  readonly #columns = Object.fromEntries(COLUMNS.map((name) => [name, new VarintWriter()])) as Record<
    string,
    VarintWriter
  >;
  readonly #classes = new Numbered<EventClass>();
  readonly #states: ClassState[] = [];
  readonly #strings = new Numbered<string>();
  readonly #sites = new Numbered<{ cs: number; rip: bigint }>();
  readonly #pool = new Numbered<Uint8Array>();
  #count = 0;
  #cycle = 0;
  #lastWords = 0;

  get count(): number {
    return this.#count;
  }

  /** The last event's cycle. */
  get cycle(): number {
    return this.#cycle;
  }

  add(event: TraceEvent, meaning: Meaning): void {
    const columns = this.#columns;
    const row = KINDS[event.kind];
    const moves = row.address === 'physical';
    const { device, register } = meaning;
    const address = moves ? null : event.address;
    const key = `${row.id}\n${device}\n${register}\n${event.size}\n${event.name}\n${address}`;
    const { kind, size, name } = event;
    const id = this.#classes.id(key, () => ({ kind, device, register, size, name, address }));
    this.#states[id] ??= { id, address: 0 };
    const state = this.#states[id];
    columns.class!.write(id);
    columns.cycle!.write(zigzag(event.cycle - this.#cycle));
    columns.site!.write(this.#sites.id(`${event.cs}:${event.rip}`, () => ({ cs: event.cs, rip: event.rip })));
    if (moves) {
      columns.address!.write(zigzag(event.address - state.address));
      state.address = event.address;
    }
    if (row.value !== 'none') columns.value!.write(event.value);
    if (row.value === 'u64') columns.valueHigh!.write(event.valueHigh);
    if (row.data !== 'none') {
      const shown = event.data.subarray(0, SHOWN_DATA);
      columns.data!.write(this.#pool.id(Buffer.from(shown).toString('latin1'), () => shown.slice()));
      columns.dataLength!.write(event.data.length);
    }
    if (rowWords(event, device, register) !== meaning.text) {
      columns.wordsAt!.write(this.#count - this.#lastWords);
      columns.words!.write(this.#strings.id(meaning.text, () => meaning.text));
      this.#lastWords = this.#count;
    }
    this.#cycle = event.cycle;
    this.#count += 1;
  }

  /** @param code the instruction at a site, if the trace has it */
  finish(names: SiteNames, code: (cs: number, rip: bigint) => SiteCode | undefined): PackedEvents {
    const symbols = new Numbered<string>();
    const instructions = new Numbered<string>();
    const site = { cs: new VarintWriter(), low: new VarintWriter(), high: new VarintWriter() };
    const words = { symbol: new VarintWriter(), code: new VarintWriter() };
    for (const { cs, rip } of this.#sites.all) {
      site.cs.write(cs);
      site.low.write(Number(rip & 0xffff_ffffn));
      site.high.write(Number(rip >> 32n));
      const symbol = names.symbol(cs, rip);
      words.symbol.write(symbol === undefined ? 0 : 1 + symbols.id(symbol, () => symbol));
      const bytes = code(cs, rip);
      const text = bytes && names.instruction(bytes, rip);
      words.code.write(text === undefined ? 0 : 1 + instructions.id(text, () => text));
    }
    const bytes = new VarintWriter();
    for (const entry of this.#pool.all) {
      bytes.write(entry.length);
      for (const byte of entry) bytes.write(byte);
    }
    const columns: Columns = {
      ...Object.fromEntries(COLUMNS.map((name) => [name, this.#columns[name]!.bytes()])),
      bytes: bytes.bytes(),
      siteCs: site.cs.bytes(),
      siteRipLow: site.low.bytes(),
      siteRipHigh: site.high.bytes(),
      siteSymbol: words.symbol.bytes(),
      siteCode: words.code.bytes(),
    };
    return {
      columns,
      classes: this.#classes.all,
      strings: this.#strings.all,
      symbols: symbols.all,
      instructions: instructions.all,
      sites: this.#sites.all.length,
    };
  }
}

export interface PackedEvents {
  readonly columns: Columns;
  readonly classes: readonly EventClass[];
  readonly strings: readonly string[];
  readonly symbols: readonly string[];
  readonly instructions: readonly string[];
  readonly sites: number;
}
