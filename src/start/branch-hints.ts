// Branch hints of WebAssembly modules (a proposal, section metadata.code.branch_hint): emitted code says which way a
// branch mostly goes, and V8 then lays the other way out of line, with whatever has to be saved around its calls. The V8
// of Node 20 reads them where it is asked to. They are read with the module, so the flag is up only meanwhile: V8 refuses
// compiled code that was kept under other flags.
//
// Invariant: what is compiled computes the same with hints and without.

import { flagsAreSteady } from './steady-flags.js';
import { KNOWN_V8, underFlags } from './v8-flags.js';

const HEEDED = ['--experimental-wasm-branch-hinting'];
const USUALLY = ['--no-experimental-wasm-branch-hinting'];

/** Compile, or take out and put back compiled code, with hints heeded. Not to be nested. */
export function heedingHints<T>(compile: () => T): T {
  return !KNOWN_V8 || flagsAreSteady() ? compile() : underFlags(HEEDED, USUALLY, compile);
}
