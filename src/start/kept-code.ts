// Machine code of translated guest code, kept: V8 optimises a function in the background when it has run for a while,
// and what it made so far can be taken out of a module and put into the same module of another process
// (kept-module.ts says how, and why there is no other way).
//
// Invariant: code that V8 does not take is made anew, and only a V8 that has shown that it takes code is asked for it.
// Nothing but time depends on any of it.

import type { Compilation, Compiler } from '../cpu/jit/translator.js';
import { heedingHints } from './branch-hints.js';
import { natively, takesKeptCode } from './kept-module.js';

const NONE = new Uint8Array(0);

/** What the translator has modules compiled by. */
export const keptCode: Compiler = {
  compile: (modules) => heedingHints(() => compiled(modules)),
  codeOf: (module, functions) => heedingHints(() => serialized(module, functions)),
};

function compiled(modules: readonly Compilation[]): WebAssembly.Module[] {
  const taken = modules.some(({ code }) => code.length > 0) && takesKeptCode ? deserialized(modules) : [];
  return modules.map(({ bytes }, n) => taken[n] ?? new WebAssembly.Module(bytes));
}

/** Those of the modules whose code V8 takes: asked for at once, since asking costs, too. */
function deserialized(modules: readonly Compilation[]): (WebAssembly.Module | undefined)[] {
  const found: (WebAssembly.Module | undefined)[] = [];
  const take = (n: number, module: unknown): void => {
    if (module instanceof WebAssembly.Module) found[n] = module;
  };
  try {
    // An array buffer is taken whole.
    const pairs = modules.map(({ bytes, code }) => ({ bytes, code: new Uint8Array(code).buffer }));
    natively(
      `pairs.forEach(({ bytes, code }, n) => {
        if (code.byteLength > 0) take(n, %DeserializeWasmModule(code, bytes));
      })`,
      { pairs, take },
    );
  } catch {
    // This V8 has no such function.
  }
  return found;
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
