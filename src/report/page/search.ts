// Searches in ascending columns.

import { lowerBound } from './columns.js';

/** The first place not below `wanted`, by steps that double from where the last search ended. */
export function gallop(keys: Float64Array, wanted: number, from: number, to: number): number {
  let step = 1;
  let low = from;
  while (low + step < to && keys[low + step]! < wanted) {
    low += step;
    step *= 2;
  }
  return lowerBound(keys, wanted, low, Math.min(to, low + step + 1));
}

/** Index of the value nearest to a place; -1 when there is none. */
export function nearestOf(keys: Float64Array, at: number): number {
  if (keys.length === 0) return -1;
  const after = lowerBound(keys, at);
  if (after === 0) return 0;
  if (after === keys.length) return after - 1;
  return keys[after]! - at < at - keys[after - 1]! ? after : after - 1;
}
