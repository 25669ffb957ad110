// Build commands of a gate: each is run once, one after the other, before the boots. What they print is kept for when
// they fail. They are the user's own commands, so the shell runs them.

import { spawn } from 'node:child_process';
import type { PlannedBuild } from './plan.js';
import type { Finding } from './report.js';

/** Lines of output that are told. */
const TOLD = 20;
/** Output that is kept, in characters. */
const KEPT = 0x1_0000;

/** @returns what went wrong, undefined when nothing did */
export function runBuild({ command, cwd }: PlannedBuild, signal?: AbortSignal): Promise<Finding | undefined> {
  return new Promise((resolve) => {
    let output = '';
    const keep = (data: Buffer) => {
      output = (output + data.toString('utf8')).slice(-KEPT);
    };
    const failed = (how: string) => {
      const lines = output.trimEnd().split('\n').slice(-TOLD);
      resolve({ kind: 'build', summary: `the build command ${JSON.stringify(command)} ${how}`, lines });
    };
    const child = spawn(command, { shell: true, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const stop = () => child.kill('SIGTERM');
    signal?.addEventListener('abort', stop, { once: true });
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => failed(`cannot be started: ${error.message}`));
    child.once('close', (code, by) => {
      signal?.removeEventListener('abort', stop);
      if (code === 0) resolve(undefined);
      else failed(by ? `was ended by ${by}` : `ended with exit status ${code}`);
    });
  });
}
