// Processor samples in the page: the tree of frames, and counts over any stretch of time.

import { type Columns, readVarints, type TraceHead } from '../payload.js';
import { readAll } from './columns.js';

export interface FrameNode {
  readonly name: string;
  readonly children: FrameNode[];
  /** Samples in it and below. */
  total: number;
  /** Samples in it alone. */
  self: number;
}

const NONE = new Uint8Array(0);
export const HALTED = '(halted)';

export class SampleData {
  readonly interval: number;
  readonly count: number;
  readonly source: string;
  readonly names: readonly string[];
  /** 0 for none, else 1 + the parent's number. */
  readonly parent: Float64Array;
  readonly name: Float64Array;
  readonly sample: Uint32Array;
  /** What the processor did at each sample: area's number in `areas`, or 0 when it was halted. */
  readonly area: Uint8Array;
  readonly areas: readonly string[];

  constructor(head: TraceHead, columns: Columns) {
    const tree = head.samples!;
    this.interval = tree.interval;
    this.count = tree.count;
    this.source = tree.source;
    this.names = tree.names;
    this.parent = readAll(columns.nodeParent ?? NONE);
    this.name = readAll(columns.nodeName ?? NONE);
    this.sample = readVarints(columns.sample ?? NONE, new Uint32Array(tree.count));
    const areas = ['halted'];
    const ofNode = new Uint8Array(this.parent.length);
    this.parent.forEach((parent, n) => {
      const name = this.names[this.name[n]!]!;
      if (parent !== 0) ofNode[n] = name === HALTED ? 0 : ofNode[parent - 1]!;
      else {
        if (!areas.includes(name)) areas.push(name);
        ofNode[n] = areas.indexOf(name);
      }
    });
    this.areas = areas;
    this.area = Uint8Array.from(this.sample, (node) => ofNode[node]!);
  }

  /** The tree of samples in a stretch of cycles, children by falling weight. */
  tree(from: number, to: number): FrameNode {
    const first = Math.max(0, Math.ceil(from / this.interval));
    const last = Math.min(this.count, Math.ceil(to / this.interval));
    const self = new Uint32Array(this.parent.length);
    for (let i = first; i < last; i++) self[this.sample[i]!]!++;
    const total = self.slice();
    for (let n = total.length - 1; n >= 0; n--) {
      const parent = this.parent[n]!;
      if (parent > 0) total[parent - 1]! += total[n]!;
    }
    const root: FrameNode = { name: 'all', children: [], total: Math.max(0, last - first), self: 0 };
    const nodes: FrameNode[] = [];
    for (let n = 0; n < total.length; n++) {
      const node: FrameNode = { name: this.names[this.name[n]!]!, children: [], total: total[n]!, self: self[n]! };
      nodes.push(node);
      if (node.total === 0) continue;
      const parent = this.parent[n]!;
      (parent === 0 ? root : nodes[parent - 1]!).children.push(node);
    }
    for (const node of [root, ...nodes]) {
      node.children.sort((a, b) => b.total - a.total || (a.name < b.name ? -1 : 1));
    }
    return root;
  }
}

/** Functions by the samples in themselves and in all that they call; a recursive one counts once. */
export function ranking(root: FrameNode): { name: string; self: number; total: number }[] {
  const rows = new Map<string, { name: string; self: number; total: number }>();
  const walk = (node: FrameNode, above: ReadonlySet<string>): void => {
    let row = rows.get(node.name);
    if (!row) {
      row = { name: node.name, self: 0, total: 0 };
      rows.set(node.name, row);
    }
    row.self += node.self;
    if (!above.has(node.name)) row.total += node.total;
    const path = new Set(above).add(node.name);
    for (const child of node.children) walk(child, path);
  };
  for (const area of root.children) for (const child of area.children) walk(child, new Set());
  return [...rows.values()].sort((a, b) => b.self - a.self || b.total - a.total);
}
