// The one error of fetching guests: a sentence that says what could not be had and what to do about it.
// The command line prints the message as it is and exits with 2.

/** Thrown by everything under src/fetch. `message` is one sentence for people. */
export class FetchError extends Error {
  override readonly name = 'FetchError';
}
