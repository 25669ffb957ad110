// Any error as one sentence for people. The library's own errors bring their sentence; what the operating system says
// about a file is put into words; anything else is a fault of this program and says so.

import { REASONS } from '../../src/trace/error.js';

/** Errors of the library whose message is written for people; UserError shows itself by its exit status. */
const TOLD = new Set(['FetchError', 'ImageError', 'TraceError']);

/** What commander says about bad usage, as one sentence. */
export function usageSentence(text: string): string {
  return text
    .trim()
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/^option '(\S+?)(?:,? .*?)?' argument '(.*)' is invalid\. /s, "$1 '$2': ")
    .replace(/\. Expected (\d+) arguments? but got (\d+)\.$/, ': $1 expected, $2 given')
    .replace(/\.$/, '');
}

/** One line; with VMREPLAY_DEBUG set, the stack behind it. */
export function sentence(error: unknown): string {
  const stack = process.env.VMREPLAY_DEBUG && error instanceof Error ? `\n${error.stack}` : '';
  return `${told(error).replaceAll(/\s*\n\s*/g, ' ')}${stack}`;
}

function told(error: unknown): string {
  if (!(error instanceof Error)) return `internal error: ${String(error)}`;
  if (TOLD.has(error.name) || 'exitCode' in error) return error.message;
  const { code, path } = error as NodeJS.ErrnoException;
  const reason = REASONS[code ?? ''];
  if (reason) return path ? `${path}: ${reason}` : `a file cannot be used: ${reason}`;
  return `internal error: ${error.message} (VMREPLAY_DEBUG=1 shows where)`;
}
