// A guest of ours that QEMU's journal leads: what its devices ask of the processor is dropped, its TSC is read from the
// journal, and port strings are taken apart as the journal has them.

import type { Guest, Seams } from '../../src/api/guest.js';
import type { AccessSize, RunEnd } from '../../src/cpu/bus.js';
import * as L from '../../src/cpu/layout.js';

/** Seams of a guest that is led: what its devices ask of the processor is dropped, but for the end of the run. */
export function ledSeams(stop: (end: RunEnd) => void): Seams {
  return {
    lines: (inner) => ({
      setIntr() {},
      pulseNmi() {},
      pulseSmi() {},
      suspend() {},
      stop,
      setA20: (enabled) => inner.setA20(enabled),
      get cycle() {
        return inner.cycle;
      },
    }),
    memory: (inner) => inner,
  };
}

/** Have the TSC read from `source`, through the one figure that a reading takes from outside. */
export function followTsc(guest: Guest, source: () => bigint | undefined): void {
  const { cpu } = guest;
  const { timing } = cpu;
  const reading = {
    name: timing.name,
    get nsPerCycle() {
      const value = source();
      const ticks = BigInt(cpu.cycle) * BigInt(timing.nsPerCycle);
      if (value !== undefined) cpu.state.set64(L.TSC_OFFSET, BigInt.asUintN(64, value - ticks));
      return timing.nsPerCycle;
    },
  };
  Object.defineProperty(cpu, 'timing', { value: reading });
}

/** An item of a string of port accesses. */
export function itemAt(view: DataView, at: number, size: AccessSize): number {
  return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at, true) : view.getUint32(at, true);
}

export function setItem(view: DataView, at: number, size: AccessSize, value: number): void {
  if (size === 1) view.setUint8(at, value);
  else if (size === 2) view.setUint16(at, value, true);
  else view.setUint32(at, value, true);
}
