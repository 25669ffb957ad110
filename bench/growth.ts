// How cost grows: with what a guest executes over and over, with code that is new, with events, and with RAM. The same
// guest in several sizes, in turn; each size's times are held against QEMU's for the same size.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contendersFor } from './contenders.js';
import { inTurn, ratioOf, type Sample, spreadOf } from './measure.js';
import { qemuVersion, writeResults } from './results.js';
import { bare, debian, demandGuests, type Workload } from './workloads.js';

const CONTENDERS = ['vmreplay run', 'vmreplay record', 'vmreplay replay', 'qemu tcg'] as const;

interface Series {
  readonly name: string;
  readonly what: string;
  readonly sizes: readonly number[];
  of(size: number): Workload;
}

const SERIES: readonly Series[] = [
  {
    name: 'length',
    what: 'rounds of SHA-256 over 1 MiB, 52 million instructions each',
    sizes: [6, 24, 96],
    of: (ROUNDS) => bare('sha256', 'SHA-256', { ROUNDS }),
  },
  {
    name: 'code',
    what: 'blocks of code, each run twelve times',
    sizes: [15_000, 30_000, 60_000],
    of: (BLOCKS) => bare('cold', 'cold code', { BLOCKS }),
  },
  {
    name: 'events',
    what: 'interrupts, four events each',
    sizes: [62_500, 250_000, 1_000_000],
    of: (INTERRUPTS) => bare('interrupts', 'interrupts', { INTERRUPTS }),
  },
  {
    name: 'memory',
    what: 'MiB of RAM of a Debian boot',
    sizes: [128, 512, 2048],
    of: (size) => ({ ...debian, memory: `${size}M` }),
  },
];

interface Row {
  readonly size: number;
  readonly seconds: Readonly<Record<string, number>>;
  readonly ratios: Readonly<Record<string, number>>;
  readonly instructions: number | undefined;
  readonly events: number | undefined;
  readonly bytes: number | undefined;
}

/** Measures every series and writes growth.json; prints a table of each. */
export async function benchGrowth(runs: number, output: string | undefined): Promise<void> {
  demandGuests(debian);
  const results: Record<string, { what: string; rows: Row[] }> = {};
  for (const { name, what, sizes, of } of SERIES) {
    console.log(`${name}: ${what}; medians of ${runs} runs in turn`);
    const rows: Row[] = [];
    for (const size of sizes) rows.push(tell(size, await measure(of(size), runs)));
    results[name] = { what, rows };
  }
  await writeResults('growth', output, await qemuVersion(), { runs, series: results });
}

async function measure(workload: Workload, runs: number): Promise<Map<string, Sample[]>> {
  const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-bench-'));
  try {
    const all = await contendersFor(workload, scratch);
    return await inTurn(
      all.filter(({ name }) => CONTENDERS.some((one) => one === name)),
      runs,
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function tell(size: number, samples: ReadonlyMap<string, Sample[]>): Row {
  const seconds: Record<string, number> = {};
  const ratios: Record<string, number> = {};
  const peer = samples.get('qemu tcg')!;
  for (const [name, list] of samples) {
    seconds[name] = spreadOf(list.map((one) => one.seconds)).median;
    if (list !== peer) ratios[`${name} / qemu tcg`] = Number(ratioOf(list, peer).median.toFixed(3));
  }
  const { instructions, events, bytes } = samples.get('vmreplay record')![0]!;
  const times = Object.entries(seconds).map(
    ([name, value]) => `${name.replace('vmreplay ', '')} ${value.toFixed(2)} s`,
  );
  console.log(
    `  ${String(size).padStart(9)}  ${times.join(', ')}; ${instructions} instructions, ${events} events, ${bytes} bytes`,
  );
  return { size, seconds, ratios, instructions, events, bytes };
}
