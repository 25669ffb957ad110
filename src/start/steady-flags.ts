// V8's flags while several threads of this process take kept code and make code of their own. Flags are the whole process',
// kept code is taken only under those under which it was made, and they are otherwise up for an instant at a time
// (branch-hints.ts, kept-module.ts): a thread would be refused what another has just changed them for.
//
// Invariant: whoever holds them steady lets go of them, and then they are as before.

import { KNOWN_V8, setFlags } from './v8-flags.js';

const FLAGS: readonly string[] = KNOWN_V8
  ? ['allow-natives-syntax', 'experimental-wasm-branch-hinting']
  : ['allow-natives-syntax'];

/**
 * V8 optimises this program for each thread by itself, and where there are no processors for that beside the guests' it
 * takes their time: without inlining and three of the passes it takes two thirds of it, and the guests' threads two
 * hundredths more. It waits longer, since it then has less to do again, and collects young objects on the thread that
 * made them. Each of these is looked at anew when it matters, so they may change under way. Below, V8's own figures.
 */
const BRIEF = [
  'max-inlined-bytecode-size-cumulative=0',
  ...['loop-peeling', 'escape', 'load-elimination'].map((pass) => `no-turbo-${pass}`),
  'interrupt-budget=200000',
  'no-parallel-scavenge',
];
const THOROUGH = [
  'max-inlined-bytecode-size-cumulative=920',
  'turbo-loop-peeling',
  'turbo-escape',
  'turbo-load-elimination',
  'interrupt-budget=67584',
  'parallel-scavenge',
];

let holders = 0;
let brief = false;

/** Whether the flags are up, and to be left so. */
export const flagsAreSteady = (): boolean => holders > 0;

/** This is a thread of a process whose flags another thread holds. */
export function trustFlags(): void {
  holders = Number.POSITIVE_INFINITY;
}

export function holdFlags(): void {
  if (holders++ === 0) set('');
}

export function letGoOfFlags(): void {
  if (--holders > 0) return;
  if (brief) setFlags(THOROUGH.map((flag) => `--${flag}`));
  brief = false;
  set('no-');
}

/** V8 is to take less time over JavaScript for as long as flags are held. From then on it is given no kept code. */
export function compileBriefly(): void {
  if (!KNOWN_V8 || brief) return;
  brief = true;
  setFlags(BRIEF.map((flag) => `--${flag}`));
}

const set = (prefix: string): void => setFlags(FLAGS.map((flag) => `--${prefix}${flag}`));
