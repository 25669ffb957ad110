// Reading traces: comparison and inspection, for programs and for people. Files are opened for one call and closed
// after it, also when it fails. A recording that was cut off is read as far as it goes.
// The work is done in trace/ and diff/; here are the options and the texts.

import { colorReport } from '../diff/color.js';
import { explainTraces } from '../diff/explain.js';
import type { Explanation } from '../diff/explanation.js';
import { formatExplanation } from '../diff/format.js';
import type { Sides } from '../diff/parting.js';
import type { OpenProbe } from '../diff/probe.js';
import { divergenceText, explainReplay } from '../diff/replay-report.js';
import type { Divergence } from '../replay/divergence.js';
import type { EventView } from '../trace/event-view.js';
import { type HandoffView, handoffsOf, handoffText } from '../trace/handoff.js';
import {
  type Inspection,
  inspectionText,
  inspect as inspectTrace,
  listEvents,
  type Selection,
} from '../trace/inspect.js';
import { MissingImage } from '../trace/lent-images.js';
import { TraceReader } from '../trace/reader.js';
import { type FinalScreen, finalScreen, screenLines } from './final-screen.js';
import { TIMING } from './guest.js';
import { probesOf } from './sealed-probe.js';
import { readSymbols } from './symbol-files.js';

export interface DiffOptions {
  /** Compare only events of these kinds, devices, phases or fw_cfg items; `['handoff']` compares the hand-offs alone. */
  only?: readonly string[];
  /** Leave these out. `timing`: when things happen, and where the code lies that does them. */
  ignore?: readonly string[];
  /** Events shown around a difference. Default 5. */
  context?: number;
  /** Files with symbols of the guest's programs: ELF, or a kernel's System.map. */
  symbols?: readonly string[];
  /** Cycles up to which both sides are replayed to find the cause; 0 for not at all. Default 2^32. */
  replayLimit?: number;
}

export type DiffResult = Explanation;
export type InspectResult = Inspection & {
  /** The screen at the end; null where the machine has none, or an image that the trace needs is missing. */
  readonly screen: FinalScreen | null;
};

function withTrace<T>(file: string, partial: boolean, body: (reader: TraceReader) => T): T {
  const reader = TraceReader.open(file, { partial });
  try {
    return body(reader);
  } finally {
    reader.close();
  }
}

/**
 * Compare two traces and say why they differ, from the first divergence back to its cause.
 * @param a @param b files of traces
 * @returns plain data; schemas/diff-1.json describes it
 * @throws TraceError when one cannot be read
 */
export async function explainDivergence(a: string, b: string, options: DiffOptions = {}): Promise<Explanation> {
  const [left, right] = [TraceReader.open(a, { partial: true }), TraceReader.open(b, { partial: true })];
  try {
    const { symbols = [], replayLimit, ...rest } = options;
    const tables = symbols.map(readSymbols);
    return await explainTraces(left, right, { ...rest, symbols: tables, replayLimit }, probesOrReason(left, right));
  } finally {
    left.close();
    right.close();
  }
}

/** Machines to look into both sides with, or why there are none. */
function probesOrReason(...readers: [TraceReader, TraceReader]): Sides<OpenProbe> | string {
  for (const { path, complete, header } of readers) {
    if (!complete) return `${path} was cut off`;
    const { name, nsPerCycle } = header.timing;
    if (name !== TIMING.name || nsPerCycle !== TIMING.nsPerCycle)
      return `${path} has timing model ${name}, this program ${TIMING.name}`;
  }
  return { a: probesOf(readers[0]), b: probesOf(readers[1]) };
}

/** How a report is written. */
export interface RenderOptions {
  /** Terminal colours. Default false. */
  color?: boolean;
  /** Events shown before and after, where the report looks them up itself. Default 5. */
  context?: number;
}

/** The names that explainDivergence and formatExplanation had before. */
export const diff = explainDivergence;
export const renderDiff = formatExplanation;

/**
 * Where a replay left the recorded boot, as text: what both did and what it means, the instruction, the events around.
 * @throws TraceError when the trace cannot be read
 */
export async function renderDivergence(
  file: string,
  divergence: Divergence,
  { color = false, context = 5 }: RenderOptions = {},
): Promise<string> {
  const text = withTrace(file, true, (reader) => divergenceText(explainReplay(reader, divergence, context)));
  return color ? colorReport(text) : text;
}

/** What a trace says about itself. A recording that was cut off is read as far as it goes. */
export async function inspect(file: string): Promise<InspectResult> {
  return withTrace(file, true, (reader) => ({ ...inspectTrace(reader), screen: screenOf(reader) ?? null }));
}

/** What a trace that is not sealed needs is told of also where it is missing. */
function screenOf(reader: TraceReader): FinalScreen | undefined {
  try {
    return finalScreen(reader);
  } catch (error) {
    if (error instanceof MissingImage) return undefined;
    throw error;
  }
}

/** The same as text. */
export async function renderInspection(file: string): Promise<string> {
  return withTrace(file, true, (reader) => {
    const screen = screenOf(reader);
    return inspectionText(reader) + (screen ? `${screenLines(screen).join('\n')}\n` : '');
  });
}

/** Where loaders entered kernels, and what they left to them, in order. @throws TraceError */
export async function inspectHandoff(file: string): Promise<readonly HandoffView[]> {
  return withTrace(file, true, handoffsOf);
}

/** The same as text. */
export async function renderHandoff(file: string): Promise<string> {
  const all = await inspectHandoff(file);
  return all.length === 0 ? 'No loader entered a kernel.\n' : all.map(handoffText).join('\n');
}

/** The events of a trace with their meaning, in order. */
export async function* inspectEvents(file: string, selection: Selection = {}): AsyncGenerator<EventView> {
  const reader = TraceReader.open(file, { partial: true });
  try {
    yield* listEvents(reader, selection);
  } finally {
    reader.close();
  }
}
