// A divergence of a replay, with what the trace knows around it: what the expected and the actual event mean, the
// instruction, and the events before and after. Reads the trace once more, up to the divergence.

import type { Divergence, EventField } from '../replay/divergence.js';
import { type EventView, eventLine, eventView } from '../trace/event-view.js';
import type { TraceReader } from '../trace/reader.js';
import { Semantics } from '../trace/semantic/semantics.js';
import { dataDetail } from './data-detail.js';
import { type ReportSite, reportSite, siteText } from './site.js';

/** A divergence for people and for JSON. */
export interface DivergenceReport {
  /** One sentence. */
  readonly summary: string;
  readonly index: number;
  readonly cycle: number;
  readonly site: ReportSite;
  /** What the trace has; null when it is over. */
  readonly expected: EventView | null;
  /** What the guest or device did instead; null when nothing. */
  readonly actual: EventView | null;
  readonly fields: readonly EventField[];
  /** The first byte that differs, and the structure field it belongs to. */
  readonly detail?: string;
  readonly before: readonly EventView[];
  /** What the trace has after the expected event. */
  readonly after: readonly EventView[];
}

/** @param context events shown before and after */
export function explainReplay(reader: TraceReader, found: Divergence, context = 5): DivergenceReport {
  const recorded = new Semantics();
  const replayed = new Semantics();
  const before: EventView[] = [];
  const after: EventView[] = [];
  let expected: EventView | null = null;
  let actual: EventView | null = null;
  let detail: string | undefined;
  const explainActual = () => found.actual && { event: found.actual, meaning: replayed.next(found.actual) };
  for (const event of reader.events()) {
    if (event.index > found.index + context) break;
    const meaning = recorded.next(event);
    if (event.index < found.index) {
      replayed.next(event);
      if (event.index >= found.index - context) before.push(eventView(event, meaning));
    } else if (event.index > found.index) {
      after.push(eventView(event, meaning));
    } else {
      const instead = explainActual();
      expected = eventView(event, meaning);
      actual = instead ? eventView({ ...instead.event, index: found.index }, instead.meaning) : null;
      if (instead) detail = dataDetail({ event, meaning }, instead, ['the trace', 'this run']);
    }
  }
  if (!expected && found.actual) {
    const instead = explainActual()!;
    actual = eventView({ ...instead.event, index: found.index }, instead.meaning);
  }
  const { summary, index, cycle, fields } = found;
  const site = reportSite(reader, found, found.code);
  return { summary, index, cycle, site, expected, actual, fields, ...(detail && { detail }), before, after };
}

/** The report as text. */
export function divergenceText(report: DivergenceReport): string {
  const { expected, actual } = report;
  const lines = [
    `divergence at event ${report.index}, cycle ${report.cycle}: ${report.summary}`,
    `  ${siteText(report.site)}`,
    `  the trace: ${expected ? `cycle ${expected.cycle}, ${expected.text}` : 'has ended'}`,
    `  this run:  ${actual ? `cycle ${actual.cycle}, ${actual.text}` : 'nothing'}`,
  ];
  if (report.fields.length > 0) lines.push(`  differs in: ${report.fields.join(', ')}`);
  if (report.detail !== undefined) lines.push(`  ${report.detail}`);
  if (report.before.length > 0) lines.push('before it:', ...report.before.map(eventLine));
  if (report.after.length > 0) lines.push('after it, in the trace:', ...report.after.map(eventLine));
  return `${lines.join('\n')}\n`;
}
