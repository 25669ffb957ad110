// npm run bench -- [WORKLOAD…] [--runs N] [--only NAME] [--output DIRECTORY]
// Each workload in each machine in turn; prints medians and ratios, and writes the figures to bench/results. `--only` takes
// the contenders whose names begin so, and writes nothing unless it is told where.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { packageFile } from '../bin/package.js';
import { cachedImage } from '../src/fetch/cache.js';
import { contendersFor } from './contenders.js';
import { inTurn } from './measure.js';
import { summarize } from './report.js';
import { WORKLOADS, type Workload } from './workloads.js';

const USAGE = `usage: npm run bench -- [${WORKLOADS.map(({ name }) => name).join('|')}|view…] [--runs N] [--only NAME] [--output DIRECTORY]`;

async function bench(workload: Workload, runs: number, only: string | undefined, output: string | undefined) {
  const missing = workload.needs.filter((name) => cachedImage(name) === undefined);
  if (missing.length > 0) throw new Error(`${workload.name} needs ${missing.join(', ')}; vmreplay fetch brings them`);
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
    const directory = output ?? packageFile('bench/results');
    await mkdir(directory, { recursive: true });
    const file = join(directory, `${workload.name}.json`);
    const { stdout: version } = await execa('qemu-system-x86_64', ['--version']);
    const host = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, qemu: version.split('\n')[0] };
    await writeFile(file, `${JSON.stringify({ date: new Date().toISOString(), host, runs, ...figures }, null, 2)}\n`);
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
  const unknown = positionals.find((name) => name !== 'view' && !WORKLOADS.some((workload) => workload.name === name));
  if (unknown !== undefined || !Number.isInteger(runs) || runs < 1 || runs > 100) throw new Error(USAGE);
  // Not a machine but a page: only when it is asked for.
  if (positionals.includes('view')) {
    const { benchView } = await import('./view.js');
    await benchView(runs, values.output);
  }
  for (const workload of WORKLOADS) {
    if (positionals.length > 0 && !positionals.includes(workload.name)) continue;
    await bench(workload, runs, values.only, values.output);
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
