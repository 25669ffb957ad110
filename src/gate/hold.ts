// Holds a boot to its baseline: what the configuration names is compared, and everything that differs is a finding.
// How the boot ended and how it was asked for count in any case; images may change as long as nothing follows from it.

import { explainDivergence } from '../api/traces.js';
import { diffTraces } from '../diff/diff.js';
import { grouped } from '../figures.js';
import { diffHandoff, pairHandoffs } from '../trace/handoff.js';
import type { TraceReader } from '../trace/reader.js';
import { budgetFindings } from './budgets.js';
import type { EventSelection, HandoffHold, Hold, SerialHold } from './config.js';
import { eventsFinding, retimedNote } from './explain.js';
import { type BootFacts, bootedDifferently } from './facts.js';
import type { Finding } from './report.js';
import { serialFinding } from './serial.js';

const TIMING = 'timing';
/** Fields of a hand-off that are told. */
const MAX_FIELDS = 12;

/** One side: a trace and what is known of it. */
export interface Side {
  readonly reader: TraceReader;
  readonly facts: BootFacts;
}

export interface Verdict {
  readonly findings: readonly Finding[];
  /** In one phrase, when only the time of events changed and that was to be ignored. */
  readonly retimed?: string | undefined;
}

/**
 * @param symbols files with symbols of the guest's programs, for the words of a failure
 * @throws TraceError, UserError
 */
export async function holdTo(hold: Hold, baseline: Side, now: Side, symbols: readonly string[] = []): Promise<Verdict> {
  const booted = bootedDifferently(baseline.reader, now.reader);
  if (booted.length > 0) {
    const lines = booted.map(({ field, a, b }) => `${field}: ${a} in the baseline, ${b} now`);
    const summary = `this boot is asked for in another way than the baseline: ${lines[0]}; accept it if that is meant`;
    return { findings: [{ kind: 'machine', summary, lines: lines.slice(1) }] };
  }
  const findings: Finding[] = [];
  const [x, y] = [endText(baseline.facts), endText(now.facts)];
  if (x !== y) findings.push({ kind: 'end', summary: `the boot ends by ${y}, the baseline by ${x}`, lines: [] });
  let retimed: string | undefined;
  const selection: EventSelection = hold.events === true || !hold.events ? {} : hold.events;
  // Who names events wants to hear when there are none; otherwise equal roots are equal boots.
  if (hold.events && (selection.only || baseline.facts.root !== now.facts.root)) {
    const result = await heldEvents(selection, baseline, now, symbols);
    if (typeof result === 'string') retimed = result;
    else if (result) findings.push(result);
  }
  if (hold.handoff) findings.push(...heldHandoff(hold.handoff === true ? {} : hold.handoff, baseline.facts, now.facts));
  if (hold.serial) {
    const { ignore = [] }: SerialHold = hold.serial === true ? {} : hold.serial;
    const finding = serialFinding(baseline.facts.serial, now.facts.serial, ignore);
    if (finding) findings.push(finding);
  }
  findings.push(...budgetFindings(hold.budgets ?? {}, now.facts.metrics, baseline.facts.metrics));
  return { findings, retimed: findings.length === 0 ? retimed : undefined };
}

export const endText = ({ end: { reason, code } }: BootFacts): string => (code === null ? reason : `${reason} ${code}`);

/** A finding; a phrase where only timing changed, and that does not count; undefined where nothing did. */
async function heldEvents(
  selection: EventSelection,
  baseline: Side,
  now: Side,
  symbols: readonly string[],
): Promise<Finding | string | undefined> {
  const { only, ignore } = selection;
  const filter = { ...(only && { only }), ...(ignore && { ignore }) };
  const explanation = diffTraces(baseline.reader, now.reader, filter);
  const { first, memory, state, timing, verdict } = explanation;
  // Looking for the cause takes replaying both, so it is done for what failed alone.
  const explained = async () =>
    eventsFinding(await explainDivergence(baseline.reader.path, now.reader.path, { ...filter, symbols }));
  if (only && !first && explanation.agreed === 0) {
    const summary = `hold.events.only names nothing that this boot does: ${only.join(', ')}; mend the configuration`;
    return { kind: 'boot', summary, lines: [] };
  }
  if (selection.ignore?.includes(TIMING)) {
    if (first && verdict !== 'retimed') return explained();
    const shifted = verdict === 'retimed' || timing !== null;
    return shifted ? retimedNote(explanation, baseline.facts, now.facts) : undefined;
  }
  const whole = !selection.only && !selection.ignore;
  const states = memory !== null || state !== null || baseline.facts.state !== now.facts.state;
  return first || (whole && states) ? explained() : undefined;
}

function heldHandoff({ ignore = [] }: HandoffHold, a: BootFacts, b: BootFacts): Finding[] {
  const ignored = (field: string) => ignore.some((name) => field === name || field.startsWith(`${name}.`));
  const count = (n: number) =>
    n === 0 ? 'no kernel is entered' : n === 1 ? '1 kernel is entered' : `${n} are entered`;
  if (a.handoffs.length !== b.handoffs.length) {
    const summary = `${count(b.handoffs.length)}, and in the baseline ${count(a.handoffs.length)}`;
    return [{ kind: 'handoff', summary, lines: [] }];
  }
  return pairHandoffs(a.handoffs, b.handoffs).flatMap(([x, y]): Finding[] => {
    const fields = diffHandoff(x, y).filter(({ field }) => !ignored(field));
    const [first] = fields;
    if (!first) return [];
    const told = fields.map(({ field, a: p, b: q }) => `${field}: ${p} in the baseline, ${q} now`);
    const rest = told.slice(1, MAX_FIELDS);
    if (told.length > MAX_FIELDS) rest.push(`and ${grouped(told.length - MAX_FIELDS)} more fields`);
    const summary = `the hand-off by ${y.protocol} differs: ${told[0]}`;
    return [{ kind: 'handoff', summary, cause: first.field, phase: 'loader', cycle: y.cycle, lines: rest }];
  });
}
