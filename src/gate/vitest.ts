// Boots in vitest's tests, `vmreplay/vitest`:
//
//   expect.extend(bootMatchers);
//   expect(await observe({ kernel: 'kernel.elf' })).toMatchHandoff({ protocol: 'pvh', registers: { rbx: 0x10000 } });
//   await expect({ kernel: 'kernel.elf' }).toBootAsBefore();
//
// What of vitest's matcher state is used is named here, so that no version of it is needed; Jest's is the same.

import type { HandoffView } from '../trace/handoff.js';
import { type HandoffPattern, handoffMismatches } from './handoff-pattern.js';
import { holdTest, type TestedBoot } from './hold-test.js';
import type { Observation } from './observe.js';

export type { HandoffPattern } from './handoff-pattern.js';
export type { TestedBoot } from './hold-test.js';
export { type Observation, observe } from './observe.js';

/** The matchers' types, for `declare module 'vitest' { interface Matchers<T = any> extends BootMatchers<T> {} }`. */
export interface BootMatchers<R = unknown> {
  /** The last hand-off of an observation, or a hand-off, has these fields. */
  toMatchHandoff(pattern: HandoffPattern): R;
  /** The boot holds to its baseline. With vitest's `-u` or `VMREPLAY_ACCEPT=1` it becomes it, except in CI. */
  toBootAsBefore(): Promise<R>;
}

interface MatcherState {
  readonly currentTestName?: string | undefined;
  readonly snapshotState?: unknown;
}

interface MatcherResult {
  readonly pass: boolean;
  message(): string;
}

/** For `expect.extend`. */
export const bootMatchers = {
  toMatchHandoff(received: Observation | HandoffView, pattern: HandoffPattern): MatcherResult {
    const handoff = 'handoffs' in received ? received.handoffs.at(-1) : received;
    if (!handoff) return { pass: false, message: () => 'no loader entered a kernel, so there is no hand-off to match' };
    const mismatches = handoffMismatches(handoff, pattern);
    const lines = mismatches.map(({ field, expected, actual }) => `  ${field}: expected ${expected}, got ${actual}`);
    return {
      pass: mismatches.length === 0,
      message: () =>
        mismatches.length === 0
          ? `the hand-off by ${handoff.protocol} has these fields, and should not`
          : [`the hand-off by ${handoff.protocol} differs:`, ...lines].join('\n'),
    };
  },

  async toBootAsBefore(this: MatcherState, received: TestedBoot): Promise<MatcherResult> {
    const update = (this.snapshotState as { _updateSnapshot?: string } | undefined)?._updateSnapshot === 'all';
    const { failure } = await holdTest(this.currentTestName ?? 'boot', received, update);
    return { pass: failure === undefined, message: () => failure ?? 'the boot holds to its baseline, and should not' };
  },
};
