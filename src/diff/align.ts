// Two traces side by side: what is equal is passed by columns, and where they differ the shortest skip on both sides is
// looked for after which a few events in a row agree again, in windows that grow up to a bound.
//
// Before the first difference cycle and site count, too; behind it everything comes at another time, and only what was
// said to whom is compared. With `--ignore timing` that holds from the start, and a difference that is only a matter of
// time is counted and passed: then the first difference is the first of another kind.

import { differingFields, type EventField } from '../replay/divergence.js';
import { type ColumnStream, type MeantEvent, MOST_AHEAD } from './column-stream.js';
import { DifferenceGroups, type LoneRun } from './difference-groups.js';
import { ASYNC, INDEX, READ, RICH, STATE, type SymbolIds } from './symbol-ids.js';

/** Events on each side among which a place to go on is looked for, one after the other. */
const WINDOWS = [16, 128, 1024, 4096] as const;
/** Events in a row that must agree there. */
const RUN = 4;
/** Events passed lately among which a poll must find its like. */
const POLL_REACH = 16;
/** Differences that may turn out to have moved in time, with `--ignore timing`. */
const MOST_CANDIDATES = 256;

/** The first event that differs, with what is around it; a side is undefined when its trace has ended. */
export interface FirstPlace {
  readonly x: MeantEvent | undefined;
  readonly y: MeantEvent | undefined;
  readonly fields: readonly EventField[];
  readonly before: readonly MeantEvent[];
  readonly afterA: readonly MeantEvent[];
  readonly afterB: readonly MeantEvent[];
  /** Cycle of the last event that agrees, on each side. */
  readonly agreedA: number;
  readonly agreedB: number;
}

export interface StatePlace {
  readonly index: number;
  readonly agreedAt: number;
  readonly differAt: number;
}

export interface Alignment {
  readonly first: FirstPlace | null;
  /** Events that agreed before the first difference. */
  readonly agreed: number;
  readonly state: StatePlace | null;
  readonly groups: DifferenceGroups;
  /** Behind the first difference: pairs that agree, and how many of them came after another delay than before. */
  readonly equal: number;
  readonly shifted: number;
  readonly resyncs: number;
  /** Cycles by which B is later than A: where it first is at all, and at the end. */
  readonly firstShift: number;
  readonly lastShift: number;
  /** Which of the two had no more events when the comparison was over. */
  readonly ended: readonly [a: boolean, b: boolean];
}

export interface AlignOptions {
  readonly context: number;
  readonly ignoresTiming: boolean;
  /** Whether the end of a side is an event: not so when its recording was cut off. */
  readonly endsCount: readonly [a: boolean, b: boolean];
}

export class Aligner {
  readonly groups = new DifferenceGroups();
  readonly #flags: readonly number[];
  #first: FirstPlace | null = null;
  /** With `--ignore timing`: lone runs that would be the first difference if they do not turn up on the other side. */
  #candidates: { run: LoneRun; place: FirstPlace; agreed: number }[] = [];
  /** The first one that cannot. */
  #definite: { place: FirstPlace; agreed: number } | undefined;
  #state: StatePlace | null = null;
  #agreed = 0;
  #agreedAt = 0;
  #equal = 0;
  #shifted = 0;
  #resyncs = 0;
  #shift = 0;
  #firstShift = 0;
  #lastA = 0;
  #lastB = 0;
  #before: MeantEvent[] = [];
  /** Accesses passed lately, on either side. */
  readonly #lately = new Uint32Array(POLL_REACH * 2);
  #latelyAt = 0;

  constructor(
    private readonly a: ColumnStream,
    private readonly b: ColumnStream,
    ids: SymbolIds,
    private readonly options: AlignOptions,
  ) {
    this.#flags = ids.flags;
  }

