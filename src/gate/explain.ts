// Findings about events, in words. The explanation is made where both traces are at hand, right after the boot, so that a
// report never needs them.

import type { DiffReport } from '../diff/diff.js';
import { diffText } from '../diff/report-text.js';
import { reportSite, siteText } from '../diff/site.js';
import { number } from '../trace/inspect.js';
import { type BootFacts, changedImages } from './facts.js';
import type { Side } from './hold.js';
import type { Finding } from './report.js';
import type { UntimedResult } from './untimed.js';

/** Lines of an explanation that are kept. */
const MAX_LINES = 60;

/** The first divergence of two traces and what is behind it. */
export function eventsFinding(report: DiffReport, baseline: Side, now: Side): Finding {
  const { first, memory, state } = report;
  const site = first?.siteB ?? first?.siteA ?? undefined;
  const cause = memory?.image
    ? `byte ${memory.image.offset} of the ${memory.image.role}`
    : (first?.detail ?? changedImages(baseline.facts, now.facts)[0]);
  const summary = first
    ? `${first.b ? first.b.text : 'nothing more'} where the baseline has ${first.a ? first.a.text : 'nothing more'}`
    : memory
      ? `the guest found other bytes in memory, at ${memory.address} first`
      : state
        ? `the machine's state is another one between cycle ${number(state.agreedAt)} and ${number(state.differAt)}`
        : 'all events agree, but the final state of the machine is another one';
  const text = diffText(report, ['the baseline', 'this boot']).trimEnd().split('\n');
  return {
    kind: 'events',
    summary,
    cause,
    symbol: site?.symbol,
    cycle: first?.b?.cycle ?? first?.a?.cycle,
    lines: text.slice(0, MAX_LINES),
  };
}

/** Two events of one device that are not the same, whenever they come. */
export function untimedFinding({ first, compared }: UntimedResult, baseline: Side, now: Side): Finding {
  const { a, b, detail } = first!;
  const site = b ? reportSite(now.reader, b.event) : reportSite(baseline.reader, a!.event);
  const text = (side: typeof a) => side?.meaning.text ?? 'nothing more';
  return {
    kind: 'events',
    summary: `${text(b)} where the baseline has ${text(a)}, whatever the time`,
    cause: detail,
    symbol: site.symbol,
    cycle: (b ?? a)!.event.cycle,
    lines: [siteText(site), `${number(compared)} events before and beside it agree`],
  };
}

/** That only the time of events changed. */
export function retimedNote({ moved, compared }: UntimedResult, a: BootFacts, b: BootFacts): string {
  const longer = b.metrics.cycles.end! - a.metrics.cycles.end!;
  const length = longer === 0 ? 'as long' : `${number(Math.abs(longer))} cycles ${longer > 0 ? 'longer' : 'shorter'}`;
  return `only timing changed: ${number(moved)} of ${number(compared)} events come at other cycles, the boot is ${length}`;
}
