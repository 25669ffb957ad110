// Samples as a tree of frames, outermost first: area, then functions from the outermost to the one that ran. The page
// counts samples of any stretch of time over it, so a node carries no count.
//
//   nodeParent   0 for a node without one, else 1 + the parent's number; parents come first
//   nodeName     number in SampleTree.names
//   sample       node of each sample

import type { TraceHeader } from '../trace/header.js';
import { VarintWriter } from '../trace/varint.js';
import { areaOf, pageName } from './areas.js';
import type { Columns, Phase, SampleTree } from './payload.js';
import type { RawSample } from './sampling.js';
import { guessStack } from './stack-guess.js';
import type { Symbols } from './symbolize.js';

export const HALTED = '(halted)';

/** @param interval cycles between two samples */
export function packSamples(
  samples: readonly RawSample[],
  interval: number,
  header: TraceHeader,
  symbols: Symbols,
  phases: readonly Phase[],
): { tree: SampleTree; columns: Columns } {
  const names: string[] = [];
  const ids = new Map<string, number>();
  const nodes = new Map<string, number>();
  const [parents, nodeNames, column] = [new VarintWriter(), new VarintWriter(), new VarintWriter()];
  const nameId = (name: string): number => {
    const id = ids.get(name) ?? names.length;
    if (id === names.length) {
      names.push(name);
      ids.set(name, id);
    }
    return id;
  };
  const child = (parent: number, name: string): number => {
    const key = `${parent} ${name}`;
    let node = nodes.get(key);
    if (node === undefined) {
      node = nodes.size + 1;
      nodes.set(key, node);
      parents.write(parent);
      nodeNames.write(nameId(name));
    }
    return node;
  };
  for (const sample of samples) {
    const area = areaOf(sample, header, phaseAt(phases, sample.cycle));
    const chain =
      sample.bits === 16 ? [] : guessStack(sample.at, sample.stack, (at) => symbols.functionAt(at, sample.user));
    let node = child(0, area);
    for (const { name } of chain.reverse()) node = child(node, name);
    if (chain.length === 0) node = child(node, pageName(sample.at));
    if (sample.halted) node = child(node, HALTED);
    column.write(node - 1);
  }
  return {
    tree: { interval, count: samples.length, names, source: symbols.source },
    columns: { nodeParent: parents.bytes(), nodeName: nodeNames.bytes(), sample: column.bytes() },
  };
}

const phaseAt = (phases: readonly Phase[], cycle: number): string =>
  phases.findLast(({ from }) => from <= cycle)?.name ?? '';
