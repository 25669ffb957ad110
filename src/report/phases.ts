// The stretches of a boot that the comparison's phases (src/diff/phases.ts) make of a trace.

import { PHASE_NAMES, type Phase as PhaseName, PhaseTracker, phaseHint } from '../diff/phases.js';
import { LAYOUTS } from '../trace/event-layout.js';
import { KINDS, type TraceEvent } from '../trace/events.js';
import type { TraceHeader } from '../trace/header.js';
import type { Phase } from './payload.js';

/** Stretches that a page shows at most: firmware goes to an option ROM and back many times. */
const MOST = 400;

export class PhaseStretches {
  readonly #tracker: PhaseTracker;
  readonly #starts: { name: PhaseName; from: number }[] = [];

  constructor(header: TraceHeader) {
    this.#tracker = new PhaseTracker(header);
    this.#starts.push({ name: this.#tracker.phase, from: 0 });
  }

  /** Take the next event. */
  add({ kind, name, cs, rip, size, address, cycle }: TraceEvent): void {
    this.#tracker.follow(phaseHint({ layout: LAYOUTS[KINDS[kind].id]!, name, cs, rip, size, address }));
    const { phase } = this.#tracker;
    if (phase !== this.#starts.at(-1)!.name && this.#starts.length < MOST)
      this.#starts.push({ name: phase, from: cycle });
  }

  /** Stretches one behind the other up to the last cycle; those of no length are left out. */
  finish(cycles: number): Phase[] {
    return this.#starts
      .map(({ name, from }, n) => ({ name: PHASE_NAMES[name], from, to: this.#starts[n + 1]?.from ?? cycles }))
      .filter(({ from, to }) => to > from);
  }
}
