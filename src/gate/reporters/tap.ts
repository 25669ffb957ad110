// The Test Anything Protocol, version 14 (testanything.org): a test point a boot, what failed as a YAML block. Scalars are
// JSON strings, which are YAML.

import type { GateReport } from '../report.js';
import { type Case, casesOf, findingLines } from './cases.js';

export function tapReport(report: GateReport): string {
  const cases = casesOf(report);
  const lines = ['TAP version 14', `1..${cases.length}`, ...cases.flatMap(pointLines)];
  return `${lines.join('\n')}\n`;
}

function pointLines({ name, verdict, message, findings, seconds }: Case, index: number): string[] {
  const directive = verdict === 'skipped' ? ` # SKIP ${escaped(message)}` : '';
  const point = `${verdict === 'failed' ? 'not ok' : 'ok'} ${index + 1} - ${escaped(name)}${directive}`;
  return [
    point,
    '  ---',
    `  message: ${JSON.stringify(message)}`,
    `  duration_ms: ${Math.round(seconds * 1000)}`,
    ...(verdict === 'failed' ? ['  findings:', ...findings.flatMap(findingYaml)] : []),
    '  ...',
  ];
}

const findingYaml = (finding: Parameters<typeof findingLines>[0]): string[] => [
  `    - kind: ${finding.kind}`,
  '      lines:',
  ...findingLines(finding).map((line) => `        - ${JSON.stringify(line)}`),
];

/** A number sign begins a directive, and a backslash escapes it. */
const escaped = (text: string): string => text.replaceAll(/[\\#]/g, '\\$&').replaceAll(/[\r\n]+/g, ' ');
