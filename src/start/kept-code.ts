// Machine code of translated guest code, kept: V8 optimises a function in the background when it has run for a while,
// and what it made so far can be taken out of a module and put into the same module of another process
// (kept-module.ts says how, and why there is no other way).
//
// Invariant: code that V8 does not take is made anew, and only a V8 that has shown that it takes code is asked for it.
// Nothing but time depends on any of it.

import { heedingHints } from './branch-hints.js';
import { natively, takesKeptCode } from './kept-module.js';

const NONE = new Uint8Array(0);

/** What the translator has modules compiled by. */
export const keptCode = {
  compile(bytes: Uint8Array<ArrayBuffer>, code: Uint8Array): WebAssembly.Module {
    return heedingHints(() => compiled(bytes, code));
  },

  codeOf(module: WebAssembly.Module, functions: readonly unknown[]): Uint8Array {
    return heedingHints(() => serialized(module, functions));
  },
};

function compiled(bytes: Uint8Array<ArrayBuffer>, code: Uint8Array): WebAssembly.Module {
  if (code.length > 0 && takesKeptCode)
    try {
      const module = natively('return %DeserializeWasmModule(code, bytes)', {
        code: new Uint8Array(code).buffer,
        bytes,
      });
      if (module instanceof WebAssembly.Module) return module;
    } catch {
      // This V8 has no such function.
    }
  return new WebAssembly.Module(bytes);
}

function serialized(module: WebAssembly.Module, functions: readonly unknown[]): Uint8Array {
  if (!takesKeptCode) return NONE;
  try {
    // V8 ends the process when there is nothing to take out.
    const any = natively('return functions.some((f) => %IsTurboFanFunction(f))', { functions });
    if (any !== true) return NONE;
    return new Uint8Array(natively('return %SerializeWasmModule(module)', { module }) as ArrayBuffer);
  } catch {
    return NONE;
  }
}
