// A boot for a test that has its own opinion of it: runs it once and tells what it did. Nothing is kept; baselines are the
// gate's (hold-test.ts).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BootOptions } from '../api/options.js';
import { record } from '../api/record.js';
import type { HandoffView } from '../trace/handoff.js';
import { TraceReader } from '../trace/reader.js';
import { factsOf, type Metrics } from './facts.js';

/** What a boot did. */
export interface Observation {
  readonly end: { readonly reason: string; readonly code: number | null };
  /** Exit status by the command-line contract: 0 the guest ended as asked, 3 it failed. */
  readonly exitCode: number;
  /** What the guest printed on its first serial port, a character a byte. */
  readonly serial: string;
  /** What loaders left to kernels, in order. */
  readonly handoffs: readonly HandoffView[];
  /** Exact counts: cycles to milestones, instructions, accesses, bytes. */
  readonly counts: Metrics;
  /** Hash of all that the guest saw and did: equal roots, equal boots. */
  readonly root: string;
}

/**
 * Run a boot and tell what it did. Without `maxCycles` it is given up after 20,000,000,000 cycles.
 * @throws UserError, ImageError when it cannot be run
 */
export async function observe(options: BootOptions): Promise<Observation> {
  const scratch = mkdtempSync(join(tmpdir(), 'vmreplay-observe-'));
  try {
    const output = join(scratch, 'boot.vmr');
    const { exitCode } = await record({ maxCycles: 20_000_000_000, ...options, output });
    const reader = TraceReader.open(output);
    try {
      const { end, serial, handoffs, metrics, root } = factsOf(reader);
      return { end, exitCode, serial, handoffs, counts: metrics, root };
    } finally {
      reader.close();
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
