#!/usr/bin/env node
// What runs first: the build makes dist/bin/vmreplay.js of it, chunks/main.cjs of the program (bin/vmreplay.ts), and
// chunks/boots.cjs of what recording and running need of it (bin/boots.ts). Compiling takes V8 longer than many a guest
// runs, so the compiled form is kept (compile-cache.ts), and what Node has to load for itself is loaded when it is used.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { VERSION } from '../src/api/version.js';
import { makeEarly } from '../src/start/early-memory.js';
import { KNOWN_V8, underFlags } from '../src/start/v8-flags.js';
import { compile } from './compile-cache.js';
import { exitAtOnce, watchOutput } from './standard-outputs.js';

/** Modules of Node's that take long to load and that many runs do not need. */
const LATE = new Set([
  'node:child_process',
  'node:crypto',
  'node:fs/promises',
  'node:module',
  'node:os',
  'node:util',
  'node:worker_threads',
  'node:zlib',
]);

/** The program's `require`: it asks for nothing but modules of Node's. */
function requireBuiltin(name: string): unknown {
  const load = () => process.getBuiltinModule(name) as Record<PropertyKey, unknown>;
  if (!LATE.has(name)) return load();
  let loaded: Record<PropertyKey, unknown> | undefined;
  const get = (_target: object, key: PropertyKey) => {
    loaded ??= load();
    return loaded[key];
  };
  return new Proxy({}, { get });
}

/** Names the programs: parts of their hashes, put here by the build. */
declare const MAIN: string;
declare const BOOTS: string;

/** The program as the build joins it: a function of what a module has. */
type Program = (
  require: typeof requireBuiltin,
  directory: string,
  url: string,
  load: (specifier: string) => Promise<unknown>,
) => { begin(): Promise<void> };

watchOutput('stdout');
watchOutput('stderr');
const [word, more] = process.argv.slice(2);
if (more === undefined && (word === '--version' || word === '-V')) {
  process.stdout.write(`${VERSION}\n`);
} else {
  const boots = word === 'record' || word === 'run';
  if (boots) makeEarly(process.argv.slice(3));
  const [name, content] = boots ? ['boots.cjs', BOOTS] : ['main.cjs', MAIN];
  const file = join(dirname(__dirname), 'chunks', name);
  // The build writes ASCII.
  const program = compile(readFileSync(file, 'latin1'), file, content).runInThisContext() as Program;
  const load = (specifier: string) => import(specifier);
  const evaluate = () => program(requireBuiltin, dirname(file), pathToFileURL(file).href, load);
  // Nearly all of what the modules do is done once.
  const { begin } = KNOWN_V8 ? underFlags(['--no-sparkplug'], ['--sparkplug'], evaluate) : evaluate();
  void begin().then(exitAtOnce);
}
