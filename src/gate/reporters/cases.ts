// A report as a list of cases, for formats that know tests: a case a boot, and one for each obsolete baseline.

import { type BootReport, type Finding, type GateReport, hasFailed } from '../report.js';

export interface Case {
  readonly name: string;
  readonly verdict: 'passed' | 'failed' | 'skipped';
  /** One sentence. */
  readonly message: string;
  readonly findings: readonly Finding[];
  readonly seconds: number;
  readonly boot: BootReport | undefined;
}

export function casesOf({ boots, obsolete }: GateReport): Case[] {
  return [
    ...boots.map((boot): Case => {
      const verdict = hasFailed(boot) ? 'failed' : boot.outcome === 'interrupted' ? 'skipped' : 'passed';
      const { name, note, findings, seconds } = boot;
      return { name, verdict, message: findings[0]?.summary ?? note, findings, seconds, boot };
    }),
    ...obsolete.map(({ name, file }): Case => {
      const summary = `${file} is the baseline of a boot that there is not; vmreplay gate --accept removes it`;
      const findings: Finding[] = [{ kind: 'baseline', summary, lines: [] }];
      return { name, verdict: 'failed', message: summary, findings, seconds: 0, boot: undefined };
    }),
  ];
}

/** A finding in full: sentence, cause, phase, symbol, and what there is more. */
export function findingLines({ summary, cause, phase, symbol, cycle, lines }: Finding): string[] {
  return [
    summary,
    ...(cause === undefined ? [] : [`cause: ${cause}`]),
    ...(phase === undefined ? [] : [`phase: ${phase}`]),
    ...(symbol === undefined ? [] : [`symbol: ${symbol}`]),
    ...(cycle === undefined ? [] : [`cycle: ${cycle}`]),
    ...lines,
  ];
}
