// Finds the stretches of a guest's execution that do not depend on the structure. Where they may begin and end are
// instructions that one case comes to for the first time; what lies between two of them is recorded in that case, and the
// others say whether they would do the same. What depends on the structure and is long is cut finer and asked again.
// What is left are runs of cuts that most cases agree on: each is recorded once more, as one stretch.
// Cases are stopped by cycles here, which costs nothing; each has its own for an instruction.
//
// Invariant: all follows from the samples alone. A plan that is bad costs time, never a verdict: a stretch is used only
// where it matches.

import type { Cpu } from '../../cpu/cpu.js';
import type { Stretch } from './stretch.js';
import { Heard, type StretchRecorder } from './stretch-recorder.js';

/** What cases are played on. */
export interface Stage {
  readonly cpu: Cpu;
  readonly recorder: StretchRecorder;
  /**
   * Play a case as far as the boot as it is goes; the machine is at the snapshot afterwards. `body` is given what runs on
   * to a cycle, true unless the case has ended.
   */
  play(bytes: Uint8Array, body: (run: (cycle: number) => boolean) => void): void;
  /** Cycle to which it plays. */
  readonly last: number;
  /** Linear addresses at which runs end for other reasons. */
  readonly taken: ReadonlySet<bigint>;
}

export interface PlannedStretch {
  /** Linear address of its first instruction. */
  readonly mark: bigint;
  readonly stretch: Stretch;
}

/** Cycles that are worth going on without. */
export const SHORTEST = 200_000;
const MOST_STRETCHES = 16;
const LEVELS = 3;
/** Cuts of one slice, and of a level. */
const CUTS = 16;
const MOST_SLICES = 64;
/** Instructions that are tried for the begin of a stretch, and how often a case may pass others at such an offset. */
const BEGINS = 8;
const MOST_PASSES = 1000;

/** Cycles of instructions, in their order in a case. */
type Trail = ReadonlyMap<bigint, number>;

interface Mark {
  readonly linear: bigint;
  readonly cycle: number;
}

interface Slice {
  readonly from: Mark;
  readonly to: Mark;
  /** Undefined until it was recorded. */
  independent?: boolean;
}

export class SkipPlanner {
  constructor(private readonly stage: Stage) {}

  /** @param samples structures whose cases take long; the first is the one that is recorded */
  plan(samples: readonly Uint8Array[]): PlannedStretch[] {
    const { recorder, cpu } = this.stage;
    for (const deafening of [true, false]) {
      recorder.deafening = deafening;
      try {
        return this.#plan(samples);
      } catch (error) {
        recorder.stop();
        cpu.cycleLimit = Number.POSITIVE_INFINITY;
        if (!(error instanceof Heard)) throw error;
      }
    }
    return [];
  }

  #plan([reference, ...others]: readonly Uint8Array[]): PlannedStretch[] {
    if (reference === undefined || others.length === 0) return [];
    const own = this.#trail(reference);
    const trails = others.map((bytes) => this.#trail(bytes));
    // What the most come to.
    const marks = [...own]
      .filter(([linear]) => 2 * trails.filter((trail) => trail.has(linear)).length >= trails.length)
      .map(([linear, cycle]): Mark => ({ linear, cycle }));
    if (marks.length < 2) return [];
    let slices = cut(marks, marks[0]!, marks.at(-1)!);
    for (let level = 0; level < LEVELS; level++) {
      this.#judge(slices, reference, others, trails);
      let left = MOST_SLICES;
      slices = slices.flatMap((slice) => {
        if (slice.independent || lengthOf(slice) < SHORTEST) return slice;
        const parts = cut(marks, slice.from, slice.to);
        if (parts.length < 2 || parts.length > left) return slice;
        left -= parts.length;
        return parts;
      });
      if (left === MOST_SLICES) break;
    }
    return runsOf(slices).flatMap((run) => this.#settle(run, marks, reference, others) ?? []);
  }

  /** Instructions that a case comes to for the first time, in their order. */
  #trail(bytes: Uint8Array): Trail {
    const { cpu, taken, last } = this.stage;
    const found = new Map<bigint, number>();
    this.stage.play(bytes, (run) => {
      cpu.code.dropAll();
      cpu.code.onDecode = () => {
        const linear = cpu.state.linearIp;
        if (!found.has(linear) && !taken.has(linear)) found.set(linear, cpu.now);
      };
      run(last);
      cpu.code.onDecode = undefined;
    });
    return found;
  }

