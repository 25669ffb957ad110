// A disk as devices see it: whole sectors over a source of bytes that nobody writes to. What the guest writes goes to an
// overlay of 4 KiB pieces, which is part of the device's state and ends with the run. A source that ends in the middle of
// a sector is continued with zeros, as in QEMU.
// Invariant: the content follows from the source and the guest's writes alone. Left out: image formats (files are raw),
// discarding (QEMU ignores it on raw files, too), read errors of the medium.

import type { Plain } from '../device.js';

export const SECTOR_SIZE = 512;
const PIECE = 4096;

/** Bytes of a medium, read only. The same place always gives the same bytes. */
export interface BlockSource {
  /** Bytes. */
  readonly size: number;
  /** `length` bytes from `offset` on; the range lies within the size. */
  read(offset: number, length: number): Uint8Array;
}

/** A source with what was written over it. */
export class BlockImage {
  /** Sectors of 512 bytes, the last one perhaps continued with zeros. */
  readonly sectors: number;
  readonly #source: BlockSource;
  #written = new Map<number, Uint8Array>();

  constructor(source: BlockSource) {
    this.#source = source;
    this.sectors = Math.ceil(source.size / SECTOR_SIZE);
  }

  /** Whether `count` sectors from `sector` on exist. */
  has(sector: number, count: number): boolean {
    return sector >= 0 && sector + count <= this.sectors;
  }

  /**
   * Copy out `count` sectors.
   * @throws RangeError when they do not all exist
   */
  read(sector: number, count: number): Uint8Array {
    this.#check(sector, count);
    const offset = sector * SECTOR_SIZE;
    const length = count * SECTOR_SIZE;
    if (this.#written.size === 0) return this.#original(offset, length);
    const result = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const index = Math.floor((offset + at) / PIECE);
      const within = (offset + at) % PIECE;
      const some = Math.min(PIECE - within, length - at);
      const piece = this.#written.get(index)?.subarray(within, within + some) ?? this.#original(offset + at, some);
      result.set(piece, at);
      at += some;
    }
    return result;
  }

  /**
   * Write whole sectors.
   * @throws RangeError when they do not all exist
   */
  write(sector: number, data: Uint8Array): void {
    this.#check(sector, data.length / SECTOR_SIZE);
    const offset = sector * SECTOR_SIZE;
    for (let at = 0; at < data.length; ) {
      const index = Math.floor((offset + at) / PIECE);
      const within = (offset + at) % PIECE;
      const some = Math.min(PIECE - within, data.length - at);
      let piece = this.#written.get(index);
      if (piece === undefined) {
        const whole = some === PIECE;
        piece = whole ? new Uint8Array(PIECE) : this.#original(index * PIECE, PIECE);
        this.#written.set(index, piece);
      }
      piece.set(data.subarray(at, at + some), within);
      at += some;
    }
  }

  /** The overlay: numbers of its pieces, ascending, and their bytes one after another. */
  save(): Plain {
    const entries = [...this.#written].sort(([a], [b]) => a - b);
    const data = new Uint8Array(entries.length * PIECE);
    for (const [n, [, piece]] of entries.entries()) data.set(piece, n * PIECE);
    return { pieces: entries.map(([index]) => index), data };
  }

  load(state: Plain): void {
    const { pieces, data } = state as unknown as { pieces: number[]; data: Uint8Array };
    this.#written = new Map(pieces.map((index, n) => [index, data.slice(n * PIECE, (n + 1) * PIECE)]));
  }

  #check(sector: number, count: number): void {
    if (!this.has(sector, count)) throw new RangeError(`sectors ${sector}+${count} of ${this.sectors}`);
  }

  /** Bytes of the source, zeros behind its end; always a copy. */
  #original(offset: number, length: number): Uint8Array {
    const there = Math.max(0, Math.min(length, this.#source.size - offset));
    const result = new Uint8Array(length);
    if (there > 0) result.set(this.#source.read(offset, there));
    return result;
  }
}
