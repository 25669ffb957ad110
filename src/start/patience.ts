// When V8 compiles JavaScript well. It does so for what has run for a while, on as many as four threads at once, which a
// short boot is over before it gains from: of a SeaBIOS boot's processor time they took half, and on two cores they stand
// in the way of the guest. So the command line has V8 wait longer until a run turns out to be a long one.
//
// Flags are the whole process': a program that uses the library keeps its own, so nothing happens unless it was asked for.
// Invariant: V8 refuses compiled code that was kept under other flags; so they are
// as before when such code is taken, or kept (bin/compile-cache.ts).

import { KNOWN_V8, setFlags } from './v8-flags.js';

/** Bytecode that a function executes, roughly, before V8 looks whether to compile it well. */
const PATIENT = 500_000;
/** V8's own figure: 66 KiB. */
const USUAL = 67_584;

let patient = false;

/** From now on, until patience ends, V8 is to wait. For the command line alone. */
export function askPatience(): void {
  if (!KNOWN_V8 || patient) return;
  setBudget(PATIENT);
  patient = true;
}

/** Do something under V8's own flags: take compiled code that was kept. */
export function impatiently<T>(body: () => T): T {
  if (!patient) return body();
  setBudget(USUAL);
  try {
    return body();
  } finally {
    setBudget(PATIENT);
  }
}

/** The run is a long one, or over. */
export function endPatience(): void {
  if (patient) setBudget(USUAL);
  patient = false;
}

function setBudget(budget: number): void {
  setFlags([`--interrupt-budget=${budget}`]);
}
