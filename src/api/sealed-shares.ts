// Where a trace is cut for a replay on several threads, and into how many parts: as many as make it quicker. A part
// begins with nothing translated, and translating takes threads of the engine's own beside the guest's, so on few
// processors a short boot is replayed sooner as a whole.
//
// Work is counted in cycles of code that runs hot; the figures are those of Debian's boots (docs/performance.md).
// Invariant: an estimate may be wrong without harm: the outcome of a replay does not depend on its parts.

import { availableParallelism } from 'node:os';
import type { Stretch } from './sealed-replay.js';

/** A boot begins with cold code: so many cycles, each of which takes the time of so many others on top. */
const COLD_CYCLES = 450_000_000;
const COLD_WORK = 5;
/** What a part behind the first costs before it is where the whole would have been. */
const START_WORK = 1_000_000_000;
/** What the engine's threads do for each unit of cold work, and of a start. */
const ENGINE_WORK = 0.7;

/** Places that stand for all. */
const ANYWHERE = 64;

/** Where a part may begin. */
export interface Cut {
  readonly cycle: number;
  readonly event: number;
}

/**
 * Stretches of a trace, in order, at most `jobs` of them.
 * @param checkpoints by ascending cycle
 * @param cycles of the whole trace
 * @param processors of the host; VMREPLAY_PARTS=all has it taken for large enough
 */
export function shareOut(
  checkpoints: readonly Cut[],
  cycles: number,
  jobs: number,
  processors = process.env.VMREPLAY_PARTS === 'all' ? Number.POSITIVE_INFINITY : availableParallelism(),
): Stretch[] {
  let best: number[] = [];
  let quickest = timeOf([], checkpoints, cycles, processors);
  for (let parts = 2; parts <= Math.min(jobs, checkpoints.length + 1); parts++) {
    const starts = cutsFor(parts, checkpoints, cycles);
    const time = timeOf(starts, checkpoints, cycles, processors);
    if (time >= quickest && processors !== Number.POSITIVE_INFINITY) continue;
    best = starts;
    quickest = time;
  }
  return [undefined, ...best].map((from, n) => {
    const next = best[n];
    return { from, to: next === undefined ? undefined : checkpoints[next] };
  });
}

/** Parts at most, wherever the checkpoints are. */
export function mostParts(cycles: number, jobs: number, processors?: number): number {
  const anywhere = Array.from({ length: ANYWHERE }, (_, n) => ({
    cycle: (cycles * (n + 1)) / (ANYWHERE + 1),
    event: n,
  }));
  return shareOut(anywhere, cycles, jobs, processors).length;
}

/** Work from the beginning to a cycle, and the cycle by the work. */
const workTo = (cycle: number): number => cycle + COLD_WORK * Math.min(cycle, COLD_CYCLES);
const cycleAt = (work: number): number => Math.max(work / (1 + COLD_WORK), work - COLD_WORK * COLD_CYCLES);

/** Numbers of the checkpoints that are nearest to cuts into parts of equal work. */
function cutsFor(parts: number, checkpoints: readonly Cut[], cycles: number): number[] {
  const share = (workTo(cycles) + (parts - 1) * START_WORK) / parts;
  let cut = cycleAt(share);
  const starts: number[] = [];
  for (let n = 1; n < parts; n++) {
    const first = (starts.at(-1) ?? -1) + 1;
    const last = checkpoints.length - (parts - n);
    let nearest = first;
    for (let i = first; i <= last; i++)
      if (Math.abs(checkpoints[i]!.cycle - cut) < Math.abs(checkpoints[nearest]!.cycle - cut)) nearest = i;
    starts.push(nearest);
    cut = cycleAt(workTo(Math.max(cut, checkpoints[nearest]!.cycle)) + Math.max(0, share - START_WORK));
  }
  return starts;
}

/** Work until all parts are done. */
function timeOf(starts: readonly number[], checkpoints: readonly Cut[], cycles: number, processors: number): number {
  let longest = 0;
  let all = 0;
  for (let n = 0; n <= starts.length; n++) {
    const from = n === 0 ? 0 : checkpoints[starts[n - 1]!]!.cycle;
    const to = n === starts.length ? cycles : checkpoints[starts[n]!]!.cycle;
    const work = workTo(to) - workTo(from) + (n === 0 ? 0 : START_WORK);
    longest = Math.max(longest, work);
    all += work + ENGINE_WORK * (work - (to - from));
  }
  return Math.max(longest, all / processors);
}
