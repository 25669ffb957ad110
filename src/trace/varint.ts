// Unsigned LEB128 of integers up to 2^53 - 1: seven bits a byte, low first, bit 7 set on all but the last.
// Signed numbers are zigzagged first (0, -1, 1, -2 … become 0, 1, 2, 3 …).

/** Bytes of the longest varint. */
export const MAX_VARINT = 8;

/** Grows on demand; `bytes()` is a view of what was written. */
export class VarintWriter {
  /** Small, for short boots; not so small that Node takes it from memory that others share. */
  #buffer = Buffer.allocUnsafe(1 << 12);
  #length = 0;

  reset(): void {
    this.#length = 0;
  }

  /** Append a whole number, 0 ≤ value < 2^53. */
  write(value: number): void {
    if (this.#length + MAX_VARINT > this.#buffer.length) this.#grow();
    const buffer = this.#buffer;
    let rest = value;
    let at = this.#length;
    while (rest > 0x7fff_ffff) {
      buffer[at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    while (rest > 127) {
      buffer[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    buffer[at++] = rest;
    this.#length = at;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #grow(): void {
    const larger = Buffer.allocUnsafe(this.#buffer.length * 2);
    this.#buffer.copy(larger);
    this.#buffer = larger;
  }
}

/** Reads varints in order. @throws Error past the end or past 2^53. */
export class VarintReader {
  #at = 0;
  constructor(readonly bytes: Uint8Array) {}

  /** Bytes read so far. */
  get position(): number {
    return this.#at;
  }

  get done(): boolean {
    return this.#at === this.bytes.length;
  }

  read(): number {
    const bytes = this.bytes;
    let byte = this.#next(bytes);
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    do {
      byte = this.#next(bytes);
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte >= 128 && scale <= 2 ** 49);
    if (byte >= 128 || value > Number.MAX_SAFE_INTEGER) throw new Error('a varint is past 2^53');
    return value;
  }

  #next(bytes: Uint8Array): number {
    if (this.#at >= bytes.length) throw new Error('a column ends early');
    return bytes[this.#at++]!;
  }
}

/** All varints of a column, each below 2^32. @throws Error when the last is cut off, or one is larger */
export function readVarints(bytes: Uint8Array): Uint32Array {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! < 128) count++;
  const values = new Uint32Array(count);
  let value = 0;
  let shift = 0;
  let n = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (shift > 28 || (shift === 28 && (byte & 127) > 15)) throw new Error('a varint is past 2^32');
    value |= (byte & 127) << shift;
    shift += 7;
    if (byte >= 128) continue;
    values[n++] = value;
    value = 0;
    shift = 0;
  }
  if (shift !== 0) throw new Error('a column ends early');
  return values;
}

export const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value);
export const unzigzag = (value: number): number => (value % 2 === 0 ? value / 2 : -(value + 1) / 2);
