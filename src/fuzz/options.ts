// What a campaign is asked for and what it finds: plain data, in the words of the command line. Nothing here leads to the
// processor, so that whoever uses the library needs no types of it.

import type { BootOptions, StopSignal } from '../api/options.js';
import type { Structure } from './structure.js';
import type { Oracle, Verdict } from './verdict.js';

export interface RunnerOptions {
  /** Texts on a console that are a finding, beside `Kernel panic`. */
  readonly panic?: readonly string[];
  /** Cycles that a case may take from the snapshot on. Default: 8 times those of the boot as it is, and 2,000,000. */
  readonly caseCycles?: number;
  /**
   * Put cases past long stretches in which they do the same as others did, instead of executing those. Only time depends
   * on it. Not in guided campaigns. Default true.
   */
  readonly skip?: boolean;
  /** Note edges and comparisons (CaseRunner.coverage); of a guided campaign, tell `branches`. Default false. */
  readonly coverage?: boolean;
  /**
   * Where a case ends with nothing to find fault with: the name of a symbol, a linear address as `0x…`, or `hand-off`.
   * Default: a boot through firmware with a kernel ends at the hand-off, any other by itself.
   */
  readonly until?: string;
  /** Names for addresses, that of `until` too: an ELF file, a System.map, or a Linux kernel. Default: the kernel itself. */
  readonly symbols?: string;
  /**
   * A second boot that each case is given to: what the two hand over must agree. `mayDiffer` names fields that need not,
   * beside those that are a route's own; `*` stands for any text. No other oracle is asked.
   */
  readonly against?: { readonly boot: BootOptions; readonly mayDiffer?: readonly string[] };
  /** A finding of the user's: a text says what is wrong. */
  readonly predicate?: (outcome: Outcome) => string | undefined;
}

/** How a case went, for a user's predicate. */
export interface Outcome {
  /** What the structure says, field by field. */
  readonly structure: unknown;
  /** Names of its breaks; none when it is valid. */
  readonly breaks: readonly string[];
  /** `poweroff`, `reset`, `debug-exit`, `until-cycle` …, as a run's. */
  readonly end: string;
  readonly code: number | undefined;
  /** What the guest wrote to its first serial port. */
  readonly serial: string;
  readonly cycles: number;
}

export interface FuzzOptions extends RunnerOptions {
  /** A name of TARGETS. */
  readonly target: string;
  readonly boot: BootOptions;
  /** Cases. Default 10,000, or no limit with `seconds`. */
  readonly runs?: number;
  readonly seconds?: number;
  /** Of the cases. Default 1. */
  readonly seed?: number;
  /** Run only the case of a finding. */
  readonly path?: string;
  /** And this is its tape, when it has one; `path` is 0 when absent. */
  readonly tape?: string;
  /** Findings after which to stop. Default 50. */
  readonly most?: number;
  /** Threads, each with a machine of its own; the caller's thread when absent. The results are the same. */
  readonly jobs?: number;
  /** redis://host:port/name: workers that were started for this queue run the cases, `jobs` does not count. */
  readonly queue?: string;
  /** Keep inputs that reach new edges of the guest's code, and change them. Default false. */
  readonly guided?: boolean;
  /**
   * A folder that keeps the campaign. One that was ended or killed goes on from its last whole generation; `runs` are
   * those of the whole campaign, in whole generations.
   */
  readonly corpus?: string;
  /** A module whose default export is a predicate: what threads need in the place of a function. */
  readonly predicateFile?: string;
  /**
   * A finding, as soon as it is known to be the campaign's; the campaign goes on when this has settled. `known` are
   * those that a campaign on disk had before.
   */
  readonly onFinding?: (finding: Finding, known: boolean) => void | Promise<void>;
  /** Something that went wrong and is made good: one sentence. */
  readonly onWarning?: (sentence: string) => void;
  readonly onProgress?: (progress: FuzzProgress) => void;
  readonly signal?: StopSignal;
}

/** How far a campaign is. */
export interface FuzzProgress {
  readonly cases: number;
  /** In the last seconds. */
  readonly casesPerSecond: number;
  readonly findings: number;
  /** Cases at fault, by oracle; of batches that are over. */
  readonly verdicts: Readonly<Partial<Record<Oracle, number>>>;
  /** Inputs that are kept, edges that they reach, and since when no new one was met; of guided campaigns. */
  readonly guided?: { readonly corpus: number; readonly edges: number; readonly secondsSinceEdge: number };
}

/** A cause, and the smallest structure that has it. */
export interface Finding {
  readonly cause: string;
  readonly verdict: Verdict;
  readonly structure: Structure<unknown>;
  readonly seed: number;
  /** Of the structure among those of the seed, or of the tape, for `--path`. */
  readonly path: string;
  /** What it was made from in a guided campaign, words that were drawn: hexadecimal digits, eight each. */
  readonly tape?: string;
  /** Cases before it. */
  readonly cases: number;
}

/** A branch of the guest that was executed, and where it went: linear addresses, their low 48 bits. */
export interface CoveredBranch {
  readonly from: number;
  readonly to: number;
  /** How many inputs take it. */
  readonly inputs: number;
}

export interface FuzzResult {
  readonly cases: number;
  /** Cases at fault, by oracle; those of shrinking are not counted. */
  readonly verdicts: Readonly<Partial<Record<Oracle, number>>>;
  readonly findings: readonly Finding[];
  /** Inputs that are kept, and edges that they reach, of a guided campaign. */
  readonly guided?: { readonly corpus: number; readonly edges: number };
  /** Branches of the guest that the inputs take, of a guided campaign with `coverage`. */
  readonly branches?: readonly CoveredBranch[];
  /** Cycle at which every case begins. */
  readonly start: number;
}

/** A machine that helps campaigns of others. */
export interface ServeOptions {
  /** redis://host:port/name. */
  readonly queue: string;
  readonly jobs?: number;
  readonly onWarning?: (sentence: string) => void;
  readonly onProgress?: (batches: number, cases: number) => void;
  readonly signal?: StopSignal;
}
