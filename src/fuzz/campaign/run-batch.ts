// Runs a batch on a machine: cases drawn from its seed, or made by changing its parents; findings told apart by cause and
// shrunk on the spot by fast-check to the smallest structure that has the same cause. After a finding the drawing goes
// on behind it.
// Invariants: the result follows from the batch alone; a restored machine hashes as the snapshot (looked at every 1,000
// cases). Left out: what shrinks a finding of an earlier batch once more, which merging would drop (BatchWatch.known).

import fc from 'fast-check';
import type { CaseRunner } from '../case-runner.js';
import type { CoverageProbe } from '../coverage/edges.js';
import { mutatorOf } from '../coverage/mutate.js';
import { randomOf, TapeArbitrary, TapedArbitrary } from '../coverage/tape.js';
import type { Structure } from '../structure.js';
import { causeOf, ORACLES, type Verdict } from '../verdict.js';
import type { Batch, BatchFinding, BatchResult, BatchWatch, FreshInput } from './batch.js';

const HASH_EVERY = 1000;
/** What shrinking one finding may cost, in cases and in cycles: counted, so that it ends at the same structure anywhere. */
const SHRINK_CASES = 2000;
const SHRINK_CYCLES = 300_000_000;
/** Cases between two looks at whether to stop. */
const STOP_EVERY = 32;

/** What of a case runner a batch needs. */
export interface Runner extends Pick<CaseRunner, 'run' | 'hash' | 'cycles' | 'target' | 'start'> {
  readonly coverage?: CoverageProbe | undefined;
}

/** Runs batches, one after the other, on one machine. */
export class BatchRunner {
  readonly #hash: string;
  #unlooked = HASH_EVERY;

  constructor(private readonly runner: Runner) {
    this.#hash = runner.hash();
  }

