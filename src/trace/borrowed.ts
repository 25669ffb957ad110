// Payloads of traces that are not sealed: bytes that lie in an image of the boot are left out, and where they lie is said
// instead (FORMAT.md, section "Borrowed payloads"). Raw payloads are those of a sealed trace, so both have the same root.
//
// Invariants: what is packed follows from the payload and the images; what breaks the format is refused before anything is
// allocated by what it says.

import { isLinuxImage, parseLinuxImage, unpackKernel } from '../boot/bzimage.js';
import type { Plain } from '../platform/device.js';
import { decodeCanonical, encodeCanonical } from './codec.js';
import { binary, record } from './fields.js';
import { equalBytes, ImageIndex, type Source, sameBytes } from './image-index.js';
import { filterRun } from './memory-filters.js';
import { changeFilters, eachPart, type RunColumns, runColumns, runsOf } from './memory-runs.js';
import { unzigzag, VarintReader, VarintWriter, zigzag } from './varint.js';

/** A new number whenever the same payload and images give other bytes. */
const FORM = 1;
/** Borrowed bytes for which a payload is worth the other form, and payloads that are worth looking at, of either type. */
const WORTH = 64;
const MIN_MEMORY = 0x1000;
const MIN_EVENTS = 0x1_0000;
/** Places that are tried for bytes which several places of images have. */
const TRIES = 8;

/** The images of a boot, in the header's order; what is not there is not borrowed from. */
export interface LentImages {
  readonly images: readonly Uint8Array[];
  /** Number of the kernel, where the loader unpacks a bzImage before it loads it. */
  readonly unpacked: number | undefined;
  /** By which they are known: no other images have it. */
  readonly name: string;
}

/** Bytes of a source: 2 n is image n, 2 n + 1 the kernel that it unpacks to. */
export type SourceBytes = (source: number) => Uint8Array;

/** What a bzImage unpacks to. @throws ImageError */
export const unpackedImage = (bytes: Uint8Array): Uint8Array => unpackKernel(parseLinuxImage('the kernel', bytes));

/** Leaves out of payloads what lies in images. */
export class Borrower {
  #index: ImageIndex | undefined;

  constructor(readonly lent: LentImages) {}

  /** What the outcome depends on besides the payload. */
  get name(): string {
    return ` borrowed ${FORM} ${this.lent.name} ${this.lent.unpacked}`;
  }

  /** Whether a payload is worth looking at. */
  wants(type: string, length: number): boolean {
    return type === 'MEMO' ? length >= MIN_MEMORY : type === 'EVTS' && length >= MIN_EVENTS;
  }

  /** @returns the other form of a payload, or undefined where it has nothing of an image */
  borrow(type: string, raw: Uint8Array): Uint8Array | undefined {
    this.#index ??= new ImageIndex(sourcesOf(this.lent));
    return type === 'MEMO' ? borrowMemory(raw, this.#index) : borrowBytes(raw, this.#index);
  }
}

/** The payload itself, with what was left out. @throws Error when it breaks the format; what `bytesOf` throws */
export function fillBorrowed(type: string, borrowed: Uint8Array, rawLength: number, bytesOf: SourceBytes): Uint8Array {
  const map = record(decodeCanonical(borrowed), 'a borrowed payload');
  return type === 'MEMO' ? memoryOf(map, rawLength, bytesOf) : bytesFrom(map, rawLength, bytesOf);
}

function sourcesOf({ images, unpacked }: LentImages): Source[] {
  return images.flatMap((bytes, n) => {
    const whole = { source: 2 * n, bytes };
    return n === unpacked && isLinuxImage(bytes)
      ? [whole, { source: 2 * n + 1, bytes: unpackedImage(bytes) }]
      : [whole];
  });
}

/** Groups of bytes that are kept, source, offset and length; what is kept behind the last group follows from the length. */
function borrowBytes(raw: Uint8Array, index: ImageIndex): Uint8Array | undefined {
  const copies = new VarintWriter();
  const rest: Uint8Array[] = [];
  let from = 0;
  let borrowed = 0;
  for (let found = index.find(raw, 0, raw.length); found; found = index.find(raw, from, raw.length)) {
    const { source, bytes } = found;
    let { at, offset } = found;
    while (at > from && offset > 0 && raw[at - 1] === bytes[offset - 1]) {
      at--;
      offset--;
    }
    const length = equalBytes(raw, at, bytes, offset);
    for (const value of [at - from, source, offset, length]) copies.write(value);
    rest.push(raw.subarray(from, at));
    from = at + length;
    borrowed += length;
  }
  if (borrowed < WORTH) return undefined;
  rest.push(raw.subarray(from));
  return encodeCanonical({ copies: copies.bytes(), rest: Buffer.concat(rest) });
}

function bytesFrom(map: Record<string, unknown>, rawLength: number, bytesOf: SourceBytes): Uint8Array {
  const copies = new VarintReader(binary(map.copies, 'copies'));
  const rest = binary(map.rest, 'rest');
  const raw = new Uint8Array(rawLength);
  let used = 0;
  let at = 0;
  const keep = (length: number): void => {
    if (length > rest.length - used || length > rawLength - at) throw new Error('what is not borrowed ends early');
    raw.set(rest.subarray(used, used + length), at);
    used += length;
    at += length;
  };
  while (!copies.done) {
    keep(copies.read());
    const bytes = bytesOf(copies.read());
    const offset = copies.read();
    const length = copies.read();
    if (offset + length > bytes.length || length > rawLength - at) throw new Error('a copy is out of range');
    raw.set(bytes.subarray(offset, offset + length), at);
    at += length;
  }
  keep(rest.length - used);
  if (at !== rawLength) throw new Error(`payload is ${at} bytes, not ${rawLength}`);
  return raw;
}

/** Where parts of runs come from: how many in a row, 1 + source or 0, and for a source how far it is from the guest's address. */
class PartSources {
  readonly #bytes = new VarintWriter();
  #parts = 0;
  #source = 0;
  #distance = 0;

