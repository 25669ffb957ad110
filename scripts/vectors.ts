// The whole SingleStepTests sets of the 80286 and the 8086: `vectors fetch`, then `vectors run [--set 80286]`.
//
// `fetch` brings both repositories at pinned commits into the cache (600 MB), from GitHub or another address (`--from`).
// `run` samples `--cases` of each form (500; `all`) by `--seed` and compares them; `--form F6.7` takes one form. With
// `--from FOLDER` it reads FOLDER/80286 and FOLDER/8086, git repositories or unpacked files, instead of the cache.
// `--report FILE` notes a run in the report that INSTRUCTIONS.md counts from. Exit code 1 when anything differs.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { QEMU64_V1 } from '../src/cpu/cpuid.js';
import { cacheDirectory } from '../src/fetch/cache-directory.js';
import type { EarlyProcessor } from '../test/cpu/oracles/early-processors.js';
import { countMoo, readMoo } from '../test/cpu/oracles/moo.js';
import { describe, RealModeOracle } from '../test/cpu/oracles/real-mode.js';
import { writeEarlyReport } from '../test/cpu/oracles/report.js';
import { rowName } from '../test/cpu/oracles/rows.js';

const SETS: Readonly<Record<EarlyProcessor, { commit: string; folder: string }>> = {
  '80286': { commit: '1870e4676cd606f9087a4e7d5d85fa3d32131db0', folder: 'v1_real_mode' },
  '8086': { commit: 'e71c68d215a6bb8c356bd4cb3842de3bef345ca9', folder: 'v1_binary' },
};

const ORIGIN = 'https://github.com/SingleStepTests';
const MOO = '.MOO.gz';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    from: { type: 'string' },
    set: { type: 'string', multiple: true, default: Object.keys(SETS) },
    cases: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    form: { type: 'string' },
    report: { type: 'string' },
    show: { type: 'string', default: '3' },
  },
});

function fail(sentence: string): never {
  console.error(sentence);
  process.exit(2);
}

const chosen = values.set.map((name) =>
  Object.hasOwn(SETS, name) ? (name as EarlyProcessor) : fail(`no set ${name}`),
);
const perForm = values.cases === 'all' ? Number.POSITIVE_INFINITY : Number(values.cases);
const seed = Number(values.seed);
if (!(perForm >= 1) || !Number.isInteger(seed)) fail('--cases takes a number or all, --seed a whole number');

const cached = (set: EarlyProcessor) => path.join(cacheDirectory(), 'SingleStepTests', `${set}.git`);

function git(repository: string, ...args: string[]): Buffer | undefined {
  try {
    return execFileSync('git', ['--git-dir', repository, ...args], { maxBuffer: 1 << 28, stdio: 'pipe' });
  } catch (error) {
    const text = String((error as { stderr?: Buffer }).stderr ?? error);
    console.error(`git ${args[0]}: ${text.trim().split('\n').at(-1)}`);
    return undefined;
  }
}

function fetchSet(set: EarlyProcessor): void {
  const { commit } = SETS[set];
  const repository = cached(set);
  if (!existsSync(repository)) {
    mkdirSync(repository, { recursive: true });
    git(repository, 'init', '--bare', '--quiet');
  }
  const address = `${values.from ?? ORIGIN}/${set}`;
  console.log(`${set} from ${address}, commit ${commit}`);
  if (git(repository, 'fetch', '--depth', '1', '--no-tags', address, commit) === undefined) {
    rmSync(repository, { recursive: true });
    fail(`the ${set} set cannot be fetched from ${address}; "run --from FOLDER" takes a copy`);
  }
}

interface Files {
  readonly names: readonly string[];
  /** Undefined when an incomplete copy lacks it. */
  read(name: string): Buffer | undefined;
}

function open(set: EarlyProcessor): Files {
  const { commit, folder } = SETS[set];
  const place = values.from === undefined ? cached(set) : path.join(values.from, set);
  const isMoo = (name: string) => name.endsWith(MOO);
  if (existsSync(path.join(place, folder))) {
    const names = readdirSync(path.join(place, folder)).filter(isMoo).sort();
    return { names, read: (name) => readFileSync(path.join(place, folder, name)) };
  }
  const list = existsSync(place) ? git(place, 'ls-tree', '--name-only', commit, `${folder}/`) : undefined;
  if (list === undefined)
    fail(`no ${set} set at ${place}: run "npm run vectors -- fetch", or name a folder with --from`);
  const names = list
    .toString()
    .trim()
    .split('\n')
    .map((name) => path.basename(name));
  return { names: names.filter(isMoo), read: (name) => git(place, 'cat-file', 'blob', `${commit}:${folder}/${name}`) };
}

/** A sequence of numbers below 2^32 from a seed (mulberry32). */
function random(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** Which of `count` tests are taken: `wanted` of them, chosen by the form's own seed. */
function sample(form: string, count: number, wanted: number): (index: number) => boolean {
  if (wanted >= count) return () => true;
  const next = random(seed ^ [...form].reduce((hash, c) => Math.imul(hash, 31) + c.charCodeAt(0), 7));
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = 0; i < wanted; i++) {
    const j = i + (next() % (count - i));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const taken = new Set(order.slice(0, wanted));
  return (index) => taken.has(index);
}

function runSet(set: EarlyProcessor): number {
  const files = open(set);
  const oracle = new RealModeOracle(QEMU64_V1, set);
  const rows = new Map<string, number>();
  const reasons = new Map<string, number>();
  const add = (to: Map<string, number>, name: string) => to.set(name, (to.get(name) ?? 0) + 1);
  const absent: string[] = [];
  let [forms, cases, differing] = [0, 0, 0];
  for (const name of files.names) {
    const form = name.replace(MOO, '');
    if (values.form !== undefined && form !== values.form) continue;
    const packed = files.read(name);
    if (packed === undefined) {
      absent.push(form);
      continue;
    }
    const data = gunzipSync(packed);
    forms++;
    let shown = 0;
    for (const vector of readMoo(data, sample(form, countMoo(data), perForm))) {
      const verdict = oracle.judge(vector);
      cases++;
      if (verdict.row !== undefined) add(rows, rowName(verdict.row));
      if (verdict.reason !== undefined) add(reasons, verdict.reason);
      if (verdict.found.length === 0) continue;
      differing++;
      if (shown++ < Number(values.show)) console.log(`${set} ${form}: ${describe(vector, verdict)}`);
    }
    if (shown > 0) console.log(`${set} ${form}: ${shown} differ`);
  }
  for (const [reason, n] of reasons) console.log(`${String(n).padStart(7)} explained: ${reason}`);
  if (absent.length > 0) console.log(`${set}: not in this copy: ${absent.join(', ')}`);
  console.log(`${set}: ${forms} forms, ${cases} cases, ${rows.size} rows, seed ${seed}: ${differing} differ`);
  if (values.report !== undefined) {
    const run = { set, commit: SETS[set].commit, seed, forms, perForm: values.cases, absent, cases, differing };
    writeEarlyReport(values.report, run, rows, reasons);
  }
  return differing;
}

switch (positionals[0]) {
  case 'fetch':
    for (const set of chosen) fetchSet(set);
    break;
  case 'run':
    process.exitCode = chosen.map(runSet).some((differing) => differing > 0) ? 1 : 0;
    break;
  default:
    fail('vectors takes fetch or run');
}
