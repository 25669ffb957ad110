// One boot of a gate: recorded, and held to its baseline while both traces are at hand. Runs in a process of its own
// (boot-worker.ts), so that nothing a boot does can end the gate; job and result are plain data.

import { relative } from 'node:path';
import type { BootOptions, StopSignal } from '../api/options.js';
import { record } from '../api/record.js';
import { UserError } from '../api/user-error.js';
import { ImageError } from '../boot/boot-error.js';
import { TraceError } from '../trace/error.js';
import { TraceReader } from '../trace/reader.js';
import { budgetFindings, countsOf } from './budgets.js';
import type { Hold } from './config.js';
import { type BootFacts, changedImages, factsOf } from './facts.js';
import { endText, holdTo } from './hold.js';
import type { Counted, Finding } from './report.js';

export interface BootJob {
  readonly options: BootOptions;
  readonly hold: Hold;
  /** How it must end; with success when undefined. */
  readonly end: string | undefined;
  /** Files with symbols of the guest's programs. */
  readonly symbols: readonly string[];
  /** The trace to write. */
  readonly output: string;
  /** The baseline's trace, if there is one. */
  readonly baseline: string | undefined;
}

export interface BootResult {
  /** Undefined when the boot could not be started, or was stopped. */
  readonly facts: BootFacts | undefined;
  readonly interrupted: boolean;
  /** It did not end as it must; such a boot is no baseline. */
  readonly guestFailed: boolean;
  readonly findings: readonly Finding[];
  readonly retimed: string | undefined;
  readonly counts: readonly Counted[];
  readonly changedImages: readonly string[];
}

const NOTHING: BootResult = {
  facts: undefined,
  interrupted: false,
  guestFailed: false,
  findings: [],
  retimed: undefined,
  counts: [],
  changedImages: [],
};

/** Run the boot and hold it to what the job says. */
export async function runBoot(
  job: BootJob,
  onProgress: (cycle: number) => void,
  signal?: StopSignal,
): Promise<BootResult> {
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  let exitCode: number;
  try {
    const { options, output } = job;
    ({ exitCode } = await record({ ...options, output, onProgress, onWarning, ...(signal && { signal }) }));
  } catch (error) {
    if (!isTold(error)) throw error;
    const summary = `the boot cannot be run: ${(error as Error).message}`;
    return { ...NOTHING, guestFailed: true, findings: [{ kind: 'boot', summary, lines: warnings }] };
  }
  if (exitCode === 130) return { ...NOTHING, interrupted: true };
  const now = TraceReader.open(job.output);
  try {
    return await holdBoot(job, now, exitCode, warnings);
  } finally {
    now.close();
  }
}

/** Errors whose message is for people: files that cannot be used, options that cannot be met. */
const isTold = (error: unknown): boolean =>
  error instanceof UserError || error instanceof ImageError || error instanceof TraceError;

async function holdBoot(
  job: BootJob,
  reader: TraceReader,
  exitCode: number,
  warnings: readonly string[],
): Promise<BootResult> {
  const facts = factsOf(reader);
  const expected = job.end;
  const endsWell =
    expected === undefined ? exitCode === 0 : expected === facts.end.reason || expected === endText(facts);
  const wrongEnd = (): Finding => {
    const wanted = expected === undefined ? 'with success' : `by ${expected}`;
    const after = facts.serial.trimEnd().split(/\r*\n/).slice(-6);
    const printed = facts.serial === '' ? [] : ['the last lines it printed:', ...after.map((line) => `| ${line}`)];
    const summary = `the boot ends by ${endText(facts)}, and must end ${wanted}`;
    return { kind: 'end', summary, cycle: facts.metrics.cycles.end, lines: [...warnings, ...printed] };
  };
  if (job.baseline === undefined) {
    const findings = endsWell ? budgetFindings(job.hold.budgets ?? {}, facts.metrics, undefined) : [wrongEnd()];
    return { ...NOTHING, facts, guestFailed: !endsWell, findings, counts: countsOf(facts.metrics, undefined) };
  }
  let before: TraceReader;
  try {
    before = TraceReader.open(job.baseline);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    const message = error.message.replace(job.baseline, relative(process.cwd(), job.baseline));
    const summary = `the baseline cannot be used: ${message}; vmreplay gate --accept writes it again`;
    const findings: Finding[] = [...(endsWell ? [] : [wrongEnd()]), { kind: 'baseline', summary, lines: [] }];
    return { ...NOTHING, facts, guestFailed: !endsWell, findings, counts: countsOf(facts.metrics, undefined) };
  }
  try {
    const baseline = { reader: before, facts: factsOf(before) };
    const verdict = await holdTo(job.hold, baseline, { reader, facts }, job.symbols);
    return {
      ...NOTHING,
      facts,
      guestFailed: !endsWell,
      // That the end is another one than the baseline's is said once.
      findings: endsWell ? verdict.findings : [wrongEnd(), ...verdict.findings.filter(({ kind }) => kind !== 'end')],
      retimed: endsWell ? verdict.retimed : undefined,
      counts: countsOf(facts.metrics, baseline.facts.metrics),
      changedImages: changedImages(baseline.facts, facts),
    };
  } finally {
    before.close();
  }
}
