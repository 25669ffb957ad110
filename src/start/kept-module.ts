// The interpreter's module with the optimised code of its dispatch. V8 compiles a module lazily and plainly at first, and
// well in the background once it has run for a while. For a short boot that comes too late, and costs all the same: a
// process cannot end before it is done. Node has no interface for what browsers do, which is to keep compiled code. V8
// has one for its own tests, behind a flag: so the build has the good code made once, and keeps it for its Node.
//
// Invariants: without a kept file, or where V8 does not take it, the module is compiled as usual. V8 refuses code of
// another version, other flags and other processors; that it belongs to the module is said by the file's name. What the
// code computes is the same whenever it was compiled.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { builtPath, readKept, writeKept } from './kept-file.js';
import { impatiently } from './patience.js';
import { flagsAreSteady, trustFlags } from './steady-flags.js';
import { underFlags } from './v8-flags.js';

/**
 * The module in a file.
 * @param content names the file's content
 */
export function loadModule(url: URL, content: string): WebAssembly.Module {
  loaded ??= load(url, content);
  return loaded;
}

let loaded: WebAssembly.Module | undefined;

/** What another thread of this process needs in order to do without loading. */
export interface LoadedModule {
  readonly module: WebAssembly.Module;
  readonly takesKeptCode: boolean;
}

/** For a thread that is started while flags are held steady. @param module as loadModule() gave it */
export const sharedModule = (module: WebAssembly.Module): LoadedModule => ({ module, takesKeptCode });

/** In such a thread, before a processor is made. */
export function takeLoaded(shared: LoadedModule): void {
  loaded = shared.module;
  takesKeptCode = shared.takesKeptCode;
  trustFlags();
}

function load(url: URL, content: string): WebAssembly.Module {
  const file = fileURLToPath(url);
  // Not copied: each page that is touched for the first time costs the host.
  const bytes = readFileSync(file);
  const kept = mayKeep() ? impatiently(() => keptModule(builtPath(file, content), bytes)) : undefined;
  return kept ?? new WebAssembly.Module(bytes);
}

/** V8 took the interpreter's kept code: it is the one that made it, and has the functions for it. */
export let takesKeptCode = false;

/** Whether kept code is used at all. Code has to know how accesses behind the end of memory are caught. */
export const mayKeep = (): boolean =>
  !process.env.NODE_DISABLE_COMPILE_CACHE &&
  ![...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((text) => text.includes('trap-handler'));

function keptModule(path: string, bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module | undefined {
  const code = readKept(path)?.buffer;
  if (code === undefined) return undefined;
  try {
    const module = natively('return %DeserializeWasmModule(code, bytes)', { code, bytes });
    takesKeptCode = module instanceof WebAssembly.Module;
    return takesKeptCode ? (module as WebAssembly.Module) : undefined;
  } catch {
    return undefined;
  }
}

/** Pages of 64 KiB, not fewer than the module asks for: none of them is touched. */
const ROOM = 8192;

/**
 * Have the optimised code of an exported function made, and keep it. V8 ends the process when it does not like what it
 * is asked for: call it in one of its own.
 */
export function keepModule(file: string, content: string, name: string): void {
  const module = new WebAssembly.Module(new Uint8Array(readFileSync(file)));
  const imports: Record<string, Record<string, unknown>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] = kind === 'memory' ? new WebAssembly.Memory({ initial: ROOM, maximum: 65536 }) : () => 0;
  }
  const entry = new WebAssembly.Instance(module, imports).exports[name];
  natively('%WasmTierUpFunction(entry)', { entry });
  const code = natively('return %SerializeWasmModule(module)', { module }) as ArrayBuffer;
  writeKept(builtPath(file, content), new Uint8Array(code));
}

/** Evaluate a function's body that calls V8's own functions. @throws SyntaxError when it has no such functions */
export function natively(body: string, values: Record<string, unknown>): unknown {
  const call = () => new Function(...Object.keys(values), body)(...Object.values(values));
  return flagsAreSteady() ? call() : underFlags(['--allow-natives-syntax'], ['--no-allow-natives-syntax'], call);
}
