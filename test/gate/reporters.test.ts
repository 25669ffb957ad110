// Each format is read back by what others read it with, or held against its schema, with text in it that does its best
// to break out.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { Parser as TapParser } from 'tap-parser';
import { packageFile } from '../../bin/package.js';
import { type BootReport, exitCodeOf, type GateReport, REPORT_FORMAT } from '../../src/gate/report.js';
import { REPORTERS } from '../../src/gate/reporters/index.js';

const NASTY = 'a <b> & "c" \'d\' ]]> # \\ | `e` %25, f: ::error::\u0000\u001b[1m é 字 \ud800 end';

const base: BootReport = {
  name: 'debian/pvh',
  outcome: 'passed',
  note: '1,234 cycles',
  seconds: 1.5,
  findings: [],
  counts: [{ name: 'cycles to end', baseline: 1000, now: 1234 }],
  changedImages: [],
  baseline: 'boot-baselines/debian/pvh.txt',
  trace: null,
};
const failed: BootReport = {
  ...base,
  name: 'rom #1',
  outcome: 'failed',
  note: NASTY,
  findings: [
    {
      kind: 'events',
      summary: NASTY,
      cause: `fw_cfg etc/e820 ${NASTY}`,
      phase: 'option ROM',
      symbol: 'setup_arch+0x10',
      cycle: 77,
      lines: [NASTY, '', '```', '  indented', '\ttab'],
    },
    { kind: 'budget', summary: 'two\nlines', lines: [] },
  ],
  trace: '.vmreplay-gate/rom.vmr',
};
const boots: BootReport[] = [
  base,
  { ...base, name: 'calm', outcome: 'retimed', note: 'only timing changed' },
  failed,
  { ...base, name: 'late', outcome: 'interrupted', note: 'stopped', counts: [] },
  {
    ...base,
    name: 'new',
    outcome: 'missing',
    baseline: null,
    findings: [{ kind: 'baseline', summary: 'none', lines: [] }],
  },
];
const obsolete = [{ name: 'old', file: 'boot-baselines/old one.txt' }];
const report: GateReport = {
  format: REPORT_FORMAT,
  tool: 'vmreplay 0.1.0',
  config: 'vmreplay.config.json',
  shard: '1/2',
  boots,
  obsolete,
  exitCode: exitCodeOf(boots, obsolete),
};
const write = (name: string): string => REPORTERS[name]!(report);
const FAILED = ['rom #1', 'new', 'old'];

const schema = async (name: string) => JSON.parse(await readFile(packageFile(name), 'utf8'));

test('JSON has the published schema, with every outcome', async (t) => {
  const validate = new Ajv2020({ allowUnionTypes: true }).compile(await schema('schemas/gate-report-1.json'));
  t.true(validate(JSON.parse(write('json'))), JSON.stringify(validate.errors));
  t.deepEqual(JSON.parse(write('json')), JSON.parse(JSON.stringify(report)));
  t.false(validate({ ...report, exitCode: 7 }));
  t.false(validate({ ...report, boots: [{ ...base, outcome: 'fine' }] }));
});

test('JUnit XML is well-formed, counts agree, and the text comes back', (t) => {
  const text = write('junit');
  t.is(XMLValidator.validate(text), true);
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '',
    trimValues: false,
    htmlEntities: true,
    isArray: (name) => ['testcase', 'failure'].includes(name),
  });
  const { testsuites } = parser.parse(text);
  const { testsuite } = testsuites;
  t.like(testsuite, { tests: '6', failures: '3', errors: '0', skipped: '1' });
  t.is(testsuite.testcase.length, 6);
  const failing = testsuite.testcase.filter((one: { failure?: unknown }) => one.failure);
  t.deepEqual(
    failing.map(({ name }: { name: string }) => name),
    FAILED,
  );
  const shown = NASTY.replace('\0', '\ufffd').replace('\u001b', '\ufffd').replace('\ud800', '\ufffd');
  t.is(failing[0].failure[0].message, shown);
  t.is(failing[0].failure[0].type, 'events');
  t.true(failing[0].failure[0]['#text'].includes(`cause: fw_cfg etc/e820 ${shown}`));
  t.is(failing[0].failure[1].message, 'two\nlines');
});

test('TAP is version 14, and a TAP parser sees the same results', (t) => {
  const text = write('tap');
  t.true(text.startsWith('TAP version 14\n1..6\n'));
  const results = TapParser.parse(text).flatMap((item) => (item[0] === 'assert' ? [item[1]] : []));
  t.deepEqual(
    results.map(({ ok }) => ok),
    [true, true, false, true, false, false],
  );
  t.deepEqual(
    results.map(({ name }) => name),
    ['debian/pvh', 'calm', 'rom #1', 'late', 'new', 'old'],
  );
  t.is(results[3]!.skip, 'stopped');
  t.is(results[2]!.diag.message, NASTY);
  t.deepEqual(results[2]!.diag.findings[0].lines.slice(-5), failed.findings[0]!.lines);
});

