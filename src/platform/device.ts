// What a device is: a small class with injected lines and a clock; it knows neither the bus nor other devices,
// never sees host time, and its state is plain named data that can be saved, loaded and hashed.
// Handlers get offsets within their range: where a device lies is the wiring's affair.

import type { AccessSize } from '../cpu/bus.js';

/** Plain data: what JSON can say, plus bigint and Uint8Array. */
export type Plain =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Plain[]
  | { readonly [name: string]: Plain };

/** Every device can be reset to power-on state, saved and loaded. `load(save())` changes nothing that a guest can see. */
export interface Device {
  readonly name: string;
  reset(): void;
  save(): Plain;
  load(state: Plain): void;
}

/** A device's registers in I/O port space. `offset` counts from the start of the range it was mapped at. */
export interface PortHandler {
  portRead(offset: number, size: AccessSize): number;
  portWrite(offset: number, size: AccessSize, value: number): void;
  /** Optional fast forms for REP INS and REP OUTS; the bus falls back to single accesses. */
  portReadString?(offset: number, size: AccessSize, count: number): Uint8Array;
  portWriteString?(offset: number, size: AccessSize, data: Uint8Array): void;
}

/** A device's registers in physical address space. */
export interface MmioHandler {
  mmioRead(offset: number, size: AccessSize): number;
  mmioWrite(offset: number, size: AccessSize, value: number): void;
  /** Optional fast forms for runs of memory (RangeOptions.memory): the same as accesses to one byte after another. */
  mmioReadBytes?(offset: number, into: Uint8Array): void;
  mmioWriteBytes?(offset: number, data: Uint8Array): void;
}

/** A wire to an interrupt controller or to the processor; levels, not edges. */
export type Line = (level: boolean) => void;

/** One-shot timer on virtual time. Re-arming moves it; a timer fires once per arming, at or after `when`. */
export interface Timer {
  /** Arm for the absolute virtual time `when`, in nanoseconds (fractions are rounded up to a cycle). */
  set(when: number): void;
  cancel(): void;
  /** Armed time in ns, or Infinity. */
  readonly deadline: number;
}

/** Virtual time. The only clock that devices may read. */
export interface Clock {
  /** Virtual nanoseconds since reset, an exact integer. */
  now(): number;
  /** A timer whose callback runs with now() at or after its deadline. Simultaneous timers fire in creation order. */
  timer(name: string, fire: () => void): Timer;
}
