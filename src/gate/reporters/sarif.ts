// SARIF 2.1.0 (OASIS), for code scanning: a result for each finding, at the baseline it is held to, with the boot and the
// guest's symbol as logical locations. Fingerprints are of what was found, not of when.

import { createHash } from 'node:crypto';
import type { Finding, FindingKind, GateReport } from '../report.js';
import { casesOf, findingLines } from './cases.js';

const RULES: Readonly<Record<FindingKind, string>> = {
  build: 'A build command fails',
  boot: 'A boot cannot be run',
  baseline: 'A baseline is missing, unreadable or obsolete',
  machine: 'A boot is asked for in another way than its baseline',
  end: 'A boot ends in another way than it must',
  events: 'A boot does something else than its baseline',
  handoff: 'A loader leaves something else to the kernel',
  serial: 'A guest prints something else',
  budget: 'A boot takes more than its budget',
};

export function sarifReport(report: GateReport): string {
  const kinds = Object.keys(RULES) as FindingKind[];
  const results = casesOf(report).flatMap(({ name, verdict, findings, boot }) =>
    verdict !== 'failed'
      ? []
      : findings.map((finding) => result(name, finding, boot?.baseline ?? report.config, kinds)),
  );
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'vmreplay gate',
            semanticVersion: report.tool.replace(/^\D*/, ''),
            rules: kinds.map((id) => ({ id, shortDescription: { text: RULES[id] } })),
          },
        },
        columnKind: 'utf16CodeUnits',
        results,
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

function result(boot: string, finding: Finding, file: string, kinds: readonly FindingKind[]) {
  const { kind, summary, cause, phase, symbol, cycle } = finding;
  const print = createHash('sha256')
    .update(`${boot}\n${kind}\n${cause ?? summary.replaceAll(/\d[\d,]*/g, '')}`)
    .digest('hex');
  return {
    ruleId: kind,
    ruleIndex: kinds.indexOf(kind),
    level: 'error',
    message: { text: `${boot}: ${findingLines(finding).join('\n')}` },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: uri(file) }, region: { startLine: 1 } },
        logicalLocations: [
          { name: boot, kind: 'module' },
          ...(symbol === undefined
            ? []
            : [{ name: symbol, fullyQualifiedName: `${boot}/${symbol}`, kind: 'function' }]),
        ],
      },
    ],
    partialFingerprints: { 'vmreplayFinding/v1': print },
    properties: { boot, ...(cause && { cause }), ...(phase && { phase }), ...(cycle !== undefined && { cycle }) },
  };
}

const uri = (file: string): string => file.split('/').map(encodeURIComponent).join('/');
