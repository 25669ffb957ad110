// What a corpus has reached, as branches of the guest: each input is run once more, and its edges are told by their
// addresses. So a report says what can be had again, on one machine, whoever found the inputs.

import type { CaseRunner } from '../case-runner.js';
import type { CoveredBranch } from '../options.js';
import type { CoverageProbe } from './edges.js';
import { TapeArbitrary } from './tape.js';

/** Branches that inputs take, by their addresses. @param runner has coverage */
export function coveredBranches(
  runner: Pick<CaseRunner, 'run' | 'target'> & { readonly coverage?: CoverageProbe | undefined },
  inputs: Iterable<{ readonly tape: Uint32Array }>,
): CoveredBranch[] {
  const found = new Map<string, { from: number; to: number; inputs: number }>();
  const probe = runner.coverage;
  if (probe === undefined) return [];
  probe.comparing = false;
  for (const { tape } of inputs) {
    const structure = new TapeArbitrary(runner.target.arbitrary, tape).generate().value;
    probe.begin();
    runner.run(structure);
    for (const edge of probe.end()) {
      const [from, to] = probe.addressesOf(edge);
      const key = `${from} ${to}`;
      const known = found.get(key);
      if (known) known.inputs++;
      else found.set(key, { from, to, inputs: 1 });
    }
  }
  return [...found.values()].sort((a, b) => a.from - b.from || a.to - b.to);
}
