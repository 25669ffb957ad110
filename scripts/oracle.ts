// Long runs of the hardware oracle: `oracle --cases 5000000 --seed 1 [--row TEXT]`, with a report for each row.
//
// Prints how often each row was compared and how often it differed, what named differences between processors
// explain, and for each way in which a row differs one shrunk test vector. Exit code 1 when anything differs.
// `--report FILE` adds a run to the report that INSTRUCTIONS.md counts from; seeds that it has already are refused.

import { parseArgs } from 'node:util';
import { hostOracle, type Mismatch } from '../test/cpu/oracles/host-oracle.js';
import { addRun, readReport, writeReport } from '../test/cpu/oracles/report.js';
import { rowName } from '../test/cpu/oracles/rows.js';
import { vectorLine } from '../test/cpu/oracles/vector-line.js';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    row: { type: 'string', default: '' },
    quiet: { type: 'boolean', default: false },
    report: { type: 'string' },
  },
});
const total = Number(values.cases);
const seed = Number(values.seed);
if (!Number.isInteger(total) || total < 1 || !Number.isInteger(seed)) {
  console.error('--cases and --seed take whole numbers');
  process.exit(2);
}
const report = values.report === undefined ? undefined : readReport(values.report);
if (report?.runs.some((run) => run.seed === seed)) {
  console.error(`${values.report} has a run with seed ${seed}`);
  process.exit(2);
}
const oracle = hostOracle();
if (oracle === undefined) {
  console.error('the host is no x86-64 Linux with a C compiler');
  process.exit(2);
}

oracle.generator.rows = oracle.generator.rows.filter((row) => rowName(row).includes(values.row));
if (oracle.generator.rows.length === 0) {
  console.error(`no row has ${values.row} in its name`);
  process.exit(2);
}

const compared = new Map<string, number>();
const differing = new Map<string, number>();
const explained = new Map<string, number>();
const examples = new Map<string, Mismatch>();
const add = (to: Map<string, number>, name: string, n = 1) => to.set(name, (to.get(name) ?? 0) + n);
/** What kind of difference it is: the values are left out. */
const kind = (found: readonly string[]) => found.map((f) => f.replace(/ [0-9a-f]+ for.*| at .*/, '')).join(', ');

let done = 0;
for await (const result of oracle.batches(seed, total)) {
  for (const [name, n] of result.compared) add(compared, name, n);
  for (const [name, n] of result.excused) add(explained, name, n);
  for (const mismatch of result.mismatches) {
    const name = rowName(mismatch.generated.row);
    add(differing, name);
    const key = `${name}: ${kind(mismatch.found)}`;
    if (!examples.has(key)) examples.set(key, mismatch);
  }
  done += [...result.compared.values()].reduce((a, b) => a + b, 0);
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${total}, ${examples.size} kinds of difference `);
}

for (const row of oracle.generator.rows) {
  const name = rowName(row);
  const wrong = differing.get(name) ?? 0;
  if (!values.quiet || wrong > 0) {
    console.log(`${String(compared.get(name) ?? 0).padStart(9)} ${String(wrong).padStart(6)}  ${name}`);
  }
}
for (const name of oracle.generator.absent) console.log(`not on this host: ${name}`);
for (const [name, n] of explained) console.log(`${String(n).padStart(9)} explained: ${name}`);
for (const [key, mismatch] of examples) {
  const plain = await oracle.shrink(mismatch);
  console.log(
    `\n${key}\n${plain.found.join(', ')}\n${vectorLine(rowName(plain.generated.row), plain.generated.given, plain.wanted)}`,
  );
}
const sum = (of: Map<string, number>) => [...of.values()].reduce((a, b) => a + b, 0);
console.log(`\nseed ${seed}: ${sum(compared)} cases compared, ${sum(differing)} differ`);
process.exitCode = differing.size > 0 ? 1 : 0;
if (report !== undefined) {
  const run = { seed, cases: sum(compared), differing: sum(differing), host: oracle.host.name };
  writeReport(values.report!, addRun(report, run, compared, explained));
}
