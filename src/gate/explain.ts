// Findings about events, in words. The explanation is made where both traces are at hand, right after the boot, so that a
// report never needs them.

import type { Explanation } from '../diff/explanation.js';
import { formatExplanation } from '../diff/format.js';
import { PHASE_NAMES } from '../diff/phases.js';
import { grouped } from '../figures.js';
import type { BootFacts } from './facts.js';
import type { Finding } from './report.js';

/** Lines of an explanation that are kept. */
const MAX_LINES = 80;

/** What differs between baseline (A) and boot (B), and what is behind it. */
export function eventsFinding(explanation: Explanation): Finding {
  const { first, cause } = explanation;
  const site = first?.siteB ?? first?.siteA;
  return {
    kind: 'events',
    summary: summary(explanation),
    cause: cause?.text.replaceAll(/\bin A\b/g, 'in the baseline').replaceAll(/\bin B\b/g, 'now'),
    phase: phaseText(explanation),
    symbol: cause?.symbol ?? site?.symbol,
    cycle: first?.b?.cycle ?? first?.a?.cycle,
    lines: linesOf(explanation),
  };
}

/** Where it is seen, and where it begins when that is elsewhere. */
function phaseText({ first, cause }: Explanation): string | undefined {
  const [seen, begun] = [first?.phaseB ?? first?.phaseA, cause?.phase];
  if (seen && begun && seen !== begun) return `${PHASE_NAMES[seen]}, begun in ${PHASE_NAMES[begun]}`;
  const phase = seen ?? begun;
  return phase ? PHASE_NAMES[phase] : undefined;
}

function summary({ first, memory, state }: Explanation): string {
  if (first) {
    const [a, b] = [first.a?.text ?? 'nothing more', first.b?.text ?? 'nothing more'];
    if (a !== b) return `${b} where the baseline has ${a}`;
    return first.fields.includes('data') || first.fields.includes('value')
      ? `${b} with other data than the baseline's`
      : `${b} at cycle ${grouped(first.b!.cycle)}, in the baseline at ${grouped(first.a!.cycle)}`;
  }
  if (memory) return `the guest found other bytes in memory than in the baseline, at ${memory.address} first`;
  if (!state) return 'all events agree, but the final state of the machine is another one';
  const span = `between cycle ${grouped(state.agreedAt)} and ${grouped(state.differAt)}`;
  return `the state of the machine parts from the baseline's ${span}`;
}

/** The explanation without what the report has said already: file names, cause, phase. */
function linesOf(explanation: Explanation): string[] {
  const named = { ...explanation, names: ['the baseline', 'this boot'] as const, cause: null };
  const lines = formatExplanation(named).trimEnd().split('\n');
  const kept = lines.slice(lines[0]?.startsWith('A ') ? 2 : 0);
  while (kept[0] === '') kept.shift();
  return ['A is the baseline, B this boot.', ...kept].slice(0, MAX_LINES);
}

/** That only the time of events changed. */
export function retimedNote({ agreed, rest, timing }: Explanation, a: BootFacts, b: BootFacts): string {
  const longer = b.metrics.cycles.end! - a.metrics.cycles.end!;
  const cycles = (n: number) => `${grouped(Math.abs(n))} cycles`;
  const length = longer === 0 ? 'as long' : `${cycles(longer)} ${longer > 0 ? 'longer' : 'shorter'}`;
  const first = timing ? `, first by ${cycles(timing.first)}` : '';
  return `only timing changed: ${grouped(agreed + (rest?.equal ?? 0))} events agree${first}, the boot is ${length}`;
}
