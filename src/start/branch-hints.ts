// Branch hints of WebAssembly modules (a proposal, section metadata.code.branch_hint): emitted code says which way a
// branch mostly goes, and V8 then lays the other way out of line, with whatever has to be saved around its calls. The V8
// of Node 20 reads them where it is asked to. They are read with the module, so the flag is up only meanwhile: V8 refuses
// compiled code that was kept under other flags.
//
// Invariant: what is compiled computes the same with hints and without.

import { flagsAreSteady } from './steady-flags.js';

/** Later versions are left as they are: V8 complains on the terminal of a flag that it does not know. */
const KNOWN = Number.parseInt(process.versions.v8, 10) === 11;

/** Compile, or take out and put back compiled code, with hints heeded. Not to be nested. */
export function heedingHints<T>(compile: () => T): T {
  if (!KNOWN || flagsAreSteady()) return compile();
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--experimental-wasm-branch-hinting');
  try {
    return compile();
  } finally {
    setFlagsFromString('--no-experimental-wasm-branch-hinting');
  }
}
