// What a gate looks at in a trace, gathered in one pass: how the boot ended, what it cost, what loaders left to kernels,
// what the guest printed. Plain data, so that a process that ran a boot can hand it over.

import { diffHeaders } from '../diff/headers.js';
import { decodeHandoff, type HandoffView } from '../trace/handoff.js';
import type { ImageRecord, TraceHeader } from '../trace/header.js';
import type { TraceReader } from '../trace/reader.js';
import { Semantics } from '../trace/semantic/semantics.js';

/** Most of the serial output that is kept, in bytes. */
const MAX_SERIAL = 0x40_0000;

export interface Metrics {
  /** To each milestone, to the first `handoff`, to the `end`, in this order. */
  readonly cycles: Readonly<Record<string, number>>;
  readonly instructions: number;
  readonly events: number;
  readonly portAccesses: number;
  readonly dmaBytes: number;
  readonly traceBytes: number;
}

export interface BootFacts {
  readonly header: Omit<TraceHeader, 'entry'>;
  readonly images: readonly (ImageRecord & { readonly name: string })[];
  readonly end: { readonly reason: string; readonly code: number | null };
  readonly root: string;
  /** Hash of the final machine state. */
  readonly state: string;
  readonly byKind: Readonly<Record<string, number>>;
  readonly metrics: Metrics;
  readonly handoffs: readonly HandoffView[];
  /** What the guest printed on its first serial port, as Latin-1. */
  readonly serial: string;
}

/** @throws TraceError when the trace cannot be read, or is not whole */
export function factsOf(reader: TraceReader): BootFacts {
  const { header, notes, summary, size } = reader;
  const semantics = new Semantics();
  const handoffs: HandoffView[] = [];
  const serial: number[] = [];
  let portAccesses = 0;
  let dmaBytes = 0;
  for (const event of reader.events()) {
    const meaning = semantics.next(event);
    switch (event.kind) {
      case 'port-write':
        portAccesses++;
        if (meaning.device === 'uart0' && meaning.register === 'THR' && serial.length < MAX_SERIAL)
          serial.push(event.value & 0xff);
        break;
      case 'port-read':
        portAccesses++;
        break;
      case 'port-write-string':
        portAccesses += event.data.length / event.size;
        if (meaning.device === 'uart0' && meaning.register === 'THR' && serial.length < MAX_SERIAL)
          for (const byte of event.data) serial.push(byte);
        break;
      case 'port-read-string':
        portAccesses += event.data.length / event.size;
        break;
      case 'dma-read':
        dmaBytes += event.value;
        break;
      case 'dma-write':
        dmaBytes += event.data.length;
        break;
      case 'handoff':
        handoffs.push(decodeHandoff(event.data, event));
        break;
      default:
        break;
    }
  }
  const { cycles = 0, instructions = 0, events = 0, end, state = '', byKind = {}, milestones = [] } = summary ?? {};
  const points: Record<string, number> = {};
  for (const { name, cycle } of milestones) points[name] ??= cycle;
  if (handoffs[0]) points.handoff = handoffs[0].cycle;
  points.end = cycles;
  const { entry: _, ...booted } = header;
  return {
    header: booted,
    images: header.images.map((image, i) => ({ ...image, name: notes.names[i] ?? '' })),
    end: end ?? { reason: 'cut off', code: null },
    root: reader.claimedRoot ?? '',
    state,
    byKind,
    metrics: { cycles: points, instructions, events, portAccesses, dmaBytes, traceBytes: size },
    handoffs,
    serial: Buffer.from(serial).toString('latin1'),
  };
}

/** What follows from the content of files. */
const FILES = /^(image|entry state|rom\b|option (fwCfg|serialIn)$)/;

/** How the two boots were asked for differs: machine, routes, command line, options; not images, which may change. */
export function bootedDifferently(a: TraceReader, b: TraceReader): readonly { field: string; a: string; b: string }[] {
  return diffHeaders(a.header, b.header).filter(({ field }) => !FILES.test(field));
}

/** Images whose content is not the same. */
export function changedImages(a: BootFacts, b: BootFacts): readonly string[] {
  return b.images.flatMap(({ role, name, sha256 }, i) => (a.images[i]?.sha256 === sha256 ? [] : [`${role} ${name}`]));
}
