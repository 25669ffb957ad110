// The unit of a campaign's work: plain data, so that a thread or another machine can do it. What a batch gives follows
// from the batch alone: neither who runs it, nor which batches ran before it, makes a difference. Results are merged in
// the batches' order, so a campaign comes to the same end on one thread, on many, and after it was killed.

import type { Comparison } from '../coverage/edges.js';
import type { Verdict } from '../verdict.js';

/** Cases of a batch that draws: getting at the last of many cases of a seed costs time. */
export const CHUNK = 1000;

export interface Batch {
  /** Batches of a generation are made from one state of the campaign. 0 in plain campaigns. */
  readonly generation: number;
  /** Among all batches of the campaign. */
  readonly index: number;
  readonly seed: number;
  readonly cases: number;
  /** Inputs to change; none when cases are drawn, by fast-check's own runner. */
  readonly parents: readonly Uint32Array[];
  readonly dictionary: readonly Comparison[];
  /** The campaign's map of edges, sorted; undefined when the campaign looks at none. */
  readonly edges?: Uint32Array | undefined;
}

/** A cause that a batch has come upon, with the smallest structure for it. */
export interface BatchFinding {
  readonly cause: string;
  readonly verdict: Verdict;
  /** What was played; undefined for a case that was drawn. */
  readonly tape?: Uint32Array | undefined;
  readonly seed: number;
  /** Of the structure among those of the seed, or of the tape. */
  readonly path: string;
  /** Its number in the batch, from 0 on. */
  readonly case: number;
}

/** An input that reached new edges. */
export interface FreshInput {
  readonly tape: Uint32Array;
  /** All that it reaches, sorted. */
  readonly edges: Uint32Array;
  readonly comparisons: readonly Comparison[];
}

export interface BatchResult {
  /** Fewer than the batch has when it was broken off. */
  readonly cases: number;
  /** Of each case 0, or 1 + the oracle's place in ORACLES. */
  readonly verdicts: Uint8Array;
  /** The first case of each cause, in their order. */
  readonly found: readonly BatchFinding[];
  /** Inputs with edges that are neither in the batch's map nor in an earlier input's of it. */
  readonly fresh: readonly FreshInput[];
}

/** What goes on around a batch. */
export interface BatchWatch {
  /** Causes that are known: they are not shrunk once more. Must be of batches that come before this one. */
  readonly known: ReadonlySet<string>;
  /** Other causes after which nothing more is wanted. */
  readonly most: number;
  /** Asked every few cases. */
  stop(): boolean;
  /** Cases done since the last call. */
  onCases(cases: number): void;
}

/** Seed of a batch: the campaign's own for the first, one that no near seed has for the others. */
export const seedOf = (seed: number, index: number): number => (seed + Math.imul(index, 0x9e37_79b1)) & 0x7fff_ffff;
