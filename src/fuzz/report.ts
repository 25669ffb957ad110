// What a campaign comes to, as plain data: the JSON of `vmreplay fuzz --json`. schemas/fuzz-1.json describes it, and a test
// holds the two together. Fields are added within a version; what changes or goes makes a new one.
// Invariant: but for `host` all of it follows from options and seed, where no clock and no signal ended the campaign.

import { VERSION } from '../api/version.js';
import { type FindingFacts, findingFacts } from './finding-facts.js';
import { commandOf, folderOf, isWritten } from './finding-files.js';
import type { FuzzOptions, FuzzResult } from './options.js';

export const FUZZ_REPORT_VERSION = 1;

export interface ReportedFinding extends FindingFacts {
  /** Cases before it. */
  readonly cases: number;
  /** What the structure says, field by field; of a kind's own shape. */
  readonly structure: unknown;
  readonly bytes: Uint8Array;
  /** Where it is written; null when it is not. */
  readonly folder: string | null;
  /** The line that has it again. */
  readonly command: string;
}

export interface FuzzReport {
  readonly version: typeof FUZZ_REPORT_VERSION;
  readonly tool: string;
  readonly target: string;
  readonly seed: number;
  /** Cycle at which every case begins. */
  readonly start: number;
  readonly cases: number;
  /** Cases at fault, by oracle. */
  readonly verdicts: FuzzResult['verdicts'];
  readonly findings: readonly ReportedFinding[];
  /** Inputs that are kept, and edges that they reach; null when the campaign was not guided. */
  readonly guided: { readonly inputs: number; readonly edges: number } | null;
  /** A signal ended it. */
  readonly interrupted: boolean;
  /** What differs from run to run: real time, and the processor time of this process. */
  readonly host: { readonly seconds: number; readonly processorSeconds: number };
}

/** @param directory where findings were written, if they were */
export function reportOf(
  options: FuzzOptions,
  result: FuzzResult,
  { directory, ...run }: Pick<FuzzReport, 'interrupted' | 'host'> & { readonly directory?: string },
): FuzzReport {
  const { cases, verdicts, start, guided } = result;
  const findings = result.findings.map((finding) => ({
    ...findingFacts(options, finding),
    cases: finding.cases,
    structure: finding.structure.value,
    bytes: finding.structure.encode(),
    folder:
      directory !== undefined && isWritten(directory, options, finding) ? folderOf(directory, options, finding) : null,
    command: commandOf(options, finding),
  }));
  return {
    version: FUZZ_REPORT_VERSION,
    tool: `vmreplay ${VERSION}`,
    target: options.target,
    seed: options.seed ?? 1,
    start,
    cases,
    verdicts,
    findings,
    guided: guided ? { inputs: guided.corpus, edges: guided.edges } : null,
    ...run,
  };
}
