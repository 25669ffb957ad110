// JUnit XML, as Jenkins, GitLab and others read it: one suite, a case a boot. There is no standard; this keeps to what
// Jenkins' schema allows.

import type { GateReport } from '../report.js';
import { type Case, casesOf, findingLines } from './cases.js';
import { attribute, xml } from './xml.js';

export function junitReport(report: GateReport): string {
  const cases = casesOf(report);
  const count = (verdict: Case['verdict']) => cases.filter((one) => one.verdict === verdict).length;
  const seconds = cases.reduce((sum, one) => sum + one.seconds, 0).toFixed(3);
  const totals = `tests="${cases.length}" failures="${count('failed')}" errors="0"`;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="vmreplay gate" ${totals} time="${seconds}">`,
    `  <testsuite name="${attribute(report.config)}" ${totals} skipped="${count('skipped')}" time="${seconds}">`,
    ...cases.flatMap(caseLines),
    '  </testsuite>',
    '</testsuites>',
  ];
  return `${lines.join('\n')}\n`;
}

function caseLines({ name, verdict, message, findings, seconds, boot }: Case): string[] {
  const head = `    <testcase classname="vmreplay gate" name="${attribute(name)}" time="${seconds.toFixed(3)}"`;
  const counts = boot?.counts.map(({ name: what, now }) => `${what}: ${now}`) ?? [];
  const inner = [
    ...(verdict === 'skipped' ? [`      <skipped message="${attribute(message)}"/>`] : []),
    ...(verdict === 'failed'
      ? findings.map((finding) => {
          const body = xml(findingLines(finding).join('\n'));
          return `      <failure type="${finding.kind}" message="${attribute(finding.summary)}">${body}</failure>`;
        })
      : []),
    ...(counts.length > 0 ? [`      <system-out>${xml(counts.join('\n'))}</system-out>`] : []),
  ];
  return inner.length === 0 ? [`${head}/>`] : [`${head}>`, ...inner, '    </testcase>'];
}
