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

/**
 * End the process when the verb is done. Node would wait for what V8 has begun beside the program: compiling, collecting
 * garbage. Output that a pipe has not yet taken is waited for.
 */
function exitAtOnce(): void {
  if (outputs.every(({ writableLength }) => writableLength === 0)) process.exit();
}

/** The standard outputs that were used: making one takes longer than many a quiet run. */
const outputs: NodeJS.WriteStream[] = [];
function watchOutput(name: 'stdout' | 'stderr'): void {
  const usual = Object.getOwnPropertyDescriptor(process, name)!;
  Object.defineProperty(process, name, {
    ...usual,
    get: () => {
      Object.defineProperty(process, name, usual);
      const stream = process[name];
      outputs.push(stream);
      // A reader that has seen enough (head, a pager) is no error of ours.
      if (name === 'stdout')
        stream.on('error', (error: NodeJS.ErrnoException) => {
          if (error.code !== 'EPIPE') throw error;
        });
      return stream;
    },
  });
}

const [word, more] = process.argv.slice(2);
if (more === undefined && (word === '--version' || word === '-V')) {
  process.stdout.write(`${VERSION}\n`);
} else {
  watchOutput('stdout');
  watchOutput('stderr');
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
