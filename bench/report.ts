// What is said of a workload: medians with their spread, our times in multiples of each peer's, and what the recording
// holds. Runs that disagree on the guest's output, or recordings that differ, are errors.

import { ratioOf, type Sample, type Spread, spreadOf } from './measure.js';
import type { Workload } from './workloads.js';

/** Our contender, and the peer's that it is held against: the best of those whose names begin so. */
const PAIRS = [
  ['vmreplay run', 'qemu tcg'],
  ['vmreplay run again', 'qemu tcg'],
  ['vmreplay run again', 'vmreplay run'],
  ['vmreplay record', 'qemu tcg'],
  ['vmreplay record', 'qemu record'],
  ['vmreplay record again', 'qemu record'],
  ['vmreplay record again', 'vmreplay record'],
  ['vmreplay unsealed record', 'qemu record'],
  ['vmreplay unsealed record', 'vmreplay run'],
  ['vmreplay unsealed record again', 'qemu record'],
  ['vmreplay unsealed record again', 'vmreplay run again'],
  ['vmreplay replay', 'qemu replay'],
  ['vmreplay replay again', 'qemu replay'],
  ['vmreplay replay jobs', 'qemu replay'],
  ['vmreplay record again', 'vmreplay run again'],
  ['vmreplay record', 'vmreplay run'],
  ['vmreplay record with', 'vmreplay record'],
  ['vmreplay run', 'v86'],
  ['vmreplay run again', 'v86'],
  ['vmreplay record', 'v86'],
] as const;

interface Figures {
  medians: Record<string, number>;
  ratios: Record<string, Spread>;
  recording?: Omit<Sample, 'seconds' | 'output'> & { unsealedBytes?: number };
  samples: Record<string, number[]>;
}

const rounded = ({ median, least, most }: Spread): Spread => ({
  median: Number(median.toFixed(3)),
  least: Number(least.toFixed(3)),
  most: Number(most.toFixed(3)),
});

export function summarize(
  workload: Workload,
  samples: ReadonlyMap<string, Sample[]>,
  runs: number,
): { text: string; figures: Figures } {
  agree(workload, samples);
  const lines = [`${workload.name}: ${workload.what}; medians of ${runs} runs in turn`];
  const figures: Figures = { medians: {}, ratios: {}, samples: {} };
  for (const [name, list] of samples) {
    const seconds = list.map((sample) => sample.seconds);
    const { median, least, most } = spreadOf(seconds);
    lines.push(`  ${name.padEnd(26)} ${median.toFixed(3).padStart(8)} s  (${least.toFixed(3)}–${most.toFixed(3)})`);
    figures.medians[name] = median;
    figures.samples[name] = seconds;
  }
  for (const [one, other] of PAIRS) {
    const [ours, theirs] = [best(samples, one), best(samples, other)];
    if (!ours || !theirs) continue;
    const spread = rounded(ratioOf(ours[1], theirs[1]));
    const name = `${ours[0]} / ${theirs[0]}`;
    figures.ratios[name] = spread;
    lines.push(
      `  ${name.padEnd(46)} ${spread.median.toFixed(2)}  (${spread.least.toFixed(2)}–${spread.most.toFixed(2)})`,
    );
  }
  const recording = samples.get('vmreplay record')?.[0];
  if (recording?.instructions !== undefined) {
    const { seconds, output, ...rest } = recording;
    const unsealedBytes = samples.get('vmreplay unsealed record')?.[0]?.bytes;
    figures.recording = { ...rest, ...(unsealedBytes && { unsealedBytes }) };
    const million = (name: string) => {
      const median = figures.medians[name];
      return median === undefined ? '' : `, ${name} ${(recording.instructions! / median / 1e6).toFixed(0)}`;
    };
    lines.push(
      `  ${rest.instructions} instructions, ${rest.cycles} cycles, ${rest.events} events, ${rest.bytes} bytes of trace${unsealedBytes ? `, ${unsealedBytes} unsealed` : ''}`,
      `  million instructions a second: record ${(rest.instructions! / figures.medians['vmreplay record']! / 1e6).toFixed(0)}${million('vmreplay run')}${million('qemu tcg')}`,
    );
  }
  return { text: lines.join('\n'), figures };
}

/** The contender whose name begins so and whose median is least. */
function best(samples: ReadonlyMap<string, Sample[]>, prefix: string): [string, Sample[]] | undefined {
  const exact = samples.get(prefix);
  if (exact) return [prefix, exact];
  const median = (list: readonly Sample[]) => spreadOf(list.map(({ seconds }) => seconds)).median;
  return [...samples].filter(([name]) => name.startsWith(prefix)).sort(([, a], [, b]) => median(a) - median(b))[0];
}

/** Bare guests print the same everywhere; every recording of one boot is the same. */
function agree(workload: Workload, samples: ReadonlyMap<string, Sample[]>): void {
  const roots = new Set([...samples.values()].flat().flatMap(({ root }) => root ?? []));
  if (roots.size > 1) throw new Error(`the recordings of ${workload.name} differ: ${[...roots].join(' ')}`);
  if (workload.append !== undefined) return;
  const outputs = new Set([...samples.values()].flat().flatMap(({ output }) => output?.replaceAll('\r', '') ?? []));
  if (outputs.size > 1) throw new Error(`the machines disagree on ${workload.name}:\n${[...outputs].join('\n')}`);
}
