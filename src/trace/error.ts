// The one error that reading a trace may throw on bad input. Its message is a single sentence that names the file,
// the byte offset where that helps, and what to do about it; the command line prints it as it is and exits with 2.

/** A trace that cannot be used as asked. `message` is one sentence for people; `offset` is a byte offset in the file. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
  constructor(
    readonly path: string,
    what: string,
    readonly offset?: number,
  ) {
    super(`${path}: ${what}`);
  }
}
