// Boots in ava's tests, `vmreplay/ava`:
//
//   test('the ROM says hello', boots, { boot: 'firmware', optionRoms: ['rom.bin'], untilDebugcon: 'No bootable device' });
//
// or `await boots(t, { … })` inside of a test. What of `t` is used is named here, so that no version of ava is needed.

import { holdTest, type TestedBoot } from './hold-test.js';
import type { BootReport } from './report.js';

export type { TestedBoot } from './hold-test.js';
export { type Observation, observe } from './observe.js';
export type { BootReport } from './report.js';

/** What of ava's execution context is used. */
export interface AvaTest {
  readonly title: string;
  pass(message?: string): unknown;
  fail(message?: string): unknown;
  log(...values: unknown[]): void;
  timeout(ms: number, message?: string): void;
}

/** A boot may take this long, in ms of the host. */
const PATIENCE = 600_000;

/**
 * Run a boot, one for each of its routes, and hold it to its baseline: an assertion of `t`. With `VMREPLAY_ACCEPT=1` in the
 * environment what it does becomes the baseline, except in CI.
 * @returns what is known of each boot, also of one that does not hold
 * @throws UserError when the boot is no configuration, or a baseline cannot be written
 */
export async function boots(t: AvaTest, boot: TestedBoot): Promise<readonly BootReport[]> {
  t.timeout(PATIENCE);
  const outcome = await holdTest(t.title, boot);
  if (outcome.failure === undefined) t.pass();
  else t.fail(outcome.failure);
  for (const { name, note, outcome: how } of outcome.boots) if (how === 'accepted') t.log(`${name}: ${note}`);
  return outcome.boots;
}
