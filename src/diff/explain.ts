// The whole of an explanation: the comparison, then, where both traces can be replayed, the way back from the first
// divergence to its cause, and the cause said again with what was found.

import type { TraceReader } from '../trace/reader.js';
import type { SymbolTable } from '../trace/symbols.js';
import type { FirstPlace } from './align.js';
import { type Finding, type Investigation, investigate } from './chain.js';
import { type Comparison, compareTraces, type DiffOptions } from './diff.js';
import type { Cause, Explanation } from './explanation.js';
import { type FirmwareTables, firmwareTables } from './firmware-tables.js';
import type { Sides } from './parting.js';
import type { OpenProbe } from './probe.js';
import { romDifference } from './rom-code.js';
import { type ReportSite, reportSite } from './site.js';
import { comparedTables } from './tables.js';
import { sideOf } from './trace-side.js';

/** Cycles up to which both sides are replayed, unless more is asked for. */
export const REPLAY_LIMIT = 2 ** 32;

export interface ExplainOptions extends DiffOptions {
  /** Cycles up to which both sides are replayed for the cause; 0 for not at all. Default 2^32. */
  readonly replayLimit?: number | undefined;
}

/** @param probes machines of both traces; undefined where one cannot be replayed, with the reason */
export async function explainTraces(
  a: TraceReader,
  b: TraceReader,
  options: ExplainOptions,
  probes: Sides<OpenProbe> | string,
): Promise<Explanation> {
  const comparison = compareTraces(a, b, options);
  const { explanation, first } = comparison;
  const { verdict } = explanation;
  if (verdict === 'equal' || verdict === 'cut' || explanation.handoff) return explanation;
  const firmware: [FirmwareTables, FirmwareTables] = [firmwareTables(a), firmwareTables(b)];
  const tables = comparedTables(a, b, firmware);
  const limit = options.replayLimit ?? REPLAY_LIMIT;
  const to = reach(comparison, Math.min(a.summary?.cycles ?? 0, b.summary?.cycles ?? 0));
  // Moved in time, the two sides have no cycles in common to be held at.
  const ignoresTiming = options.ignore?.includes('timing') === true;
  if (limit === 0 || (ignoresTiming && (!first?.x || first.x.event.cycle !== first.y?.event.cycle))) {
    return { ...explanation, tables };
  }
  const because = typeof probes === 'string' ? probes : to > limit ? `it lies more than ${limit} cycles on` : undefined;
  if (because !== undefined || typeof probes === 'string') {
    return {
      ...explanation,
      tables,
      notes: [...explanation.notes, `the cause was not looked for by replaying: ${because}`],
    };
  }
  const [forA, forB] = [[...(options.symbols ?? [])], [...(options.symbols ?? [])]];
  const sides = { a: sideOf(a, probes.a, forA), b: sideOf(b, probes.b, forB) };
  const found = await investigate(sides, first, to);
  const finding = found.finding && withCode(found.finding, firmware);
  const cause = explanation.cause && refined(explanation.cause, explanation, { ...found, finding });
  const named = explanation.first && {
    ...explanation.first,
    siteA: siteOf(a, first?.x, forA),
    siteB: siteOf(b, first?.y, forB),
  };
  return { ...explanation, first: named, chain: found.chain, cause, tables };
}

/** The site of the first difference, with what has been learnt of names since. */
const siteOf = (reader: TraceReader, meant: FirstPlace['x'], symbols: readonly SymbolTable[]): ReportSite | null =>
  meant ? reportSite(reader, meant.event, undefined, { symbols }) : null;

/** The cycle behind which there is nothing to look for. */
function reach({ explanation, first }: Comparison, end: number): number {
  if (first === null) return explanation.state?.differAt ?? end;
  const { x, y } = first;
  if (x?.event.kind === 'handoff' && y?.event.kind === 'handoff') return end;
  const [p, q] = [cycleOf(x), cycleOf(y)];
  return p === q ? p : Math.min(Math.max(p, q) + 1, end);
}

const cycleOf = (meant: FirstPlace['x']): number => meant?.event.cycle ?? 0;

/** What was chosen differently stays the cause; what was found says where it comes in. */
function refined(cause: Cause, { header }: Explanation, { finding, parting }: Investigation): Cause {
  // Where it begins to matter is where the processors part; who wrote the bytes may have run long before.
  const phase = parting?.phase ?? finding?.phase ?? cause.phase;
  const symbol = parting?.siteA.symbol ?? parting?.siteB.symbol ?? finding?.symbol ?? cause.symbol;
  if (!finding || cause.kind === 'timing') return { ...cause, phase, symbol };
  if (cause.kind === 'option' || cause.kind === 'input')
    return { ...cause, text: joined(cause, finding), phase, symbol };
  const isNamed = finding.text.includes(cause.subject);
  const images = header.length > 0 && cause.kind === 'image' && !isNamed ? `${cause.subject}: ` : '';
  const kind = finding.kind;
  return { kind, subject: finding.subject, text: `${images}${finding.text}`, phase, symbol };
}

/** Of an option ROM the instruction says more than the byte. */
function withCode(finding: Finding, [left, right]: [FirmwareTables, FirmwareTables]): Finding {
  const name = /^fw_cfg item ((?:gen|vga)roms\/.*)$/.exec(finding.subject)?.[1];
  const [a, b] = name === undefined ? [] : [left.item(name), right.item(name)];
  const code = a && b && romDifference(a, b);
  return code ? { ...finding, text: `${finding.subject}: ${code}` } : finding;
}

const joined = (cause: Cause, finding: Finding): string =>
  cause.text.includes(finding.subject) ? cause.text : `${cause.text}; the guest sees it first in ${finding.text}`;
