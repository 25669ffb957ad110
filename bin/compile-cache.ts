// V8's compiled form of the program, kept from run to run: beside the program by the build, for the Node that built;
// for any other Node in the cache directory, by its first run. NODE_DISABLE_COMPILE_CACHE turns all of it off.
//
// Invariant: whatever becomes of a kept file (absent, damaged, of another Node, not to be written), the program runs.
// V8 refuses what another version or other flags made. Of the source it looks at the length alone: so names carry a
// hash of it.

import { readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { cacheDirectory } from '../src/fetch/cache-directory.js';
import { builtPath, readKept, writeKept } from '../src/start/kept-file.js';

/**
 * The program's script, by the kept form where there is one.
 * @param content names the source: a part of its hash
 */
export function compile(source: string, filename: string, content: string): Script {
  if (process.env.NODE_DISABLE_COMPILE_CACHE) return new Script(source, { filename });
  const built = compileKept(source, filename, builtPath(filename, content));
  if (built) return built;
  const path = ownPath(filename, content);
  const kept = compileKept(source, filename, path);
  if (kept) return kept;
  // V8 forgets what has not been called for a while, and would have it kept without.
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--no-flush-bytecode');
  const script = new Script(source, { filename });
  process.once('exit', () => {
    setFlagsFromString('--flush-bytecode');
    keep(script, path);
    dropOthers(path);
  });
  return script;
}

/** The same with what the build kept alone. */
export function compileBuilt(source: string, filename: string, content: string): Script {
  const kept = !process.env.NODE_DISABLE_COMPILE_CACHE && compileKept(source, filename, builtPath(filename, content));
  return kept || new Script(source, { filename });
}

/** Where a run keeps it, each program in a folder of its own. Other flags are another file: a run with them must not take the usual one away. */
function ownPath(filename: string, content: string): string {
  const { cachedDataVersionTag } = process.getBuiltinModule('node:v8');
  const name = `${content}-${process.version}-${process.arch}-${cachedDataVersionTag()}.cache`;
  return join(cacheDirectory(), 'compiled', basename(filename, '.cjs'), name);
}

/** Take away what builds before this one kept for the same Node and flags. */
export function dropOthers(path: string): void {
  const name = basename(path);
  const rest = name.slice(name.indexOf('-'));
  try {
    for (const other of readdirSync(dirname(path)))
      if (other !== name && other.endsWith(rest)) rmSync(join(dirname(path), other), { force: true });
  } catch {
    // They take room, and nothing else.
  }
}

function compileKept(source: string, filename: string, path: string): Script | undefined {
  const cachedData = readKept(path);
  if (cachedData === undefined) return undefined;
  const script = new Script(source, { filename, cachedData });
  return script.cachedDataRejected ? undefined : script;
}

/** Keep the compiled form, with all functions that have been needed by now. */
export function keep(script: Script, path: string): void {
  writeKept(path, script.createCachedData());
}
