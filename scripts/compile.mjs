// Keeps V8's compiled forms beside what they are made from, for the Node that builds: of the command line
// (bin/compile-cache.ts), and of the interpreter's dispatch (src/start/kept-module.ts). Functions of the command line are
// in it as far as they have been called: so the verbs are run on guests of the corpus first.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const corpus = join(import.meta.dirname, '..', 'corpus');
const kernel = (name) => join(corpus, name, `${name}.elf`);

export const contentName = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/**
 * @param module path of src/start/kept-module.js
 * @param file the interpreter's module
 */
export function keepInterpreter(module, file) {
  const words = JSON.stringify([file, contentName(readFileSync(file)), 'run']);
  const code = `import(${JSON.stringify(pathToFileURL(module))}).then((m) => m.keepModule(...${words}))`;
  try {
    execFileSync(process.execPath, ['-e', code], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    process.stderr.write(`the interpreter's code cannot be kept, which costs time only: ${error.message}\n`);
  }
}

/**
 * @param content names the file's content
 * @param cache the module bin/compile-cache.js
 * @param builtPath of src/start/kept-file.js
 */
export async function keepProgram(filename, content, { keep }, builtPath) {
  // Else V8 forgets what has not been called for a while.
  setFlagsFromString('--no-flush-bytecode');
  const script = new Script(readFileSync(filename, 'latin1'), { filename });
  const program = script.runInThisContext();
  const scratch = mkdtempSync(join(tmpdir(), 'vmreplay-build-'));
  const trace = (name) => join(scratch, name);
  const before = { argv: process.argv, exitCode: process.exitCode };
  const run = async (...words) => {
    process.argv = [process.execPath, 'vmreplay', ...words, '--quiet'];
    await program((name) => process.getBuiltinModule(name), dirname(filename), pathToFileURL(filename).href, undefined)
      .done;
    if (process.exitCode !== 0) throw new Error(`${words.join(' ')}: exit status ${process.exitCode}`);
  };
  try {
    for (const name of ['page-fault', 'fwcfg-dma', 'irq-lapic', 'x87-sse'])
      await run('record', '--kernel', kernel(name), '--memory', '64M', '-o', trace(name));
    await run('replay', trace('page-fault'));
    await run('inspect', trace('page-fault'));
    await run('diff', trace('page-fault'), trace('page-fault'));
    // The flags are a part of what is kept.
    setFlagsFromString('--flush-bytecode');
    keep(script, builtPath(filename, content));
  } finally {
    Object.assign(process, before);
    rmSync(scratch, { recursive: true });
  }
}
