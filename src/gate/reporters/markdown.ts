// A report in GitHub's Markdown: the job summary, and a comment on a merge request. A table of boots, then each failure
// with all that is known, folded.

import { grouped } from '../../figures.js';
import { type BootReport, type Counted, type GateReport, hasFailed, totals } from '../report.js';
import { casesOf, findingLines } from './cases.js';

export function markdownReport(report: GateReport): string {
  const failed = casesOf(report).filter(({ verdict }) => verdict === 'failed');
  const lines = [
    `## Boots: ${totals(report)}`,
    '',
    '| | boot | cycles | |',
    '| --- | --- | ---: | --- |',
    ...report.boots.map(bootRow),
    ...report.obsolete.map(({ name, file }) => `| ❌ | ${cell(name)} | | ${cell(`${file} is obsolete`)} |`),
  ];
  for (const { name, findings, boot } of failed) {
    lines.push('', `### ${inline(name)}`);
    for (const finding of findings) {
      const [summary, ...rest] = findingLines(finding);
      lines.push('', inline(summary!));
      if (rest.length > 0) lines.push('', ...fenced(rest));
    }
    const changed = (boot?.counts ?? []).filter(({ baseline, now }) => baseline !== null && baseline !== now);
    if (changed.length > 0)
      lines.push('', '| | baseline | now | |', '| --- | ---: | ---: | ---: |', ...changed.map(countRow));
  }
  return `${lines.join('\n')}\n`;
}

function bootRow(boot: BootReport): string {
  const end = boot.counts.find(({ name }) => name === 'cycles to end');
  const mark = hasFailed(boot) ? '❌' : boot.outcome === 'interrupted' ? '⏹' : '✅';
  const note = hasFailed(boot) ? `${boot.outcome}: ${boot.findings[0]?.summary ?? boot.note}` : boot.note;
  return `| ${mark} | ${cell(boot.name)} | ${end ? grouped(end.now) : ''} | ${cell(note)} |`;
}

function countRow({ name, baseline, now }: Counted): string {
  const by = now - baseline!;
  return `| ${cell(name)} | ${grouped(baseline!)} | ${grouped(now)} | ${by > 0 ? '+' : '−'}${grouped(Math.abs(by))} |`;
}

/** Text that is to be read as it is: what means something in Markdown and HTML is escaped. */
const inline = (text: string): string => text.replaceAll(/[\r\n]+/g, ' ').replaceAll(/[\\`*_[\]<>&#|~]/g, '\\$&');
const cell = inline;

/** A code block whose fence is longer than any run of backticks in it. */
function fenced(lines: readonly string[]): string[] {
  const longest = Math.max(0, ...lines.flatMap((line) => [...line.matchAll(/`+/g)].map(([run]) => run.length)));
  const fence = '`'.repeat(Math.max(3, longest + 1));
  return [`${fence}text`, ...lines, fence];
}
