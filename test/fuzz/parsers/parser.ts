// A parser of bytes that others wrote, as the tests see it: what it takes, and how it may refuse.

import type fc from 'fast-check';
import type { DamagedFile } from './damage.js';

export interface Parser {
  /** For a test's title: what is read. */
  readonly name: string;
  /** Files under src/ or bin/ whose reading of foreign bytes is held by this row. */
  readonly covers: readonly string[];
  /** Made when the test runs: valid files, or structures of both strengths, and damaged ones. */
  inputs(): fc.Arbitrary<DamagedFile> | Promise<fc.Arbitrary<DamagedFile>>;
  /** Read all that there is to read. Throws the refusal, if the bytes are not understood. */
  parse(bytes: Uint8Array): unknown;
  /** What is wrong with a refusal; undefined when it is one. By default, every error is a defect. */
  readonly refusal?: (error: Error) => string | undefined;
  /** Cases; default 300. */
  readonly runs?: number;
  /** Bytes of buffers that one case may ask for. Default 32 MiB. */
  readonly most?: number;
}

/** One sentence that begins with the name of a file and ends with the mend. */
export const sentence =
  (type: new (...args: never[]) => Error, ...files: readonly string[]) =>
  (error: Error): string | undefined => {
    const isRefusal: boolean = error instanceof type;
    if (!isRefusal) return `${error.name}, not ${type.name}: ${error.stack}`;
    const { message } = error;
    if (/[\n\r]/.test(message)) return `more than a line: ${message}`;
    const file = files.find((name) => message.startsWith(`${name}: `));
    // An option that does not go with the file, such as a command line that the kernel has no room for.
    if (file === undefined && /^--[a-z-]+ is [^;]+; [a-z]/.test(message)) return undefined;
    if (file === undefined) return `does not name ${files.join(' or ')} first: ${message}`;
    if (/undefined|NaN|\[object/.test(message)) return `says nothing: ${message}`;
    if (!/ is needed$|; \d+ more$|[;:] [a-z][^;]* [^;]*$/.test(message.slice(file.length + 2)) || message.endsWith('.'))
      return `names no mend: ${message}`;
    return undefined;
  };

/** A clause that others put into a sentence. */
export const clause =
  (type: new (...args: never[]) => Error = Error) =>
  (error: Error): string | undefined => {
    if (error.constructor !== type) return `${error.constructor.name}, not ${type.name}: ${error.stack}`;
    if (/[\n\r]|undefined|NaN|\[object/.test(error.message)) return `no clause: ${error.message}`;
    return undefined;
  };