test('SARIF has the schema of version 2.1.0, and one result for each finding', async (t) => {
  const require = createRequire(import.meta.url);
  const directory = require.resolve('@microsoft/jest-sarif/package.json').replace('package.json', '');
  const sarif = JSON.parse(await readFile(`${directory}lib/schemas/sarif-2.1.0-rtm.5.json`, 'utf8'));
  // The schema is of draft 4, which says the same here in two words less.
  delete sarif.$schema;
  delete sarif.id;
  const validate = new Ajv({ strict: false, validateFormats: false, unicodeRegExp: false }).compile(sarif);
  const log = JSON.parse(write('sarif'));
  t.true(validate(log), JSON.stringify(validate.errors));
  const { results, tool } = log.runs[0];
  t.deepEqual(
    results.map(({ ruleId }: { ruleId: string }) => ruleId),
    ['events', 'budget', 'baseline', 'baseline'],
  );
  for (const { ruleId, ruleIndex } of results) t.is(tool.driver.rules[ruleIndex].id, ruleId);
  t.is(results[3].locations[0].physicalLocation.artifactLocation.uri, 'vmreplay.config.json');
  t.is(results[0].locations[0].logicalLocations[1].name, 'setup_arch+0x10');
  t.is(new Set(results.map((one: { partialFingerprints: object }) => JSON.stringify(one.partialFingerprints))).size, 4);
});

test('GitHub gets an annotation a finding, each on one line, with its text escaped', (t) => {
  const lines = write('github').trimEnd().split('\n');
  const annotations = lines.filter((line) => line.startsWith('::'));
  t.is(annotations.length, 4);
  for (const line of annotations) t.regex(line, /^::error file=[^,:]+,title=[^,:]+::[^\r\n]*$/);
  const [, data] = /^::error [^:]*::(.*)$/.exec(annotations[0]!)!;
  const text = data!.replaceAll('%0A', '\n').replaceAll('%0D', '\r').replaceAll('%25', '%');
  t.true(text.startsWith(`${NASTY}\ncause: `));
  t.is(lines.at(-1), '1 passed, 1 retimed, 1 failed, 1 missing, 1 interrupted, 1 obsolete');
});

test('Markdown has a row a boot, and nothing breaks out of a cell or a code block', (t) => {
  const text = write('markdown');
  t.regex(text, /^## Boots: 1 passed, 1 retimed, 1 failed/);
  const rows = text.split('\n').filter((line) => /^\| [✅❌⏹]/u.test(line));
  t.is(rows.length, 6);
  for (const row of rows) t.is(row.split(/(?<!\\)\|/).length, 6, row);
  const fences = [...text.matchAll(/^(`{3,})/gm)].map(([fence]) => fence.length);
  t.is(Math.max(...fences), 4, 'longer than the backticks inside');
  t.regex(text, /\| cycles to end \| 1,000 \| 1,234 \| \+234 \|/);
});

test('the terminal shows the failures on one screen, and the cause in its first lines', (t) => {
  const text = REPORTERS.terminal!(report, { rows: 30, columns: 100 });
  const lines = text.split('\n');
  t.true(lines.length <= 31, `${lines.length} lines`);
  t.true(lines.every((line) => line.length <= 100));
  t.regex(text, /^FAILED {2}rom #1 {6}failed/m);
  t.regex(text, /^ {2}phase: option ROM/m);
  t.regex(text, /^ {2}symbol: setup_arch\+0x10/m);
  t.regex(text, /1 passed, 1 retimed, 1 failed, 1 missing, 1 interrupted, 1 obsolete/);
  t.false(text.includes('\u001b'), 'what guests print does not reach the terminal as it is');
  t.true(REPORTERS.terminal!(report, { color: true }).includes('\u001b[31m'));
});

test('a hundred boots and ten failures still fit on a screen', (t) => {
  const many = Array.from({ length: 100 }, (_, i) => ({ ...(i % 10 === 0 ? failed : base), name: `boot-${i}` }));
  const text = REPORTERS.terminal!({ ...report, boots: many, obsolete: [] }, { rows: 40 });
  t.true(text.split('\n').length <= 41);
  for (let i = 0; i < 100; i += 10) t.regex(text, new RegExp(`^boot-${i}: `, 'm'));
  t.regex(text, /90 passed, 10 failed/);
});

test('the exit status is that of the worst boot', (t) => {
  t.is(exitCodeOf([base], []), 0);
  t.is(exitCodeOf([base, failed], []), 1);
  t.is(exitCodeOf([base], obsolete), 1);
  t.is(exitCodeOf([failed, boots[3]!], []), 130);
});
