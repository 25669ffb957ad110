// One of the two traces of a comparison, as columns: each event is a handful of numbers, so that what is equal in
// millions of events is passed without an object being made. Events become objects with meaning where they differ.
//
// `access` and `whole` are 32-bit hashes: of what was accessed, and of that with the value. An event whose value has at
// most 32 bits and which carries no bytes is told exactly by them; the others are marked RICH and compared in full.
// Memory is bounded by a few chunks, whatever the length of the trace.

import type { EventBlock } from '../trace/event-block.js';
import type { TraceEvent } from '../trace/events.js';
import type { TraceReader } from '../trace/reader.js';
import { type Meaning, Semantics } from '../trace/semantic/semantics.js';
import { EventFilter } from './event-filter.js';
import { type Phase, PhaseTracker } from './phases.js';
import { CLOCK, FOLLOWED, mix, STATE, type SymbolIds } from './symbol-ids.js';

export interface MeantEvent {
  readonly event: TraceEvent;
  readonly meaning: Meaning;
  readonly phase: Phase;
}

/** Events that a look ahead may ask for. */
export const MOST_AHEAD = 8192;

interface Piece {
  readonly block: EventBlock;
  /** Positions in the block of the events that are kept; undefined for all of them. */
  readonly kept: Uint32Array | undefined;
  readonly ids: Uint32Array;
  /** Events of the piece in the window, and the first of them. */
  count: number;
  from: number;
  readonly meant: readonly { meaning: Meaning; phase: Phase }[] | undefined;
}

export class ColumnStream {
  /** The window: columns of the events from `at` to `end`. */
  access = new Uint32Array(0);
  whole = new Uint32Array(0);
  cycle = new Float64Array(0);
  id = new Uint32Array(0);
  at = 0;
  end = 0;
  readonly #blocks: Generator<EventBlock>;
  readonly #ids: SymbolIds;
  readonly #filter: EventFilter;
  readonly #semantics = new Semantics();
  readonly #tracker: PhaseTracker;
  #pieces: Piece[] = [];
  #done = false;
  /** Events from `at` on that have been given their meaning already. */
  #meant: MeantEvent[] = [];

  constructor(reader: TraceReader, ids: SymbolIds, filter = new EventFilter({})) {
    this.#blocks = reader.blocks();
    this.#ids = ids;
    this.#filter = filter;
    this.#tracker = new PhaseTracker(reader.header);
  }

