// What long runs came to, kept as data that INSTRUCTIONS.md counts from: host-report.json of the hardware oracle, and
// early-report.json of the SingleStepTests sets.

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

/** Keep a report, or counts alone. */
export function writeReport(file: string, report: OracleReport | Readonly<Record<string, number>>): void {
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

/** One run over a set of vectors, and the cases of each row in it. */
export interface EarlyRun {
  readonly set: string;
  readonly commit: string;
  readonly seed: number;
  readonly forms: number;
  /** Cases of each form: a number, or `all`. */
  readonly perForm: string;
  /** Forms that the copy at hand lacked. */
  readonly absent: readonly string[];
  readonly cases: number;
  readonly differing: number;
}

export interface EarlyReport {
  readonly [set: string]: EarlyRun & {
    readonly rows: Readonly<Record<string, number>>;
    readonly explained: Readonly<Record<string, number>>;
  };
}

export const EARLY_REPORT = new URL('early-report.json', import.meta.url).pathname;

export function readEarlyReport(file: string = EARLY_REPORT): EarlyReport {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as EarlyReport) : {};
}

/** Note a run in the place of an earlier one over the same set. */
export function writeEarlyReport(
  file: string,
  run: EarlyRun,
  rows: ReadonlyMap<string, number>,
  explained: ReadonlyMap<string, number>,
): void {
  const noted = { ...run, rows: added({}, rows), explained: added({}, explained) };
  writeFileSync(file, `${JSON.stringify({ ...readEarlyReport(file), [run.set]: noted }, undefined, 2)}\n`);
}
