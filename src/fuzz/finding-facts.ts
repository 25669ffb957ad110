// A finding as plain data: what finding.json has, and what a report of a campaign says of it beside the structure.

import type { Finding, FuzzOptions } from './options.js';
import type { Oracle } from './verdict.js';

/** A finding as finding.json has it. */
export interface FindingFacts {
  readonly target: string;
  readonly cause: string;
  readonly oracle: Oracle;
  /** Linear address of the instruction at fault, its low 48 bits, hexadecimal. */
  readonly site: string;
  readonly symbol?: string;
  /** Functions from the innermost outwards. */
  readonly stack?: readonly string[];
  readonly detail: string;
  /** Fields of the hand-off that two boots do not agree in. */
  readonly difference?: readonly { readonly field: string; readonly a: string; readonly b: string }[];
  /** Boundary at or behind the fault. */
  readonly cycle: number;
  /** Names of the structure's breaks; none when it is valid. */
  readonly breaks: readonly string[];
  readonly seed: number;
  readonly tape?: string;
  readonly path: string;
}

/** What there is to say of a finding, beside its structure. */
export function findingFacts({ target }: Pick<FuzzOptions, 'target'>, finding: Finding): FindingFacts {
  const { cause, verdict, structure, seed, path, tape } = finding;
  const { oracle, site, symbol, stack, detail, cycle, against } = verdict;
  return {
    target,
    cause,
    oracle,
    site: `0x${site.toString(16)}`,
    ...(symbol !== undefined && { symbol }),
    ...(stack && { stack }),
    detail,
    ...(against && { difference: against.fields }),
    cycle,
    breaks: structure.breaks.map(({ name }) => name),
    seed,
    ...(tape !== undefined && { tape }),
    path,
  };
}
