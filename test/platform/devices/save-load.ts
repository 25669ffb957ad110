// The property that every device must have: saved in any state and loaded into a fresh instance, the two cannot be
// told apart by any later access or by any later change of their lines.

import fc from 'fast-check';
import type { Device } from '../../../src/platform/device.js';
import { ManualClock } from './manual-clock.js';

export interface Rig<Operation> {
  device: Device;
  clock: ManualClock;
  /** Every change of the device's outputs is appended here. */
  log: unknown[];
  /** Perform one operation; what it read is returned. */
  apply(operation: Operation): unknown;
}

/** Throws with the counterexample and the seed if the property does not hold. */
export function assertSaveLoad<Operation>(
  build: (clock: ManualClock) => Rig<Operation>,
  operation: fc.Arbitrary<Operation>,
  numRuns = 150,
): void {
  const sequence = fc.array(operation, { maxLength: 60 });
  fc.assert(
    fc.property(sequence, sequence, (before, after) => {
      const original = build(new ManualClock());
      for (const step of before) original.apply(step);
      const copy = build(new ManualClock(original.clock.now()));
      copy.device.load(structuredClone(original.device.save()));
      original.log.length = 0;
      copy.log.length = 0;
      for (const step of after) {
        const expected = JSON.stringify([original.apply(step), original.log], plain);
        const actual = JSON.stringify([copy.apply(step), copy.log], plain);
        if (actual !== expected) throw new Error(`the copy says ${actual}, the original ${expected}`);
      }
      const [a, b] = [original, copy].map((rig) => JSON.stringify(rig.device.save(), plain));
      if (a !== b) throw new Error(`states differ: ${a} ${b}`);
    }),
    { numRuns },
  );
}

const plain = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? `${value}n` : value instanceof Uint8Array ? [...value] : value;
