// Cases of one machine without what they have in common: remembers cases that took long, has the stretches found in which
// they do the same (SkipPlanner), and puts a case that comes to one at its end.
//
// Invariant: nothing but time depends on it. How a case goes, its cycles and the machine's state at its end are those of a
// case that is executed in full; CaseRunner compares the two every so often.

import type { WatchedMemory } from '../watched-machine.js';
import { Marks } from './marks.js';
import { passOver, Spoilt } from './pass-over.js';
import { type PlannedStretch, SHORTEST, SkipPlanner, type Stage } from './skip-planner.js';
import type { Stretch } from './stretch.js';

/** Cases that stretches are looked for in. */
const SAMPLES = 6;
/** Bytes of a structure that is kept for it. */
const MOST_BYTES = 1 << 20;
/** Cases half as long as the boot as it is, before it is worth looking; and how long that boot must be, in cycles. */
const WORTH_CASES = 24;
const WORTH_CYCLES = 5 * SHORTEST;

/** Cases of which one is executed in full, too, and compared. */
const CHECK_EVERY = 1000;

/** What a case consists of. */
export interface CaseSteps<T> {
  begin(): void;
  play(): T;
  /** Back to the snapshot. */
  end(): void;
  /** How it ended, and all of the machine then. */
  stateOf(ended: T): string;
}

export class Skipper {
  /** Cycles that were not executed: in the last case, and in all. */
  skipped = 0;
  total = 0;
  readonly #marks: Marks;
  #stretches: ReadonlyMap<bigint, Stretch> = new Map();
  #samples: Uint8Array[] = [];
  #long = 0;
  #checked = 0;
  #over: boolean;

  /** @param usual cycles of the boot as it is */
  constructor(
    private readonly stage: Stage,
    private readonly memory: WatchedMemory,
    private readonly usual: number,
  ) {
    this.#marks = new Marks(stage.cpu);
    this.#over = usual < WORTH_CYCLES;
  }

  /**
   * A case from its begin to its end; every so often both ways.
   * @throws Error when they differ
   */
  run<T>({ begin, play, end, stateOf }: CaseSteps<T>): T {
    this.skipped = 0;
    begin();
    let state: string | undefined;
    try {
      if (this.#stretches.size > 0) this.#marks.arm();
      const ended = play();
      if (this.skipped === 0 || this.#checked++ % CHECK_EVERY !== 0) return ended;
      state = stateOf(ended);
    } catch (error) {
      if (!(error instanceof Spoilt)) throw error;
    } finally {
      this.#marks.disarm();
    }
    this.skipped = 0;
    end();
    begin();
    const ended = play();
    if (state !== undefined && state !== stateOf(ended))
      throw new Error(
        'a case that was put past what it has in common with others did not end as it does when executed',
      );
    return ended;
  }

  /** From here on the case is executed. */
  end(): void {
    this.#marks.disarm();
  }

  /** A case is over; the machine is at the snapshot. */
  note(bytes: Uint8Array, cycles: number): void {
    if (this.#over || 2 * cycles < this.usual || bytes.length > MOST_BYTES) return;
    this.#samples.push(bytes);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    if (++this.#long < WORTH_CASES) return;
    this.#over = true;
    this.#use(new SkipPlanner(this.stage).plan(this.#samples));
    this.#samples = [];
  }

  #use(planned: readonly PlannedStretch[]): void {
    this.#stretches = new Map(planned.map(({ mark, stretch }) => [mark, stretch]));
    this.#marks.set([...this.#stretches.keys()]);
  }

  /**
   * Whether a run that ended at a breakpoint is to go on: it was the begin of a stretch.
   * @param limit cycle to which the run goes
   * @throws Spoilt
   */
  passes(limit: number): boolean {
    const mark = this.#marks.reached();
    if (mark === undefined) return false;
    const stretch = this.#stretches.get(mark)!;
    if (passOver(this.stage.cpu, this.memory, stretch, limit)) {
      this.skipped += stretch.cycles;
      this.total += stretch.cycles;
    } else this.#marks.clear(mark);
    return true;
  }
}
