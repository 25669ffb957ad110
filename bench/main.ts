// npm run bench -- [WORKLOAD…] [--runs N] [--only NAME] [--output DIRECTORY]
// Each workload in each machine in turn; prints medians and ratios, and writes the figures to bench/results. `--only` takes
// the contenders whose names begin so, and writes nothing unless it is told where.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { contendersFor } from './contenders.js';
import { inTurn } from './measure.js';
import { summarize } from './report.js';
import { qemuVersion, writeResults } from './results.js';
import { demandGuests, WORKLOADS, type Workload } from './workloads.js';

/** What is not a workload in each machine, and only measured when it is asked for. */
const APART: Readonly<Record<string, (runs: number, output: string | undefined) => Promise<void>>> = {
  view: async (...how) => (await import('./view.js')).benchView(...how),
  growth: async (...how) => (await import('./growth.js')).benchGrowth(...how),
  profile: async (...how) => (await import('./profile.js')).benchProfile(...how),
};

const USAGE = `usage: npm run bench -- [${WORKLOADS.map(({ name }) => name).join('|')}|view|growth|profile…] [--runs N] [--only NAME] [--output DIRECTORY]`;

async function bench(workload: Workload, runs: number, only: string | undefined, output: string | undefined) {
  demandGuests(workload);
  const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-bench-'));
  try {
    const all = await contendersFor(workload, scratch);
    const chosen = all.filter(({ name }) => name.startsWith(only ?? ''));
    if (chosen.length === 0)
      throw new Error(`no contender ${only}; there are ${all.map(({ name }) => name).join(', ')}`);
    const samples = await inTurn(chosen, runs);
    const { text, figures } = summarize(workload, samples, runs);
    console.log(text);
    if (only !== undefined && output === undefined) return;
    await writeResults(workload.name, output, await qemuVersion(), { runs, ...figures });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: '5' },
      only: { type: 'string' },
      output: { type: 'string' },
    },
  });
  const runs = Number(values.runs);
  const unknown = positionals.find((name) => !APART[name] && !WORKLOADS.some((workload) => workload.name === name));
  if (unknown !== undefined || !Number.isInteger(runs) || runs < 1 || runs > 100) throw new Error(USAGE);
  for (const name of positionals) await APART[name]?.(runs, values.output);
  for (const workload of WORKLOADS) {
    if (positionals.length > 0 && !positionals.includes(workload.name)) continue;
    await bench(workload, runs, values.only, values.output);
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
