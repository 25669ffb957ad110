// Exact conversion between nanoseconds and ticks of a slower clock.
//
// A plain product of a virtual time (up to 2^53) and a frequency leaves the exact range of a double, so both directions
// split off whole seconds first. The two fit together: timeOfTick(n) is the first nanosecond at which ticksIn() gives n.
// Frequencies are whole Hz up to 8 MHz: a second's nanoseconds times the frequency must stay below 2^53.

const NS_PER_SECOND = 1_000_000_000;

/** Whole ticks of `frequency` Hz in `ns` nanoseconds, rounded down. */
export function ticksIn(ns: number, frequency: number): number {
  const seconds = Math.floor(ns / NS_PER_SECOND);
  return seconds * frequency + Math.floor(((ns - seconds * NS_PER_SECOND) * frequency) / NS_PER_SECOND);
}

/** Nanoseconds until `ticks` ticks of `frequency` Hz are over, rounded up. */
export function timeOfTick(ticks: number, frequency: number): number {
  const seconds = Math.floor(ticks / frequency);
  return seconds * NS_PER_SECOND + Math.ceil(((ticks - seconds * frequency) * NS_PER_SECOND) / frequency);
}
