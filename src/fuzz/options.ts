// What a campaign is asked for and what it finds: plain data, in the words of the command line. Nothing here leads to the
// processor, so that whoever uses the library needs no types of it.

import type { BootOptions, StopSignal } from '../api/options.js';
import type { Structure } from './structure.js';
import type { Verdict } from './verdict.js';

export interface RunnerOptions {
  /** Texts on a console that are a finding, beside `Kernel panic`. */
  readonly panic?: readonly string[];
  /** Cycles that a case may take from the snapshot on. Default: 8 times those of the boot as it is, and 2,000,000. */
  readonly caseCycles?: number;
  /** Note edges and comparisons (CaseRunner.coverage). Default false. */
  readonly coverage?: boolean;
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
  /** Findings after which to stop. Default 50. */
  readonly most?: number;
  readonly onProgress?: (cases: number, findings: number) => void;
  readonly signal?: StopSignal;
}

/** A cause, and the smallest structure that has it. */
export interface Finding {
  readonly cause: string;
  readonly verdict: Verdict;
  readonly structure: Structure<unknown>;
  readonly seed: number;
  /** Of the structure among those of the seed, for `--path`. */
  readonly path: string;
  /** Cases before it. */
  readonly cases: number;
}

export interface FuzzResult {
  readonly cases: number;
  readonly findings: readonly Finding[];
  /** Cycle at which every case begins. */
  readonly start: number;
}
