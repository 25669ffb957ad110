// Serial output line by line: the first line that differs, and as much as is left after the lines that both have.

import type { Finding } from './report.js';

/** Lines told of each side. */
const TOLD = 4;

/** @param ignore regular expressions; lines that one matches do not count */
export function serialFinding(before: string, now: string, ignore: readonly string[]): Finding | undefined {
  if (before === now) return undefined;
  const patterns = ignore.map((source) => new RegExp(source));
  const lines = (text: string) => {
    const all = text.split(/\r*\n/);
    return all.map((line, i) => ({ line, at: i + 1 })).filter(({ line }) => !patterns.some((p) => p.test(line)));
  };
  const [a, b] = [lines(before), lines(now)];
  let at = 0;
  while (at < a.length && at < b.length && a[at]!.line === b[at]!.line) at++;
  if (at === a.length && at === b.length) return undefined;
  const [x, y] = [a[at], b[at]];
  const quoted = (text: string) => JSON.stringify(text.length > 160 ? `${text.slice(0, 160)}…` : text);
  const summary = !y
    ? `the serial output ends before ${quoted(x!.line)}`
    : !x
      ? `the serial output goes on with ${quoted(y.line)}`
      : `serial line ${y.at} is ${quoted(y.line)}, in the baseline ${quoted(x.line)}`;
  const rest = [
    ...a.slice(at, at + TOLD).map(({ line }) => `- ${line}`),
    ...b.slice(at, at + TOLD).map(({ line }) => `+ ${line}`),
  ];
  return { kind: 'serial', summary, lines: rest };
}