  /** Events in the window: at least `count`, except at the end of the trace. */
  ahead(count: number): number {
    while (this.end - this.at < count && !this.#done) this.#refill();
    return this.end - this.at;
  }

  /** Event `ahead` of the next one, as an object; it must be in the window. */
  event(ahead: number): TraceEvent {
    const { block, position } = this.#place(ahead);
    return block.at(position);
  }

  /** Bytes and long fields of two events of the window, which the hashes do not tell for certain. */
  sameInFull(ahead: number, other: ColumnStream, otherAhead: number): boolean {
    const x = this.event(ahead);
    const y = other.event(otherAhead);
    if (x.address !== y.address || x.valueHigh !== y.valueHigh) return false;
    if (x.value !== y.value && !(this.#filter.ignoresTiming && this.isTimed(ahead, x.address))) return false;
    if (!this.#filter.ignoresTiming && (x.rip !== y.rip || x.cs !== y.cs)) return false;
    return x.data.length === y.data.length && Buffer.compare(x.data, y.data) === 0;
  }

  /** The next events with their meaning; stays before them. Fewer at the end of the trace. */
  peek(count: number): readonly MeantEvent[] {
    const there = Math.min(count, this.ahead(count));
    while (this.#meant.length < there) this.#meant.push(this.#mean(this.#meant.length));
    return this.#meant.slice(0, there);
  }

  /** The next event with its meaning, passed. */
  take(): MeantEvent {
    const [meant] = this.peek(1);
    this.#meant.shift();
    this.at++;
    return meant!;
  }

  /** Pass events that nobody asks the meaning of. They must be in the window. */
  skip(count: number): void {
    const { flags, hint } = this.#ids;
    const known = Math.min(this.#meant.length, count);
    this.#meant.splice(0, known);
    if (!this.#filter.hasNames) {
      for (let i = known; i < count; i++) {
        const id = this.id[this.at + i]!;
        if (hint[id] !== 0) this.#tracker.follow(hint[id]!);
        if (flags[id]! & FOLLOWED) this.#semantics.next(this.event(i));
      }
    }
    this.at += count;
  }

  /** The phase of the last event that was passed or given its meaning. */
  get lastPhase(): Phase {
    return this.#tracker.phase;
  }

  /** An fw_cfg item as far as the guest has read it up to here. */
  item(name: string): Uint8Array | undefined {
    return this.#semantics.fwCfgItem(name);
  }

  /** Whether the value of an event of the window tells a time. */
  isTimed(ahead: number, address = this.event(ahead).address): boolean {
    return this.#ids.isTimed(this.id[this.at + ahead]!, address % 4096);
  }

  #mean(ahead: number): MeantEvent {
    const { piece, block, position, index } = this.#place(ahead);
    const event = block.at(position);
    const known = piece.meant?.[index];
    if (known) return { event, ...known };
    const hint = this.#ids.hint[this.id[this.at + ahead]!]!;
    if (hint !== 0) this.#tracker.follow(hint);
    return { event, meaning: this.#semantics.next(event), phase: this.#tracker.phase };
  }

  #place(ahead: number): { piece: Piece; block: EventBlock; position: number; index: number } {
    let left = this.at + ahead;
    for (const piece of this.#pieces) {
      if (left < piece.count) {
        const index = piece.from + left;
        return { piece, block: piece.block, position: piece.kept ? piece.kept[index]! : index, index };
      }
      left -= piece.count;
    }
    throw new RangeError('an event outside the window');
  }

  /** Drop what was passed and take in the next chunk. */
  #refill(): void {
    const { value: block, done } = this.#blocks.next();
    if (done) {
      this.#done = true;
      return;
    }
    for (let passed = this.at; passed > 0 && this.#pieces.length > 0; ) {
      const [first] = this.#pieces;
      const some = Math.min(passed, first!.count);
      first!.from += some;
      first!.count -= some;
      passed -= some;
      if (first!.count === 0) this.#pieces.shift();
    }
    const piece = this.#piece(block);
    const left = this.end - this.at;
    const grow = <T extends Uint32Array | Float64Array>(column: T, larger: T): T => {
      larger.set(column.subarray(this.at, this.end) as never);
      return larger;
    };
    const size = left + piece.count;
    this.access = grow(this.access, new Uint32Array(size));
    this.whole = grow(this.whole, new Uint32Array(size));
    this.cycle = grow(this.cycle, new Float64Array(size));
    this.id = grow(this.id, new Uint32Array(size));
    this.at = 0;
    this.end = size;
    this.#fill(piece, left);
    this.#pieces.push(piece);
  }

  #piece(block: EventBlock): Piece {
    const ids = Uint32Array.from(block.columns.symbols, (symbol) => this.#ids.id(symbol));
    if (!this.#filter.hasNames && !this.#filter.ignoresTiming) {
      return { block, ids, kept: undefined, meant: undefined, count: block.count, from: 0 };
    }
    const kept = new Uint32Array(block.count);
    const meant: { meaning: Meaning; phase: Phase }[] | undefined = this.#filter.hasNames ? [] : undefined;
    const { symbol } = block.columns;
    let count = 0;
    for (let i = 0; i < block.count; i++) {
      const id = ids[symbol[i]!]!;
      // A state tells the time, too: without it, it says nothing that events do not.
      if (this.#filter.ignoresTiming && this.#ids.flags[id]! & STATE) continue;
      if (meant) {
        const event = block.at(i);
        if (this.#ids.hint[id] !== 0) this.#tracker.follow(this.#ids.hint[id]!);
        const meaning = this.#semantics.next(event);
        const { phase } = this.#tracker;
        if (!this.#filter.passes(event, meaning, phase)) continue;
        meant.push({ meaning, phase });
      }
      kept[count++] = i;
    }
    return { block, ids, kept: kept.subarray(0, count), meant, count, from: 0 };
  }

  #fill({ block, ids, kept, count }: Piece, at: number): void {
    const { symbol, cycle, address, value, valueHigh, dataLength } = block.columns;
    const { seed, flags } = this.#ids;
    const ignoresTiming = this.#filter.ignoresTiming;
    for (let n = 0; n < count; n++) {
      const i = kept ? kept[n]! : n;
      const id = ids[symbol[i]!]!;
      const offset = address[i]!;
      const access = offset === 0 ? seed[id]! : mix(seed[id]! ^ (offset + Math.floor(offset / 0x1_0000_0000)));
      let whole = access;
      if ((flags[id]! & CLOCK) === 0 && !(ignoresTiming && this.#ids.isTimed(id, offset))) {
        whole = mix(access ^ value[i]!);
        if (valueHigh[i] !== 0) whole = mix(whole ^ valueHigh[i]!);
      }
      if (dataLength[i] !== 0 && (flags[id]! & STATE) === 0) whole = mix(whole ^ hashBytes(block.data(i)));
      this.access[at + n] = access;
      this.whole[at + n] = whole;
      this.cycle[at + n] = cycle[i]!;
      this.id[at + n] = id;
    }
  }
}

/** FNV-1a. */
function hashBytes(data: Uint8Array): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < data.length; i++) hash = Math.imul(hash ^ data[i]!, 0x0100_0193);
  return hash >>> 0;
}
