// Small traces for the tests: a header, a site that can be moved, and a writer that goes through both.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EMPTY, type EventKind, KINDS } from '../../src/trace/events.js';
import type { TraceHeader } from '../../src/trace/header.js';
import type { SiteCode } from '../../src/trace/sink.js';
import { type TraceEnd, TraceWriter } from '../../src/trace/writer.js';

export const sampleHeader: TraceHeader = {
  machine: 'pc',
  memory: 0x1000_0000,
  cpu: 'baseline-1',
  timing: { name: 'boot-1', nsPerCycle: 4 },
  route: 'pvh',
  commandLine: 'console=ttyS0',
  images: [{ role: 'kernel', sha256: 'ab'.repeat(32), size: 1234 }],
  rom: [[0xf_0000, 0x1_0000]],
  options: { seed: 0n },
  entry: { rip: 0x10_0000n },
};

/** A site that tests move by hand. */
export class MovableSite {
  cycle = 0;
  cs = 0x10;
  ripLow = 0x8100_0000;
  ripHigh = 0xffff_ffff;
  bytes: Uint8Array = EMPTY;

  code(): SiteCode | undefined {
    return this.bytes.length > 0 ? { bits: 64, bytes: this.bytes } : undefined;
  }
}

export interface SampleEvent {
  kind: EventKind;
  cycle: number;
  cs?: number;
  rip?: bigint;
  address?: number;
  size?: number;
  value?: number;
  valueHigh?: number;
  name?: string;
  data?: Uint8Array;
}

export const sampleEnd: TraceEnd = {
  reason: 'poweroff',
  cycles: 1000,
  instructions: 900,
  state: new Uint8Array(32).fill(7),
  memory: [],
};

/** Write a whole trace. @returns its root. */
export function writeTrace(
  path: string,
  events: readonly SampleEvent[],
  header: Partial<TraceHeader> = {},
  end: Partial<TraceEnd> = {},
): string {
  const site = new MovableSite();
  const notes = { tool: 'vmreplay test', names: ['vmlinux'] };
  const writer = new TraceWriter(path, { ...sampleHeader, ...header }, notes, site);
  for (const event of events) put(writer, site, event);
  return writer.finish({ ...sampleEnd, ...end });
}

export function put(writer: TraceWriter, site: MovableSite, event: SampleEvent): void {
  site.cycle = event.cycle;
  site.cs = event.cs ?? 0x10;
  const rip = event.rip ?? 0xffff_ffff_8100_0000n;
  site.ripLow = Number(rip & 0xffff_ffffn);
  site.ripHigh = Number(rip >> 32n);
  writer.event(
    KINDS[event.kind].id,
    event.address ?? 0,
    event.size ?? 0,
    event.value ?? 0,
    event.valueHigh ?? 0,
    event.name ?? '',
    event.data ?? EMPTY,
  );
}

/** Run with a directory that is gone afterwards. */
export function withDirectory<T>(body: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'vmreplay-trace-'));
  try {
    return body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