  /** @param source 1 + source, or 0 */
  add(source: number, distance: number): void {
    if (this.#parts > 0 && (source !== this.#source || (source > 0 && distance !== this.#distance))) this.#write();
    this.#parts++;
    this.#source = source;
    this.#distance = distance;
  }

  finish(): Uint8Array {
    this.#write();
    return this.#bytes.bytes();
  }

  #write(): void {
    this.#bytes.write(this.#parts);
    this.#bytes.write(this.#source);
    if (this.#source > 0) this.#bytes.write(zigzag(this.#distance));
    this.#parts = 0;
  }
}

function borrowMemory(raw: Uint8Array, index: ImageIndex): Uint8Array | undefined {
  const map = record(decodeCanonical(raw), 'a memory chunk');
  const { filters, gaps, length, lengths } = map;
  const runs = runsOf(map);
  const { data, address } = runs;
  const sources = new PartSources();
  const rest: Uint8Array[] = [];
  let borrowed = 0;
  let bytes: Uint8Array = new Uint8Array(0);
  let source = 0;
  let distance = 0;
  eachPart(runs, (at, used, n) => {
    const place = address + at;
    if (!sameBytes(data, used, bytes, place + distance, n)) {
      const found = findWhole(index, data, used, n);
      if (!found) {
        sources.add(0, 0);
        rest.push(data.subarray(used, used + n));
        return;
      }
      bytes = found.bytes;
      source = 1 + found.source;
      distance = found.offset - place;
    }
    sources.add(source, distance);
    borrowed += n;
  });
  if (borrowed < WORTH) return undefined;
  return encodeCanonical({
    address,
    filters,
    gaps,
    length,
    lengths,
    rest: Buffer.concat(rest),
    sources: sources.finish(),
  } as Plain);
}

/** Where all of some bytes lie in an image. */
function findWhole(index: ImageIndex, data: Uint8Array, from: number, length: number) {
  let search = from;
  for (let tries = 0; tries < TRIES; tries++) {
    const found = index.find(data, search, from + length);
    if (!found) return undefined;
    const offset = found.offset - (found.at - from);
    if (sameBytes(data, from, found.bytes, offset, length)) return { ...found, offset };
    search = found.at + 1;
  }
  return undefined;
}

function memoryOf(map: Record<string, unknown>, rawLength: number, bytesOf: SourceBytes): Uint8Array {
  const columns = runColumns(map, rawLength);
  const data = new Uint8Array(columns.total);
  takeParts(columns, map, data, bytesOf);
  const filters = binary(map.filters, 'filters');
  changeFilters({ ...columns, data }, filters, filterRun);
  const { address, gaps, length, lengths } = map as Record<string, Plain>;
  return encodeCanonical({ address: address!, data, filters, gaps: gaps!, length: length!, lengths: lengths! });
}

/** The bytes of each part, from where they are said to be. */
function takeParts(columns: RunColumns, map: Record<string, unknown>, data: Uint8Array, bytesOf: SourceBytes): void {
  const sources = new VarintReader(binary(map.sources, 'sources'));
  const rest = binary(map.rest, 'rest');
  let left = 0;
  let bytes: Uint8Array | undefined;
  let distance = 0;
  let kept = 0;
  eachPart(columns, (at, used, n) => {
    if (left === 0) {
      left = sources.read();
      const source = sources.read();
      if (left === 0) throw new Error('a source has no parts');
      bytes = source === 0 ? undefined : bytesOf(source - 1);
      distance = source === 0 ? 0 : unzigzag(sources.read());
    }
    left--;
    const from = bytes ? columns.address + at + distance : kept;
    const all = bytes ?? rest;
    if (from < 0 || from + n > all.length) throw new Error('borrowed memory is out of range');
    data.set(all.subarray(from, from + n), used);
    if (!bytes) kept += n;
  });
  if (left > 0 || !sources.done || kept !== rest.length) throw new Error('there are more sources than memory');
}
