// What a guided campaign reached, by function: the two forms of --coverage say the same of a guest of the corpus, with
// symbols that the assembler gives, and lcov's own program reads the tracefile. Skipped by name without nasm.

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import type { CoverageReport } from '../../src/fuzz/coverage/report.js';
import { assembleText, haveNasm } from './changed-boot.js';
import { scratch, vmreplay } from './vmreplay.js';

const nasm = await haveNasm();
const genhtml = spawnSync('genhtml', ['--version']).status === 0;
const withNasm = nasm ? test : test.skip;
const source = (name: string) => readFileSync(packageFile(`corpus/defects/${name}`), 'utf8');

/** Records of a tracefile, by their key, each as its fields (geninfo(1)). */
function recordsOf(info: string): Map<string, string[][]> {
  const records = new Map<string, string[][]>();
  for (const line of info.trimEnd().split('\n')) {
    const [key, ...rest] = line.split(':');
    records.set(key!, [...(records.get(key!) ?? []), rest.join(':').split(',')]);
  }
  return records;
}

withNasm(
  `a guided campaign says which functions it reached, as JSON and for lcov${nasm ? '' : ' (no nasm here)'}`,
  async (t) => {
    t.timeout(120_000);
    const file = await scratch(t);
    const text = source('magic-chain.asm')
      .replace('%include "defects/defect.inc"', source('defect.inc'))
      .replace('BSS', 'nobody_calls:\n    ret\nBSS');
    const { image, symbols } = await assembleText('magic-chain', file('guest'), text);
    const campaign = ['start-info', '--memory', '8M', '--kernel', image, '--symbols', symbols, '--runs', '8000'].concat(
      '--corpus',
      file('corpus'),
      '--out',
      file('findings'),
    );
    const json = await vmreplay('fuzz', ...campaign, '--coverage', file('reached.json'));
    t.is(json.code, 1, json.stderr);
    const report = JSON.parse(readFileSync(file('reached.json'), 'utf8')) as CoverageReport;
    t.is(report.format, 'vmreplay-coverage-1');
    const inputs = (name: string) => report.list.find((one) => one.name === name)!.inputs;
    t.true(inputs('main') > 0);
    t.true(inputs('refuse') > 0);
    t.is(inputs('nobody_calls'), 0);
    const { total, reached } = report.functions;
    t.true(reached < total);
    const told = `${reached} of ${total} functions, ${report.branches} branches`;
    t.true(json.stdout.includes(`reached.json: ${told}`), json.stdout);

    // The campaign is over; its corpus is told of again.
    const lcov = await vmreplay('fuzz', ...campaign, '--coverage', file('reached.info'));
    t.true(lcov.stdout.includes(`reached.info: ${told}`), lcov.stdout);
    const records = recordsOf(readFileSync(file('reached.info'), 'utf8'));
    const listing = readFileSync(file('reached.listing'), 'utf8').trimEnd().split('\n');
    t.deepEqual(records.get('SF'), [['reached.listing']]);
    t.is(records.get('DA')!.length, listing.length);
    t.deepEqual(records.get('LF'), [[`${listing.length}`]]);
    t.deepEqual(records.get('FNH'), [[`${reached}`]]);
    const lines = new Map(records.get('FN')!.map(([line, name]) => [name!, listing[Number(line) - 1]!.split(' ')[0]!]));
    const hits = new Map(records.get('FNDA')!.map(([count, name]) => [name!, Number(count)]));
    for (const one of report.list) {
      t.is(lines.get(one.name), one.address);
      t.is(hits.get(one.name), one.inputs);
    }
    const taken = report.list.flatMap(({ branches }) => branches.map((branch) => branch.inputs));
    t.deepEqual(
      records.get('BRDA')!.map((fields) => Number(fields[3])),
      taken,
    );
    if (!genhtml) {
      t.log('no genhtml here: lcov itself does not read the tracefile');
      return;
    }
    const said = execFileSync('genhtml', ['--branch-coverage', 'reached.info', '--output-directory', 'pages'], {
      cwd: dirname(file('reached.info')),
      encoding: 'utf8',
    });
    t.true(said.includes(`(${reached} of ${total} functions)`), said);
    t.true(said.includes(`(${report.branches} of ${report.branches} branches)`), said);
  },
);
