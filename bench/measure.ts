// Runs of several programs in turn, and what is said of them: medians, spread, ratios taken round by round. A slow spell
// of a shared host hits all alike, so a ratio holds where a time does not.

/** What a run gave besides its time. */
export interface Sample {
  /** Wall time from the start of the process, in seconds. */
  seconds: number;
  /** What the guest wrote to its console, where runs of one guest must agree. */
  output?: string;
  cycles?: number;
  instructions?: number;
  events?: number;
  /** Size of the recording. */
  bytes?: number;
  /** Hash of the recording's content. */
  root?: string;
}

/** One way to run the guest. */
export interface Contender {
  name: string;
  run(): Promise<Sample>;
  /** It is left out of the results, with the reason, where it cannot run the guest: QEMU replays not all it records. */
  mayFail?: true;
}

export interface Spread {
  median: number;
  least: number;
  most: number;
}

/** The middle value, of an even number of values the mean of the middle two, with the outer ones. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, least: sorted[0]!, most: sorted.at(-1)! };
}

/** One run of each, then again; a line a run on stderr. */
export async function inTurn(contenders: readonly Contender[], runs: number): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= runs; round++) {
    for (const { name, run, mayFail } of contenders) {
      const list = samples.get(name);
      if (!list) continue;
      let sample: Sample;
      try {
        sample = await run();
      } catch (error) {
        if (!mayFail) throw error;
        samples.delete(name);
        console.error(`left out: ${(error as Error).message}`);
        continue;
      }
      list.push(sample);
      console.error(`round ${round}/${runs}  ${name.padEnd(24)} ${sample.seconds.toFixed(3)} s`);
    }
  }
  return samples;
}

/** Ratios of two lists of runs, each round's by itself. */
export function ratioOf(ours: readonly Sample[], theirs: readonly Sample[]): Spread {
  return spreadOf(ours.map(({ seconds }, round) => seconds / theirs[round]!.seconds));
}
