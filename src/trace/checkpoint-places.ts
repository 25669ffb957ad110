// Where a trace has its checkpoints, as its index says: a state is megabytes, and who shares a replay out wants to know
// where it may begin, not from what. Traces from before the index said so have their states read.
//
// Invariant: what is said here is a claim. Who unpacks the state holds it against that.

import type { ChunkPlace } from './chunk-place.js';
import { isOfCheckpoint } from './chunks.js';
import type { IndexEntry } from './header.js';

/** A state from which a replay can begin. */
export interface Checkpoint {
  readonly cycle: number;
  /** Events before it. */
  readonly event: number;
  /** Bytes that say what had been decoded, which grow with what had been; undefined in older traces. */
  readonly code?: number | undefined;
  /** The chunk of the state. */
  readonly state: ChunkPlace;
  /** The chunks with the pages that changed since the checkpoint before: PAGE and LIST by turns, in older traces CHKP. */
  readonly pages: readonly ChunkPlace[];
}

/** Checkpoints by the index, in order; undefined where it does not tell all of them. */
export function indexedCheckpoints(
  chunks: readonly ChunkPlace[],
  index: readonly IndexEntry[],
): Checkpoint[] | undefined {
  const places = chunks.filter(({ type }) => isOfCheckpoint(type));
  const entries = index.filter(({ type }) => isOfCheckpoint(type));
  if (entries.length !== places.length) return undefined;
  const found: Checkpoint[] = [];
  let pages: ChunkPlace[] = [];
  for (const [n, { offset, event, cycle, code }] of entries.entries()) {
    const place = places[n]!;
    const before = found.at(-1);
    if (offset !== place.offset || event <= (before?.event ?? 0) || cycle < (before?.cycle ?? 0)) return undefined;
    // The state stands behind its pages.
    if (entries[n + 1]?.event === event) pages.push(place);
    else {
      found.push({ cycle, event, code, state: place, pages });
      pages = [];
    }
  }
  return found;
}
