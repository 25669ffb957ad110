// A device on the bench: a clock whose cycle the test sets, a log of everything the device drives, and the property that
// every device must have: a state that is saved and loaded into a fresh instance cannot be told from the original.

import fc from 'fast-check';
import { VirtualClock } from '../../src/platform/clock.js';
import type { Device, Line, PortHandler } from '../../src/platform/device.js';

export class Rig {
  cycle = 0;
  readonly clock = new VirtualClock(() => this.cycle, 1);
  /** What was driven since the log was last taken, such as `irq 1`. */
  log: string[] = [];
  /** Last level of each line. */
  readonly levels: Record<string, boolean> = {};

  line(name: string): Line {
    return (level) => {
      this.levels[name] = level;
      this.log.push(`${name} ${level ? 1 : 0}`);
    };
  }

  output(name: string): (value: unknown) => void {
    return (value) => this.log.push(`${name} ${value}`);
  }

  /** Move time forward by `ns`, stopping at every event as the processor does. */
  advance(ns: number): void {
    const end = this.cycle + ns;
    for (let next = this.clock.nextEvent(); next <= end; next = this.clock.nextEvent()) {
      this.cycle = Math.max(this.cycle, next);
      this.clock.runDue(this.cycle);
    }
    this.cycle = end;
  }

  takeLog(): string[] {
    const log = this.log;
    this.log = [];
    return log;
  }
}

/** Something a guest, the outside or time does to a device. */
export type Operation =
  | { kind: 'read'; port: number }
  | { kind: 'write'; port: number; value: number }
  | { kind: 'advance'; ns: number }
  | { kind: 'other'; what: number; value: number };

/** A device under test, with its ports in one list and its other inputs behind one function. */
export interface Bench {
  rig: Rig;
  device: Device;
  ports: readonly (readonly [handler: PortHandler, offset: number])[];
  other?: (what: number, value: number) => void;
}

function apply(bench: Bench, operation: Operation): unknown {
  switch (operation.kind) {
    case 'read': {
      const [handler, offset] = bench.ports[operation.port % bench.ports.length]!;
      return handler.portRead(offset, 1);
    }
    case 'write': {
      const [handler, offset] = bench.ports[operation.port % bench.ports.length]!;
      handler.portWrite(offset, 1, operation.value);
      return undefined;
    }
    case 'advance':
      bench.rig.advance(operation.ns);
      return undefined;
    case 'other':
      bench.other?.(operation.what, operation.value);
      return undefined;
  }
}

/** Bytes that commands are made of are more likely than the rest. */
export function operations(interesting: readonly number[] = []): fc.Arbitrary<Operation[]> {
  const value = fc.oneof(fc.nat(255), ...(interesting.length > 0 ? [fc.constantFrom(...interesting)] : []));
  const operation: fc.Arbitrary<Operation> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), port: fc.nat(15), value }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('read' as const), port: fc.nat(15) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('advance' as const),
        ns: fc.oneof(fc.nat(5_000), fc.nat(2_000_000), fc.nat(1_500_000_000)),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('other' as const), what: fc.nat(31), value }) },
  );
  return fc.array(operation, { maxLength: 60 });
}

/** Check the property; throws with the seed and the shrunk case. */
export function assertSurvivesSaveAndLoad(build: () => Bench, interesting: readonly number[] = []): void {
  fc.assert(
    fc.property(operations(interesting), operations(interesting), (before, after) => {
      const original = build();
      for (const operation of before) apply(original, operation);
      const state = structuredClone(original.device.save());
      const clockState = structuredClone(original.rig.clock.save());

      const copy = build();
      copy.rig.cycle = original.rig.cycle;
      copy.device.load(state);
      copy.rig.clock.load(clockState);
      same(copy.device.save(), state);

      original.rig.takeLog();
      copy.rig.takeLog();
      for (const operation of after) {
        same(apply(copy, operation), apply(original, operation));
        same(copy.rig.takeLog(), original.rig.takeLog());
      }
      same(copy.device.save(), original.device.save());
      same(copy.rig.clock.save(), original.rig.clock.save());
    }),
    { numRuns: 150, includeErrorInReport: true },
  );
}

function same(actual: unknown, expected: unknown): void {
  const [left, right] = [fc.stringify(actual), fc.stringify(expected)];
  if (left !== right) throw new Error(`after loading ${left}, originally ${right}`);
}
