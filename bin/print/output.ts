// Where results, progress and errors go: results to stdout, progress to stderr and only on a terminal, errors to
// stderr as one sentence. Colour only on a terminal and never with NO_COLOR.

import { styleText } from 'node:util';

/** Options every verb has. */
export interface OutputOptions {
  quiet?: boolean;
  /** Where results go; stdout when absent. */
  stream?: NodeJS.WriteStream;
}

type Style = Parameters<typeof styleText>[0];

/** Whether a stream shows colours: a terminal that has them, NO_COLOR unset or empty (no-color.org). */
export function hasColor(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && stream.hasColors();
}

/** Text in a colour, or as it is when the stream, stdout as a rule, shows none. */
export function colored(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return hasColor(stream) ? styleText(style, text) : text;
}

/** A result, one line or several; nothing with --quiet. */
export function print({ quiet, stream = process.stdout }: OutputOptions, text: string): void {
  if (!quiet) stream.write(`${text.trimEnd()}\n`);
}

/** A sentence on stderr; --quiet does not silence what went wrong. */
export function complain(sentence: string): void {
  process.stderr.write(`vmreplay: ${sentence}\n`);
}

const CLEAR_LINE = '\r\x1b[K';

/** A line on stderr that the next one overwrites; only on a terminal. */
export class Progress {
  private readonly shown: boolean;

  constructor(options: OutputOptions) {
    // A stream that nobody needs is not made.
    this.shown = !options.quiet && process.stderr.isTTY === true;
  }

  /** Replace the line. */
  show(text: string): void {
    if (this.shown) process.stderr.write(`${CLEAR_LINE}${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  /** Take the line away, before something else is printed. */
  clear(): void {
    if (this.shown) process.stderr.write(CLEAR_LINE);
  }
}

/** JSON with what JSON lacks: bigint as a hexadecimal string, bytes as hexadecimal digits. */
export function json(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, item) => {
      if (typeof item === 'bigint') return `0x${item.toString(16)}`;
      if (item instanceof Uint8Array) return Buffer.from(item).toString('hex');
      // A Buffer has been through its own toJSON by the time it comes here.
      if (item?.type === 'Buffer' && Array.isArray(item.data)) return Buffer.from(item.data).toString('hex');
      return item;
    },
    indent,
  );
}
