// The standard outputs: each made when it is first used, since that takes longer than many a quiet run, and watched.
//
// A reader that has seen enough (head, a pager) is no error. Output that is lost in another way is: a sentence, and the
// exit status of input or output that cannot be used, whatever the verb came to.

import { systemReason } from '../src/trace/error.js';

const LOST_OUTPUT = 2;

/** Those that were used. */
const used: NodeJS.WriteStream[] = [];

/** Watch an output from its first use on. */
export function watchOutput(name: 'stdout' | 'stderr'): void {
  const usual = Object.getOwnPropertyDescriptor(process, name)!;
  Object.defineProperty(process, name, {
    ...usual,
    get: () => {
      Object.defineProperty(process, name, usual);
      const stream = process[name];
      used.push(stream);
      let isLost = false;
      stream.on('error', (error: NodeJS.ErrnoException) => {
        // Of stderr nobody can be told.
        if (error.code === 'EPIPE' || isLost || name === 'stderr') return;
        isLost = true;
        process.stderr.write(`vmreplay: standard output: it cannot all be written: ${systemReason(error)}\n`);
        process.once('exit', () => {
          process.exitCode = LOST_OUTPUT;
        });
      });
      return stream;
    },
  });
}

/**
 * End the process. Node would wait for what V8 has begun beside the program: compiling, collecting garbage. Output that a pipe
 * has not yet taken is waited for.
 */
export function exitAtOnce(): void {
  const exit = () => {
    if (used.every(({ writableLength }) => writableLength === 0)) process.exit();
  };
  // What became of a write is told a little later.
  if (used.length > 0) setImmediate(exit);
  else exit();
}
