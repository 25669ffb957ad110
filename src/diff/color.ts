// Colours for the reports on a terminal: what differs stands out, the two sides keep a colour each. Reports are made
// as plain text and coloured line by line afterwards, so that the text is the same with and without.

const STYLES = { bold: '\x1b[1m', red: '\x1b[31m', green: '\x1b[32m' } as const;
const RESET = '\x1b[0m';

/** First match wins. A and the trace are the norm, and green; B and this run are what departs from it. */
const LINES: readonly (readonly [RegExp, keyof typeof STYLES])[] = [
  [/^(No difference|Only the timing differs)/, 'green'],
  [
    /^(Cause:|What was booted differs|First divergence|The machine states part|divergence at|All events agree, but)/,
    'bold',
  ],
  [/^ {0,4}(A|the trace:) /, 'green'],
  [/^ {0,4}(B|this run:) /, 'red'],
];

/** A report of this folder with terminal colours (ECMA-48 SGR). */
export function colorReport(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      const style = LINES.find(([pattern]) => pattern.test(line))?.[1];
      return style === undefined ? line : `${STYLES[style]}${line}${RESET}`;
    })
    .join('\n');
}
