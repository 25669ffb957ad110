// A campaign: cases drawn from one seed, each run on the same machine, findings told apart by cause and shrunk by
// fast-check to the smallest structure that has the same cause. After a finding the drawing goes on behind it.
// Invariants: the same seed gives the same cases, verdicts and findings; a restored machine hashes as the snapshot (looked
// at every 1,000 cases). Cases are drawn in
// chunks of a seed each, so that a signal gets its turn and any case is had quickly. The time limit only says after how many cases to stop.

import fc from 'fast-check';
import { UserError } from '../api/user-error.js';
import { CaseRunner } from './case-runner.js';
import type { Finding, FuzzOptions, FuzzResult } from './options.js';
import { causeOf, type Verdict } from './verdict.js';

const MANY = 1_000_000_000;
const DEFAULT_RUNS = 10_000;
/** Cases drawn from one seed: getting at the last of many costs time. */
const CHUNK = 1000;
const HASH_EVERY = 1000;
const MOST_FINDINGS = 50;
/** What shrinking one finding may cost, in cases and in cycles: counted, so that it ends at the same structure anywhere. */
const SHRINK_CASES = 2000;
const SHRINK_CYCLES = 300_000_000;
/** Cases between two looks at the clock. */
const CLOCK_EVERY = 32;

/**
 * Throw structures at a guest.
 * @throws UserError when the boot has no such structure, or the guest never looks at it; ImageError for bad images
 */
export async function runCampaign(options: FuzzOptions): Promise<FuzzResult> {
  const runner = new CaseRunner(options.target, options.boot, options);
  const { arbitrary } = runner.target;
  const { seed = 1, seconds } = options;
  const runs = options.runs ?? (seconds === undefined ? DEFAULT_RUNS : MANY);
  const findings = new Map<string, Finding>();
  const until = seconds === undefined ? Number.POSITIVE_INFINITY : Date.now() + seconds * 1000;
  const hash = runner.hash();
  let cases = 0;
  let over = false;
  const look = () => {
    options.onProgress?.(cases, findings.size);
    if (runner.hash() !== hash) throw new Error('the machine is not as it was at the snapshot');
  };
  /** @returns the number of the case behind the first finding */
  const explore = (seed: number, from: string, numRuns: number): number | undefined => {
    let found: Verdict | undefined;
    let [before, shrinks, shrinkCycles] = [0, 0, 0];
    // What fast-check catches would count as a finding.
    let broken: unknown;
    const guarded = <T>(body: () => T): T | undefined => {
      try {
        return body();
      } catch (error) {
        broken ??= error;
        over = true;
        return undefined;
      }
    };
    const details = fc.check(
      fc.property(arbitrary, (structure) => {
        // Shrinking what is no finding would only run on.
        if (over) return true;
        if (found === undefined) {
          over = cases % CLOCK_EVERY === 0 && (Date.now() > until || options.signal?.aborted === true);
          if (over) return false;
          if (cases % HASH_EVERY === 0) guarded(look);
          cases++;
        } else if (++shrinks > SHRINK_CASES || shrinkCycles > SHRINK_CYCLES) return true;
        const verdict = guarded(() => runner.run(structure));
        if (found !== undefined) shrinkCycles += runner.cycles;
        if (verdict === undefined) return broken === undefined;
        const cause = causeOf(verdict);
        if (found !== undefined) return cause !== causeOf(found);
        if (findings.has(cause)) return true;
        found = verdict;
        before = cases - 1;
        return false;
      }),
      { seed, path: from, numRuns, endOnFailure: from.includes(':') },
    );
    if (broken !== undefined) throw broken;
    if (found === undefined || details.counterexample === null) return undefined;
    const [structure] = details.counterexample;
    // The verdict of the smallest one: its cycle is another.
    const verdict = runner.run(structure) ?? found;
    const path = details.counterexamplePath!;
    findings.set(causeOf(found), { cause: causeOf(found), verdict, structure, seed, path, cases: before });
    return Number(path.split(':')[0]) + 1;
  };
  const most = options.most ?? MOST_FINDINGS;
  if (options.path !== undefined) {
    if (!/^\d+(:\d+)*$/.test(options.path))
      throw new UserError(`--path ${options.path}: numbers with colons are needed, as a finding has them`);
    explore(seed, options.path, 1);
    return { cases, findings: [...findings.values()], start: runner.start };
  }
  for (let chunk = 0; chunk * CHUNK < runs && findings.size < most && !over; chunk++) {
    const length = Math.min(CHUNK, runs - chunk * CHUNK);
    for (let from = 0; from < length && findings.size < most && !over; )
      from = explore(seedOf(seed, chunk), String(from), length - from) ?? length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { cases, findings: [...findings.values()], start: runner.start };
}

/** Seed of a chunk: the campaign's own for the first, one that no near seed has for the others. */
const seedOf = (seed: number, chunk: number): number => (seed + Math.imul(chunk, 0x9e37_79b1)) & 0x7fff_ffff;
