// What people read about a run that has ended: how, after how many cycles, how big the trace is.

import { grouped, sizeText } from '../../src/figures.js';
import { colored } from './output.js';

/** The part of a run's result that is shown. */
export interface RunFigures {
  end: { reason: string; code?: number | undefined };
  cycles: number;
  instructions: number;
  events: number;
  exitCode: number;
}

/** `poweroff`, `debug-exit 85`. */
export function endText(end: { reason: string; code?: number | null | undefined }): string {
  return end.code === undefined || end.code === null ? end.reason : `${end.reason} ${end.code}`;
}

/** `poweroff after 1,234 cycles, 1,000 instructions, 55 events`. */
export function runText(result: RunFigures, stream: NodeJS.WriteStream = process.stdout): string {
  const end = colored(result.exitCode === 0 ? 'green' : 'red', endText(result.end), stream);
  const counts = `${grouped(result.cycles)} cycles, ${grouped(result.instructions)} instructions`;
  return `${end} after ${counts}, ${grouped(result.events)} events`;
}

/** Two lines about a written trace. */
export function traceText(
  file: string,
  result: RunFigures & { bytes: number; root: string },
  stream: NodeJS.WriteStream = process.stdout,
): string {
  return `${runText(result, stream)}\n${file}: ${sizeText(result.bytes)}, root ${result.root}`;
}
