// GitHub's workflow commands: an annotation for each finding. The job summary is the Markdown report, which the command
// line appends to the file that GITHUB_STEP_SUMMARY names.

import type { GateReport } from '../report.js';
import { totals } from '../report.js';
import { casesOf, findingLines } from './cases.js';

export function githubReport(report: GateReport): string {
  const lines = casesOf(report).flatMap(({ name, verdict, findings, boot }) => {
    const file = boot?.baseline ?? report.config;
    return verdict !== 'failed'
      ? []
      : findings.map((finding) => {
          const title = `${name}: ${finding.kind}`;
          return `::error file=${property(file)},title=${property(title)}::${data(findingLines(finding).join('\n'))}`;
        });
  });
  return `${[...lines, totals(report)].join('\n')}\n`;
}

const data = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
