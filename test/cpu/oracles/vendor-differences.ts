// Where processors of different vendors differ, so that a host of the other vendor cannot judge the model.

import type { GeneratedCase } from './case-generator.js';
import type { Outcome } from './single-step.js';

interface Difference {
  readonly name: string;
  applies(generated: GeneratedCase, outcome: Outcome): boolean;
}

const AMD: readonly Difference[] = [];

/** Name of the difference that makes a case incomparable, or undefined. */
export function excused(generated: GeneratedCase, outcome: Outcome, vendor: string): string | undefined {
  const list = vendor === 'AuthenticAMD' ? AMD : [];
  return list.find((difference) => difference.applies(generated, outcome))?.name;
}
