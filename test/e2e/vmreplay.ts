// Runs the built command line as people do, and turns a guest of the corpus into its arguments.

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { execa } from 'execa';
import type { CorpusGuest } from '../../bin/corpus.js';
import { packageFile } from '../../bin/package.js';

export const program = packageFile('dist/bin/vmreplay.js');

// Tests of one file run at once; processes of theirs take turns, two at a time.
const PROCESSES = 2;
let running = 0;
const waiting: (() => void)[] = [];

/** Exit status and output; a status other than 0 is no exception. */
export async function vmreplay(
  ...args: string[]
): Promise<{ code: number | undefined; stdout: string; stderr: string }> {
  if (!existsSync(program)) throw new Error('the program is not built; npm run build does that');
  if (running >= PROCESSES) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    const { exitCode, stdout, stderr } = await execa(process.execPath, [program, ...args], {
      reject: false,
      stdin: 'ignore',
      stripFinalNewline: false,
      encoding: 'latin1',
      env: { NO_COLOR: '1' },
    });
    return { code: exitCode, stdout, stderr };
  } finally {
    // The place goes to the next in the queue, or is given up.
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}

/** A directory that goes away with the test. */
export async function scratch(t: ExecutionContext): Promise<(name: string) => string> {
  const directory = await mkdtemp(join(tmpdir(), 'vmreplay-e2e-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return (name) => join(directory, name);
}

/** The boot options of a guest as arguments. */
export function corpusArguments({ image, directory, expected: { boot } }: CorpusGuest): string[] {
  const args = ['--boot', 'pvh', '--kernel', image, '--memory', boot.memory];
  if (boot.cpu !== undefined) args.push('--cpu', boot.cpu);
  if (boot.append !== undefined) args.push('--append', boot.append);
  for (const { path, cmdline } of boot.modules ?? []) {
    args.push('--module', join(directory, path) + (cmdline === undefined ? '' : `,${cmdline}`));
  }
  for (const { name, string } of boot.fwCfg ?? []) args.push('--fw-cfg', `name=${name},string=${string}`);
  if (boot.serialIn) args.push('--serial-in', join(directory, boot.serialIn));
  if (boot.maxCycles !== undefined) args.push('--max-cycles', `${boot.maxCycles}`);
  if (boot.successCode !== undefined) args.push('--success-code', `${boot.successCode}`);
  if (boot.noReboot) args.push('--no-reboot');
  return args;
}
