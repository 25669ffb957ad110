// How many cases of which oracle cover each opcode row, by row name: reports of long runs, and vectors whose code bytes
// tell the row.

import { readFileSync } from 'node:fs';
import { QEMU64_V1 } from '../../src/cpu/cpuid.js';
import { type OracleReport, readEarlyReport, readReport, writeReport } from '../../test/cpu/oracles/report.js';
import { RowFinder, rowName } from '../../test/cpu/oracles/rows.js';
import { type Bits, everyFeature } from '../../test/cpu/oracles/single-step.js';
import { readVectors, vectorFile } from '../../test/cpu/oracles/vectors.js';

export type Counts = Readonly<Record<string, number>>;

export interface Coverage {
  readonly host: OracleReport;
  readonly intel: Counts;
  readonly i80286: Counts;
  readonly i8086: Counts;
  readonly recorded: Counts;
}

const TESTS = new URL('../../test/cpu/', import.meta.url).pathname;
const INTEL_COUNTS = `${TESTS}oracles/intel-counts.json`;
const INTEL_KINDS = ['i64', 'i32', 'i16', 'sse', 'x87'];

const finder = new RowFinder(everyFeature(QEMU64_V1));

function count(to: Map<string, number>, code: string, bits: Bits): void {
  const row = finder.find(Uint8Array.from(Buffer.from(code, 'hex')), bits);
  if (row === undefined) return;
  to.set(rowName(row), (to.get(rowName(row)) ?? 0) + 1);
}

const sorted = (counts: ReadonlyMap<string, number>): Counts =>
  Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));

/** Count the vectors of an Intel processor by row and keep that; false when they are not here. */
export function countIntelVectors(): boolean {
  const counts = new Map<string, number>();
  for (const kind of INTEL_KINDS) {
    const file = vectorFile(`native/native-seed3-${kind}.jsonl.gz`);
    if (file === undefined) return false;
    for (const { c, m } of readVectors<{ c: string; m: Bits }>(file)) count(counts, c, m);
  }
  writeReport(INTEL_COUNTS, sorted(counts));
  return true;
}

/** Lines of a file of the repository, without comments. */
const lines = (name: string): string[] =>
  readFileSync(TESTS + name, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

function recordedVectors(): Counts {
  const counts = new Map<string, number>();
  for (const line of lines('system/x87-vectors.txt')) count(counts, line.split(' ')[0]!, 32);
  for (const line of lines('semantics/simd-vectors.txt')) count(counts, line.split(' ')[0]!, 64);
  for (const line of lines('oracles/found.jsonl')) {
    const { code, bits } = JSON.parse(line) as { code: string; bits: Bits };
    count(counts, code, bits);
  }
  return sorted(counts);
}

export function readCoverage(): Coverage {
  const early = readEarlyReport();
  return {
    host: readReport(),
    intel: JSON.parse(readFileSync(INTEL_COUNTS, 'utf8')) as Counts,
    i80286: early['80286']?.rows ?? {},
    i8086: early['8086']?.rows ?? {},
    recorded: recordedVectors(),
  };
}
