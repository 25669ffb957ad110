// An explanation for people: verdict, cause, phase and symbol first, then what was booted, the first divergence, the way
// back to its cause, tables, and what differs behind it, folded. Everything comes from the explanation; nothing is read
// here. Long lists are cut, and say so. The text is the same with and without colours.

import { grouped } from '../figures.js';
import { eventLine } from '../trace/event-view.js';
import { colorReport } from './color.js';
import type { DifferenceGroup } from './difference-groups.js';
import type { ChainLink, ComparedTable, Explanation, FirstDifference, Remainder, Retiming } from './explanation.js';
import type { HeaderDifference } from './headers.js';
import { PHASE_NAMES } from './phases.js';
import { siteText } from './site.js';

/** Rows of the summary that are shown. */
const ROWS = 20;
/** Rows that are alike, around one that differs, and rows of a table at most. */
const TABLE_CONTEXT = 1;
const TABLE_ROWS = 24;

export interface FormatOptions {
  /** Terminal colours. Default false. */
  readonly color?: boolean;
  /** Characters a line has room for; longer lines are cut. Default: as long as they are. */
  readonly width?: number;
  /** Lines at most: what matters most comes first, and what is left out is said. Default: all. */
  readonly lines?: number;
}

/** An explanation as text. Ends with a newline. */
export function formatExplanation(explanation: Explanation, options: FormatOptions = {}): string {
  const { color = false, width = Number.POSITIVE_INFINITY, lines: most = Number.POSITIVE_INFINITY } = options;
  let lines = explanationLines(explanation);
  if (lines.length > most) {
    const left = lines.length - most + 1;
    lines = [...lines.slice(0, Math.max(most - 1, 0)), `… ${grouped(left)} more lines`];
  }
  const text = `${lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line)).join('\n')}\n`;
  return color ? colorReport(text) : text;
}

function explanationLines(report: Explanation): string[] {
  const { names } = report;
  const lines = [`A ${names[0]}`, `B ${names[1]}`, ...report.notes.map((note) => `note: ${note}`), ''];
  if (report.handoff) {
    const { handoff } = report;
    const [one, many] = ['The hand-offs differ in 1 field:', `The hand-offs differ in ${handoff.length} fields:`];
    lines.push(handoff.length === 0 ? 'No difference in the hand-off.' : handoff.length === 1 ? one : many);
    lines.push(...handoff.flatMap(headerLines), ...tableLines(report.tables));
    return lines;
  }
  if (report.verdict === 'equal') return [...lines, `No difference in ${grouped(report.agreed)} events.`];
  if (report.verdict === 'retimed') {
    lines.push(retimedLine(report));
    if (report.same) return lines;
  }
  if (report.cause && report.cause.kind !== 'timing') lines.push(...causeLines(report));
  lines.push('');
  if (report.header.length > 0) lines.push('What was booted differs:', ...report.header.flatMap(headerLines));
  if (report.memory) {
    const { address, a, b, image } = report.memory;
    const where = image ? `${image.role} at offset ${image.offset} (guest ${address})` : `guest ${address}`;
    lines.push(`  first differing byte of memory at entry: ${where}, ${byte(a)} in A, ${byte(b)} in B`);
  }
  if (report.header.length > 0 || report.memory) lines.push('');
  if (report.state) {
    const { agreedAt, differAt, index } = report.state;
    const span = `between cycle ${grouped(agreedAt)} and cycle ${grouped(differAt)}`;
    lines.push(`The machine states part ${span} (event ${index}), before the devices show it.`, '');
  }
  if (report.first) lines.push(...firstLines(report.first, report.agreed, report.chain));
  else if (report.cut) lines.push(cutText(report.cut, report.agreed));
  else if (!report.state && !report.memory && report.header.length === 0) {
    lines.push('All events agree, but the final states differ.');
  } else lines.push(`All ${grouped(report.agreed)} events agree.`);
  lines.push(...tableLines(report.tables));
  if (report.first) lines.push(...contextLines(report.first));
  if (report.rest) lines.push('', ...restLines(report.rest, report.groups));
  return lines;
}

function causeLines({ cause, first }: Explanation): string[] {
  const { text, phase, symbol } = cause!;
  const instruction = first?.siteA?.instruction?.text ?? first?.siteB?.instruction?.text;
  const where = [
    phase === null ? undefined : `phase ${PHASE_NAMES[phase]}`,
    symbol === null ? undefined : `symbol ${symbol}`,
    symbol === null && instruction !== undefined ? `instruction ${instruction}` : undefined,
  ].filter((words) => words !== undefined);
  return [`Cause: ${text}`, ...(where.length > 0 ? [`       ${where.join(', ')}`] : [])];
}

function retimedLine({ timing, agreed, rest, groups }: Explanation): string {
  const polls = groups.reduce((sum, { timing: count }) => sum + count, 0);
  const all = agreed + (rest?.equal ?? 0);
  const others = polls === 0 ? '' : `, ${grouped(polls)} polls and interrupts fell elsewhere`;
  return `Only the timing differs: ${grouped(all)} events agree${shiftWords(timing)}${others}.`;
}

function shiftWords(timing: Retiming | null): string {
  if (!timing) return ', from code at other addresses';
  const words = (cycles: number) =>
    cycles === 0 ? 'on time' : `${grouped(Math.abs(cycles))} cycles ${cycles > 0 ? 'later' : 'earlier'}`;
  return `, in B at first ${words(timing.first)}, at the end ${words(timing.last)}`;
}

