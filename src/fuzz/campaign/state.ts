// What a campaign has come to, and which batches come next. All of it is counted, nothing timed: batches are planned from
// the options and from what was merged, and merged in their order.
//
// A plain campaign is one row of batches that draw. A guided one goes by generations: BATCHES batches made from one state
// of corpus, map and dictionary, of which the first goes on drawing; what they bring is merged when all are there.
// Invariant: the state after a generation depends on options and seed alone.

import type { Comparison } from '../coverage/edges.js';
import { ORACLES, type Oracle } from '../verdict.js';
import { type Batch, type BatchFinding, type BatchResult, CHUNK, type FreshInput, seedOf } from './batch.js';

/** Batches of a guided generation, and cases of each. */
const BATCHES = 8;
const GUIDED_CASES = 250;
/** Comparisons that are kept for mutations, the newest. */
const MOST_COMPARISONS = 4096;

/** A finding of the campaign, as plain data. */
export interface CampaignFinding extends Omit<BatchFinding, 'case'> {
  /** Cases before it. */
  readonly cases: number;
}

/** An input that is kept, with the edges that it reaches. */
export type CorpusInput = Omit<FreshInput, 'comparisons'>;

/** What is written down between two generations. */
export interface Saved {
  readonly generation: number;
  readonly batches: number;
  readonly cases: number;
  readonly verdicts: Readonly<Partial<Record<Oracle, number>>>;
  readonly findings: readonly CampaignFinding[];
  readonly corpus: readonly CorpusInput[];
  readonly dictionary: readonly Comparison[];
}

export interface CampaignPlan {
  readonly seed: number;
  readonly guided: boolean;
  /** Cases; guided and kept campaigns do whole generations. */
  readonly runs: number;
  readonly whole: boolean;
  /** Findings after which to stop. */
  readonly most: number;
  /** Fewer inputs that reach the same edges. */
  readonly minimize: (inputs: readonly CorpusInput[]) => readonly CorpusInput[];
}

export class CampaignState {
  readonly findings = new Map<string, CampaignFinding>();
  readonly verdicts: Partial<Record<Oracle, number>> = {};
  corpus: readonly CorpusInput[] = [];
  dictionary: readonly Comparison[] = [];
  cases = 0;
  #generation = 0;
  /** Batches that were planned and merged. */
  #planned = 0;
  #merged = 0;
  #plannedCases = 0;
  #edges: Uint32Array;
  #fresh: FreshInput[] = [];
  /** A batch was broken off: what comes now is told, and not built on. */
  #broken = false;
  #over = false;

  constructor(
    private readonly plan: CampaignPlan,
    saved?: Saved,
  ) {
    if (saved !== undefined) {
      for (const finding of saved.findings) this.findings.set(finding.cause, finding);
      Object.assign(this.verdicts, saved.verdicts);
      this.corpus = saved.corpus;
      this.dictionary = saved.dictionary;
      this.cases = saved.cases;
      this.#generation = saved.generation;
      this.#planned = this.#merged = saved.batches;
      this.#plannedCases = saved.cases;
    }
    this.#edges = unionOf(this.corpus);
    this.#over = this.findings.size >= plan.most;
  }

