// What a case tells of where it was: edges, which are control transfers with how often they were taken, and the operands
// of comparisons. Plain data, so that batches carry it between threads and machines.

import type { Comparison } from '../../cpu/coverage/coverage.js';

export type { Comparison } from '../../cpu/coverage/coverage.js';

/**
 * What a machine notes of the instructions it executes. An edge is a number below 2^32: 29 bits from the addresses of a
 * branch and of where it went, and in its low 3 bits how often, in steps: 1, 2, 3, 4–7, 8–15, 16–31, 32–127, 128 and
 * more. The same in every machine that boots the same images; two edges with one number are as good as one.
 */
export interface CoverageProbe {
  /** Whether operands are noted, too, from the next begin() on: slower, so for inputs that are worth it. Off at first. */
  comparing: boolean;
  begin(): void;
  /** Edges since begin(), sorted, each once. What is executed from here to the next begin() counts for nothing. */
  end(): Uint32Array;
  /** Comparisons since begin(), in the order in which each was first made; a bounded number for each site. */
  comparisons(): readonly Comparison[];
  /**
   * Linear addresses (low 48 bits) of the branch and of where it went. An edge's step does not matter.
   * @throws RangeError when this machine has not taken it since it was last asked to begin()
   */
  addressesOf(edge: number): [from: number, to: number];
}

/** The edge without how often it was taken. */
export const placeOf = (edge: number): number => edge >>> 3;
