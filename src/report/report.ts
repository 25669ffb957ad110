// `vmreplay view`: one trace or two as a page that needs nothing but itself. Two traces are compared first, so that each
// replay can stop at the divergence. The file appears whole under its name or not at all.

import { basename } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { readSymbols } from '../api/symbol-files.js';
import { explainDivergence } from '../api/traces.js';
import { UserError } from '../api/user-error.js';
import type { FirstDifference } from '../diff/explanation.js';
import { formatExplanation } from '../diff/format.js';
import { systemReason } from '../trace/error.js';
import { TraceReader } from '../trace/reader.js';
import { writeWhole } from '../whole-file.js';
import { pageHtml } from './html.js';
import { pageSource } from './page-source.js';
import type { DifferenceView } from './payload.js';
import { type TracePart, tracePart } from './trace-part.js';

/** Events that are shown on both sides of a difference. */
const CONTEXT = 8;

export interface ViewOptions {
  /** The page to write. */
  readonly output: string;
  /** ELF files or System.maps with the names of the guest's functions. */
  readonly symbols?: readonly string[];
  /** Cycles between two processor samples; chosen by the boot's length when absent. */
  readonly interval?: number;
  /** Leave out what needs a replay: samples, registers. */
  readonly noReplay?: boolean;
  readonly onProgress?: (text: string) => void;
}

export interface ViewResult {
  /** Bytes of the page. */
  readonly bytes: number;
  /** Events of each trace. */
  readonly events: readonly number[];
}

/**
 * Write a page that shows one trace, or two and what they disagree about.
 * @throws TraceError when a trace cannot be read, UserError when the page cannot be written
 */
export async function view(
  files: readonly [string] | readonly [string, string],
  options: ViewOptions,
): Promise<ViewResult> {
  const { symbols = [], noReplay = false } = options;
  const tables = symbols.map(readSymbols);
  const readers: TraceReader[] = [];
  try {
    for (const file of files) readers.push(TraceReader.open(file, { partial: true }));
    const [a, b] = files;
    if (b !== undefined) options.onProgress?.('comparing');
    const explanation =
      b === undefined
        ? undefined
        : await explainDivergence(a, b, { context: CONTEXT, symbols, ...(noReplay && { replayLimit: 0 }) });
    const parts: TracePart[] = [];
    for (const [n, reader] of readers.entries()) {
      const stopAt = explanation?.first ? cycleOf(explanation.first, n) : undefined;
      const { interval } = options;
      const onProgress = (text: string) => options.onProgress?.(`${basename(reader.path)}: ${text}`);
      parts.push(await tracePart(reader, { symbols: tables, interval, noReplay, stopAt, onProgress }));
    }
    options.onProgress?.('writing the page');
    const names = files.map((file) => basename(file));
    const data = parts.map(({ payload }, n) => ({ id: `trace-${n}`, data: deflateRawSync(payload, { level: 9 }) }));
    if (explanation) {
      const { first } = explanation;
      const view: DifferenceView = {
        explanation,
        report: formatExplanation(explanation).trimEnd().split('\n'),
        index: first ? (first.a?.index ?? first.b?.index ?? explanation.agreed) : null,
        machines: parts.map(({ machine }) => machine ?? null),
      };
      data.push({ id: 'difference', data: deflateRawSync(JSON.stringify(view), { level: 9 }) });
    }
    const html = pageHtml(`${names.join(' · ')} – vmreplay`, await pageSource(), data);
    try {
      writeWhole(options.output, html);
    } catch (error) {
      throw new UserError(`${options.output}: cannot be written: ${systemReason(error)}; choose another place with -o`);
    }
    return { bytes: Buffer.byteLength(html), events: parts.map(({ head }) => head.events) };
  } finally {
    for (const reader of readers) reader.close();
  }
}

const cycleOf = ({ a, b }: FirstDifference, side: number): number | undefined =>
  (side === 0 ? (a ?? b) : (b ?? a))?.cycle;
