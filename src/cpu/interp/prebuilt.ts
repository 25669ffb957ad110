// The interpreter as plain data, so that `npm run build` can keep it (prebuilt-module.ts) and a process that starts need
// not run all bodies.

import type { SystemOperation } from '../semantics/context.js';
import type { HelperSlots, InterpreterModule } from './build.js';
import { type OperationImport, Operations, type OperationUses } from './operations.js';
import type { VariantTable } from './variants.js';

/** What a build keeps besides the module itself. Plain data. */
export interface PackedInterpreter {
  readonly imports: readonly OperationImport[];
  readonly uses: OperationUses;
  readonly helpers: HelperSlots;
}

/** With the module, which is a file of its own and loaded when a processor is made. */
export interface PrebuiltInterpreter extends PackedInterpreter {
  module(): WebAssembly.Module;
  /** Operations that modules export, by import number: the others are found when they are first called. */
  operations(): readonly (SystemOperation | undefined)[];
  /** Names all code of the processor: a part of its hash. */
  readonly build: string;
}

export function packInterpreter(made: InterpreterModule): PackedInterpreter {
  const { operations, helpers } = made;
  return { imports: operations.imports, uses: operations.listUses(), helpers };
}

/** @param known operations by import number, as far as they are known */
export function unpackInterpreter(
  packed: PackedInterpreter,
  table: VariantTable,
  known: readonly (SystemOperation | undefined)[] = [],
): Omit<InterpreterModule, 'bytes'> {
  return { operations: new Operations(packed.imports, table, () => packed.uses, known), helpers: packed.helpers };
}
