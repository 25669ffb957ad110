// What runs first in a thread that replays a part of a trace: the build makes chunks/part-launcher.cjs of it, and
// chunks/part.cjs of the thread's program (src/api/part-worker.ts), whose compiled form is kept beside it as the command
// line's is. Left out: keeping it anywhere else, which would have this thread change flags that are the whole process'.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compileBuilt } from './compile-cache.js';

/** Names the program: a part of its hash, put here by the build. */
declare const PART: string;

type Program = (
  require: (name: string) => unknown,
  directory: string,
  url: string,
  load: (specifier: string) => Promise<unknown>,
) => void;

const file = join(__dirname, 'part.cjs');
// The build writes ASCII.
const program = compileBuilt(readFileSync(file, 'latin1'), file, PART).runInThisContext() as Program;
program(
  (name) => process.getBuiltinModule(name),
  __dirname,
  pathToFileURL(file).href,
  (specifier) => import(specifier),
);
