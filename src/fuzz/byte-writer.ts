// Bytes of a structure, field after field: a buffer that grows, little-endian unless a method says otherwise. Values are
// cut to the field's width, since a hostile structure may hold any number. Left out: reading.

export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(room = 256) {
    this.#bytes = new Uint8Array(room);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far: the offset of the next field. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#take(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#take(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#take(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  u16be(value: number): this {
    const at = this.#take(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32be(value: number): this {
    const at = this.#take(4);
    this.#view.setUint32(at, value);
    return this;
  }

  u64be(value: bigint): this {
    const at = this.#take(8);
    this.#view.setBigUint64(at, value);
    return this;
  }

  bytes(data: ArrayLike<number>): this {
    const at = this.#take(data.length);
    this.#bytes.set(data, at);
    return this;
  }

  /** Latin-1 characters, without a terminator. */
  text(value: string): this {
    const at = this.#take(value.length);
    for (let i = 0; i < value.length; i++) this.#bytes[at + i] = value.charCodeAt(i);
    return this;
  }

  /** A text in a field of its own width: cut, or filled up with `filler`. */
  field(value: string, width: number, filler = 0): this {
    for (let i = 0; i < width; i++) this.u8(i < value.length ? value.charCodeAt(i) : filler);
    return this;
  }

  /** Zeros up to an offset; nothing when it is passed already. */
  zerosTo(offset: number): this {
    if (offset > this.#length) this.#take(offset - this.#length);
    return this;
  }

  align(to: number): this {
    return this.zerosTo(Math.ceil(this.#length / to) * to);
  }

  get8(offset: number): number {
    return this.#bytes[offset]!;
  }

  put8(offset: number, value: number): this {
    this.#view.setUint8(offset, value);
    return this;
  }

  put16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, true);
    return this;
  }

  put32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  put64(offset: number, value: bigint): this {
    this.#view.setBigUint64(offset, value, true);
    return this;
  }

  /** Set the byte at `offset` so that `length` bytes from `from` on sum to zero, plus `wrong`. */
  checksum(offset: number, from: number, length: number, wrong = 0): this {
    this.#bytes[offset] = 0;
    let sum = 0;
    for (let i = from; i < Math.min(from + length, this.#length); i++) sum += this.#bytes[i]!;
    this.#bytes[offset] = wrong - sum;
    return this;
  }

  /** What has been written; a copy. */
  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Room for a field; it may replace the buffer. @returns the field's offset */
  #take(size: number): number {
    const at = this.#length;
    if (at + size > this.#bytes.length) {
      const more = new Uint8Array(Math.max(2 * this.#bytes.length, at + size));
      more.set(this.#bytes);
      this.#bytes = more;
      this.#view = new DataView(more.buffer);
    }
    this.#length += size;
    return at;
  }
}
