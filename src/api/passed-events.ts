// What events that lie behind a checkpoint leave for a replay that begins there: milestones, lines of the machine, writes
// to some ports, and the event that it stands behind. All others are gone with the moment, and making them takes long.

import type { TraceEvent } from '../trace/events.js';
import type { TraceReader } from '../trace/reader.js';

export interface Passed {
  /** In order. */
  readonly events: readonly TraceEvent[];
  /** The last event before the checkpoint, of whatever kind; undefined when there is none. */
  readonly last: TraceEvent | undefined;
}

/**
 * @param cuts events before each checkpoint, ascending
 * @param port writes to which count
 * @returns for each of the cuts; its data is its own, so that a thread can be sent it
 */
export function passedBefore(reader: TraceReader, cuts: readonly number[], port: number): Passed[] {
  const events: TraceEvent[] = [];
  const passed: Passed[] = [];
  const end = cuts.at(-1) ?? 0;
  for (const block of reader.blocks()) {
    const at = (i: number): TraceEvent => {
      const event = block.at(i);
      return { ...event, data: Uint8Array.from(event.data) };
    };
    const count = Math.min(block.count, end - block.first);
    const { symbols, symbol } = block.columns;
    const kinds = symbols.map(({ layout: { row } }) => ['milestone', 'line', 'port-write'].indexOf(row.kind));
    for (let i = 0; i < count; i++) {
      const kind = kinds[symbol[i]!]!;
      if (kind >= 0 && (kind < 2 || block.addressOf(i) === port)) events.push(at(i));
    }
    for (let cut = cuts[passed.length]; cut !== undefined && cut <= block.first + count; cut = cuts[passed.length]) {
      const last = cut > block.first ? at(cut - block.first - 1) : undefined;
      passed.push({ events: events.filter(({ index }) => index < cut!), last });
    }
    if (passed.length === cuts.length) break;
  }
  return cuts.map((_, n) => passed[n] ?? { events, last: undefined });
}