  /** Go through both to their ends; `stopAtFirst` ends with the first difference. */
  run(stopAtFirst = false): Alignment {
    const { a, b, options } = this;
    for (;;) {
      const here = Math.min(a.ahead(MOST_AHEAD), b.ahead(MOST_AHEAD));
      if (here === 0) break;
      const strict = this.#first === null && !options.ignoresTiming;
      const run = this.#equalRun(here, strict);
      if (run > 0) this.#pass(run);
      if (run === here) continue;
      if (strict && this.#passState()) continue;
      if (strict) {
        this.#found();
        if (stopAtFirst) break;
        continue;
      }
      this.#differ();
      if (stopAtFirst && this.#first) break;
    }
    const ended = [a.ahead(1) === 0, b.ahead(1) === 0] as const;
    if (!(stopAtFirst && this.#first)) this.#tails();
    const earliest = this.#candidates[0] ?? this.#definite;
    if (earliest) {
      this.#first = earliest.place;
      this.#agreed = earliest.agreed;
    }
    return {
      first: this.#first,
      agreed: this.#agreed,
      state: this.#state,
      groups: this.groups,
      equal: this.#equal,
      shifted: this.#shifted,
      resyncs: this.#resyncs,
      firstShift: this.#firstShift,
      lastShift: this.#shift,
      ended,
    };
  }

  /** How many of the next events agree. */
  #equalRun(most: number, strict: boolean): number {
    const { a, b } = this;
    const flags = this.#flags;
    const [i, j] = [a.at, b.at];
    let n = 0;
    for (; n < most; n++) {
      const p = i + n;
      const q = j + n;
      if (a.whole[p] !== b.whole[q] || a.access[p] !== b.access[q]) break;
      if (strict && (a.cycle[p] !== b.cycle[q] || a.id[p] !== b.id[q])) break;
      const kind = flags[a.id[p]!]!;
      if (kind & RICH && (strict || (kind & (STATE | ASYNC)) === 0) && !this.#sameInFull(n, strict)) break;
    }
    return n;
  }

  #sameInFull(n: number, strict: boolean): boolean {
    if (strict) return this.a.sameInFull(n, this.b, n);
    const [x, y] = [this.a.event(n), this.b.event(n)];
    const value = x.value === y.value && x.valueHigh === y.valueHigh;
    return (value || this.a.isTimed(n, x.address)) && Buffer.compare(x.data, y.data) === 0;
  }

  /** Events that agree. */
  #pass(count: number): void {
    const { a, b } = this;
    const behind = this.#first !== null;
    if (behind) this.#equal += count;
    else this.#agreed += count;
    for (let n = 0; n < count; n++) {
      const now = b.cycle[b.at + n]! - a.cycle[a.at + n]!;
      if (now === this.#shift) continue;
      if (this.#firstShift === 0) this.#firstShift = now;
      this.#shift = now;
      this.#shifted++;
    }
    for (let n = Math.max(0, count - POLL_REACH); n < count; n++) this.#note(a.access[a.at + n]!);
    this.#lastA = a.cycle[a.at + count - 1]!;
    this.#lastB = b.cycle[b.at + count - 1]!;
    const shown = behind ? 0 : Math.min(this.options.context, count);
    this.#noteState(count);
    a.skip(count - shown);
    b.skip(count - shown);
    for (let n = 0; n < shown; n++) {
      this.#before.push(a.take());
      b.skip(1);
    }
    if (this.#before.length > this.options.context) this.#before = this.#before.slice(-this.options.context);
  }

  /** Where the machine states last agreed, while nothing differs. */
  #noteState(count: number): void {
    if (this.#first !== null || this.options.ignoresTiming) return;
    const { a } = this;
    for (let n = count - 1; n >= 0; n--) {
      if ((this.#flags[a.id[a.at + n]!]! & STATE) === 0) continue;
      this.#agreedAt = a.cycle[a.at + n]!;
      return;
    }
  }

  /** A state hash that differs is no event of the guest's: it is noted and passed. */
  #passState(): boolean {
    const { a, b } = this;
    const [p, q] = [a.at, b.at];
    if ((this.#flags[a.id[p]!]! & this.#flags[b.id[q]!]! & STATE) === 0 || a.cycle[p] !== b.cycle[q]) return false;
    this.#state ??= { index: a.event(0).index, agreedAt: this.#agreedAt, differAt: a.cycle[p]! };
    this.#agreed++;
    a.skip(1);
    b.skip(1);
    return true;
  }

  #place(): FirstPlace {
    const { context } = this.options;
    const [left, right] = [this.a.peek(context + 1), this.b.peek(context + 1)];
    const [x, y] = [left[0], right[0]];
    return {
      x,
      y,
      fields: x && y ? differingFields(x.event, y.event) : [],
      before: this.#before,
      afterA: left.slice(1),
      afterB: right.slice(1),
      agreedA: this.#lastA,
      agreedB: this.#lastB,
    };
  }

  /** The next events differ: by their values, or one side has more. */
  #differ(): void {
    const { a, b } = this;
    if (a.access[a.at] === b.access[b.at] && this.#goesOn() && !this.#skipsNearby()) {
      const timed = a.isTimed(0);
      if (!timed) this.#found();
      const [x, y] = [a.take(), b.take()];
      this.groups.changed(x, y, timed);
      return;
    }
    const [skipA, skipB] = this.#findSync();
    this.#resyncs++;
    const agreed = this.#agreed;
    const place = this.options.ignoresTiming && this.#first === null ? this.#place() : undefined;
    this.#lone('a', a, skipA, place, agreed);
    this.#lone('b', b, skipB, place, agreed);
  }

  /** Whether the event behind is the same access on both sides, or there is none. */
  #goesOn(): boolean {
    const { a, b } = this;
    if (a.ahead(2) < 2 || b.ahead(2) < 2) return true;
    return a.access[a.at + 1] === b.access[b.at + 1];
  }

  /** Whether one side alone has a few events more, behind which both go on alike: then no value has changed. */
  #skipsNearby(): boolean {
    const { a, b } = this;
    const [near] = WINDOWS;
    const [p, q] = [Math.min(a.ahead(near), near), Math.min(b.ahead(near), near)];
    if (p > 1 && q > 1 && a.whole[a.at + 1] === b.whole[b.at + 1]) return false;
    const found = p > RUN && q > RUN ? shortestSkip(a.whole, a.at, p, b.whole, b.at, q) : undefined;
    return found !== undefined && found[0] !== found[1];
  }

  /** Events that only one side has. */
  #lone(side: 'a' | 'b', stream: ColumnStream, count: number, place: FirstPlace | undefined, agreed: number): void {
    if (count === 0) return;
    let hash = 0;
    let poll = true;
    for (let n = 0; n < count; n++) {
      const at = stream.at + n;
      hash = (Math.imul(hash, 31) + stream.whole[at]!) | 0;
      const kind = this.#flags[stream.id[at]!]!;
      const again = (kind & (READ | INDEX)) !== 0 && this.#lately.includes(stream.access[at]!);
      poll &&= again || ((kind & ASYNC) !== 0 && n > 0);
    }
    const comesByItself = (this.#flags[stream.id[stream.at]!]! & ASYNC) !== 0;
    const run: LoneRun = { side, hash, length: count, comesByItself, isPoll: poll };
    const events: MeantEvent[] = [];
    for (let n = 0; n < count; n++) events.push(stream.take());
    const moved = this.groups.lone(run, events);
    if (!place || this.#first) return;
    if (moved && comesByItself) {
      const at = this.#candidates.findIndex(({ run: held }) => held.hash === hash && held.length === count);
      if (at >= 0) this.#candidates.splice(at, 1);
      if (this.#candidates.length === 0) this.#first = this.#definite?.place ?? null;
    } else if (comesByItself && !this.#definite && this.#candidates.length < MOST_CANDIDATES) {
      this.#candidates.push({ run, place, agreed });
    } else if (!poll) this.#found(place, agreed);
  }

  /** With `--ignore timing`: a difference that is no matter of time. */
  #found(place = this.#first ? undefined : this.#place(), agreed = this.#agreed): void {
    if (this.#first || this.#definite || !place) return;
    this.#definite = { place, agreed };
    if (this.#candidates.length === 0) this.#first = place;
  }

  /** One side has ended. */
  #tails(): void {
    const { a, b } = this;
    const [endsA, endsB] = this.options.endsCount;
    const [leftA, leftB] = [a.ahead(1) > 0, b.ahead(1) > 0];
    // That a recording was cut off says nothing about the boot.
    if (this.#first === null && ((leftA && !endsB) || (leftB && !endsA))) return;
    if (leftA || leftB) this.#found();
    for (const [side, stream] of [
      ['a', a],
      ['b', b],
    ] as const) {
      for (let here = stream.ahead(MOST_AHEAD); here > 0; here = stream.ahead(MOST_AHEAD)) {
        this.#lone(side, stream, Math.min(here, MOST_AHEAD), undefined, this.#agreed);
      }
    }
  }

  /** How many events to skip on each side: first by whole events, then by accesses alone, at last half a window. */
  #findSync(): readonly [number, number] {
    const { a, b } = this;
    for (const window of WINDOWS) {
      const most = [Math.min(a.ahead(window), window), Math.min(b.ahead(window), window)] as const;
      const found = shortestSkip(a.whole, a.at, most[0], b.whole, b.at, most[1]);
      if (found) return found;
    }
    const [last] = WINDOWS.slice(-1);
    const [p, q] = [Math.min(a.ahead(last!), last!), Math.min(b.ahead(last!), last!)];
    return shortestSkip(a.access, a.at, p, b.access, b.at, q) ?? [Math.ceil(p / 2), Math.ceil(q / 2)];
  }

  #note(access: number): void {
    this.#lately[this.#latelyAt++ % this.#lately.length] = access;
  }
}

const TABLE_BITS = 13;
const places = new Int32Array(1 << TABLE_BITS);
const keys = new Int32Array(1 << TABLE_BITS);

/** The shortest skips on both sides behind which RUN values in a row are equal, or as many as there are. */
function shortestSkip(
  x: Uint32Array,
  xAt: number,
  xCount: number,
  y: Uint32Array,
  yAt: number,
  yCount: number,
): readonly [number, number] | undefined {
  const run = Math.min(RUN, xCount, yCount);
  if (run === 0) return undefined;
  places.fill(-1);
  const mask = (1 << TABLE_BITS) - 1;
  const keyAt = (column: Uint32Array, at: number): number => {
    let key = 0;
    for (let n = 0; n < run; n++) key = (Math.imul(key, 0x01000193) ^ column[at + n]!) | 0;
    return key;
  };
  for (let j = 0; j + run <= yCount; j++) {
    const key = keyAt(y, yAt + j);
    let slot = Math.imul(key, 0x9e37_79b1) >>> (32 - TABLE_BITS);
    while (places[slot]! >= 0 && keys[slot] !== key) slot = (slot + 1) & mask;
    if (places[slot]! >= 0) continue;
    places[slot] = j;
    keys[slot] = key;
  }
  let best: readonly [number, number] | undefined;
  for (let i = 0; i + run <= xCount; i++) {
    if (best && i >= best[0] + best[1]) break;
    const key = keyAt(x, xAt + i);
    let slot = Math.imul(key, 0x9e37_79b1) >>> (32 - TABLE_BITS);
    while (places[slot]! >= 0 && keys[slot] !== key) slot = (slot + 1) & mask;
    const j = places[slot]!;
    if (j < 0 || i + j === 0) continue;
    if (!best || i + j < best[0] + best[1]) best = [i, j];
  }
  return best;
}
