// A diff report for people: the cause on the first screen, then the first divergence, then the summary of the rest.
// Everything comes from the report; nothing is read here. Long lists are cut, and say so.
// No colours: the text goes into logs and issues.

import { eventLine } from '../trace/event-view.js';
import { number } from '../trace/inspect.js';
import type { Remainder } from './align.js';
import type { DiffReport, FirstDifference } from './diff.js';
import type { HeaderDifference } from './headers.js';
import { siteText } from './site.js';

/** Rows of the summary that are shown. */
const ROWS = 20;

/** @param names what A and B are called, their file names as a rule */
export function diffText(report: DiffReport, names: readonly [string, string]): string {
  const lines = [`A ${names[0]}`, `B ${names[1]}`, ...report.notes.map((note) => `note: ${note}`), ''];
  if (report.handoff) {
    const { handoff } = report;
    const [one, many] = ['The hand-offs differ in 1 field:', `The hand-offs differ in ${handoff.length} fields:`];
    lines.push(handoff.length === 0 ? 'No difference in the hand-off.' : handoff.length === 1 ? one : many);
    lines.push(...handoff.flatMap(headerLines));
    return `${lines.join('\n')}\n`;
  }
  if (report.same) {
    lines.push(`No difference in ${number(report.agreed)} events.`);
    return `${lines.join('\n')}\n`;
  }
  if (report.header.length > 0) lines.push('What was booted differs:', ...report.header.flatMap(headerLines));
  if (report.memory) {
    const { address, a, b, image } = report.memory;
    const where = image ? `${image.role} at offset ${image.offset} (guest ${address})` : `guest ${address}`;
    lines.push(`  first differing byte of memory at entry: ${where}, ${byte(a)} in A, ${byte(b)} in B`);
  }
  if (report.header.length > 0 || report.memory) lines.push('');
  if (report.state) {
    const { agreedAt, differAt, index } = report.state;
    const span = `between cycle ${number(agreedAt)} and cycle ${number(differAt)}`;
    lines.push(`The machine states part ${span} (event ${index}), before the devices show it.`, '');
  }
  if (report.first) lines.push(...firstLines(report.first, report.agreed));
  else if (report.cut) lines.push(cutText(report.cut, report.agreed));
  else if (!report.state && !report.memory && report.header.length === 0) {
    lines.push('All events agree, but the final states differ.');
  } else lines.push(`All ${number(report.agreed)} events agree.`);
  if (report.rest) lines.push('', ...restLines(report.rest));
  return `${lines.join('\n')}\n`;
}

function cutText(cut: 'a' | 'b' | 'both', agreed: number): string {
  const who = cut === 'both' ? 'both recordings were' : `${cut.toUpperCase()} was`;
  return `The ${number(agreed)} events up to there agree, but ${who} cut off: what came then is not known.`;
}

function headerLines({ field, a, b, detail }: HeaderDifference): string[] {
  const suffix = detail === undefined ? '' : ` (${detail})`;
  if (a.length + b.length < 60) return [`  ${field}: ${a} in A, ${b} in B${suffix}`];
  return [`  ${field}${suffix}:`, `    A ${a}`, `    B ${b}`];
}

function firstLines(first: FirstDifference, agreed: number): string[] {
  const lines = [`First divergence, after ${number(agreed)} events that agree:`];
  for (const [name, event, site] of [
    ['A', first.a, first.siteA],
    ['B', first.b, first.siteB],
  ] as const) {
    if (!event) lines.push(`  ${name} has ended`);
    else {
      lines.push(`  ${name} event ${event.index}, cycle ${number(event.cycle)}: ${event.text}`);
      if (site && (name === 'A' || site.at !== first.siteA?.at)) lines.push(`    ${siteText(site)}`);
    }
  }
  if (first.fields.length > 0) lines.push(`  differs in: ${first.fields.join(', ')}`);
  if (first.detail !== undefined) lines.push(`  ${first.detail}`);
  if (first.before.length > 0) lines.push('Before it:', ...first.before.map(eventLine));
  if (first.afterA.length > 0) lines.push('After it, in A:', ...first.afterA.map(eventLine));
  if (first.afterB.length > 0) lines.push('After it, in B:', ...first.afterB.map(eventLine));
  return lines;
}

function restLines(rest: Remainder): string[] {
  const lines = [
    `The rest: ${number(rest.equal)} events agree apart from their time, ${number(rest.changed)} have other values, ` +
      `${number(rest.onlyA)} are only in A, ${number(rest.onlyB)} only in B; brought together again ${rest.resyncs} times.`,
  ];
  if (rest.registers.length === 0) return lines;
  const column = (text: string | number) => String(text).padStart(9);
  lines.push(`${column('changed')}${column('only A')}${column('only B')}  where`);
  for (const row of rest.registers.slice(0, ROWS)) {
    lines.push(`${column(row.changed)}${column(row.onlyA)}${column(row.onlyB)}  ${row.device} ${row.register}`);
  }
  if (rest.registers.length > ROWS) lines.push(`  … and ${rest.registers.length - ROWS} other registers`);
  return lines;
}

const byte = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;
