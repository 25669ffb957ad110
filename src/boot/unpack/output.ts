// The growing result of a decompressor. Memory follows what was really produced, never what a header claims:
// a hostile file cannot make it allocate more than its own compressed bytes can be worth, nor past the limit.

import { DamagedData } from './damaged-data.js';

/** Bytes that are copied sooner one by one than by a call: most sequences of a packed kernel have fewer. */
const FEW = 64;

export class Output {
  bytes: Uint8Array;
  /** Bytes produced so far. */
  length = 0;

  /** @param limit most bytes that the result may have */
  constructor(readonly limit: number) {
    this.bytes = roomFor(Math.min(limit, 1 << 20));
  }

  /** Make room for `count` more bytes. Throws DamagedData past the limit. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    if (needed > this.limit) throw new DamagedData(`it unpacks to more than ${this.limit} bytes`);
    const grown = roomFor(Math.min(this.limit, Math.max(needed, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  append(data: Uint8Array): void {
    this.appendFrom(data, 0, data.length);
  }

  /** Append `count` bytes of `data` from `at` on, all of which are there. */
  appendFrom(data: Uint8Array, at: number, count: number): void {
    this.reserve(count);
    const { bytes, length } = this;
    this.length += count;
    if (count > FEW) bytes.set(data.subarray(at, at + count), length);
    else for (let i = 0; i < count; i++) bytes[length + i] = data[at + i]!;
  }

  /** Repeat `count` bytes from `distance` bytes back; the two may overlap. `start` is where history begins. */
  copy(distance: number, count: number, start = 0): void {
    if (distance <= 0 || distance > this.length - start) throw new DamagedData('a match reaches before the start');
    this.reserve(count);
    const { bytes } = this;
    let to = this.length;
    let from = to - distance;
    this.length += count;
    if (distance >= count && count > FEW) {
      bytes.copyWithin(to, from, from + count);
      return;
    }
    for (const end = to + count; to < end; ) bytes[to++] = bytes[from++]!;
  }

  result(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** In memory that threads share, as images are: a kernel is most of what a recorder's thread works on. */
const roomFor = (size: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(size));
