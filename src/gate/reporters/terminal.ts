// A gate's report for people at a terminal: a line a boot, then what went wrong, cut so that all of it fits on a screen.
// Colours are the caller's choice; without them the words say the same.

import { styleText } from 'node:util';
import { type BootReport, type Finding, type GateReport, hasFailed, type Outcome, totals } from '../report.js';

export interface TerminalOptions {
  readonly color?: boolean;
  /** Lines of a screen. Default 30, so that the cause is in a log’s first lines. */
  readonly rows?: number;
  /** Columns; longer lines are cut. Default: as many as there are, for logs. */
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
const ROWS = 30;

export function terminalReport(report: GateReport, options: TerminalOptions = {}): string {
  const { color = false, rows = ROWS, columns = Number.POSITIVE_INFINITY } = options;
  const style = (style: Parameters<typeof styleText>[0], text: string) =>
    color ? styleText(style, text, { validateStream: false }) : text;
  const cut = (text: string) => {
    const line = printable(text);
    return line.length > columns ? `${line.slice(0, columns - 1)}…` : line;
  };
  const failed = report.boots.filter(hasFailed);
  // Of many boots those that held are counted, not listed.
  const isQuiet = ({ outcome }: BootReport) => outcome === 'passed' && report.boots.length > rows / 2;
  const listed = report.boots.filter((boot) => !isQuiet(boot));
  const width = Math.max(0, ...listed.map(({ name }) => name.length));
  const lines: string[] = [];
  const left = rows - listed.length - report.obsolete.length - 2;
  const room = Math.max(1, Math.floor(left / (failed.length || 1)) - 1);
  for (const boot of listed) {
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
  const head = [`${boot.name}: ${first?.summary ?? boot.note}`, ...(first ? facts(first) : [])];
  const last = [...others.map(({ summary }) => `  also: ${summary}`), ...mend(boot)];
  const more = (first?.lines ?? []).map((line) => `  ${line}`);
  const left = Math.max(0, room - head.length - last.length);
  if (more.length > left && left > 0)
    more.splice(left - 1, more.length, `  … ${more.length - left + 1} more lines with --reporter markdown`);
  return [...head, ...more.slice(0, left), ...last].slice(0, room);
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
