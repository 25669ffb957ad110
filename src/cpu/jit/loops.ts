// The order in which a region's blocks are laid out, and the loops among them: a weak topological order (F. Bourdoncle,
// "Efficient chaotic iteration strategies with widenings", 1993). Strongly connected blocks are a loop; its head is the
// block by which most edges come in; without the head, the rest is ordered in the same way. Every edge then goes forward,
// or to the head of a loop that the block is in, or into the middle of a loop from outside.

/** A block by its number, or a loop. */
export type Part = number | Loop;

export interface Loop {
  readonly head: number;
  /** What else is in it, in order. */
  readonly body: readonly Part[];
}

/** The first block of a part. */
export const headOf = (part: Part): number => (typeof part === 'number' ? part : part.head);

/** All blocks of some parts, in order. */
export const flatten = (parts: readonly Part[]): number[] =>
  parts.flatMap((part) => (typeof part === 'number' ? [part] : [part.head, ...flatten(part.body)]));

/** @param successors of each block, by number: blocks that control goes to */
export function layOut(successors: readonly (readonly number[])[]): Part[] {
  return order([...successors.keys()], successors);
}

/** Of blocks that are no loop's, those with lower numbers come first where edges leave a choice. */
function order(blocks: readonly number[], successors: readonly (readonly number[])[]): Part[] {
  return components(blocks, successors).map((component): Part => {
    const [only] = component;
    if (component.length === 1 && !successors[only!]!.includes(only!)) return only!;
    const inside = new Set(component);
    const entries = new Map<number, number>();
    for (const from of blocks)
      if (!inside.has(from))
        for (const to of successors[from]!) if (inside.has(to)) entries.set(to, (entries.get(to) ?? 0) + 1);
    const most = Math.max(0, ...entries.values());
    const head = component.find((n) => (entries.get(n) ?? 0) === most)!;
    return {
      head,
      body: order(
        component.filter((n) => n !== head),
        successors,
      ),
    };
  });
}

/** Strongly connected components, each ascending, in topological order (R. Tarjan, 1972). */
function components(blocks: readonly number[], successors: readonly (readonly number[])[]): number[][] {
  const among = new Set(blocks);
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const stack: number[] = [];
  const open = new Set<number>();
  const found: number[][] = [];
  const visit = (n: number): void => {
    const at = index.size;
    index.set(n, at);
    low.set(n, at);
    stack.push(n);
    open.add(n);
    // The last one visited comes first in the result.
    for (const to of [...successors[n]!].sort((a, b) => b - a)) {
      if (!among.has(to)) continue;
      if (!index.has(to)) {
        visit(to);
        low.set(n, Math.min(low.get(n)!, low.get(to)!));
      } else if (open.has(to)) low.set(n, Math.min(low.get(n)!, index.get(to)!));
    }
    if (low.get(n) !== at) return;
    const component = stack.splice(stack.indexOf(n));
    for (const member of component) open.delete(member);
    found.push(component.sort((a, b) => a - b));
  };
  for (const n of [...blocks].sort((a, b) => b - a)) if (!index.has(n)) visit(n);
  return found.reverse();
}