  /** Say of slices that are new whether cases agree on them. */
  #judge(
    slices: readonly Slice[],
    reference: Uint8Array,
    others: readonly Uint8Array[],
    trails: readonly Trail[],
  ): void {
    const fresh = slices.filter(({ independent }) => independent === undefined);
    const recorded = this.#stretches(fresh, reference);
    const agreed = new Map<Slice, number>();
    others.forEach((bytes, i) => {
      const trail = trails[i]!;
      const stops = fresh
        .map((slice) => ({ slice, cycle: trail.get(slice.from.linear) ?? Number.POSITIVE_INFINITY }))
        .filter(({ slice, cycle }) => Number.isFinite(cycle) && recorded.has(slice))
        .sort((a, b) => a.cycle - b.cycle);
      this.stage.play(bytes, (run) => {
        for (const { slice, cycle } of stops) {
          if (!run(cycle)) return;
          if (recorded.get(slice)!.matches(this.stage.cpu)) agreed.set(slice, (agreed.get(slice) ?? 0) + 1);
        }
      });
    });
    for (const slice of fresh) slice.independent = 2 * (agreed.get(slice) ?? 0) > others.length;
  }

  /** What slices of the reference do. They follow each other. */
  #stretches(slices: readonly Slice[], reference: Uint8Array): Map<Slice, Stretch> {
    const { recorder } = this.stage;
    const found = new Map<Slice, Stretch>();
    this.stage.play(reference, (run) => {
      for (const slice of slices) {
        if (!run(slice.from.cycle)) return;
        recorder.begin();
        if (!recorder.runTo(slice.to.cycle, run)) return;
        const stretch = recorder.end();
        if (stretch) found.set(slice, stretch);
      }
    });
    recorder.stop();
    return found;
  }

  /**
   * A run as one stretch, from an instruction on at which a breakpoint stops cases in that state and nothing else often.
   * @returns undefined when there is no such instruction
   */
  #settle(
    run: Slice,
    marks: readonly Mark[],
    reference: Uint8Array,
    others: readonly Uint8Array[],
  ): PlannedStretch | undefined {
    const first = marks.findIndex(({ cycle }) => cycle >= run.from.cycle);
    for (const { linear, cycle } of marks.slice(first, first + BEGINS)) {
      if (run.to.cycle - cycle < SHORTEST) return undefined;
      const stretch = this.#from(linear, run.to.cycle, reference);
      if (stretch === undefined || stretch.cycles < SHORTEST) continue;
      let agreed = 0;
      for (const bytes of others)
        this.#stopAt(linear, bytes, () => {
          if (stretch.matches(this.stage.cpu)) agreed++;
        });
      if (2 * agreed > others.length) return { mark: linear, stretch };
    }
    return undefined;
  }

  /** Play a case; `body` comes when it is stopped by a breakpoint, which is set no more. */
  #stopAt(linear: bigint, bytes: Uint8Array, body: (run: (cycle: number) => boolean) => void): void {
    const { cpu, last } = this.stage;
    this.stage.play(bytes, (run) => {
      cpu.setBreakpoint(linear);
      // Where the instruction is in memory is not known as long as there is no paging.
      cpu.code.dropAll();
      const ended = !run(last);
      const stopped = ended && cpu.state.linearIp === linear;
      cpu.clearBreakpoint(linear);
      if (stopped) body(run);
    });
  }

  /** What the reference does from a breakpoint to a cycle; undefined when the breakpoint costs too much. */
  #from(linear: bigint, to: number, reference: Uint8Array): Stretch | undefined {
    const { cpu, recorder, last } = this.stage;
    let stretch: Stretch | undefined;
    let passes = 0;
    this.#stopAt(linear, reference, (run) => {
      if (cpu.now >= to) return;
      recorder.begin();
      if (recorder.runTo(to, run)) stretch = recorder.end();
      recorder.stop();
      // Instructions of other pages are stopped at, too, where they have its offset: those within are passed over.
      cpu.setBreakpoint(linear);
      cpu.suspendBreakpoint(linear);
      cpu.code.dropAll();
      cpu.code.onDecode = () => {
        if (((cpu.state.linearIp ^ linear) & 0xfffn) === 0n) passes++;
      };
      run(last);
      cpu.code.onDecode = undefined;
      cpu.clearBreakpoint(linear);
    });
    return passes <= MOST_PASSES ? stretch : undefined;
  }
}

const lengthOf = ({ from, to }: Slice): number => to.cycle - from.cycle;

/** Cut what lies between two marks: at the ends of long gaps, and elsewhere about evenly. */
function cut(marks: readonly Mark[], from: Mark, to: Mark): Slice[] {
  const inside = marks.filter(({ cycle }) => cycle >= from.cycle && cycle <= to.cycle);
  const step = (to.cycle - from.cycle) / CUTS;
  const chosen = [inside[0]!];
  for (let i = 1; i < inside.length; i++) {
    const [before, here] = [inside[i - 1]!, inside[i]!];
    if (here.cycle - before.cycle >= step && before !== chosen.at(-1)) chosen.push(before);
    if (here.cycle - chosen.at(-1)!.cycle >= step || i === inside.length - 1) chosen.push(here);
  }
  return chosen.slice(1).map((mark, i) => ({ from: chosen[i]!, to: mark }));
}

/** Slices that follow each other and do not depend on the structure, as one; the longest of them, in their order. */
function runsOf(slices: readonly Slice[]): Slice[] {
  const runs: Slice[] = [];
  for (const slice of slices) {
    if (!slice.independent) continue;
    const last = runs.at(-1);
    if (last?.to === slice.from) runs[runs.length - 1] = { ...last, to: slice.to };
    else runs.push(slice);
  }
  return runs
    .filter((run) => lengthOf(run) >= SHORTEST)
    .sort((a, b) => lengthOf(b) - lengthOf(a))
    .slice(0, MOST_STRETCHES)
    .sort((a, b) => a.from.cycle - b.from.cycle);
}
