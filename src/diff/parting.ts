// The instruction at which two boots part: both traces are replayed side by side, and stopped at the same cycles until
// what is looked at is no longer the same. First in long steps, then, from the last stop at which it was, instruction by
// instruction. Invariant: what is found is an instruction before which both sides agree and behind which they do not.
// What parts and comes together again between two stops of the long steps is not seen.

import type { SiteCode } from '../trace/sink.js';
import type { OpenProbe, Probe, ProbeState } from './probe.js';

/** Long steps of a search, and the shortest, in cycles. */
const STEPS = 8192;
const SHORTEST = 64;
/** How far back the last parting is looked for, in cycles, and how that grows. */
const FARTHEST = 0x4_0000;
const WIDER = 16;

export interface Sides<T> {
  readonly a: T;
  readonly b: T;
}

/** An instruction after which the two sides differ; machines stand behind it. */
export interface Parting {
  /** Cycle of its start. */
  readonly cycle: number;
  readonly probes: Sides<Probe>;
  /** Before it, on both sides. */
  readonly states: Sides<ProbeState>;
  readonly codes: Sides<SiteCode | undefined>;
}

export type Differ = (a: Probe, b: Probe) => boolean;

/** The processors are not in the same state, or not at the same time. */
export const processorsDiffer: Differ = (a, b) =>
  a.cycle !== b.cycle || Buffer.compare(a.fingerprint(), b.fingerprint()) !== 0;

/** Bytes of memory differ. */
export const bytesDiffer =
  (address: number, length: number): Differ =>
  (a, b) =>
    Buffer.compare(a.bytes(address, length), b.bytes(address, length)) !== 0;

/**
 * Where `differ` first holds, up to a cycle.
 * @returns `entry` when it does at cycle 0, undefined when it never does
 */
export async function findParting(
  open: Sides<OpenProbe>,
  differ: Differ,
  to: number,
): Promise<Parting | 'entry' | undefined> {
  let [a, b] = [await open.a(), await open.b()];
  if (differ(a, b)) return 'entry';
  const step = Math.max(SHORTEST, Math.ceil(to / STEPS));
  let good = 0;
  let parted = false;
  while (!parted && a.cycle < to && !(a.ended && b.ended)) {
    const stop = Math.min(a.cycle + step, to);
    a.runTo(stop);
    b.runTo(stop);
    parted = differ(a, b);
    if (!parted) good = Math.min(a.cycle, b.cycle);
    if (!parted && a.cycle < stop) break;
  }
  if (!parted) return undefined;
  if (good > 0 || a.cycle > 0) [a, b] = [await open.a(), await open.b()];
  a.runTo(good);
  b.runTo(good);
  for (let n = 0; n <= 2 * step; n++) {
    const states = { a: a.state(), b: b.state() };
    const codes = { a: a.code(), b: b.code() };
    const { cycle } = a;
    a.runTo(cycle + 1);
    b.runTo(b.cycle + 1);
    if (differ(a, b)) return { cycle, probes: { a, b }, states, codes };
    if (a.ended && b.ended) break;
  }
  return undefined;
}

/**
 * Where `differ` came to hold for the last time before a cycle at which it does: what parted shortly before, and may
 * come together again behind.
 */
export async function findLastParting(
  open: Sides<OpenProbe>,
  differ: Differ,
  to: number,
): Promise<Parting | undefined> {
  for (let window = SHORTEST; window <= FARTHEST; window *= WIDER) {
    const [a, b] = [await open.a(), await open.b()];
    const from = Math.max(0, to - window);
    a.runTo(from);
    b.runTo(from);
    let last: Pick<Parting, 'cycle' | 'states' | 'codes'> | undefined;
    for (let parted = differ(a, b); a.cycle < to && !(a.ended && b.ended); ) {
      const before = { cycle: a.cycle, states: { a: a.state(), b: b.state() }, codes: { a: a.code(), b: b.code() } };
      a.runTo(before.cycle + 1);
      b.runTo(before.cycle + 1);
      const now = differ(a, b);
      if (now && !parted) last = before;
      parted = now;
    }
    if (last || from === 0) return last && { ...last, probes: { a, b } };
  }
  return undefined;
}

/** Both sides at one instruction, wherever they part: machines stand behind it. */
export async function atCycles(open: Sides<OpenProbe>, cycleA: number, cycleB: number): Promise<Parting> {
  const [a, b] = [await open.a(), await open.b()];
  a.runTo(cycleA);
  b.runTo(cycleB);
  const states = { a: a.state(), b: b.state() };
  const codes = { a: a.code(), b: b.code() };
  return { cycle: cycleA, probes: { a, b }, states, codes };
}
