// What stands in a trace besides events and memory: the header (what was booted), the notes (who recorded it, outside
// the content), the summary (how it ended) and the index. Decoding checks every field.

import type { TimingModel } from '../cpu/bus.js';
import type { Plain } from '../platform/device.js';
import { decodeCanonical, encodeCanonical } from './codec.js';
import { type EventKind, KIND_NAMES, SCHEMA_VERSION } from './events.js';
import { integer, list, record, text, unsigned64 } from './fields.js';

/** An image that the boot was given, by content. */
export interface ImageRecord {
  /** kernel, initrd, bios, option-rom, module, drive, cdrom, fw-cfg … */
  readonly role: string;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** Guest physical address where the image lies whole and unchanged at entry; absent for what is unpacked or relocated. */
  readonly address?: number;
}

/** Everything that decides what the guest will do, and what a sealed replay needs to start. Part of the content. */
export interface TraceHeader {
  /** pc or microvm. */
  readonly machine: string;
  /** Guest RAM in bytes. */
  readonly memory: number;
  /** Name and version of the CPU model. */
  readonly cpu: string;
  readonly timing: TimingModel;
  /** Boot route: pvh, linux64 … firmware. */
  readonly route: string;
  readonly commandLine: string;
  readonly images: readonly ImageRecord[];
  /** Physical ranges that are ROM at entry, as [address, bytes]. */
  readonly rom: readonly (readonly [number, number])[];
  /** Other choices that the guest can see (RTC, seed, fw_cfg items …). */
  readonly options: Readonly<Record<string, Plain>>;
  /** Processor state at cycle 0, as the processor saves it. */
  readonly entry: Plain;
}

/** Outside the content: two recordings of one boot may differ here. */
export interface TraceNotes {
  /** Program and version that wrote the file. */
  readonly tool: string;
  /** Names of the images, in the header's order. */
  readonly names: readonly string[];
}

export interface Milestone {
  readonly name: string;
  readonly cycle: number;
  readonly rip: bigint;
}

/** How the recording ended. Part of the content. */
export interface TraceSummary {
  readonly end: { readonly reason: string; readonly code: number | null };
  readonly cycles: number;
  readonly instructions: number;
  /** Hash of the final machine state, lower-case hex. */
  readonly state: string;
  readonly events: number;
  readonly byKind: Readonly<Partial<Record<EventKind, number>>>;
  readonly milestones: readonly Milestone[];
}

/** Where a chunk starts; `event` and `cycle` are those before its first event, or the checkpoint's, 0 for other chunks. */
export interface IndexEntry {
  readonly type: string;
  readonly offset: number;
  readonly event: number;
  readonly cycle: number;
  /** Of a checkpoint: how many bytes say what had been decoded. */
  readonly code?: number;
}

export function encodeHeader(header: TraceHeader): Uint8Array {
  return encodeCanonical({
    commandLine: header.commandLine,
    cpu: header.cpu,
    entry: header.entry,
    images: header.images.map(({ role, sha256, size, address }) =>
      address === undefined ? { role, sha256, size } : { address, role, sha256, size },
    ),
    machine: header.machine,
    memory: header.memory,
    options: header.options,
    rom: header.rom.map(([address, size]) => [address, size]),
    route: header.route,
    schema: SCHEMA_VERSION,
    timing: { name: header.timing.name, nsPerCycle: header.timing.nsPerCycle },
  });
}

