// Reviews what a gate found, boot by boot, as people review snapshots: show what changed, accept it as the new baseline,
// reject it, or leave it for later. Only what is accepted is written, each boot at once.

import { baselineText } from './baseline-text.js';
import { acceptBoot, type Candidate, type GateRun } from './gate.js';
import { lineDiff } from './line-diff.js';
import { type BootReport, exitCodeOf, type GateReport, hasFailed } from './report.js';
import { findingLines } from './reporters/cases.js';
import { printable } from './reporters/terminal.js';

/** The terminal. */
export interface ReviewTerminal {
  write(text: string): void;
  /** An answer without its line end; undefined when there will be none any more. */
  ask(question: string): Promise<string | undefined>;
}

const QUESTION = 'accept, reject, show, next, quit? ';

/** @returns the report as it is after the review @throws UserError when a baseline cannot be written */
export async function review(run: GateRun, terminal: ReviewTerminal): Promise<GateReport> {
  const { report, candidates, baselines } = run;
  const open = candidates.filter((candidate) => hasFailed(candidate.report));
  const reviewed = new Map<string, BootReport>();
  let obsolete = report.obsolete;
  let place = 0;
  const total = open.length + obsolete.length;
  const finish = (): GateReport => {
    const boots = report.boots.map((boot) => reviewed.get(boot.name) ?? boot);
    return { ...report, boots, obsolete, exitCode: exitCodeOf(boots, obsolete) };
  };
  const say = (lines: readonly string[]) => terminal.write(`${lines.map(printable).join('\n')}\n`);
  if (total === 0) say(['nothing to review: every boot holds']);
  for (const candidate of open) {
    const { boot, report: found } = candidate;
    say([
      '',
      `${++place}/${total}  ${boot.name}: ${found.outcome}`,
      ...found.findings.map(({ summary }) => `  ${summary}`),
    ]);
    const obstacle = whyNot(candidate);
    if (obstacle) say([`  ${obstacle}`]);
    const answer = await decide(terminal, obstacle === undefined, () => say(shown(candidate)));
    if (answer === 'quit') return finish();
    if (answer === 'accept') {
      const note = acceptBoot(baselines, boot.name, candidate.before, candidate.result!, candidate.trace);
      reviewed.set(boot.name, { ...found, outcome: 'accepted', note, findings: [] });
      say([`  ${note}`]);
    }
  }
  for (const { name, file } of report.obsolete) {
    say([
      '',
      `${++place}/${total}  ${name}: obsolete`,
      `  ${file} is the baseline of a boot that there is not; accept removes it`,
    ]);
    const answer = await decide(terminal, true, () => say([`  ${file}`]));
    if (answer === 'quit') return finish();
    if (answer === 'accept') {
      baselines.remove([name]);
      obsolete = obsolete.filter((other) => other.name !== name);
    }
  }
  baselines.clean();
  return finish();
}

/** Why what a boot did cannot become its baseline. */
function whyNot({ report, result }: Candidate): string | undefined {
  if (!result?.facts || result.guestFailed) return 'a boot that did not run as it must cannot be accepted';
  const budget = report.findings.some(({ kind }) => kind === 'budget');
  return budget ? 'a boot over its budget cannot be accepted; raise the budget' : undefined;
}

type Answer = 'accept' | 'reject' | 'next' | 'quit';

/** Ask until there is an answer that decides. */
async function decide(terminal: ReviewTerminal, acceptable: boolean, show: () => void): Promise<Answer> {
  for (;;) {
    const said = (await terminal.ask(acceptable ? QUESTION : QUESTION.replace('accept, ', '')))?.trim().toLowerCase();
    if (said === undefined) return 'quit';
    if (said === '') continue;
    const answer = ['accept', 'reject', 'show', 'next', 'quit'].find((word) => word.startsWith(said));
    if (answer === 'show') show();
    else if (answer === 'accept' && !acceptable) terminal.write('this cannot be accepted\n');
    else if (answer) return answer as Answer;
    else terminal.write(`${QUESTION}(a first letter is enough)\n`);
  }
}

/** The change of the reviewable text, and what is behind it. */
function shown({ boot, report, result, before }: Candidate): string[] {
  const lines = report.findings.flatMap((finding) => findingLines(finding).map((line) => `  ${line}`));
  if (!result?.facts) return lines;
  const old = 'problem' in before ? '' : before.text;
  // The trace's hash is not known before it is accepted, and says nothing.
  const plain = (text: string) => text.replace(/^(trace {6})[0-9a-f]{64}/m, '$1…').replace(/\nsum .*\n$/, '\n');
  const now = baselineText(boot.name, result.facts, '0'.repeat(64));
  return [...lines, '', ...lineDiff(plain(old), plain(now))];
}
