// A thread that runs batches (threads.ts) on a machine of its own, which it makes when the first one comes.

import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../../api/user-error.js';
import { ImageError } from '../../boot/boot-error.js';
import { makeRunner } from './executor.js';
import { BatchRunner, type Runner } from './run-batch.js';
import { type BatchAnswer, type BatchTask, CASES, STOP, type WorkerPlan } from './threads.js';

const { plan, shared } = workerData as WorkerPlan;
const say = (answer: BatchAnswer): void => parentPort!.postMessage(answer);
const stop = (): boolean => Atomics.load(shared, STOP) !== 0;
const onCases = (cases: number): void => void Atomics.add(shared, CASES, cases);

let made: Promise<{ runner: Runner; batches: BatchRunner }> | undefined;

async function make() {
  const runner = await makeRunner(plan);
  return { runner, batches: new BatchRunner(runner) };
}

parentPort!.on('message', async ({ batch, known, most }: BatchTask) => {
  try {
    made ??= make();
    const { runner, batches } = await made;
    const result = batches.run(batch, { known, most, stop, onCases });
    say({ result, start: runner.start });
  } catch (error) {
    const told = error instanceof UserError || error instanceof ImageError;
    const failure = error instanceof Error ? ((told ? undefined : error.stack) ?? error.message) : String(error);
    say({ failure, kind: error instanceof UserError ? 'user' : error instanceof ImageError ? 'image' : 'fault' });
  }
});
