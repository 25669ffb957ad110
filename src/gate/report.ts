// What a gate run says, as data: `--reporter json` writes it, the other reporters tell it, `--merge` joins several.
// Scripts parse it: fields are added, never renamed; what changes otherwise is a new number in `format`. The JSON schema
// is schemas/gate-report-1.json.

export const REPORT_FORMAT = 'vmreplay-gate 1';

export type FindingKind =
  | 'build'
  | 'boot'
  | 'baseline'
  | 'machine'
  | 'end'
  | 'events'
  | 'handoff'
  | 'serial'
  | 'budget';

/** Something that a boot was held to and did not hold. */
export interface Finding {
  readonly kind: FindingKind;
  /** One sentence. */
  readonly summary: string;
  /** What is behind it, where that is known: an image byte, an fw_cfg item, a field. */
  readonly cause?: string | undefined;
  /** Phase of the boot in which it happened. */
  readonly phase?: string | undefined;
  /** Symbol and offset of the instruction. */
  readonly symbol?: string | undefined;
  /** Cycle in this boot, or in the baseline where this boot has no such event. */
  readonly cycle?: number | undefined;
  /** More for people: lines of text, the telling ones first. */
  readonly lines: readonly string[];
}

/**
 * passed: held. retimed: held, but only because timing was to be ignored. failed: not held. missing, unreadable: there
 * is no baseline to hold it to. accepted: the baseline was written. interrupted: the run was stopped before its end.
 */
export type Outcome = 'passed' | 'retimed' | 'failed' | 'missing' | 'unreadable' | 'accepted' | 'interrupted';

export interface Counted {
  readonly name: string;
  readonly baseline: number | null;
  readonly now: number;
}

export interface BootReport {
  readonly name: string;
  readonly outcome: Outcome;
  /** In one phrase. */
  readonly note: string;
  /** Host time. */
  readonly seconds: number;
  readonly findings: readonly Finding[];
  /** What the boot cost, beside the baseline; empty when it did not run. */
  readonly counts: readonly Counted[];
  /** Images whose content is not the baseline's. */
  readonly changedImages: readonly string[];
  /** The baseline's file, and the trace that was left for a look. */
  readonly baseline: string | null;
  readonly trace: string | null;
}

export interface GateReport {
  readonly format: typeof REPORT_FORMAT;
  readonly tool: string;
  /** The configuration's file. */
  readonly config: string;
  /** `1/4`; null when all was run at once. */
  readonly shard: string | null;
  readonly boots: readonly BootReport[];
  /** Baselines of boots that there are not. */
  readonly obsolete: readonly { readonly name: string; readonly file: string }[];
  readonly exitCode: number;
}

const FAILING: readonly Outcome[] = ['failed', 'missing', 'unreadable'];
export const hasFailed = ({ outcome }: BootReport): boolean => FAILING.includes(outcome);

/** Exit status of a run, by the command-line contract. */
export function exitCodeOf(boots: readonly BootReport[], obsolete: GateReport['obsolete']): number {
  if (boots.some(({ outcome }) => outcome === 'interrupted')) return 130;
  return boots.some(hasFailed) || obsolete.length > 0 ? 1 : 0;
}

/** `3 passed, 1 failed`. */
export function totals({ boots, obsolete }: GateReport): string {
  const order: readonly Outcome[] = ['passed', 'retimed', 'accepted', 'failed', 'missing', 'unreadable', 'interrupted'];
  const counts = order.flatMap((outcome) => {
    const count = boots.filter((boot) => boot.outcome === outcome).length;
    return count === 0 ? [] : [`${count} ${outcome}`];
  });
  if (obsolete.length > 0) counts.push(`${obsolete.length} obsolete`);
  return counts.join(', ') || 'no boots';
}
