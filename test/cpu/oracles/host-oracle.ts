// Generated cases run on the host's processor and on the model, compared, and shrunk when they differ.
//
// What depends on the vendor, beyond what compare.ts names, is listed in vendor-differences.ts: there the model follows
// Intel (the vectors of intel.test.ts), so that such cases say less, or nothing, on another vendor's host.

import fc from 'fast-check';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { CaseGenerator, type GeneratedCase, WORDS } from './case-generator.js';
import { differences, type Tolerance } from './compare.js';
import { DATA, PAGE } from './descriptor-tables.js';
import { buildHostProcessor, type HostOutcomes, type HostProcessor, modelCase } from './native-step.js';
import { RowFinder, rowName } from './rows.js';
import { everyFeature, type Outcome, SingleStep } from './single-step.js';
import { differencesThatApply, relax } from './vendor-differences.js';

const CASES_A_BATCH = 2000;
const seedWord = fc.noBias(fc.nat({ max: 0xffff_ffff }));

/** The words of a case; zeros are the plainest case. fast-check draws four, the rest follows from them (xoshiro128). */
export const caseWords: fc.Arbitrary<Uint32Array> = fc
  .tuple(seedWord, seedWord, seedWord, seedWord)
  .map(([a, b, c, d]) => {
    const words = new Uint32Array(WORDS);
    for (let i = 0; i < WORDS; i++) {
      words[i] = Math.imul(rotate(Math.imul(b, 5), 7), 9);
      const t = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= t;
      d = rotate(d, 11);
    }
    return words;
  });
const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

export interface Mismatch {
  readonly generated: GeneratedCase;
  readonly words: ArrayLike<number>;
  readonly found: readonly string[];
  readonly wanted: Outcome;
}

/** What came of a batch. */
export interface Batch {
  /** Cases compared, by row. */
  readonly compared: Map<string, number>;
  /** Cases that differ by what is named in vendor-differences.ts, and by nothing else; by name. */
  readonly excused: Map<string, number>;
  readonly mismatches: Mismatch[];
}

interface MadeCase {
  readonly generated: GeneratedCase;
  readonly words: ArrayLike<number>;
}
interface Started {
  readonly cases: readonly MadeCase[];
  readonly outcomes: Promise<HostOutcomes>;
}

export class HostOracle {
  readonly generator: CaseGenerator;
  private readonly machine: SingleStep;
  /** Data pages of the case at hand: on the host, and for the model. */
  private readonly pages = [new Uint8Array(PAGE), new Uint8Array(PAGE)] as const;

  constructor(readonly host: HostProcessor) {
    const model = everyFeature(QEMU64_V1);
    this.machine = new SingleStep(model);
    this.generator = new CaseGenerator(new RowFinder(model), host.features);
  }

  /**
   * `total` random cases, batch by batch. While one batch is compared here, the next runs on the host.
   * Batch n of a seed is always the same.
   */
  async *batches(seed: number, total: number): AsyncGenerator<Batch> {
    let before: Started | undefined;
    for (let done = 0; done < total; done += CASES_A_BATCH) {
      const numRuns = Math.min(CASES_A_BATCH, total - done);
      const words = fc.sample(caseWords, { seed: (seed * 1_000_003 + done / CASES_A_BATCH) | 0, numRuns });
      const cases = this.make(words);
      const outcomes = await before?.outcomes;
      const started = this.start(cases);
      if (before !== undefined) yield this.compare(before.cases, outcomes!);
      before = started;
    }
    if (before !== undefined) yield this.compare(before.cases, await before.outcomes);
  }

  async run(batch: readonly ArrayLike<number>[]): Promise<Batch> {
    const { cases, outcomes } = this.start(this.make(batch));
    return this.compare(cases, await outcomes);
  }

  private make(batch: readonly ArrayLike<number>[]): MadeCase[] {
    const cases: MadeCase[] = [];
    for (const words of batch) {
      const generated = this.generator.make(words);
      if (generated !== undefined) cases.push({ generated, words });
    }
    return cases;
  }

  private start(cases: readonly MadeCase[]): Started {
    return { cases, outcomes: this.host.run(cases.map((c) => c.generated.given)) };
  }

