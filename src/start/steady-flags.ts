// V8's flags while several threads of this process take kept code and make code of their own. Flags are the whole process',
// kept code is taken only under those under which it was made, and they are otherwise up for an instant at a time
// (branch-hints.ts, kept-module.ts): a thread would be refused what another has just changed them for.
//
// Invariant: whoever holds them steady lets go of them, and then they are as before.

import { KNOWN_V8, setFlags } from './v8-flags.js';

const FLAGS: readonly string[] = KNOWN_V8
  ? ['allow-natives-syntax', 'experimental-wasm-branch-hinting']
  : ['allow-natives-syntax'];

let holders = 0;

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
  if (--holders === 0) set('no-');
}

const set = (prefix: string): void => setFlags(FLAGS.map((flag) => `--${prefix}${flag}`));
