// The runs of a MEMO payload as columns: a boot of Linux has 280,000 of them, most of a few bytes, so nothing is made for
// each. FORMAT.md, section "MEMO". Filters are taken off where the bytes lie (memory-filters.ts).
//
// Invariant: what breaks the format is refused before anything is allocated by what it says.

import { decodeCanonical } from './codec.js';
import { binary, integer, record } from './fields.js';
import { FILTER_COUNT, FILTER_NONE, unfilterPage } from './memory-filters.js';
import { readVarints } from './varint.js';

const PAGE = 4096;
/** Span of guest memory that one MEMO chunk covers at most, in bytes. */
export const MEMORY_SPAN = 0x200_0000;
/** Bytes from which on the copy that is built in is quicker. */
const LONG = 48;

/** Runs of known bytes of the initial memory, by ascending address. */
export interface MemoryRuns {
  /** Guest physical, of offset 0. */
  readonly address: number;
  readonly offsets: Uint32Array;
  /** Bytes of each, at least 1. */
  readonly lengths: Uint32Array;
  /** Their bytes, one run after the other. */
  readonly data: Uint8Array;
}

/** @throws Error when the payload breaks the format */
export function decodeRuns(payload: Uint8Array): MemoryRuns {
  const map = record(decodeCanonical(payload), 'a memory chunk');
  const address = integer(map.address, 2 ** 52, 'address');
  const length = integer(map.length, MEMORY_SPAN, 'length');
  const data = new Uint8Array(binary(map.data, 'data'));
  // Gaps become offsets.
  const offsets = readVarints(binary(map.gaps, 'gaps'));
  const lengths = readVarints(binary(map.lengths, 'lengths'));
  if (lengths.length < offsets.length) throw new Error('a column ends early');
  let at = 0;
  let used = 0;
  for (let i = 0; i < offsets.length; i++) {
    const gap = offsets[i]!;
    const run = lengths[i]!;
    at += gap;
    if (run === 0 || at + run > length || used + run > data.length || (gap === 0 && i > 0))
      throw new Error('a run of memory is out of range');
    offsets[i] = at;
    at += run;
    used += run;
  }
  if (used !== data.length || lengths.length > offsets.length) throw new Error('memory data is longer than its runs');
  const runs = { address, offsets, lengths, data };
  takeFiltersOff(runs, binary(map.filters, 'filters'));
  return runs;
}

/** Bytes of one page, where they are in the payload's data. */
class FilteredPage {
  private count = 0;
  private readonly offsets = new Uint32Array(PAGE);
  private readonly places = new Uint32Array(PAGE);
  private readonly lengths = new Uint32Array(PAGE);
  private readonly bytes = new Uint8Array(PAGE);
  private readonly taken = new Uint8Array(PAGE);

  constructor(private readonly data: Uint8Array) {}

  add(offset: number, place: number, length: number): void {
    this.offsets[this.count] = offset;
    this.places[this.count] = place;
    this.lengths[this.count++] = length;
    copy(this.data, place, this.bytes, offset, length);
    if (length < LONG) for (let i = offset; i < offset + length; i++) this.taken[i] = 1;
    else this.taken.fill(1, offset, offset + length);
  }

  finish(filter: number, address: number): void {
    unfilterPage(filter, address, this.bytes, this.taken);
    for (let n = 0; n < this.count; n++)
      copy(this.bytes, this.offsets[n]!, this.data, this.places[n]!, this.lengths[n]!);
    this.count = 0;
    this.taken.fill(0);
  }
}

/** In place. */
function takeFiltersOff({ address, offsets, lengths, data }: MemoryRuns, filters: Uint8Array): void {
  const filtered = new FilteredPage(data);
  let page = -1;
  let filter = FILTER_NONE;
  let pages = 0;
  let used = 0;
  for (let i = 0; i < offsets.length; i++) {
    let at = address + offsets[i]!;
    for (let left = lengths[i]!; left > 0; ) {
      const offset = at % PAGE;
      if (at - offset !== page) {
        if (filter !== FILTER_NONE) filtered.finish(filter, page);
        page = at - offset;
        filter = filters[pages++] ?? FILTER_COUNT;
        if (filter >= FILTER_COUNT) throw new Error('a page of memory has no known filter');
      }
      const n = Math.min(PAGE - offset, left);
      if (filter !== FILTER_NONE) filtered.add(offset, used, n);
      used += n;
      at += n;
      left -= n;
    }
  }
  if (filter !== FILTER_NONE) filtered.finish(filter, page);
  if (pages !== filters.length) throw new Error('there are more filters than pages');
}

function copy(from: Uint8Array, start: number, to: Uint8Array, place: number, length: number): void {
  if (length < LONG) for (let i = 0; i < length; i++) to[place + i] = from[start + i]!;
  else to.set(from.subarray(start, start + length), place);
}
