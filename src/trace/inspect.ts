// What a trace says about itself: the summary of the command-line contract, and listings of its events.
// A recording that was cut off has no summary; events are counted then, and what only the end knows is null.
// Listings stream, and every event passes the semantic layer, shown or not, since meaning depends on what came before.

import type { TimingModel } from '../cpu/bus.js';
import { grouped } from '../figures.js';
import { CONTAINER_MAJOR, CONTAINER_MINOR } from './chunks.js';
import { type EventView, eventView, isNamed } from './event-view.js';
import type { EventKind } from './events.js';
import type { Milestone, TraceSummary } from './header.js';
import type { TraceReader } from './reader.js';
import { Semantics } from './semantic/semantics.js';

/** `inspect --json`. Fields that only the end of a recording knows are null when it was cut off. */
export interface Inspection {
  readonly format: string;
  readonly tool: string;
  readonly machine: string;
  readonly cpu: string;
  readonly timing: TimingModel;
  /** Hash of the content: equal roots, equal boots. */
  readonly root: string | null;
  readonly images: readonly { role: string; name: string; sha256: string; size: number }[];
  readonly cycles: number;
  readonly instructions: number | null;
  readonly end: { readonly reason: string; readonly code: number | null } | null;
  /** Hash of the final machine state. */
  readonly state: string | null;
  readonly events: { readonly total: number; readonly byKind: Readonly<Partial<Record<EventKind, number>>> };
  readonly milestones: readonly { name: string; cycle: number; rip: string }[];
  /** Size of the file. */
  readonly bytes: number;
  /** Whether a replay needs the trace alone, and none of the images. */
  readonly sealed: boolean;
}

/** The root is the one that the index gives: a replay holds it against the content. @throws TraceError */
export function inspect(reader: TraceReader): Inspection {
  const { header, notes } = reader;
  const summary = reader.summary ?? countEvents(reader);
  return {
    format: `vmreplay-trace ${CONTAINER_MAJOR}.${CONTAINER_MINOR}`,
    tool: notes.tool,
    machine: header.machine,
    cpu: header.cpu,
    timing: header.timing,
    root: reader.claimedRoot ?? null,
    images: header.images.map(({ role, sha256, size }, i) => ({ role, name: notes.names[i] ?? '', sha256, size })),
    cycles: summary.cycles,
    instructions: reader.summary?.instructions ?? null,
    end: reader.summary?.end ?? null,
    state: reader.summary?.state ?? null,
    events: { total: summary.events, byKind: summary.byKind },
    milestones: summary.milestones.map(({ name, cycle, rip }) => ({ name, cycle, rip: `0x${rip.toString(16)}` })),
    bytes: reader.size,
    sealed: reader.isSealed,
  };
}

/** The same for people. */
export function inspectionText(reader: TraceReader): string {
  const seen = inspect(reader);
  const { header } = reader;
  const end = seen.end ? `${seen.end.reason}${seen.end.code === null ? '' : ` ${seen.end.code}`}` : 'cut off';
  const ms = (seen.cycles * seen.timing.nsPerCycle) / 1e6;
  const lines = [
    `${reader.path}: ${seen.format}, ${grouped(seen.bytes)} bytes, by ${seen.tool || 'an unknown tool'}`,
    `machine     ${seen.machine}, ${grouped(header.memory / 0x10_0000)} MiB, ${seen.cpu}, timing ${seen.timing.name} (${seen.timing.nsPerCycle} ns a cycle)`,
    `boot        ${header.route}${header.commandLine === '' ? '' : `, command line ${JSON.stringify(header.commandLine)}`}`,
    ...seen.images.map(
      (i) =>
        `image       ${i.role} ${i.name}, ${grouped(i.size)} bytes, sha256 ${i.sha256}${seen.sealed ? '' : ', needed to replay'}`,
    ),
    `run         ${grouped(seen.cycles)} cycles (${ms.toFixed(3)} ms)${seen.instructions === null ? '' : `, ${grouped(seen.instructions)} instructions`}`,
    `end         ${end}`,
    `root        ${seen.root ?? 'none: the recording was cut off'}`,
    `state       ${seen.state ?? 'unknown'}`,
    ...seen.milestones.map((m) => `milestone   ${m.name} at cycle ${grouped(m.cycle)}, rip ${m.rip}`),
    `events      ${grouped(seen.events.total)}`,
    ...Object.entries(seen.events.byKind)
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
      .map(([kind, count]) => `            ${kind.padEnd(18)} ${grouped(count).padStart(12)}`),
  ];
  return `${lines.join('\n')}\n`;
}

export interface Selection {
  /** First and last cycle, both included. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Event kinds or devices; all when empty. */
  readonly kinds?: readonly string[] | undefined;
}

/** The events of a trace with their meaning, in order. */
export function* listEvents(reader: TraceReader, { from, to, kinds = [] }: Selection = {}): Generator<EventView> {
  const semantics = new Semantics();
  for (const event of reader.events()) {
    const meaning = semantics.next(event);
    if (to !== undefined && event.cycle > to) return;
    if (from !== undefined && event.cycle < from) continue;
    if (kinds.length > 0 && !kinds.some((kind) => isNamed(event, meaning, kind))) continue;
    yield eventView(event, meaning);
  }
}

type Counts = Pick<TraceSummary, 'cycles' | 'events' | 'byKind' | 'milestones'>;

/** The counts of a recording that was cut off and so has no summary. */
function countEvents(reader: TraceReader): Counts {
  const byKind: Partial<Record<EventKind, number>> = {};
  const milestones: Milestone[] = [];
  let events = 0;
  let cycles = 0;
  for (const event of reader.events()) {
    events++;
    cycles = event.cycle;
    byKind[event.kind] = (byKind[event.kind] ?? 0) + 1;
    if (event.kind === 'milestone') milestones.push({ name: event.name, cycle: event.cycle, rip: event.rip });
  }
  return { cycles, events, byKind, milestones };
}
