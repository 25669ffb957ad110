// The runs of a MEMO payload as columns: a boot of Linux has 280,000 of them, most of a few bytes, so nothing is made for
// each. FORMAT.md, section "MEMO". Filters are taken off where the bytes lie (memory-filters.ts).
//
// Invariant: what breaks the format is refused before anything is allocated by what it says.

import { decodeCanonical } from './codec.js';
import { binary, integer, record } from './fields.js';
import { FILTER_COUNT, FILTER_NONE, unfilterRun } from './memory-filters.js';
import { readVarints } from './varint.js';

const PAGE = 4096;
/** Span of guest memory that one MEMO chunk covers at most, in bytes. */
export const MEMORY_SPAN = 0x200_0000;

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

/** In place. */
function takeFiltersOff({ address, offsets, lengths, data }: MemoryRuns, filters: Uint8Array): void {
  // From the beginning of the page on, so that small numbers do.
  const first = address % PAGE;
  const base = ((address - first) % 0x1_0000_0000) | 0;
  let page = -1;
  let filter = FILTER_NONE;
  let before = 0;
  let pages = 0;
  let used = 0;
  for (let i = 0; i < offsets.length; i++) {
    let at = first + offsets[i]!;
    for (let left = lengths[i]!; left > 0; ) {
      if (at >>> 12 !== page) {
        page = at >>> 12;
        filter = filters[pages++] ?? FILTER_COUNT;
        before = 0;
        if (filter >= FILTER_COUNT) throw new Error('a page of memory has no known filter');
      }
      const n = Math.min(PAGE - (at & (PAGE - 1)), left);
      if (filter !== FILTER_NONE) before = unfilterRun(filter, (base + at) | 0, data, used, used + n, before);
      used += n;
      at += n;
      left -= n;
    }
  }
  if (pages !== filters.length) throw new Error('there are more filters than pages');
}
