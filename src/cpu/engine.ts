// Tier 0 made ready to run: the interpreter's module is made once for a process (it depends on the rows alone; a
// build keeps it in prebuilt-module.ts) and
// instantiated for each processor with its memory, its slow paths and its TypeScript operations.

import type { CpuCore } from './core.js';
import { buildInterpreter, type HelperSlots, type InterpreterModule } from './interp/build.js';
import { givesI64, type Operations } from './interp/operations.js';
import { unpackInterpreter } from './interp/prebuilt.js';
import { prebuilt } from './interp/prebuilt-module.js';
import { VariantTable } from './interp/variants.js';
import { allRows } from './isa/rows.js';
import type { SystemOperation } from './semantics/context.js';
import type { SlowPaths } from './slow-paths.js';

/** All rows of the instruction set as numbered handlers. */
export const variants = new VariantTable(allRows);

let known: (Omit<InterpreterModule, 'bytes'> & { readonly module: WebAssembly.Module }) | undefined;

function interpreter() {
  known ??= prebuilt
    ? { ...unpackInterpreter(prebuilt, variants, prebuilt.operations()), module: prebuilt.module() }
    : build();
  return known;
}

/** The same with coverage, which no build keeps: few processes want it. */
let covering: typeof known;

function build(coverage = false) {
  const { bytes, ...made } = buildInterpreter(variants, coverage);
  return { ...made, module: new WebAssembly.Module(bytes) };
}

/** A processor's instance of tier 0 (interp/build.ts). */
export interface Engine {
  run(uop: number): void;
  /** Functions for translated code, and where they are. */
  readonly helpers: WebAssembly.Table;
  readonly slots: HelperSlots;
  /** TypeScript operations that both tiers call. */
  readonly operations: Operations;
  /** Translated regions by slot. */
  readonly regions: WebAssembly.Table;
}

type Argument = number | bigint;
type Imported = (a: Argument, b: Argument, c: Argument, d: Argument) => unknown;

/** An operation as a function of its own: most are called by the thousand, and gathering arguments costs more than many do. */
function imported(
  cpu: CpuCore,
  find: () => SystemOperation,
  count: number,
  fault: (thrown: unknown) => Argument,
): Imported {
  let operation: SystemOperation | undefined;
  switch (count) {
    case 0:
      return () => {
        operation ??= find();
        try {
          return operation(cpu);
        } catch (thrown) {
          return fault(thrown);
        }
      };
    case 1:
      return (a) => {
        operation ??= find();
        try {
          return operation(cpu, a);
        } catch (thrown) {
          return fault(thrown);
        }
      };
    case 2:
      return (a, b) => {
        operation ??= find();
        try {
          return operation(cpu, a, b);
        } catch (thrown) {
          return fault(thrown);
        }
      };
    case 3:
      return (a, b, c) => {
        operation ??= find();
        try {
          return operation(cpu, a, b, c);
        } catch (thrown) {
          return fault(thrown);
        }
      };
    default:
      return (...args: Argument[]) => {
        operation ??= find();
        try {
          return operation(cpu, ...args);
        } catch (thrown) {
          return fault(thrown);
        }
      };
  }
}

/** Tier 0 for a processor. Faults that operations throw become ABORT. */
export function instantiate(memory: WebAssembly.Memory, cpu: CpuCore, slow: SlowPaths, coverage = false): Engine {
  if (coverage) covering ??= build(true);
  const { module, operations, helpers: slots } = coverage ? covering! : interpreter();
  const system: Record<string, Imported> = {};
  operations.imports.forEach((made, n) => {
    const nothing = givesI64(made) ? 0n : 0;
    const fault = (thrown: unknown) => {
      slow.setFault(thrown);
      return nothing;
    };
    system[made.name] = imported(cpu, () => operations.operation(n), made.params.length, fault);
  });
  const instance = new WebAssembly.Instance(module, {
    env: { memory },
    slow: {
      read: (lo: number, hi: number, access: number, uop: number) => slow.read(lo, hi, access, uop),
      write: (lo: number, hi: number, access: number, uop: number) => slow.write(lo, hi, access, uop),
      modify: (lo: number, hi: number, access: number, uop: number) => slow.modify(lo, hi, access, uop),
      commit: () => slow.commit(),
      segmentFault: (uop: number, stack: number) => slow.segmentFault(uop, stack),
    },
    system,
  });
  const { run, helpers, regions } = instance.exports;
  return { run, helpers, regions, slots, operations };
}
