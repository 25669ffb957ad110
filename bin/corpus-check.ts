// Holds a run of a corpus guest against what the corpus says: `demo` prints the outcome.

import { join } from 'node:path';
import type { RecordOptions, RunResult } from '../src/index.js';
import type { CorpusGuest } from './corpus.js';
import { parseSize } from './options/values.js';

/** The options that boot a guest of the corpus. */
export function corpusRecordOptions({ directory, image, expected: { boot } }: CorpusGuest): RecordOptions {
  const { memory, route = 'pvh', modules, serialIn, ...same } = boot;
  return {
    ...same,
    boot: route,
    kernel: image,
    memory: parseSize(memory),
    ...(modules && { modules: modules.map((module) => ({ ...module, path: join(directory, module.path) })) }),
    ...(serialIn && { serialIn: join(directory, serialIn) }),
  };
}

/**
 * Record a guest twice, replay it, compare the recordings, and hold the outcome against expected.json, serial.txt and
 * the guest's committed trace if it has one.
 * @param scratch a directory for the two traces
 * @returns the first recording's result, and a few words for everything that is not as it must be
 */
export async function checkCorpusGuest(
  guest: CorpusGuest,
  scratch: string,
): Promise<{ result: RunResult; problems: string[] }> {
  const { record, replay, diff } = await import('../src/index.js');
  const { expected, name } = guest;
  const [first, second] = [join(scratch, `${name}.1.trace`), join(scratch, `${name}.2.trace`)];
  let serial = '';
  const onConsole = (data: Uint8Array) => {
    serial += Buffer.from(data).toString('latin1');
  };
  const boot = corpusRecordOptions(guest);
  const result = await record({ ...boot, output: first, onConsole });
  const again = await record({ ...boot, output: second });

  const problems: string[] = [];
  const { reason, code } = result.end;
  if (reason !== expected.end.reason || code !== expected.end.code)
    problems.push(`ended by ${reason} ${code ?? ''}`.trim());
  if (result.exitCode !== expected.exitCode) problems.push(`exit status ${result.exitCode}`);
  if (serial !== guest.serial) problems.push(`serial output: ${firstDifference(guest.serial, serial)}`);
  if (expected.cycles !== undefined && result.cycles !== expected.cycles)
    problems.push(`not ${expected.cycles} cycles`);
  const { divergence } = await replay(first, {});
  if (divergence) problems.push(`replay: ${divergence.summary}`);
  const same = await diff(first, second, {});
  if (!same.same || result.root !== again.root) problems.push('a second recording differs');
  if (guest.trace && !(await diff(guest.trace, first, {})).same) problems.push('the committed trace differs');
  return { result, problems };
}

/** The first line that is not the expected one. */
function firstDifference(expected: string, actual: string): string {
  const lines = actual.split('\n');
  const index = expected.split('\n').findIndex((line, i) => line !== lines[i]);
  return index < 0 ? 'more lines than expected' : `line ${index + 1} is ${JSON.stringify(lines[index] ?? '')}`;
}
