// Keeps V8's compiled forms beside what they are made from, for the Node that builds: of the command line
// (bin/compile-cache.ts), and of the interpreter's dispatch (src/start/kept-module.ts). Functions of the command line are
// in it as far as they have been called: so the verbs are run on guests of the corpus first.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import { LAST_WORDS, sampleFirmware } from './sample-firmware.mjs';

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
 * @param programs boots, main and part, with `file`, and `content`, which names what is in it
 * @param cache the module bin/compile-cache.js
 * @param builtPath of src/start/kept-file.js
 */
export async function keepPrograms({ boots, main, part }, { keep }, builtPath) {
  // Else V8 forgets what has not been called for a while.
  setFlagsFromString('--no-flush-bytecode');
  // V8 notes which functions it had compiled plainly, and would compile them at once in every process.
  setFlagsFromString('--no-sparkplug');
  const scratch = mkdtempSync(join(tmpdir(), 'vmreplay-build-'));
  const trace = (name) => join(scratch, `${name}.trace`);
  const before = { argv: process.argv, exitCode: process.exitCode };
  const load = ({ file }) => {
    const script = new Script(readFileSync(file, 'latin1'), { filename: file });
    const program = script.runInThisContext();
    const start = () =>
      program((name) => process.getBuiltinModule(name), dirname(file), pathToFileURL(file).href, undefined);
    const run = async (...words) => {
      process.argv = [process.execPath, 'vmreplay', ...words, '--quiet'];
      await start().begin();
      if (process.exitCode !== 0) throw new Error(`${words.join(' ')}: exit status ${process.exitCode}`);
    };
    return { script, start, run };
  };
  const record = async (run) => {
    for (const name of ['page-fault', 'fwcfg-dma', 'irq-lapic', 'x87-sse'])
      await run('record', '--kernel', kernel(name), '--memory', '64M', '-o', trace(name));
  };
  try {
    const [some, all] = [load(boots), load(main)];
    await record(some.run);
    // Firmware of the machine's own is not here when the program is built.
    const firmware = join(scratch, 'firmware.bin');
    writeFileSync(firmware, sampleFirmware());
    const end = ['--until-debugcon', LAST_WORDS, '--max-cycles', '10000000'];
    await some.run('record', '--bios', firmware, '--memory', '64M', ...end, '-o', trace('firmware'));
    await record(all.run);
    await all.run('replay', trace('page-fault'));
    const thread = load(part);
    const { receive } = thread.start();
    await receive({ translations: undefined });
    const outcome = await receive({ path: trace('page-fault'), stretch: {}, console: true });
    if (outcome?.exitCode !== 0) throw new Error('a thread that replays: it has not agreed');
    await all.run('inspect', trace('page-fault'));
    await all.run('diff', trace('page-fault'), trace('page-fault'));
    // The flags are a part of what is kept.
    setFlagsFromString('--flush-bytecode');
    setFlagsFromString('--sparkplug');
    keep(some.script, builtPath(boots.file, boots.content));
    keep(all.script, builtPath(main.file, main.content));
    keep(thread.script, builtPath(part.file, part.content));
  } finally {
    Object.assign(process, before);
    rmSync(scratch, { recursive: true });
  }
}
