// What fuzz says: a finding, the campaign at its end, and how far it is.

import { grouped } from '../../src/figures.js';
import type { Finding, FuzzProgress, FuzzResult } from '../../src/fuzz/index.js';

/** A finding in a line, and its folder, or what it is when it has none. */
export function findingText({ cause, verdict, structure }: Finding, folder?: string): string {
  const broken = structure.breaks.map(({ name }) => name).join(', ') || 'a valid structure';
  return `${cause}: ${verdict.detail} (${broken})\n${folder === undefined ? structure : `  ${folder}`}`;
}

/** The last line of a campaign. */
export function summaryText({ cases, findings, start, guided }: FuzzResult): string {
  const text = `${grouped(cases)} cases from cycle ${grouped(start)}, ${findings.length} findings`;
  return guided ? `${text}, ${grouped(guided.edges)} edges by ${grouped(guided.corpus)} inputs` : text;
}

/** The line that is shown while it runs. */
export function progressText({ cases, casesPerSecond, findings, verdicts, guided }: FuzzProgress): string {
  const words = [`${grouped(cases)} cases`, `${grouped(casesPerSecond)} a second`, `${findings} findings`];
  if (guided !== undefined) {
    words.push(`${grouped(guided.edges)} edges, the last ${guided.secondsSinceEdge} s ago`);
    words.push(`${grouped(guided.corpus)} inputs`);
  }
  const faults = Object.entries(verdicts).sort(([, a], [, b]) => b - a);
  for (const [oracle, count] of faults) words.push(`${grouped(count)} ${oracle}`);
  return words.join(', ');
}
