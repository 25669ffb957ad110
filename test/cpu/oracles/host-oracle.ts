// Generated cases run on the host's processor and on the model, compared, and shrunk when they differ.
//
// What depends on the vendor, beyond what compare.ts names, is listed in VENDOR_DIFFERENCES: there the model follows
// Intel (the vectors of intel.test.ts), so such cases say nothing on another vendor's host.

import fc from 'fast-check';
import { QEMU64_V1 } from '../../../src/cpu/cpuid.js';
import { CaseGenerator, type GeneratedCase, WORDS } from './case-generator.js';
import { differences } from './compare.js';
import { DATA } from './descriptor-tables.js';
import { buildHostProcessor, type HostProcessor, modelCase } from './native-step.js';
import { RowFinder, rowName } from './rows.js';
import { everyFeature, type Outcome, SingleStep } from './single-step.js';
import { excused } from './vendor-differences.js';

/** The words of a case; zeros are the plainest case. */
export const caseWords: fc.Arbitrary<number[]> = fc.noBias(
  fc.array(fc.nat({ max: 0xffff_ffff }), { minLength: WORDS, maxLength: WORDS, size: 'max' }),
);

export interface Mismatch {
  readonly generated: GeneratedCase;
  readonly words: readonly number[];
  readonly found: readonly string[];
  readonly wanted: Outcome;
}

/** What came of a batch. */
export interface Batch {
  /** Cases compared, by row. */
  readonly compared: Map<string, number>;
  readonly excused: Map<string, number>;
  readonly mismatches: Mismatch[];
}

export class HostOracle {
  readonly generator: CaseGenerator;
  private readonly machine: SingleStep;

  constructor(readonly host: HostProcessor) {
    const model = everyFeature(QEMU64_V1);
    this.machine = new SingleStep(model);
    this.generator = new CaseGenerator(new RowFinder(model), host.features);
  }

  run(batch: readonly (readonly number[])[]): Batch {
    const cases: { generated: GeneratedCase; words: readonly number[] }[] = [];
    for (const words of batch) {
      const generated = this.generator.make(words);
      if (generated !== undefined) cases.push({ generated, words });
    }
    const outcomes = this.host.run(cases.map((c) => c.generated.given));
    const result: Batch = { compared: new Map(), excused: new Map(), mismatches: [] };
    cases.forEach(({ generated, words }, i) => {
      const name = rowName(generated.row);
      const wanted = outcomes[i];
      if (wanted === undefined) {
        result.mismatches.push({ generated, words, found: ['lost on the host'], wanted: this.model(generated) });
        return;
      }
      const excuse = excused(generated, wanted, this.host.vendor);
      if (excuse !== undefined) {
        result.excused.set(excuse, (result.excused.get(excuse) ?? 0) + 1);
        return;
      }
      result.compared.set(name, (result.compared.get(name) ?? 0) + 1);
      const found = this.compare(generated, wanted);
      if (found.length > 0) result.mismatches.push({ generated, words, found, wanted });
    });
    return result;
  }

  private model(generated: GeneratedCase): Outcome {
    return this.machine.run(modelCase(generated.given));
  }

  private compare(generated: GeneratedCase, wanted: Outcome): string[] {
    let got: Outcome;
    try {
      got = this.model(generated);
    } catch (error) {
      return [String(error)];
    }
    return differences(generated.row, got, wanted, {
      undefinedFlags: generated.undefinedFlags,
      registerBits: generated.given.bits === 64 ? 64 : 32,
      memory: pointerFields(generated),
      segments: true,
    });
  }

  /** The plainest words with a difference of their own that can be reached from these. */
  shrink(words: readonly number[]): Mismatch {
    let best = this.run([words]).mismatches[0]!;
    const row = best.generated.row;
    for (let again = true, tries = 0; again && tries < 4000; ) {
      again = false;
      for (const { value: smaller } of caseWords.shrink([...best.words], undefined)) {
        if (++tries > 4000) break;
        // Leading words choose the row and the mode; the row stays.
        const mismatch = this.run([[best.words[0]!, ...smaller.slice(1)]]).mismatches[0];
        if (mismatch === undefined || mismatch.generated.row !== row) continue;
        if (mismatch.words.every((word, i) => word === best.words[i])) continue;
        best = mismatch;
        again = true;
        break;
      }
    }
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

/** One line that says everything about a case and what the host made of it: a test vector. */
export function vectorLine({ generated, wanted }: Mismatch): string {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const big = (value: bigint) => value.toString(16);
  const { given } = generated;
  const state = (registers: Outcome['registers']) => ({
    gpr: registers.gpr.map(big),
    rip: big(registers.rip),
    eflags: registers.eflags.toString(16),
    fx: hex(registers.fx.subarray(0, 416)).replace(/0+$/, ''),
  });
  return JSON.stringify({
    row: rowName(generated.row),
    bits: given.bits,
    code: hex(given.code),
    before: state(given.registers),
    selectors: given.selectors,
    bases: [big(given.fsBase), big(given.gsBase)],
    patches: given.patches.map((patch) => [patch.offset, hex(patch.bytes)]),
    vector: wanted.vector,
    error: wanted.error,
    cr2: big(wanted.cr2),
    after: state(wanted.registers),
    selectorsAfter: wanted.selectors,
  });
}
