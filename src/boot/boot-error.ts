// The one error of reading guest images and laying them out. The command line prints the message and exits with 2.

/**
 * Thrown by everything under src/boot for an image that cannot be booted. `message` is one sentence: the file,
 * the offset where it matters, and what to do.
 */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}

/** An offset or address as messages show it. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