  /** @throws Error when the machine fails: nothing that a guest does may be a reason */
  run(batch: Batch, watch: BatchWatch): BatchResult {
    return new BatchRun(this.runner, batch, watch, () => this.#look()).run();
  }

  /** Only the case that a path leads to, as a finding if it is one. */
  runPath(arbitrary: fc.Arbitrary<Structure<unknown>>, seed: number, path: string): BatchResult {
    const batch = { generation: 0, index: 0, seed, cases: 1, parents: [], dictionary: [] };
    const watch = { known: new Set<string>(), most: 1, stop: () => false, onCases: () => {} };
    const run = new BatchRun(this.runner, batch, watch, () => this.#look());
    run.explore(arbitrary, path, 1);
    return run.result;
  }

  #look(): void {
    if (this.#unlooked++ < HASH_EVERY) return;
    this.#unlooked = 1;
    if (this.runner.hash() !== this.#hash) throw new Error('the machine is not as it was at the snapshot');
  }
}

class BatchRun {
  readonly #found: BatchFinding[] = [];
  readonly #causes: Set<string>;
  readonly #verdicts: Uint8Array;
  readonly #fresh: FreshInput[] = [];
  /** Edges that are known; undefined when nobody looks at them. */
  readonly #map: Set<number> | undefined;
  #cases = 0;
  #told = 0;
  #over = false;

  constructor(
    private readonly runner: Runner,
    private readonly batch: Batch,
    private readonly watch: BatchWatch,
    private readonly look: () => void,
  ) {
    this.#causes = new Set(watch.known);
    this.#verdicts = new Uint8Array(batch.cases);
    this.#map = batch.edges && new Set(batch.edges);
  }

  get result(): BatchResult {
    const cases = this.#cases;
    return { cases, verdicts: this.#verdicts.slice(0, cases), found: this.#found, fresh: this.#fresh };
  }

  run(): BatchResult {
    if (this.batch.parents.length === 0) this.#draw();
    else this.#change();
    this.watch.onCases(this.#cases - this.#told);
    return this.result;
  }

  #draw(): void {
    const { cases } = this.batch;
    const { arbitrary } = this.runner.target;
    for (let from = 0; from < cases && !this.#over; ) {
      const drawn = this.#map ? new TapedArbitrary(arbitrary) : arbitrary;
      from = this.explore(drawn, String(from), cases - from) ?? cases;
    }
  }

  #change(): void {
    const { seed, cases, parents, dictionary } = this.batch;
    const { arbitrary } = this.runner.target;
    const mutate = mutatorOf(arbitrary);
    const random = randomOf(seed);
    for (let n = 0; n < cases && !this.#over; n++) {
      const tape = mutate(parents, dictionary, random);
      this.explore(new TapeArbitrary(arbitrary, tape), '0', 1, tape);
    }
  }

  /**
   * Cases of an arbitrary, up to the first finding, which is shrunk.
   * @returns the number of the case behind the finding
   */
  explore(
    arbitrary: fc.Arbitrary<Structure<unknown>> & { tape?: Uint32Array },
    from: string,
    numRuns: number,
    tape?: Uint32Array,
  ): number | undefined {
    const { runner } = this;
    const { seed } = this.batch;
    let found: Verdict | undefined;
    let [before, shrinks, shrinkCycles] = [0, 0, 0];
    // What fast-check catches would count as a finding.
    let broken: unknown;
    const guarded = <T>(body: () => T): T | undefined => {
      try {
        return body();
      } catch (error) {
        broken ??= error;
        this.#over = true;
        return undefined;
      }
    };
    const details = fc.check(
      fc.property(arbitrary, (structure) => {
        // Shrinking what is no finding would only run on.
        if (this.#over) return true;
        if (found !== undefined) {
          if (++shrinks > SHRINK_CASES || shrinkCycles > SHRINK_CYCLES) return true;
          const verdict = guarded(() => runner.run(structure));
          shrinkCycles += runner.cycles;
          return verdict === undefined || causeOf(verdict) !== causeOf(found);
        }
        if (this.#stops()) return false;
        const verdict = guarded(() => this.#case(structure, arbitrary.tape));
        if (verdict === undefined) return broken === undefined;
        this.#verdicts[this.#cases - 1] = 1 + ORACLES.indexOf(verdict.oracle);
        if (this.#causes.has(causeOf(verdict))) return true;
        found = verdict;
        before = this.#cases - 1;
        return false;
      }),
      { seed, path: from, numRuns, endOnFailure: from.includes(':') },
    );
    if (broken !== undefined) throw broken;
    if (found === undefined || details.counterexample === null) return undefined;
    const [structure] = details.counterexample;
    // The verdict of the smallest one: its cycle is another.
    const verdict = runner.run(structure) ?? found;
    const cause = causeOf(found);
    const path = details.counterexamplePath!;
    this.#causes.add(cause);
    this.#found.push({ cause, verdict, tape, seed, path, case: before });
    if (this.#found.length >= this.watch.most) this.#over = true;
    return Number(path.split(':')[0]) + 1;
  }

  #stops(): boolean {
    if (this.#cases % STOP_EVERY !== 0) return false;
    this.watch.onCases(this.#cases - this.#told);
    this.#told = this.#cases;
    this.#over = this.watch.stop();
    return this.#over;
  }

  #case(structure: Structure<unknown>, tape: Uint32Array | undefined): Verdict | undefined {
    const { runner } = this;
    this.look();
    this.#cases++;
    const map = this.#map;
    const probe = map && runner.coverage;
    if (!map || !probe || !tape) return runner.run(structure);
    probe.comparing = false;
    probe.begin();
    const verdict = runner.run(structure);
    const edges = probe.end();
    if (edges.some((edge) => !map.has(edge))) {
      for (const edge of edges) map.add(edge);
      // Once more for what it compares: that costs, and only such inputs are worth it.
      probe.comparing = true;
      probe.begin();
      runner.run(structure);
      probe.end();
      this.#fresh.push({ tape, edges, comparisons: probe.comparisons() });
    }
    return verdict;
  }
}
