// The word that two threads share about a job: who first writes it does the job, and says there when it is done. A thread
// that cannot do what it took gives it back; one that ended in the middle of it is found out by who waits.

const WAITING = 0;
const TAKEN = 1;
const DONE = 2;
/** Milliseconds after which is looked whether the other thread is still there, and after which it is given up in any case. */
const LOOK = 50;
const PATIENCE = 60_000;

export type JobState = Int32Array<SharedArrayBuffer>;

export const newState = (): JobState => new Int32Array(new SharedArrayBuffer(4));

/** Make the job this thread's. False when it is somebody's. */
export const begin = (state: JobState): boolean => Atomics.compareExchange(state, 0, WAITING, TAKEN) === WAITING;

export const isOver = (state: JobState): boolean => Atomics.load(state, 0) === DONE;

/** The job is done. */
export const end = (state: JobState): void => tell(state, DONE);

/** The job, which was this thread's, is anybody's again: it could not be done here. */
export const giveBack = (state: JobState): void => tell(state, WAITING);

function tell(state: JobState, what: number): void {
  Atomics.store(state, 0, what);
  Atomics.notify(state, 0);
}

/**
 * Wait for a job that another thread has begun.
 * @param isThere whether that thread can still end it
 * @returns false when nobody will: it gave the job back, is gone, or takes so long that it must be
 */
export function awaitEnd(state: JobState, isThere: () => boolean = () => true): boolean {
  for (let looks = 0; looks * LOOK < PATIENCE; ) {
    const now = Atomics.load(state, 0);
    if (now !== TAKEN) return now === DONE;
    if (Atomics.wait(state, 0, now, LOOK) !== 'timed-out') continue;
    looks++;
    // What was its last deed may have been this job.
    if (!isThere()) return isOver(state);
  }
  return false;
}