/** @throws Error when a field is missing or of the wrong kind. */
export function decodeHeader(bytes: Uint8Array): TraceHeader {
  const map = record(decodeCanonical(bytes), 'the header');
  const schema = integer(map.schema, 0xffff, 'schema');
  if (schema !== SCHEMA_VERSION) {
    throw new Error(`its events follow schema ${schema} and this program reads schema ${SCHEMA_VERSION}`);
  }
  const timing = record(map.timing, 'timing');
  if (typeof timing.nsPerCycle !== 'number' || !(timing.nsPerCycle > 0)) throw new Error('timing has no nsPerCycle');
  return {
    machine: text(map.machine, 'machine'),
    memory: integer(map.memory, 2 ** 52, 'memory'),
    cpu: text(map.cpu, 'cpu'),
    timing: { name: text(timing.name, 'timing'), nsPerCycle: timing.nsPerCycle },
    route: text(map.route, 'route'),
    commandLine: text(map.commandLine, 'commandLine'),
    images: list(map.images, 'images').map((item) => {
      const image = record(item, 'an image');
      const known = {
        role: text(image.role, 'role'),
        sha256: text(image.sha256, 'sha256'),
        size: integer(image.size, Number.MAX_SAFE_INTEGER, 'size'),
      };
      return image.address === undefined ? known : { ...known, address: integer(image.address, 2 ** 52, 'address') };
    }),
    rom: list(map.rom, 'rom').map((item) => {
      const [address, size] = list(item, 'rom');
      return [integer(address, 2 ** 52, 'rom address'), integer(size, 2 ** 32, 'rom size')] as const;
    }),
    options: record(map.options, 'options') as Record<string, Plain>,
    entry: map.entry as Plain,
  };
}

export function encodeNotes(notes: TraceNotes): Uint8Array {
  return encodeCanonical({ names: notes.names, tool: notes.tool });
}

export function decodeNotes(bytes: Uint8Array): TraceNotes {
  const map = record(decodeCanonical(bytes), 'the notes');
  return { tool: text(map.tool, 'tool'), names: list(map.names, 'names').map((name) => text(name, 'a name')) };
}

export function encodeSummary(summary: TraceSummary): Uint8Array {
  return encodeCanonical({
    byKind: summary.byKind as Record<string, number>,
    cycles: summary.cycles,
    end: { code: summary.end.code, reason: summary.end.reason },
    events: summary.events,
    instructions: summary.instructions,
    milestones: summary.milestones.map(({ name, cycle, rip }) => ({ cycle, name, rip })),
    state: summary.state,
  });
}

export function decodeSummary(bytes: Uint8Array): TraceSummary {
  const map = record(decodeCanonical(bytes), 'the summary');
  const end = record(map.end, 'end');
  const counts = record(map.byKind, 'byKind');
  const byKind: Partial<Record<EventKind, number>> = {};
  for (const kind of KIND_NAMES) {
    if (counts[kind] !== undefined) byKind[kind] = integer(counts[kind], Number.MAX_SAFE_INTEGER, kind);
  }
  return {
    end: {
      reason: text(end.reason, 'reason'),
      code: end.code === null ? null : integer(end.code, 0xffff_ffff, 'code'),
    },
    cycles: integer(map.cycles, Number.MAX_SAFE_INTEGER, 'cycles'),
    instructions: integer(map.instructions, Number.MAX_SAFE_INTEGER, 'instructions'),
    state: text(map.state, 'state'),
    events: integer(map.events, Number.MAX_SAFE_INTEGER, 'events'),
    byKind,
    milestones: list(map.milestones, 'milestones').map((item) => {
      const milestone = record(item, 'a milestone');
      return {
        name: text(milestone.name, 'name'),
        cycle: integer(milestone.cycle, Number.MAX_SAFE_INTEGER, 'cycle'),
        rip: unsigned64(milestone.rip, 'rip'),
      };
    }),
  };
}

export function encodeIndex(chunks: readonly IndexEntry[], root: string): Uint8Array {
  return encodeCanonical({
    chunks: chunks.map((c) => [c.type, c.offset, c.event, c.cycle, ...(c.code === undefined ? [] : [c.code])]),
    root,
  });
}

export function decodeIndex(bytes: Uint8Array): { chunks: IndexEntry[]; root: string } {
  const map = record(decodeCanonical(bytes), 'the index');
  const chunks = list(map.chunks, 'chunks').map((item) => {
    const [type, offset, event, cycle, code] = list(item, 'chunks');
    const max = Number.MAX_SAFE_INTEGER;
    return {
      type: text(type, 'type'),
      offset: integer(offset, max, 'offset'),
      event: integer(event, max, 'event'),
      cycle: integer(cycle, max, 'cycle'),
      ...(code !== undefined && { code: integer(code, max, 'code') }),
    };
  });
  return { chunks, root: text(map.root, 'root') };
}
