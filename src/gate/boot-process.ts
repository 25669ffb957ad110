// Starts the process of a boot and waits for its result. A process that dies, of whatever, is a boot that failed.

import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { BootJob, BootResult } from './boot-job.js';

/** The worker's module: beside this one, where the build leaves it when it joins the modules, or as source. */
const WORKER = ['./boot-worker.js', '../src/gate/boot-worker.js', './boot-worker.ts']
  .map((name) => new URL(name, import.meta.url))
  .find((url) => existsSync(url))!;

type Message = { cycle: number } | { result: BootResult } | { failure: string };

/**
 * @param directory where names of images begin
 * @throws Error when the process died
 */
export function runInProcess(
  job: BootJob,
  directory: string,
  onProgress: (cycle: number) => void,
  signal?: AbortSignal,
): Promise<BootResult> {
  return new Promise((resolve, reject) => {
    const execArgv = WORKER.pathname.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];
    const child = fork(WORKER, [], { cwd: directory, execArgv, serialization: 'advanced' });
    const stop = () => child.kill('SIGTERM');
    signal?.addEventListener('abort', stop, { once: true });
    const settle = (act: () => void) => {
      signal?.removeEventListener('abort', stop);
      act();
    };
    let said: Message | undefined;
    child.on('message', (message: Message) => {
      if ('cycle' in message) onProgress(message.cycle);
      else said = message;
    });
    child.once('error', (error) => settle(() => reject(error)));
    child.once('exit', (code, by) => {
      settle(() => {
        if (said && 'result' in said) resolve(said.result);
        else if (said && 'failure' in said) reject(new Error(said.failure));
        else reject(new Error(`the process of the boot ended by ${by ?? `exit status ${code}`}`));
      });
    });
    child.send(job);
  });
}
