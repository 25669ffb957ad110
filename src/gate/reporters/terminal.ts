// A gate's report for people at a terminal: a line a boot, then what went wrong, cut so that all of it fits on a screen.
// Colours are the caller's choice; without them the words say the same.

import { styleText } from 'node:util';
import { type BootReport, type Finding, type GateReport, hasFailed, type Outcome, totals } from '../report.js';

export interface TerminalOptions {
  readonly color?: boolean;
  /** Lines of a screen. Default 30, so that the cause is in a log’s first lines. */
  readonly rows?: number;
  /** Columns; longer lines are cut. Default 160. */
  readonly columns?: number;
}

const MARKS: Readonly<Record<Outcome, readonly [string, 'green' | 'red' | 'yellow']>> = {
  passed: ['ok', 'green'],
  retimed: ['ok', 'green'],
  accepted: ['ok', 'green'],
  failed: ['FAILED', 'red'],
  missing: ['FAILED', 'red'],
  unreadable: ['FAILED', 'red'],
  interrupted: ['stopped', 'yellow'],
};
/** Lines that a failed boot gets at least. */
const FEWEST = 6;
const ROWS = 30;
const COLUMNS = 160;

export function terminalReport(report: GateReport, options: TerminalOptions = {}): string {
  const { color = false, rows = ROWS, columns = COLUMNS } = options;
  const style = (style: Parameters<typeof styleText>[0], text: string) =>
    color ? styleText(style, text, { validateStream: false }) : text;
  const cut = (text: string) => {
    const line = printable(text);
    return line.length > columns ? `${line.slice(0, columns - 1)}…` : line;
  };
  const failed = report.boots.filter(hasFailed);
  const width = Math.max(0, ...report.boots.map(({ name }) => name.length));
  const lines: string[] = [];
  const room = Math.max(
    FEWEST,
    Math.floor((rows - report.boots.length - report.obsolete.length - 4) / (failed.length || 1)),
  );
  for (const boot of report.boots) {
    const [mark, tint] = MARKS[boot.outcome];
    const note = hasFailed(boot) ? boot.outcome : boot.note;
    const head = `${mark.padEnd(8)}${boot.name.padEnd(width)}  `;
    const line = cut(`${head}${note}, ${boot.seconds.toFixed(1)} s`);
    lines.push(style(tint, line.slice(0, head.length)) + line.slice(head.length));
  }
  for (const { name, file } of report.obsolete) {
    const line = cut(`FAILED  ${name}  ${file} is the baseline of a boot that there is not; --accept removes it`);
    lines.push(style('red', line.slice(0, 8)) + line.slice(8));
  }
  for (const boot of failed)
    lines.push(
      '',
      ...failure(boot, room)
        .map(cut)
        .map((line, i) => (i === 0 ? style('bold', line) : line)),
    );
  lines.push('', totals(report));
  return `${lines.join('\n')}\n`;
}

/** What a guest printed must not steer the terminal. */
export const printable = (text: string): string =>
  text.replaceAll(/\p{Control}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);

/** What happened to a boot, in at most `room` lines: the first finding in full, of the others the sentence. */
function failure(boot: BootReport, room: number): string[] {
  const [first, ...others] = boot.findings;
  const lines = [`${boot.name}: ${first?.summary ?? boot.note}`];
  if (first) lines.push(...facts(first));
  const last = [...others.map(({ summary }) => `  also: ${summary}`), ...mend(boot)];
  const left = Math.max(2, room - lines.length - last.length);
  const more = first?.lines ?? [];
  lines.push(...more.slice(0, left).map((line) => `  ${line}`));
  if (more.length > left) lines.push(`  … ${more.length - left} more lines with --reporter markdown`);
  return [...lines, ...last];
}

/** Cause, phase and symbol, where they are known. */
function facts({ cause, phase, symbol, cycle }: Finding): string[] {
  const parts = [
    cause && `cause: ${cause}`,
    phase && `phase: ${phase}`,
    symbol && `symbol: ${symbol}`,
    cycle !== undefined && `cycle: ${cycle}`,
  ].filter((part) => part);
  const short = parts.join('  ');
  return parts.length === 0 ? [] : short.length < 110 ? [`  ${short}`] : parts.map((part) => `  ${part}`);
}

/** Findings that a new baseline would settle. */
const SETTLED: readonly Finding['kind'][] = ['machine', 'end', 'events', 'handoff', 'serial'];

function mend({ name, outcome, trace, baseline, findings }: BootReport): string[] {
  if (outcome !== 'failed' || trace === null) return [];
  const settled = baseline !== null && findings.every(({ kind }) => SETTLED.includes(kind));
  return [`  its trace: ${trace}${settled ? `; if this is meant: vmreplay gate --accept ${name}` : ''}`];
}
