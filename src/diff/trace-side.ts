// What an investigation asks of one trace: the events at a cycle with their meaning and phase, and names for sites.
// Each question reads the trace from its beginning, since meaning depends on what came before; answers are kept.

import { kallsymsIn } from '../trace/kallsyms.js';
import type { TraceReader } from '../trace/reader.js';
import type { SymbolTable } from '../trace/symbols.js';
import type { Side } from './chain.js';
import { ColumnStream, type MeantEvent, MOST_AHEAD } from './column-stream.js';
import { MemoryPlaces } from './memory-places.js';
import type { Phase } from './phases.js';
import type { OpenProbe } from './probe.js';
import { reportSite } from './site.js';
import { SymbolIds } from './symbol-ids.js';

/** Events that one question gives at most. */
const MOST_EVENTS = 256;

/** @param symbols tables that are asked before the trace's own; what is learnt is added */
export function sideOf(reader: TraceReader, open: OpenProbe, symbols: SymbolTable[]): Side {
  let learnt = false;
  const known = new Map<string, { events: readonly MeantEvent[]; phase: Phase }>();
  let places: MemoryPlaces | undefined;
  return {
    open,
    get places() {
      places ??= new MemoryPlaces(reader);
      return places;
    },
    eventsAt: (from, to) => {
      const key = `${from} ${to}`;
      const found = known.get(key) ?? readEvents(reader, from, to);
      known.set(key, found);
      return found;
    },
    learn: (memory) => {
      // Who gave symbols, or whose kernel came with them, wants those.
      if (learnt || symbols.length > 0 || reader.symbols) return;
      learnt = true;
      const table = kallsymsIn(memory);
      if (table) symbols.push(table);
    },
    site: (cs, rip, base, code) => reportSite(reader, { cs, rip }, code, { symbols, base }),
  };
}

function readEvents(reader: TraceReader, from: number, to: number): { events: MeantEvent[]; phase: Phase } {
  const stream = new ColumnStream(reader, new SymbolIds());
  for (let here = stream.ahead(MOST_AHEAD); here > 0; here = stream.ahead(MOST_AHEAD)) {
    let n = 0;
    while (n < here && stream.cycle[stream.at + n]! < from) n++;
    stream.skip(n);
    if (n < here) break;
  }
  const before = stream.lastPhase;
  const events: MeantEvent[] = [];
  while (events.length < MOST_EVENTS && stream.ahead(1) > 0 && stream.cycle[stream.at]! <= to)
    events.push(stream.take());
  const phase = events[0]?.phase ?? before;
  // A field can be said in words when the guest has read all of it, which may take some more events.
  stream.skip(Math.min(stream.ahead(MOST_EVENTS), MOST_EVENTS));
  return { events, phase };
}
