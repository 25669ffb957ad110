// When V8 compiles JavaScript well. It does so for what has run for a while, on as many as four threads at once, which a
// short boot is over before it gains from: of a SeaBIOS boot's processor time they took half, and on two cores they stand
// in the way of the guest. So the command line has V8 wait longer until a run turns out to be a long one.
//
// Flags are the whole process': a program that uses the library keeps its own, so nothing happens unless it was asked for.
// Invariant: V8 refuses compiled code that was kept under other flags; so they change after such code has been loaded, and
// are as before when some is kept (bin/compile-cache.ts).

import { KNOWN_V8, setFlags } from './v8-flags.js';

/** Bytecode that a function executes, roughly, before V8 looks whether to compile it well. */
const PATIENT = 500_000;
/** V8's own figure: 66 KiB. */
const USUAL = 67_584;

let asked = false;
let patient = false;

/** From now on, until patience ends, V8 is to wait once the interpreter has been loaded. For the command line alone. */
export function askPatience(): void {
  asked = KNOWN_V8;
}

/** The interpreter's compiled code has been loaded, or there is none. */
export function interpreterLoaded(): void {
  if (asked && !patient) setBudget(PATIENT);
  patient = asked;
}

/** The run is a long one, or over. */
export function endPatience(): void {
  if (patient) setBudget(USUAL);
  asked = false;
  patient = false;
}

function setBudget(budget: number): void {
  setFlags([`--interrupt-budget=${budget}`]);
}
