// What can be wrong with how a guest took a structure. Two verdicts are the same finding when oracle and site are.

/** Who found fault. */
export type Oracle =
  | 'triple fault'
  | 'exception loop'
  | 'hang'
  | 'write outside declared memory'
  | 'read outside declared memory'
  | 'read of reserved memory'
  | 'DMA outside declared memory'
  | 'execution outside loaded images'
  | 'unexpected port'
  | 'unexpected MMIO'
  | 'panic'
  | 'debug exit'
  | 'predicate';

export interface Verdict {
  readonly oracle: Oracle;
  /** Linear address of the instruction at fault; its low 48 bits. */
  readonly site: number;
  /** One line for people. */
  readonly detail: string;
  /** Boundary at or behind the fault: a run up to there has it. */
  readonly cycle: number;
}

/** What tells one finding from another. */
export const causeOf = ({ oracle, site, detail }: Verdict): string =>
  oracle === 'predicate' || oracle === 'panic' ? `${oracle}: ${detail}` : `${oracle} at 0x${site.toString(16)}`;
