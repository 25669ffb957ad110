// A review asks about each boot that does not hold, writes what is accepted, and nothing else.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Baselines } from '../../src/gate/baselines.js';
import { factsOf } from '../../src/gate/facts.js';
import type { Candidate, GateRun } from '../../src/gate/gate.js';
import { lineDiff } from '../../src/gate/line-diff.js';
import { type BootReport, exitCodeOf, type GateReport, REPORT_FORMAT } from '../../src/gate/report.js';
import { review } from '../../src/gate/review.js';
import { TraceReader } from '../../src/trace/reader.js';
import { writeTrace } from '../trace/sample-trace.js';

test('a line diff says which lines went and came, and nothing about equal texts', (t) => {
  t.deepEqual(lineDiff('a\nb\nc\nd\ne\nf', 'a\nb\nc\nX\ne\nf', 1), ['…', '  c', '- d', '+ X', '  e', '…']);
  t.deepEqual(lineDiff('a', 'a'), []);
  t.deepEqual(lineDiff('', 'a'), ['- ', '+ a']);
});

test('both texts follow from their line diff', (t) => {
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 12 })
    .map((lines) => lines.join('\n'));
  t.notThrows(() =>
    fc.assert(
      fc.property(text, text, (before, now) => {
        const lines = lineDiff(before, now, 100);
        const side = (mark: string) =>
          lines.flatMap((line) => (line.startsWith('  ') || line.startsWith(mark) ? [line.slice(2)] : []));
        if (before === now) return lines.length === 0;
        return side('- ').join('\n') === before && side('+ ').join('\n') === now;
      }),
    ),
  );
});

/** A run of two boots whose traces are made by hand: each printed a byte that tells the runs apart. */
async function runs(t: ExecutionContext): Promise<(printed: string) => GateRun> {
  const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-review-'));
  t.teardown(() => rm(scratch, { recursive: true, force: true }));
  const baselines = new Baselines(join(scratch, 'baselines'));
  return (printed) => {
    const candidates = ['a', 'b'].map((name): Candidate => {
      const trace = join(scratch, `${name}.vmr`);
      const value = printed.charCodeAt(0);
      writeTrace(trace, [{ kind: 'port-write', cycle: 1, address: 0x3f8, size: 1, value }]);
      const reader = TraceReader.open(trace);
      const facts = factsOf(reader);
      reader.close();
      const before = baselines.find(name);
      const outcome = 'problem' in before ? before.problem : before.root === facts.root ? 'passed' : 'failed';
      const findings =
        outcome === 'passed' ? [] : [{ kind: 'events' as const, summary: `it printed ${printed}`, lines: [] }];
      const common = { findings, counts: [], changedImages: [] };
      const report: BootReport = { ...common, name, outcome, note: '', seconds: 0, baseline: null, trace: null };
      const result = { ...common, facts, interrupted: false, guestFailed: false, retimed: undefined };
      const boot = { name, options: {}, build: undefined, hold: { events: true }, symbols: [], end: undefined };
      return { boot, report, result, before, trace };
    });
    const boots = candidates.map(({ report }) => report);
    const exitCode = exitCodeOf(boots, []);
    const report: GateReport = {
      format: REPORT_FORMAT,
      tool: '',
      config: '',
      shard: null,
      boots,
      obsolete: [],
      exitCode,
    };
    return { report, candidates, baselines, dispose: () => {} };
  };
}

/** A terminal at which the answers are typed one after the other. */
function typed(...answers: string[]) {
  const written: string[] = [];
  return {
    text: () => written.join(''),
    write: (text: string) => void written.push(text),
    ask: async (question: string) => {
      written.push(question);
      return answers.shift();
    },
  };
}

const outcomes = ({ boots }: { boots: readonly { name: string; outcome: string }[] }) =>
  boots.map(({ name, outcome }) => `${name} ${outcome}`);

test('what is accepted becomes the baseline, what is rejected or left does not', async (t) => {
  const run = await runs(t);
  const first = typed('x', '', 'a', 'next');
  const reviewed = await review(run('1'), first);
  t.deepEqual(outcomes(reviewed), ['a accepted', 'b missing']);
  t.is(reviewed.exitCode, 1);
  t.regex(first.text(), /1\/2 {2}a: missing\n {2}it printed 1\n/);
  t.regex(first.text(), /accept, reject, show, next, quit\? \(a first letter is enough\)/);
  t.is((await review(run('1'), typed('a'))).exitCode, 0);

  const second = typed('show', 'reject', 'show', 'accept');
  t.deepEqual(outcomes(await review(run('2'), second)), ['a failed', 'b accepted']);
  t.regex(second.text(), /^- \| 1\n(.*\n)?\+ \| 2$/m);
  t.deepEqual(outcomes(run('2').report), ['a failed', 'b passed']);
  t.is((await review(run('2'), typed())).exitCode, 1, 'the end of input decides nothing');
  t.deepEqual(outcomes(run('2').report), ['a failed', 'b passed']);
});

test('a boot that holds is not asked about', async (t) => {
  const run = await runs(t);
  await review(run('1'), typed('a', 'a'));
  const terminal = typed();
  t.is((await review(run('1'), terminal)).exitCode, 0);
  t.is(terminal.text(), 'nothing to review: every boot holds\n');
});

test('a boot that failed, or is over its budget, cannot be accepted', async (t) => {
  const run = (await runs(t))('1');
  const [a, b] = run.candidates as [Candidate, Candidate];
  const candidates = [
    { ...a, result: { ...a.result!, guestFailed: true } },
    { ...b, report: { ...b.report, findings: [{ kind: 'budget' as const, summary: 'too much', lines: [] }] } },
  ];
  const terminal = typed('a', 'n', 'a', 'n');
  t.is((await review({ ...run, candidates }, terminal)).exitCode, 1);
  t.regex(terminal.text(), /a boot that did not run as it must cannot be accepted/);
  t.regex(terminal.text(), /a boot over its budget cannot be accepted; raise the budget/);
  t.is(terminal.text().match(/this cannot be accepted/g)?.length, 2);
});