  /** Inputs that reach all that was reached, those of a generation that is not whole included. */
  get reaching(): readonly Pick<CorpusInput, 'tape'>[] {
    return [...this.corpus, ...this.#fresh];
  }

  /** Edges of the whole corpus. */
  get edges(): number {
    return this.#edges.length;
  }

  get guided(): boolean {
    return this.plan.guided;
  }

  /** Findings that are still wanted. */
  get wanted(): number {
    return this.plan.most - this.findings.size;
  }

  /** As many findings as were wanted. */
  get over(): boolean {
    return this.#over;
  }

  /** All batches before this one are merged: nothing more will be known when it begins. */
  isNext({ index }: Batch): boolean {
    return index === this.#merged;
  }

  /** The batch that comes next; undefined when there is none, or none before others are merged. */
  next(): Batch | undefined {
    const { guided, runs, seed, whole } = this.plan;
    if (this.#over || this.#broken) return undefined;
    const index = this.#planned;
    const position = index % BATCHES;
    // A generation that has begun is brought to its end; the next one waits for it.
    const begins = !guided || position === 0;
    if (begins && this.#plannedCases >= runs) return undefined;
    if (guided && begins && this.#merged < this.#planned) return undefined;
    const most = guided ? GUIDED_CASES : CHUNK;
    const cases = guided || whole ? most : Math.min(most, runs - this.#plannedCases);
    this.#planned++;
    this.#plannedCases += cases;
    const drawn = !guided || position === 0 || this.corpus.length === 0;
    return {
      generation: this.#generation,
      index,
      seed: seedOf(seed, index),
      cases,
      parents: drawn ? [] : this.corpus.map(({ tape }) => tape),
      dictionary: drawn ? [] : this.dictionary,
      edges: guided ? this.#edges : undefined,
    };
  }

  /**
   * Take in what a batch came to; in the order of the batches.
   * @returns findings that are new, and whether a generation is whole
   */
  merge(batch: Batch, result: BatchResult): { found: CampaignFinding[]; whole: boolean } {
    const found: CampaignFinding[] = [];
    if (this.#over) return { found, whole: false };
    const before = this.cases;
    let { cases } = result;
    for (const { case: number, ...one } of result.found) {
      if (this.findings.has(one.cause)) continue;
      const finding = { ...one, cases: before + number };
      this.findings.set(one.cause, finding);
      found.push(finding);
      if (this.findings.size < this.plan.most) continue;
      this.#over = true;
      cases = number + 1;
      break;
    }
    this.cases += cases;
    for (const verdict of result.verdicts.subarray(0, cases)) {
      const oracle = ORACLES[verdict - 1];
      if (oracle !== undefined) this.verdicts[oracle] = (this.verdicts[oracle] ?? 0) + 1;
    }
    if (this.#over || result.cases < batch.cases) this.#broken = true;
    this.#fresh.push(...result.fresh);
    if (this.#broken) return { found, whole: false };
    this.#merged++;
    if (this.plan.guided && this.#merged % BATCHES !== 0) return { found, whole: false };
    if (this.plan.guided) this.#endGeneration();
    return { found, whole: true };
  }

  /** The state after a whole generation. */
  save(): Saved {
    const { cases, verdicts, corpus, dictionary } = this;
    const findings = [...this.findings.values()];
    return { generation: this.#generation, batches: this.#merged, cases, verdicts, findings, corpus, dictionary };
  }

  #endGeneration(): void {
    this.#generation++;
    const map = new Set(this.#edges);
    const kept: CorpusInput[] = [];
    const comparisons: Comparison[] = [];
    for (const { tape, edges, comparisons: compared } of this.#fresh) {
      // Another batch may have brought the same.
      if (edges.every((edge) => map.has(edge))) continue;
      for (const edge of edges) map.add(edge);
      kept.push({ tape, edges });
      comparisons.push(...compared);
    }
    this.#fresh = [];
    if (kept.length === 0) return;
    this.corpus = this.plan.minimize([...this.corpus, ...kept]);
    this.#edges = Uint32Array.from(map).sort();
    this.dictionary = newest([...this.dictionary, ...comparisons]);
  }
}

function unionOf(inputs: readonly CorpusInput[]): Uint32Array {
  const all = new Set<number>();
  for (const { edges } of inputs) for (const edge of edges) all.add(edge);
  return Uint32Array.from(all).sort();
}

/** Each comparison once, where it was last met. */
function newest(comparisons: readonly Comparison[]): Comparison[] {
  const byText = new Map<string, Comparison>();
  for (const one of comparisons) {
    const text = `${one.site} ${one.width} ${one.left} ${one.right}`;
    byText.delete(text);
    byText.set(text, one);
  }
  return [...byText.values()].slice(-MOST_COMPARISONS);
}
