// Bad usage or bad input: one sentence for the person who asked, and the documented exit status.

/** The message is one sentence that names what is wrong and the mend. */
export class UserError extends Error {
  readonly exitCode = 2;
}
