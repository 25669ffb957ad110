// What long runs of the hardware oracle came to, kept as data: host-report.json. INSTRUCTIONS.md counts from it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';

export interface OracleRun {
  readonly seed: number;
  /** Cases compared. */
  readonly cases: number;
  readonly differing: number;
  /** Vendor and model of the processor. */
  readonly host: string;
}

export interface OracleReport {
  readonly runs: readonly OracleRun[];
  /** Cases compared, by row (rowName). */
  readonly rows: Readonly<Record<string, number>>;
  /** Cases that differ by what vendor-differences.ts names and by nothing else, by name; they are among `rows`. */
  readonly explained: Readonly<Record<string, number>>;
}

export const REPORT = new URL('host-report.json', import.meta.url).pathname;

/** The report in a file; an empty one when there is none. */
export function readReport(file: string = REPORT): OracleReport {
  if (!existsSync(file)) return { runs: [], rows: {}, explained: {} };
  return JSON.parse(readFileSync(file, 'utf8')) as OracleReport;
}

export function writeReport(file: string, report: OracleReport): void {
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
}

export function addRun(
  to: OracleReport,
  run: OracleRun,
  rows: ReadonlyMap<string, number>,
  explained: ReadonlyMap<string, number>,
): OracleReport {
  return { runs: [...to.runs, run], rows: added(to.rows, rows), explained: added(to.explained, explained) };
}

function added(to: Readonly<Record<string, number>>, counts: ReadonlyMap<string, number>): Record<string, number> {
  const sums = new Map(Object.entries(to));
  for (const [name, n] of counts) sums.set(name, (sums.get(name) ?? 0) + n);
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}
