// Budgets and counts. A budget is the most that a boot may take; counts are exact, so there is no tolerance.

import { grouped } from '../figures.js';
import type { Budgets } from './config.js';
import type { Metrics } from './facts.js';
import type { Counted, Finding } from './report.js';

const COUNTS = ['instructions', 'events', 'portAccesses', 'dmaBytes', 'traceBytes'] as const;
const WORDS = {
  instructions: 'instructions',
  events: 'events',
  portAccesses: 'port accesses',
  dmaBytes: 'bytes of DMA',
  traceBytes: 'bytes of trace',
};

/** @param before the baseline's, for comparison */
export function budgetFindings(budgets: Budgets, now: Metrics, before: Metrics | undefined): Finding[] {
  const findings: Finding[] = [];
  const over = (what: string, most: number, taken: number, was: number | undefined, cycle?: number) => {
    if (taken <= most) return;
    const lines =
      was === undefined
        ? []
        : [`the baseline takes ${grouped(was)}, ${grouped(Math.abs(taken - was))} ${taken >= was ? 'less' : 'more'}`];
    const summary = `${grouped(taken)} ${what}, ${grouped(taken - most)} more than the budget of ${grouped(most)}`;
    findings.push({ kind: 'budget', summary, lines, cause: what, ...(cycle !== undefined && { cycle }) });
  };
  for (const [point, most] of Object.entries(budgets.cycles ?? {})) {
    const taken = now.cycles[point];
    if (taken === undefined) {
      const points = Object.keys(now.cycles).join(', ');
      const summary = `the boot never comes to ${point}, for which there is a budget of cycles; it comes to ${points}`;
      findings.push({ kind: 'budget', summary, lines: [], cause: point });
    } else over(`cycles to ${point}`, most, taken, before?.cycles[point], taken);
  }
  for (const name of COUNTS) {
    const most = budgets[name];
    if (most !== undefined) over(WORDS[name], most, now[name], before?.[name]);
  }
  return findings;
}

/** All counts, beside the baseline's. */
export function countsOf(now: Metrics, before: Metrics | undefined): Counted[] {
  const row = (name: string, a: number | undefined, b: number): Counted => ({ name, baseline: a ?? null, now: b });
  return [
    ...Object.entries(now.cycles).map(([point, cycle]) => row(`cycles to ${point}`, before?.cycles[point], cycle)),
    ...COUNTS.map((name) => row(WORDS[name], before?.[name], now[name])),
  ];
}
