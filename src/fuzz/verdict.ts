// What can be wrong with how a guest took a structure. Two verdicts are the same finding when oracle, site and
// stack are.

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
  'disagreement',
] as const;

export type Oracle = (typeof ORACLES)[number];

export interface Verdict {
  readonly oracle: Oracle;
  /** Linear address of the instruction at fault; its low 48 bits. */
  readonly site: number;
  /** One line for people. */
  readonly detail: string;
  /** What the site is called: `name+0x12`, `bios.bin+0x1234`; absent where nobody knows. */
  readonly symbol?: string;
  /** Functions from the innermost outwards, the one at fault first; absent where there are no symbols. */
  readonly stack?: readonly string[];
  /** Of a disagreement: where the other boot came to, and the fields that differ. */
  readonly against?: {
    readonly cycle: number;
    readonly fields: readonly { readonly field: string; readonly a: string; readonly b: string }[];
  };
  /** Boundary at or behind the fault: a run up to there has it. */
  readonly cycle: number;
}

/** What tells one finding from another: who found fault, where, and how the guest came there. */
export function causeOf({ oracle, site, symbol, stack = [], detail, against }: Verdict): string {
  if (oracle === 'predicate' || oracle === 'panic') return `${oracle}: ${detail}`;
  if (oracle === 'hand-off') return `${oracle}: ${detail.split(':')[0]}`;
  // The first field, whichever entry of a list it is in.
  if (against) return `${oracle} about ${against.fields[0]!.field.replaceAll(/ \d+(?=[. ]|$)/g, ' N')}`;
  const callers = stack.slice(1);
  const from = callers.length === 0 ? '' : `, called from ${callers.join(', ')}`;
  return `${oracle} at ${symbol ?? `0x${site.toString(16)}`}${from}`;
}
