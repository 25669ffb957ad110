// The runs of a MEMO payload as columns: a boot of Linux has 280,000 of them, most of a few bytes, so nothing is made for
// each. FORMAT.md, section "MEMO". Filters are taken off where the bytes lie (memory-filters.ts).
//
// Invariant: what breaks the format is refused before anything is allocated by what it says.

import { decodeCanonical } from './codec.js';
import { binary, integer, record } from './fields.js';
import { FILTER_COUNT, FILTER_NONE, type RunFilter, unfilterRun } from './memory-filters.js';
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

/** The same without the bytes. */
export interface RunColumns extends Omit<MemoryRuns, 'data'> {
  /** Bytes of all runs together. */
  readonly total: number;
}

/** @throws Error when the payload breaks the format */
export const decodeRuns = (payload: Uint8Array): MemoryRuns =>
  runsOf(record(decodeCanonical(payload), 'a memory chunk'));

/** The same of a payload's map. @throws Error when it breaks the format */
export function runsOf(map: Record<string, unknown>): MemoryRuns {
  const data = new Uint8Array(binary(map.data, 'data'));
  const columns = runColumns(map, data.length);
  if (columns.total !== data.length) throw new Error('memory data is longer than its runs');
  const { address, offsets, lengths } = columns;
  const runs = { address, offsets, lengths, data };
  changeFilters(runs, binary(map.filters, 'filters'), unfilterRun);
  return runs;
}

/**
 * Where the runs of a MEMO payload are.
 * @param most bytes of all of them together
 * @throws Error when it breaks the format
 */
export function runColumns(map: Record<string, unknown>, most: number): RunColumns {
  const address = integer(map.address, 2 ** 52, 'address');
  const length = integer(map.length, MEMORY_SPAN, 'length');
  // Gaps become offsets.
  const offsets = readVarints(binary(map.gaps, 'gaps'));
  const lengths = readVarints(binary(map.lengths, 'lengths'));
  if (lengths.length < offsets.length) throw new Error('a column ends early');
  let at = 0;
  let total = 0;
  for (let i = 0; i < offsets.length; i++) {
    const gap = offsets[i]!;
    const run = lengths[i]!;
    at += gap;
    if (run === 0 || at + run > length || total + run > most || (gap === 0 && i > 0))
      throw new Error('a run of memory is out of range');
    offsets[i] = at;
    at += run;
    total += run;
  }
  if (lengths.length > offsets.length) throw new Error('memory data is longer than its runs');
  return { address, offsets, lengths, total };
}

/**
 * What of runs lies in one page, by ascending address.
 * @param take given the offset from the runs' address, bytes before it in all runs, its length, and how many pages with
 * runs there are before its own
 * @returns pages with runs
 */
export function eachPart(
  { address, offsets, lengths }: Omit<RunColumns, 'total'>,
  take: (at: number, used: number, length: number, page: number) => void,
): number {
  // From the beginning of the page on, so that small numbers do.
  const first = address % PAGE;
  let page = -1;
  let pages = 0;
  let used = 0;
  for (let i = 0; i < offsets.length; i++) {
    let at = first + offsets[i]!;
    for (let left = lengths[i]!; left > 0; ) {
      if (at >>> 12 !== page) {
        page = at >>> 12;
        pages++;
      }
      const n = Math.min(PAGE - (at & (PAGE - 1)), left);
      take(at - first, used, n, pages - 1);
      used += n;
      at += n;
      left -= n;
    }
  }
  return pages;
}

/** Take the filters of pages off, or put them on, in place. @throws Error when there are unknown ones, too many or too few */
export function changeFilters(runs: MemoryRuns, filters: Uint8Array, change: RunFilter): void {
  const base = (runs.address % 0x1_0000_0000) | 0;
  let page = -1;
  let filter = FILTER_NONE;
  let before = 0;
  const pages = eachPart(runs, (at, used, n, number) => {
    if (number !== page) {
      page = number;
      filter = filters[number] ?? FILTER_COUNT;
      before = 0;
      if (filter >= FILTER_COUNT) throw new Error('a page of memory has no known filter');
    }
    if (filter !== FILTER_NONE) before = change(filter, (base + at) | 0, runs.data, used, used + n, before);
  });
  if (pages !== filters.length) throw new Error('there are more filters than pages');
}
