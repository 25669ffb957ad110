// Where a trace is cut for a replay on several threads, and into how many parts: as many as make it quicker. A part
// begins with nothing translated, and translating takes threads of the engine's own beside the guest's, so on few
// processors a short boot is replayed sooner as a whole.
//
// Work is counted in cycles of code that runs hot; the figures are those of Debian's boots (docs/performance.md).
// Invariant: an estimate may be wrong without harm: the outcome of a replay does not depend on its parts.

import { availableParallelism } from 'node:os';
import type { Stretch } from './sealed-replay.js';

/** What it costs that code is new, for each byte by which a checkpoint says what was decoded. */
const CODE_WORK = 3_500;
/** Traces from before their checkpoints said so: a boot begins with new code, so many such bytes in so many cycles. */
const COLD_CYCLES = 450_000_000;
const COLD_CODE = 0.002;
/** What a part behind the first costs before it is where the whole would have been, and for each page that it begins with. */
const START_WORK = 900_000_000;
const PAGE_WORK = 35_000;
/** The same where pages are unpacked when they are asked for, and the bytes by which a list says where one is. */
const LISTED_WORK = 12_000;
const LISTED_SIZE = 40;
/** What the engine's threads do for each unit of work that new code makes, and a start. */
const ENGINE_WORK = 0.6;
/** Parts have to promise so much of the time: they stand in each other's way more than is counted here. */
const WORTH_IT = 0.95;

const PAGE = 4096;

/** Where a part may begin. */
export interface Cut {
  readonly cycle: number;
  readonly event: number;
  /** Bytes that say what was decoded until then. */
  readonly code?: number | undefined;
  /** Chunks of the pages that changed since the cut before. */
  readonly pages?: readonly { readonly type: string; readonly rawLength: number }[];
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
  const work = new Work(checkpoints, cycles);
  let best: number[] = [];
  let quickest = work.timeOf([], processors);
  for (let parts = 2; parts <= Math.min(jobs, checkpoints.length + 1); parts++) {
    const starts = work.cutsFor(parts);
    const time = work.timeOf(starts, processors);
    if (time >= WORTH_IT * quickest && processors !== Number.POSITIVE_INFINITY) continue;
    best = starts;
    quickest = time;
  }
  return [undefined, ...best].map((from, n) => {
    const next = best[n];
    return { from, to: next === undefined ? undefined : checkpoints[next] };
  });
}

/** What it takes to replay parts of a trace. A cut is the number of a checkpoint. */
class Work {
  /** Work from the beginning to each cut and to the end, as far as it is hot code's, and as far as it is new code's. */
  readonly #hot: readonly number[];
  readonly #cold: readonly number[];
  /** Work for the pages to begin with at each cut. */
  readonly #pages: readonly number[];

  constructor(checkpoints: readonly Cut[], cycles: number) {
    const told = checkpoints.every(({ code }) => code !== undefined);
    const guess = (cycle: number): number => COLD_CODE * Math.min(cycle, COLD_CYCLES);
    const code = checkpoints.map((cut) => (told ? cut.code! : guess(cut.cycle)));
    this.#hot = [...checkpoints.map(({ cycle }) => cycle), cycles];
    // What is new behind the last checkpoint nobody knows.
    this.#cold = [...code, Math.max(told ? 0 : guess(cycles), code.at(-1) ?? 0)].map((bytes) => CODE_WORK * bytes);
    let all = 0;
    this.#pages = checkpoints.map(({ pages = [] }) => {
      for (const { type, rawLength } of pages) {
        if (type === 'CHKP') all += PAGE_WORK * (rawLength / PAGE);
        else if (type === 'LIST') all += LISTED_WORK * (rawLength / LISTED_SIZE);
      }
      return all;
    });
  }

  /** Cuts that are nearest to parts of equal work. */
  cutsFor(parts: number): number[] {
    const end = this.#hot.length - 1;
    const starts: number[] = [];
    for (let n = 1; n < parts; n++) {
      const from = starts.at(-1);
      const first = from === undefined ? 0 : from + 1;
      let nearest = first;
      let least = Number.POSITIVE_INFINITY;
      for (let cut = first; cut <= end - (parts - n); cut++) {
        // What follows is shared out evenly, as well as that is known yet.
        const rest = (this.#part(cut, end) + (parts - n - 1) * this.#start(cut)) / (parts - n);
        const off = Math.abs(this.#part(from, cut) - rest);
        if (off < least) [nearest, least] = [cut, off];
      }
      starts.push(nearest);
    }
    return starts;
  }

  /** Work until all parts are done. */
  timeOf(starts: readonly number[], processors: number): number {
    let longest = 0;
    let all = 0;
    for (let n = 0; n <= starts.length; n++) {
      const from = n === 0 ? undefined : starts[n - 1]!;
      const to = starts[n] ?? this.#hot.length - 1;
      const work = this.#part(from, to);
      longest = Math.max(longest, work);
      all += work + ENGINE_WORK * (this.#between(this.#cold, from, to) + (from === undefined ? 0 : START_WORK));
    }
    return Math.max(longest, all / processors);
  }

  #part(from: number | undefined, to: number): number {
    return this.#between(this.#hot, from, to) + this.#between(this.#cold, from, to) + this.#start(from);
  }

  #between(work: readonly number[], from: number | undefined, to: number): number {
    return work[to]! - (from === undefined ? 0 : work[from]!);
  }

  #start(from: number | undefined): number {
    return from === undefined ? 0 : START_WORK + this.#pages[from]!;
  }
}
