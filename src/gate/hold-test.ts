// A gate of one boot, for a test of another runner: same configuration, same baselines, same words when it fails.

import type { Build, GateBoot } from './config.js';
import { checkConfig } from './config-file.js';
import { runGate } from './gate.js';
import { type BootReport, hasFailed } from './report.js';
import { terminalReport } from './reporters/terminal.js';

/** A boot as in a configuration; its name may follow from the test. Files are relative to the working directory. */
export interface TestedBoot extends Omit<GateBoot, 'name'> {
  readonly name?: string | undefined;
  readonly build?: Build | undefined;
  /** Folder of the baselines. Default `boot-baselines`. */
  readonly baselines?: string | undefined;
  /** Folder for the baselines' traces, by hash. */
  readonly store?: string | undefined;
}

export interface TestOutcome {
  readonly boots: readonly BootReport[];
  /** What is wrong, for people; undefined when every boot holds. */
  readonly failure: string | undefined;
}

/** Environment variable with which tests accept what boots do now; not heeded in CI. */
export const ACCEPT = 'VMREPLAY_ACCEPT';

/**
 * Run the boots of a test and hold them to their baselines.
 * @param title of the test, from which the name follows when there is none
 * @param accept make what they do now their baselines
 * @throws UserError when the boot is no configuration, or baselines cannot be written
 */
export async function holdTest(title: string, boot: TestedBoot, accept = false): Promise<TestOutcome> {
  const { name = slug(title), baselines, store, ...rest } = boot;
  const value = { boots: [{ ...rest, name }], ...(baselines && { baselines }), ...(store && { store }) };
  const config = checkConfig(value, `the test ${JSON.stringify(title)}`);
  const loaded = { name: title, directory: process.cwd(), config };
  // Other tests may use the folder at the same time: nothing of theirs is looked at.
  const accepts = (accept || wantsAccept()) && !inCi();
  const run = await runGate(loaded, { names: [name], accept: accepts, clean: false, jobs: 1 });
  run.dispose();
  const { report } = run;
  if (!report.boots.some(hasFailed)) return { boots: report.boots, failure: undefined };
  const words = terminalReport(report, { rows: 60 });
  return {
    boots: report.boots,
    failure: words.replaceAll(/vmreplay gate --accept \S+/g, `the tests with ${ACCEPT}=1`),
  };
}

const isSet = (value: string | undefined): boolean => value !== undefined && !['', '0', 'false'].includes(value);
const inCi = (): boolean => isSet(process.env.CI);
const wantsAccept = (): boolean => isSet(process.env[ACCEPT]);

/** A title as a file name. */
function slug(title: string): string {
  const words = title.toLowerCase().match(/[a-z0-9]+/g) ?? ['boot'];
  return words.join('-').slice(0, 80);
}
