// What can be wrong with how a guest took a structure. Two verdicts are the same finding when oracle and site are.

/** Who finds fault. New ones at the end: results of batches have their numbers. */
export const ORACLES = [
  'triple fault',
  'exception loop',
  'hang',
  'write outside declared memory',
  'read outside declared memory',
  'read of reserved memory',
  'DMA outside declared memory',
  'execution outside loaded images',
  'unexpected port',
  'unexpected MMIO',
  'panic',
  'debug exit',
  'predicate',
  'hand-off',
] as const;

export type Oracle = (typeof ORACLES)[number];

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
  oracle === 'predicate' || oracle === 'panic'
    ? `${oracle}: ${detail}`
    : oracle === 'hand-off'
      ? `hand-off: ${detail.split(':')[0]}`
      : `${oracle} at 0x${site.toString(16)}`;
