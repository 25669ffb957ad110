// The guest's console on a stream, and Ctrl-C turned into an orderly end: the run is asked to stop, what was recorded
// is closed as a readable trace, and the exit status is 130. A second Ctrl-C ends the program at once.

/** A console listener that writes the guest's bytes as they are. */
export function consoleTo(stream: NodeJS.WriteStream): (data: Uint8Array) => void {
  return (data) => {
    stream.write(data);
  };
}

/** Run `body` with a signal that SIGINT and SIGTERM abort. */
export async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const interrupt = () => controller.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    return await body(controller.signal);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}
