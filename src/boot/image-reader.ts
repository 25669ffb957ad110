// Little-endian access to an untrusted file: every read is bounded and says what was being read when the file
// ended. Invariant: no method throws anything but ImageError, and none allocates more than it returns.
// 64-bit offsets and sizes are refused from 2^52 on, so that they are exact numbers afterwards.

import { hex, ImageError } from './boot-error.js';

export class ImageReader {
  readonly #view: DataView;

  /**
   * @param name what messages call the file
   * @param bytes the whole file
   */
  constructor(
    readonly name: string,
    readonly bytes: Uint8Array,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(offset: number, what: string): number {
    this.check(offset, 1, what);
    return this.#view.getUint8(offset);
  }

  u16(offset: number, what: string): number {
    this.check(offset, 2, what);
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number, what: string): number {
    this.check(offset, 4, what);
    return this.#view.getUint32(offset, true);
  }

  u64(offset: number, what: string): bigint {
    this.check(offset, 8, what);
    return this.#view.getBigUint64(offset, true);
  }

  /** A u64 that has to be an offset, size or physical address: refused from 2^52 on. */
  size64(offset: number, what: string): number {
    const value = this.u64(offset, what);
    if (value >= 1n << 52n) throw this.error(`${what} at offset ${hex(offset)} is ${hex(value)}, past any address`);
    return Number(value);
  }

  /** A view of the file, not a copy. */
  slice(offset: number, length: number, what: string): Uint8Array {
    this.check(offset, length, what);
    return this.bytes.subarray(offset, offset + length);
  }

  /** Whether `length` bytes at `offset` are in the file. */
  has(offset: number, length: number): boolean {
    return offset >= 0 && length >= 0 && offset + length <= this.bytes.length;
  }

  check(offset: number, length: number, what: string): void {
    if (this.has(offset, length)) return;
    throw new ImageError(
      `${this.name}: ${what} at offset ${hex(offset)} (${length} bytes) runs past the end of the file ` +
        `(${this.bytes.length} bytes); the file is truncated or damaged, fetch or build it again`,
    );
  }

  /** The error that refuses the file. `problem` says what is wrong and where; `mend` what to do. */
  error(problem: string, mend = 'the file is damaged, fetch or build it again'): ImageError {
    return new ImageError(`${this.name}: ${problem}; ${mend}`);
  }
}
