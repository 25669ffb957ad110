// The word that two threads share about a job: who first writes it does the job, and says there when it is done.

const WAITING = 0;
const TAKEN = 1;
const DONE = 2;
/** Milliseconds after which a thread is given up. */
const PATIENCE = 60_000;

export type JobState = Int32Array<SharedArrayBuffer>;

export const newState = (): JobState => new Int32Array(new SharedArrayBuffer(4));

/** Make the job this thread's. False when it is somebody's. */
export const begin = (state: JobState): boolean => Atomics.compareExchange(state, 0, WAITING, TAKEN) === WAITING;

export const isOver = (state: JobState): boolean => Atomics.load(state, 0) === DONE;

/** The job is done. */
export function end(state: JobState): void {
  Atomics.store(state, 0, DONE);
  Atomics.notify(state, 0);
}

/** Wait for a job of another thread's. @returns false when that takes so long that the thread must be gone */
export function awaitEnd(state: JobState): boolean {
  for (let now = Atomics.load(state, 0); now !== DONE; now = Atomics.load(state, 0)) {
    if (Atomics.wait(state, 0, now, PATIENCE) === 'timed-out') return false;
  }
  return true;
}