function cutText(cut: 'a' | 'b' | 'both', agreed: number): string {
  const who = cut === 'both' ? 'both recordings were' : `${cut.toUpperCase()} was`;
  return `The ${grouped(agreed)} events up to there agree, but ${who} cut off: what came then is not known.`;
}

function headerLines({ field, a, b, detail }: HeaderDifference): string[] {
  const suffix = detail === undefined ? '' : ` (${detail})`;
  if (a.length + b.length < 60) return [`  ${field}: ${a} in A, ${b} in B${suffix}`];
  return [`  ${field}${suffix}:`, `    A ${a}`, `    B ${b}`];
}

function firstLines(first: FirstDifference, agreed: number, chain: readonly ChainLink[]): string[] {
  const lines = [`First divergence, after ${grouped(agreed)} events that agree:`];
  for (const [name, event, site] of [
    ['A', first.a, first.siteA],
    ['B', first.b, first.siteB],
  ] as const) {
    if (!event) lines.push(`  ${name} has ended`);
    else {
      lines.push(`  ${name} event ${event.index}, cycle ${grouped(event.cycle)}: ${event.text}`);
      if (site && (name === 'A' || site.at !== first.siteA?.at)) lines.push(`    ${siteText(site)}`);
    }
  }
  if (first.fields.length > 0) lines.push(`  differs in: ${first.fields.join(', ')}`);
  if (first.detail !== undefined) lines.push(`  ${first.detail}`);
  lines.push(...chainLines(chain));
  return lines;
}

function contextLines(first: FirstDifference): string[] {
  const lines: string[] = [''];
  if (first.before.length > 0) lines.push('Before it:', ...first.before.map(eventLine));
  const [a, b] = [first.afterA.map(eventLine), first.afterB.map(eventLine)];
  if (a.length > 0 && a.join() === b.join()) lines.push('After it, in both:', ...a);
  else {
    if (a.length > 0) lines.push('After it, in A:', ...a);
    if (b.length > 0) lines.push('After it, in B:', ...b);
  }
  return lines.length === 1 ? [] : lines;
}

function chainLines(chain: readonly ChainLink[]): string[] {
  if (chain.length === 0) return [];
  const at = ({ cycleA, cycleB }: ChainLink) =>
    cycleA === null && cycleB === null
      ? ''
      : cycleA === cycleB
        ? ` (cycle ${grouped(cycleA!)})`
        : ` (cycle ${cycleA === null ? '-' : grouped(cycleA)} in A, ${cycleB === null ? '-' : grouped(cycleB)} in B)`;
  return [
    'How it came about, backwards:',
    ...chain.flatMap((link) => [
      `  ${link.role}: ${link.text}${at(link)}`,
      ...(link.siteA ? [`    A ${siteText(link.siteA)}`] : []),
      ...(link.siteB && JSON.stringify(link.siteB) !== JSON.stringify(link.siteA)
        ? [`    B ${siteText(link.siteB)}`]
        : []),
    ]),
  ];
}

function tableLines(tables: readonly ComparedTable[]): string[] {
  return tables.flatMap(({ title, columns, rows }) => {
    const near = (i: number) =>
      rows.slice(Math.max(0, i - TABLE_CONTEXT), i + TABLE_CONTEXT + 1).some((r) => r.mark !== '=');
    const shown = rows.filter((_, i) => near(i));
    const cells = shown
      .slice(0, TABLE_ROWS)
      .map(({ mark, a, b }) => [mark, ...(a ?? columns.map(() => '')), '|', ...(b ?? columns.map(() => ''))]);
    const head = [' ', ...columns, '|', ...columns];
    const widths = head.map((word, c) => Math.max(word.length, ...cells.map((row) => row[c]!.length)));
    const line = (row: readonly string[]) => `  ${row.map((cell, c) => cell.padEnd(widths[c]!)).join('  ')}`.trimEnd();
    const left = rows.length - cells.length;
    return [
      '',
      `${title}, A | B:`,
      line(head),
      ...cells.map(line),
      ...(left > 0 ? [`  … ${grouped(left)} other rows`] : []),
    ];
  });
}

function restLines(rest: Remainder, groups: readonly DifferenceGroup[]): string[] {
  const moved = rest.moved === 0 ? '' : `, ${grouped(rest.moved)} have moved`;
  const lines = [
    `The rest: ${grouped(rest.equal)} events agree apart from their time, ${grouped(rest.changed)} have other values, ` +
      `${grouped(rest.onlyA)} are only in A, ${grouped(rest.onlyB)} only in B${moved}; brought together again ${rest.resyncs} times.`,
  ];
  if (groups.length === 0) return lines;
  const column = (text: string | number) => String(text).padStart(9);
  lines.push(`${column('count')}  what      phase                 where`);
  for (const { kind, phase, device, register, count, timing } of groups.slice(0, ROWS)) {
    const what = kind === 'only-a' ? 'only A' : kind === 'only-b' ? 'only B' : kind;
    const time = timing === count ? ' (timing)' : timing > 0 ? ` (${grouped(timing)} of them timing)` : '';
    lines.push(
      `${column(grouped(count))}  ${what.padEnd(9)} ${PHASE_NAMES[phase].padEnd(21)} ${device} ${register}${time}`,
    );
  }
  if (groups.length > ROWS) lines.push(`  … and ${groups.length - ROWS} other groups`);
  return lines;
}

const byte = (value: number): string => `0x${value.toString(16).padStart(2, '0')}`;
