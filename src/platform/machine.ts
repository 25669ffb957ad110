// What every machine offers to those who run it: the bus that the processor sees, the clock, the door for inputs, console
// outputs, and its state. A machine knows its devices; nobody else needs to.
// Invariant: save() and load() cover devices and clock by name; processor and memory are saved by their owner.

import type { Bus } from '../cpu/bus.js';
import type { VirtualClock } from './clock.js';
import type { Device, Plain } from './device.js';
import type { Inputs } from './inputs.js';

/** A machine without its processor and memory. */
export interface Machine extends Bus {
  /** `pc`, `microvm`. */
  readonly name: string;
  readonly clock: VirtualClock;
  readonly inputs: Inputs;
  /** All devices, in the order in which they are reset, saved and loaded. Names are unique. */
  readonly devices: readonly Device[];
  /** A byte left the first serial port. */
  onSerial: (byte: number) => void;
  /** A byte was written to the debug console. */
  onDebugcon: (byte: number) => void;
  /** Reset all devices, as the reset line does. Memory and processor are not touched, virtual time goes on. */
  reset(): void;
  /** State of devices and clock by name; plain data. */
  save(): Plain;
  /**
   * Back to a saved state. The processor must already be at the cycle of the state.
   * @throws Error when the state is that of another machine
   */
  load(state: Plain): void;
}

/** Save devices and clock under their names. */
export function saveMachine(devices: readonly Device[], clock: VirtualClock): Plain {
  return {
    devices: Object.fromEntries(devices.map((device) => [device.name, device.save()])),
    clock: clock.save(),
  };
}

/**
 * Load devices and then the clock: timers that devices arm while loading are overruled by the saved deadlines.
 * @throws Error when devices are missing or unknown
 */
export function loadMachine(state: Plain, devices: readonly Device[], clock: VirtualClock): void {
  const saved = state as unknown as { devices: Record<string, Plain>; clock: Plain };
  const names = new Set(devices.map((device) => device.name));
  const unknown = Object.keys(saved.devices).find((name) => !names.has(name));
  if (unknown !== undefined) throw new Error(`saved state has an unknown device ${unknown}`);
  for (const device of devices) {
    const own = saved.devices[device.name];
    if (own === undefined) throw new Error(`saved state has no device ${device.name}`);
    device.load(own);
  }
  clock.load(saved.clock);
}
