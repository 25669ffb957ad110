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

/** What the operating system would not, by its code. */
export const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is no directory',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'too many symbolic links',
  EMFILE: 'too many open files',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file may not grow any further',
  EIO: 'the device reports an error',
};

/** Why the operating system would not, in words. */
export function systemReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? code ?? message;
}
