// The interpreter as plain data, so that `npm run build` can keep it (prebuilt-module.ts) and a process that starts need
// not run all bodies.

import type { HelperSlots, InterpreterModule } from './build.js';
import { type OperationImport, Operations, type OperationUses } from './operations.js';
import type { VariantTable } from './variants.js';

/** Plain data. */
export interface PrebuiltInterpreter {
  /** Base64. */
  readonly bytes: string;
  readonly imports: readonly OperationImport[];
  readonly uses: OperationUses;
  readonly helpers: Omit<HelperSlots, 'load' | 'store'> &
    Record<'load' | 'store', readonly (readonly [number, number])[]>;
}

export function packInterpreter(made: InterpreterModule): PrebuiltInterpreter {
  const { bytes, operations, helpers } = made;
  return {
    bytes: Buffer.from(bytes).toString('base64'),
    imports: operations.imports,
    uses: operations.listUses(),
    helpers: { ...helpers, load: [...helpers.load], store: [...helpers.store] },
  };
}

export function unpackInterpreter(packed: PrebuiltInterpreter, table: VariantTable): InterpreterModule {
  const { helpers } = packed;
  return {
    bytes: new Uint8Array(Buffer.from(packed.bytes, 'base64')),
    operations: new Operations(packed.imports, table.variants, packed.uses),
    helpers: { ...helpers, load: new Map(helpers.load), store: new Map(helpers.store) },
  };
}
