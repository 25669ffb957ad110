// A corpus made small: of all inputs a few that reach the same edges together. Greedy: whichever has the most edges that
// are still missing, the smaller of two; then those go whose edges the others have, too. Finding the smallest set of all
// would take exponential time; this one has at most ln(edges) + 1 times as many (Chvátal 1979).
//
// Invariant: the same whatever order the inputs come in, but for those that are alike in words and edges.

/** An input and what it reached, with how often (edges.ts). */
export interface Reached {
  readonly tape: Uint32Array;
  readonly edges: Uint32Array;
}

/** @returns inputs of the list, in its order; edges are taken with their steps: another step is another edge */
export function minimize<T extends Reached>(inputs: readonly T[]): T[] {
  const order = inputs.map((_, i) => i).sort((a, b) => compare(inputs[a]!, inputs[b]!));
  const missing = new Set<number>();
  for (const { edges } of inputs) for (const edge of edges) missing.add(edge);
  const kept = new Set<number>();
  // How many of its edges were missing when an input was last looked at: never more later on.
  const most = new Map(order.map((i) => [i, inputs[i]!.edges.length]));
  while (missing.size > 0) {
    let best: number | undefined;
    let bestCount = 0;
    for (const i of order) {
      if (kept.has(i) || most.get(i)! <= bestCount) continue;
      let count = 0;
      for (const edge of new Set(inputs[i]!.edges)) if (missing.has(edge)) count++;
      most.set(i, count);
      // The order is by size: of two with the same count, the first is the smaller.
      if (count > bestCount) [best, bestCount] = [i, count];
    }
    kept.add(best!);
    for (const edge of inputs[best!]!.edges) missing.delete(edge);
  }
  return withoutSpare(inputs, kept, order)
    .sort((a, b) => a - b)
    .map((i) => inputs[i]!);
}

/** Largest first, those whose edges all others have, too: what is taken early may be covered by what came later. */
function withoutSpare(inputs: readonly Reached[], kept: Set<number>, order: readonly number[]): number[] {
  const holders = new Map<number, number>();
  const count = (i: number, by: number) => {
    for (const edge of new Set(inputs[i]!.edges)) holders.set(edge, (holders.get(edge) ?? 0) + by);
  };
  for (const i of kept) count(i, 1);
  for (const i of [...order].reverse()) {
    if (!kept.has(i) || inputs[i]!.edges.some((edge) => holders.get(edge) === 1)) continue;
    kept.delete(i);
    count(i, -1);
  }
  return [...kept];
}

/** Fewer words first; of as many, the lower ones; of the same tape, the one that reached less. */
function compare(a: Reached, b: Reached): number {
  if (a.tape.length !== b.tape.length) return a.tape.length - b.tape.length;
  for (let i = 0; i < a.tape.length; i++) if (a.tape[i] !== b.tape[i]) return a.tape[i]! - b.tape[i]!;
  return a.edges.length - b.edges.length;
}
