// A growable byte buffer with LEB128, for the WebAssembly binary format (WebAssembly core specification 1.0, 5.2).

export class Bytes {
  private data: Uint8Array;
  length = 0;
  /** Positions of function indices that are patched when the number of imports is known. */
  readonly relocations: number[] = [];

  constructor(capacity = 256) {
    this.data = new Uint8Array(capacity);
  }

  private grow(need: number): void {
    if (this.length + need <= this.data.length) return;
    const bigger = new Uint8Array(Math.max(this.data.length * 2, this.length + need));
    bigger.set(this.data.subarray(0, this.length));
    this.data = bigger;
  }

  u8(value: number): this {
    if (this.length === this.data.length) this.grow(1);
    this.data[this.length++] = value;
    return this;
  }

  raw(bytes: ArrayLike<number>): this {
    this.grow(bytes.length);
    this.data.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  /** Index of a module's own function: five bytes, patched by `relocate`. */
  functionIndex(index: number): this {
    this.relocations.push(this.length);
    return this.padded(index);
  }

  private padded(value: number): this {
    for (let i = 0; i < 4; i++) this.u8(((value >>> (7 * i)) & 0x7f) | 0x80);
    return this.u8(value >>> 28);
  }

  /** Add `base` to every function index recorded. */
  relocate(base: number): void {
    const end = this.length;
    for (const at of this.relocations) {
      let value = 0;
      for (let i = 0; i < 5; i++) value |= (this.data[at + i]! & 0x7f) << (7 * i);
      this.length = at;
      this.padded(value + base);
    }
    this.length = end;
  }

  append(other: Bytes): this {
    for (const at of other.relocations) this.relocations.push(this.length + at);
    return this.raw(other.data.subarray(0, other.length));
  }

  /** Unsigned LEB128 of a value below 2^32. */
  uleb(value: number): this {
    let v = value >>> 0;
    while (v >= 0x80) {
      this.u8((v & 0x7f) | 0x80);
      v >>>= 7;
    }
    return this.u8(v);
  }

  /** Signed LEB128 of an i32. */
  sleb32(value: number): this {
    let v = value | 0;
    for (;;) {
      const b = v & 0x7f;
      v >>= 7;
      if ((v === 0 && (b & 0x40) === 0) || (v === -1 && (b & 0x40) !== 0)) return this.u8(b);
      this.u8(b | 0x80);
    }
  }

  /** Signed LEB128 of an i64. */
  sleb64(value: bigint): this {
    let v = BigInt.asIntN(64, value);
    if (v >= -0x4000_0000n && v < 0x4000_0000n) return this.sleb32(Number(v));
    for (;;) {
      const b = Number(v & 0x7fn);
      v >>= 7n;
      if ((v === 0n && (b & 0x40) === 0) || (v === -1n && (b & 0x40) !== 0)) return this.u8(b);
      this.u8(b | 0x80);
    }
  }

  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.uleb(bytes.length).raw(bytes);
  }

  /** The bytes written so far (a copy). */
  take(): Uint8Array<ArrayBuffer> {
    return this.data.slice(0, this.length) as Uint8Array<ArrayBuffer>;
  }
}
