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

export interface Ran {
  code: number | undefined;
  stdout: string;
  stderr: string;
}

/** How a process of the program differs from what is usual. */
export interface Settings {
  cwd?: string;
  env?: Record<string, string>;
  /** Another Node. */
  node?: string;
  /** Arguments for Node itself. */
  nodeArguments?: string[];
}

/** A process that runs longer than this hangs, in ms. */
const PATIENCE = 600_000;

/** Exit status and output; a status other than 0 is no exception. */
export const vmreplay = (...args: string[]): Promise<Ran> => vmreplayWith({}, ...args);

/** The same in other surroundings. */
export async function vmreplayWith(settings: Settings, ...args: string[]): Promise<Ran> {
  if (!existsSync(program)) throw new Error('the program is not built; npm run build does that');
  if (running >= PROCESSES) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
  try {
    const { cwd, env, node = process.execPath, nodeArguments = [] } = settings;
    const { exitCode, stdout, stderr, timedOut } = await execa(node, [...nodeArguments, program, ...args], {
      reject: false,
      stdin: 'ignore',
      stripFinalNewline: false,
      encoding: 'latin1',
      env: { NO_COLOR: '1', ...env },
      timeout: PATIENCE,
      ...(cwd !== undefined && { cwd }),
    });
    if (timedOut) throw new Error(`vmreplay ${args.join(' ')} did not end`);
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
  const args = ['--boot', boot.route ?? 'pvh', '--kernel', image, '--memory', boot.memory];
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
