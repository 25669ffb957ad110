// What differs between two traces, folded: one group for each phase, device, register and way of differing, with its
// first place and an example. A trace of millions of differences has a few dozen groups.
// Runs of events that only one side has are held until the end, so that one which comes back on the other side is
// found to have moved. What is held is bounded; what is beyond it counts as it came.

import type { MeantEvent } from './column-stream.js';
import type { Phase } from './phases.js';

export type DifferenceKind = 'changed' | 'only-a' | 'only-b' | 'moved';

/** Differences of one kind at one register in one phase. */
export interface DifferenceGroup {
  readonly kind: DifferenceKind;
  readonly phase: Phase;
  readonly device: string;
  readonly register: string;
  readonly count: number;
  /** Of these, how many are only a matter of time: moved interrupts, polls more or fewer, counters that were read. */
  readonly timing: number;
  /** Index in A and B of the first one; null on the side that has none. */
  readonly firstA: number | null;
  readonly firstB: number | null;
  readonly exampleA: string | null;
  readonly exampleB: string | null;
}

/** Events in a row that only one side has. */
export interface LoneRun {
  readonly side: 'a' | 'b';
  readonly hash: number;
  readonly length: number;
  /** It begins with an interrupt or a timer. */
  readonly comesByItself: boolean;
  /** Nothing but reads of what the other side polled there, too. */
  readonly isPoll: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Group = Mutable<DifferenceGroup>;

const MOST_HELD = 0x8000;
const MOST_GROUPS = 4096;

interface Held {
  readonly run: LoneRun;
  /** The run's share of each group. */
  readonly shares: Map<Group, number>;
}

export class DifferenceGroups {
  readonly #groups = new Map<string, Group>();
  readonly #held: Record<'a' | 'b', Map<string, Held[]>> = { a: new Map(), b: new Map() };
  #heldCount = 0;
  /** Differences that are not only a matter of time. */
  essential = 0;
  changedCount = 0;
  loneCount = { a: 0, b: 0 };
  movedCount = 0;

  /** The same access with another value. */
  changed(x: MeantEvent, y: MeantEvent, timed: boolean): void {
    const group = this.#group('changed', x);
    group.count++;
    this.changedCount++;
    group.firstA ??= x.event.index;
    group.firstB ??= y.event.index;
    group.exampleA ??= x.meaning.text;
    group.exampleB ??= y.meaning.text;
    if (timed) group.timing++;
    else this.essential++;
  }

  /** @returns true when the same run was held on the other side: it has moved */
  lone(run: LoneRun, events: readonly MeantEvent[]): boolean {
    const key = `${run.hash}:${run.length}`;
    const other = this.#held[run.side === 'a' ? 'b' : 'a'].get(key)?.shift();
    const shares = new Map<Group, number>();
    for (const meant of events) {
      const group = this.#group(other ? 'moved' : run.side === 'a' ? 'only-a' : 'only-b', meant);
      shares.set(group, (shares.get(group) ?? 0) + 1);
      group.count++;
      if (run.side === 'a') {
        group.firstA ??= meant.event.index;
        group.exampleA ??= meant.meaning.text;
      } else {
        group.firstB ??= meant.event.index;
        group.exampleB ??= meant.meaning.text;
      }
    }
    if (other) {
      this.#moved(other, run);
      for (const [group, count] of shares) if (run.comesByItself) group.timing += count;
      this.movedCount += events.length;
      return true;
    }
    this.loneCount[run.side] += events.length;
    if (run.isPoll) for (const [group, count] of shares) group.timing += count;
    else this.essential += events.length;
    if (this.#heldCount < MOST_HELD) {
      this.#heldCount++;
      const held = this.#held[run.side];
      const same = held.get(key);
      if (same) same.push({ run, shares });
      else held.set(key, [{ run, shares }]);
    }
    return false;
  }

  /** Groups by their first place. */
  list(): DifferenceGroup[] {
    const place = ({ firstA, firstB }: Group) => Math.min(firstA ?? Infinity, firstB ?? Infinity);
    return [...this.#groups.values()].filter(({ count }) => count > 0).sort((p, q) => place(p) - place(q));
  }

  /** What was held alone has turned up on the other side. */
  #moved({ run, shares }: Held, now: LoneRun): void {
    let total = 0;
    for (const [group, count] of shares) {
      total += count;
      group.count -= count;
      if (run.isPoll) group.timing -= count;
      const moved = this.#groupOf('moved', group.phase, group.device, group.register);
      if (run.side === 'a') {
        moved.firstA ??= group.firstA;
        moved.exampleA ??= group.exampleA;
      } else {
        moved.firstB ??= group.firstB;
        moved.exampleB ??= group.exampleB;
      }
    }
    this.#heldCount--;
    this.loneCount[run.side] -= total;
    if (!run.isPoll) this.essential -= total;
    if (!now.comesByItself) this.essential += total;
  }

  #group(kind: DifferenceKind, { meaning, phase }: MeantEvent): Group {
    return this.#groupOf(kind, phase, meaning.device, meaning.register);
  }

  #groupOf(kind: DifferenceKind, phase: Phase, device: string, register: string): Group {
    const full = this.#groups.size >= MOST_GROUPS;
    const key = full ? `${kind} ${phase} ${device}` : `${kind} ${phase} ${device} ${register}`;
    let group = this.#groups.get(key);
    if (!group) {
      group = {
        kind,
        phase,
        device,
        register: full ? '(others)' : register,
        count: 0,
        timing: 0,
        firstA: null,
        firstB: null,
        exampleA: null,
        exampleB: null,
      };
      this.#groups.set(key, group);
    }
    return group;
  }
}
