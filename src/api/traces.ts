// Reading traces: comparison and inspection, for programs and for people. Files are opened for one call and closed
// after it, also when it fails. A recording that was cut off is read as far as it goes.
// The work is done in trace/ and diff/; here are the options and the texts.

import { colorReport } from '../diff/color.js';
import { type DiffReport, diffTraces } from '../diff/diff.js';
import { divergenceText, explainDivergence } from '../diff/explain.js';
import { diffText } from '../diff/report-text.js';
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
import { TraceReader } from '../trace/reader.js';
import { type FinalScreen, finalScreen, screenLines } from './final-screen.js';

export interface DiffOptions {
  /** Compare only events of these kinds or devices. */
  only?: readonly string[];
  /** Leave these out. */
  ignore?: readonly string[];
  /** Events shown around a difference. Default 5. */
  context?: number;
}

export type DiffResult = DiffReport & { readonly names: readonly [string, string] };
export type InspectResult = Inspection & {
  /** The screen at the end; null where the machine has none. */
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

/** Compare two traces. @throws TraceError when one cannot be read */
export async function diff(a: string, b: string, options: DiffOptions = {}): Promise<DiffResult> {
  return withTrace(a, true, (left) =>
    withTrace(b, true, (right) => ({ ...diffTraces(left, right, options), names: [a, b] as const })),
  );
}

/** How a report is written. */
export interface RenderOptions {
  /** Terminal colours. Default false. */
  color?: boolean;
  /** Events shown before and after, where the report looks them up itself. Default 5. */
  context?: number;
}

/** A comparison as text. */
export function renderDiff(result: DiffResult, { color = false }: RenderOptions = {}): string {
  const text = diffText(result, result.names);
  return color ? colorReport(text) : text;
}

/**
 * Where a replay left the recorded boot, as text: what both did and what it means, the instruction, the events around.
 * @throws TraceError when the trace cannot be read
 */
export async function renderDivergence(
  file: string,
  divergence: Divergence,
  { color = false, context = 5 }: RenderOptions = {},
): Promise<string> {
  const text = withTrace(file, true, (reader) => divergenceText(explainDivergence(reader, divergence, context)));
  return color ? colorReport(text) : text;
}

/** What a trace says about itself. A recording that was cut off is read as far as it goes. */
export async function inspect(file: string): Promise<InspectResult> {
  return withTrace(file, true, (reader) => ({ ...inspectTrace(reader), screen: finalScreen(reader) ?? null }));
}

/** The same as text. */
export async function renderInspection(file: string): Promise<string> {
  return withTrace(file, true, (reader) => {
    const screen = finalScreen(reader);
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
