// One trace as a part of a page: events, samples, screens and structures in a payload. The events are read once; the
// samples come from a sealed replay beside it.

import { basename } from 'node:path';
import type { Pause } from '../api/screenshots.js';
import { replayProbed } from '../api/sealed-replay.js';
import { UserError } from '../api/user-error.js';
import type { Cpu } from '../cpu/cpu.js';
import { disassemble } from '../diff/disassemble.js';
import { TraceError } from '../trace/error.js';
import { handoffsOf } from '../trace/handoff.js';
import { inspect } from '../trace/inspect.js';
import { kallsymsIn } from '../trace/kallsyms.js';
import type { TraceReader } from '../trace/reader.js';
import { Semantics } from '../trace/semantic/semantics.js';
import type { SymbolTable } from '../trace/symbols.js';
import { EventPacker } from './event-pack.js';
import { itemView } from './items.js';
import { machineView, named } from './machine-view.js';
import { joinPayload, type MachineView, type TraceHead } from './payload.js';
import { PhaseStretches } from './phases.js';
import { packSamples } from './sample-tree.js';
import { chooseInterval, type RawSample, Sampler } from './sampling.js';
import { ScreenFilm } from './screens.js';
import { type SymbolSource, type Symbols, symbolsOf } from './symbolize.js';

export interface PartOptions {
  /** Tables that were named. */
  readonly symbols: readonly SymbolTable[];
  /** Cycles between samples; chosen by the boot's length when absent. */
  readonly interval?: number | undefined;
  /** No replay, so neither samples nor registers. */
  readonly noReplay?: boolean | undefined;
  /** Look at the processor at this cycle. */
  readonly stopAt?: number | undefined;
  readonly onProgress?: ((text: string) => void) | undefined;
}

export interface TracePart {
  readonly head: Omit<TraceHead, 'columns'>;
  /** Not compressed. */
  readonly payload: Uint8Array;
  /** The processor at `stopAt`. */
  readonly machine: MachineView | undefined;
  readonly symbols: Symbols;
}

/** @throws TraceError when the trace cannot be read */
export async function tracePart(reader: TraceReader, options: PartOptions): Promise<TracePart> {
  const inspection = inspect(reader);
  const notes: string[] = [];
  if (reader.damage !== undefined) notes.push(`${reader.damage}: what came before is shown`);
  const seen = await look(reader, options, inspection.cycles, notes);
  options.onProgress?.('reading events');
  const packer = new EventPacker();
  const semantics = new Semantics();
  const film = new ScreenFilm(reader, inspection.cycles);
  const phases = new PhaseStretches(reader.header);
  for (const event of reader.events()) {
    packer.add(event, semantics.next(event));
    film.add(event);
    phases.add(event);
  }
  const cycles = Math.max(inspection.cycles, packer.cycle, 1);
  const png = film.finish(cycles);
  const { symbols } = seen;
  const { columns, ...tables } = packer.finish(
    {
      symbol: (_cs, rip) => symbols.nameAt(rip),
      instruction: (code, rip) => disassemble(code, rip).text,
    },
    (cs, rip) => reader.code(cs, rip),
  );
  const stretches = phases.finish(cycles);
  const packed =
    seen.samples.length > 0 ? packSamples(seen.samples, seen.interval, reader.header, symbols, stretches) : undefined;
  const head = {
    file: basename(reader.path),
    inspection,
    memory: reader.header.memory,
    route: reader.header.route,
    commandLine: reader.header.commandLine,
    notes,
    events: packer.count,
    cycles,
    ...tables,
    phases: stretches,
    samples: packed?.tree ?? null,
    handoffs: handoffsOf(reader),
    items: [...semantics.fwCfgItems].map(([name, bytes]) => itemView(name, bytes)),
    screens: film.screens,
  };
  const payload = joinPayload(head, { ...columns, ...packed?.columns, ...(png.length > 0 && { png }) });
  return { head, payload, machine: seen.machine, symbols };
}

interface Seen {
  readonly samples: readonly RawSample[];
  readonly interval: number;
  readonly machine: MachineView | undefined;
  readonly symbols: Symbols;
}

/** Replay the trace and look at the processor on the way. A trace that cannot be replayed is shown without. */
async function look(reader: TraceReader, options: PartOptions, cycles: number, notes: string[]): Promise<Seen> {
  const { stopAt, onProgress } = options;
  const own = reader.symbols;
  const sources: SymbolSource[] = options.symbols.map((table) => [table, 'the files of --symbols'] as const);
  if (own) sources.push([own, "the kernel's ELF symbols"]);
  const none = { samples: [], interval: 0, machine: undefined, symbols: symbolsOf(sources) };
  if (options.noReplay) return none;
  if (!reader.complete) {
    notes.push('no processor samples: a recording that was cut off cannot be replayed');
    return none;
  }
  const interval = options.interval ?? chooseInterval(cycles);
  let sampler: Sampler | undefined;
  let machine: MachineView | undefined;
  const probe = (cpu: Cpu): Pause[] => {
    sampler = new Sampler(cpu, interval, cycles);
    const stop = { cycle: stopAt ?? 0, reached: () => (machine = machineView(cpu)) };
    return [...sampler.pauses(), ...(stopAt === undefined ? [] : [stop])];
  };
  try {
    const { divergence } = await replayProbed(reader, probe, {
      onProgress: (cycle) => onProgress?.(`replaying: ${Math.floor((100 * cycle) / Math.max(cycles, 1))} %`),
    });
    if (divergence) notes.push(`its replay left the recording at event ${divergence.index}: ${divergence.summary}`);
  } catch (error) {
    if (!(error instanceof TraceError || error instanceof UserError)) throw error;
    notes.push(`no processor samples: ${error.message}`);
  }
  if (!sampler) return none;
  const kallsyms = kallsymsIn(sampler.memory);
  if (kallsyms) sources.push([kallsyms, "kallsyms in the guest's memory"]);
  const symbols = symbolsOf(sources);
  return {
    samples: sampler.samples,
    interval,
    machine: machine && named(machine, (at) => symbols.nameAt(at)),
    symbols,
  };
}
