// The initial memory of the guest, as far as the guest ever saw it. A kernel image is tens of megabytes and a boot
// reads a few of them, so only 4-byte lines that were read or executed before they were wholly overwritten are
// stored; everything else is zero in a replay, and the state hash treats it as zero on both sides.
// Lines that are zero anyway are not stored either.

import { decodeCanonical, encodeCanonical } from './codec.js';
import { binary, integer, record } from './fields.js';
import { VarintReader, VarintWriter } from './varint.js';

export const LINE_SIZE = 4;
/** Span of guest memory that one MEMO chunk covers at most, in bytes. */
export const MEMORY_SPAN = 0x200_0000;

/** Which lines of the initial memory the guest has observed. `line` is a physical address divided by lineSize. */
export interface ObservedMemory {
  readonly lineSize: 4;
  isObserved(line: number): boolean;
}

/** Memory as the loader left it at cycle 0. */
export interface MemoryRegion {
  /** Guest physical. */
  readonly address: number;
  readonly data: Uint8Array;
}

/** Every line, for recorders that do not track. */
export const ALL_OBSERVED: ObservedMemory = { lineSize: LINE_SIZE, isObserved: () => true };

/** Payloads of the MEMO chunks of a region, each of at most 32 MiB. */
export function* encodeMemory(region: MemoryRegion, observed: ObservedMemory): Generator<Uint8Array> {
  const end = region.address + region.data.length;
  let from = region.address;
  while (from < end) {
    const to = Math.min(end, (Math.floor(from / MEMORY_SPAN) + 1) * MEMORY_SPAN);
    const payload = encodeSpan(from, region.data.subarray(from - region.address, to - region.address), observed);
    if (payload) yield payload;
    from = to;
  }
}

function encodeSpan(address: number, bytes: Uint8Array, observed: ObservedMemory): Uint8Array | undefined {
  const runs = new VarintWriter();
  const data = new Uint8Array(bytes.length);
  let used = 0;
  let taking = false;
  let run = 0;
  const firstLine = Math.floor(address / LINE_SIZE);
  const lastLine = Math.floor((address + bytes.length - 1) / LINE_SIZE);
  for (let line = firstLine; line <= lastLine; line++) {
    const from = Math.max(line * LINE_SIZE - address, 0);
    const to = Math.min((line + 1) * LINE_SIZE - address, bytes.length);
    const take = observed.isObserved(line) && !isZero(bytes, from, to);
    if (take !== taking) {
      runs.write(run);
      taking = take;
      run = 0;
    }
    run++;
    if (take) {
      data.set(bytes.subarray(from, to), used);
      used += to - from;
    }
  }
  if (used === 0) return undefined;
  runs.write(run);
  return encodeCanonical({ address, data: data.subarray(0, used), length: bytes.length, runs: runs.bytes() });
}

/** A run of known bytes of the initial memory. */
export interface MemoryPiece {
  readonly address: number;
  /** A view. */
  readonly data: Uint8Array;
}

/** The pieces of a MEMO payload, by ascending address. @throws Error when the payload breaks the format. */
export function decodeMemory(payload: Uint8Array): MemoryPiece[] {
  const map = record(decodeCanonical(payload), 'a memory chunk');
  const address = integer(map.address, 2 ** 52, 'address');
  const length = integer(map.length, MEMORY_SPAN, 'length');
  const data = binary(map.data, 'data');
  const runs = new VarintReader(binary(map.runs, 'runs'));
  const end = address + length;
  const pieces: MemoryPiece[] = [];
  let line = Math.floor(address / LINE_SIZE);
  let used = 0;
  for (let taking = false; !runs.done; taking = !taking) {
    const from = Math.max(line * LINE_SIZE, address);
    line += runs.read();
    const to = Math.min(line * LINE_SIZE, end);
    if (!taking) continue;
    if (to <= from || used + to - from > data.length) throw new Error('a run of memory lines is out of range');
    pieces.push({ address: from, data: data.subarray(used, used + to - from) });
    used += to - from;
  }
  if (used !== data.length) throw new Error('memory data is longer than its runs');
  return pieces;
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}