  private compare(cases: readonly MadeCase[], outcomes: HostOutcomes): Batch {
    const result: Batch = { compared: new Map(), excused: new Map(), mismatches: [] };
    cases.forEach(({ generated, words }, i) => {
      const name = rowName(generated.row);
      const wanted = outcomes.get(i, this.pages[0]);
      if (wanted === undefined) {
        result.mismatches.push({ generated, words, found: ['lost on the host'], wanted: this.model(generated) });
        return;
      }
      result.compared.set(name, (result.compared.get(name) ?? 0) + 1);
      const { found, reasons } = this.judge(generated, wanted);
      for (const reason of reasons) result.excused.set(reason, (result.excused.get(reason) ?? 0) + 1);
      if (found.length > 0) result.mismatches.push({ generated, words, found, wanted: outcomes.get(i)! });
    });
    return result;
  }

  private model(generated: GeneratedCase): Outcome {
    return this.machine.run(modelCase(generated.given, this.pages[1]));
  }

  /** What differs, unless named differences between processors explain it: then their names. */
  private judge(generated: GeneratedCase, wanted: Outcome): { found: string[]; reasons: string[] } {
    let got: Outcome;
    try {
      got = this.model(generated);
    } catch (error) {
      return { found: [String(error)], reasons: [] };
    }
    const strict: Tolerance = {
      undefinedFlags: generated.undefinedFlags,
      registerBits: generated.given.bits === 64 ? 64 : 32,
      memory: pointerFields(generated),
      segments: true,
    };
    const found = differences(generated.row, got, wanted, strict);
    if (found.length === 0) return { found, reasons: [] };
    const applied = differencesThatApply(generated, wanted, this.host.vendor);
    const tolerance = relax(applied, strict);
    const left = tolerance === undefined ? [] : differences(generated.row, got, wanted, tolerance);
    return { found: left, reasons: left.length === 0 ? applied.map((difference) => difference.name) : [] };
  }

  /**
   * A plainer case of the same row with a difference of its own: words are zeroed in ever smaller groups, then made
   * smaller. All attempts of a round are one batch; those that worked alone are tried together. What does not differ
   * when it runs alone is given back as it is.
   */
  async shrink(first: Mismatch): Promise<Mismatch> {
    const alone = (await this.run([first.words])).mismatches[0];
    if (alone === undefined) return { ...first, found: [...first.found, 'but not when it runs alone'] };
    let best = alone;
    const attempt = async (candidates: readonly (readonly number[])[]): Promise<Mismatch[]> =>
      (await this.run(candidates)).mismatches.filter((m) => m.generated.row === first.generated.row);
    const round = async (change: (word: number, i: number, group: number) => number, size: number): Promise<void> => {
      const words = () => Array.from(best.words);
      const changed = (groups: ReadonlySet<number>) =>
        words().map((word, i) => (i > 0 && groups.has(Math.floor(i / size)) ? change(word, i, size) : word));
      const groups = Array.from({ length: Math.ceil(WORDS / size) }, (_, i) => i).filter((group) =>
        words()
          .slice(group * size, (group + 1) * size)
          .some((word, i) => change(word, i, size) !== word),
      );
      const candidates = groups.map((group) => changed(new Set([group])));
      const worked = new Set((await attempt(candidates)).map((m) => candidates.indexOf(m.words as number[])));
      const good = groups.filter((_, i) => worked.has(i));
      const together = (await attempt([changed(new Set(good))]))[0];
      if (together !== undefined) best = together;
      else for (const group of good) best = (await attempt([changed(new Set([group]))]))[0] ?? best;
    };
    for (let size = WORDS / 4; size >= 1; size /= 4) await round(() => 0, size);
    await round(() => 0, 1);
    for (let i = 0; i < 4; i++) await round((word) => word >>> 8, 1);
    for (let i = 0; i < 4; i++) await round((word) => word >>> 1, 1);
    await round((word) => Math.max(0, word - 1), 1);
    return best;
  }
}

/** The oracle, where the host can be one. */
export function hostOracle(): HostOracle | undefined {
  const host = buildHostProcessor();
  return host === undefined ? undefined : new HostOracle(host);
}

/** x87 pointers and the last opcode in images that the instruction stores, and MXCSR_MASK: not compared. */
function pointerFields(generated: GeneratedCase): [number, number][] {
  if (generated.operandAt === undefined) return [];
  const at = generated.operandAt - DATA;
  switch (generated.row.mnemonic) {
    case 'FNSTENV':
    case 'FNSAVE':
      return generated.osize === 16 ? [[at + 6, at + 14]] : [[at + 12, at + 28]];
    case 'FXSAVE':
      return [
        [at + 6, at + 24],
        [at + 28, at + 32],
      ];
    default:
      return [];
  }
}
