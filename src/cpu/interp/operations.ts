// The TypeScript operations that emitted code calls, by the number of their import. Bodies name an operation by the
// function itself. An interpreter that was built beforehand (prebuilt.ts) knows functions that modules export, and of the
// others in which variants each number is used; they are found by running the body of such a variant once more, when the
// operation is first called.

import type { SystemOperation, Variant } from '../semantics/context.js';
import { I32, I64, type Type } from '../wasm/expr.js';
import { FunctionBuilder } from '../wasm/function.js';
import { type FunctionHandle, ModuleBuilder } from '../wasm/module.js';
import { InterpreterContext, type SharedFunctions } from './context.js';
import { defineAccessFunctions } from './memory.js';
import { SPECIAL_HANDLERS, type VariantTable } from './variants.js';

/** An imported function that stands for an operation. Plain data. */
export interface OperationImport {
  readonly name: string;
  readonly params: readonly Type[];
  /** 0 when there is none. */
  readonly result: Type | 0;
  /** Place in the table of helpers. */
  readonly slot: number;
}

/** Operations that each variant's body calls, in order, by import number. Variants without any are left out. */
export type OperationUses = readonly (readonly [variant: number, operations: readonly number[]])[];

export class Operations {
  private readonly known: (SystemOperation | undefined)[];
  private readonly numbers = new Map<SystemOperation, number>();
  private uses: Map<number, readonly number[]> | undefined;

  /**
   * @param listed asked when an operation has to be looked for
   * @param known the functions by import number, as far as they are known already
   */
  constructor(
    readonly imports: readonly OperationImport[],
    private readonly variants: VariantTable,
    private readonly listed: () => OperationUses,
    known: readonly (SystemOperation | undefined)[] = [],
  ) {
    this.known = imports.map((_, n) => known[n]);
    known.forEach((operation, n) => {
      if (operation !== undefined) this.numbers.set(operation, n);
    });
  }

  /** The function behind an import. @throws Error when the interpreter was not built from these rows */
  operation(number: number): SystemOperation {
    const known = this.known[number];
    if (known !== undefined) return known;
    this.uses ??= new Map(this.listed());
    for (const [variant, used] of this.uses) {
      if (!used.includes(number)) continue;
      this.learn(variant);
      break;
    }
    const learnt = this.known[number];
    if (learnt === undefined) throw new Error(STALE);
    return learnt;
  }

  /** The import that stands for an operation which the body of a variant calls. */
  importOf(operation: SystemOperation, variant: Variant): OperationImport {
    let number = this.numbers.get(operation);
    if (number === undefined) {
      this.learn(this.variants.indexOf(variant));
      number = this.numbers.get(operation);
    }
    if (number === undefined) throw new Error(STALE);
    return this.imports[number]!;
  }

  private learn(variant: number): void {
    this.uses ??= new Map(this.listed());
    const used = this.uses.get(variant) ?? [];
    const operations = operationsOf(this.variants.variantOf(variant + SPECIAL_HANDLERS)!);
    if (operations.length !== used.length) throw new Error(STALE);
    operations.forEach((operation, i) => {
      const number = used[i]!;
      this.known[number] = operation;
      this.numbers.set(operation, number);
    });
  }

  /** The uses of all variants; for an interpreter whose operations are all known. */
  listUses(): OperationUses {
    return this.variants.variants.flatMap((variant, n) => {
      const operations = operationsOf(variant);
      return operations.length === 0 ? [] : [[n, operations.map((o) => this.numbers.get(o)!)] as const];
    });
  }
}

const STALE = 'the prebuilt interpreter does not belong to these opcode rows: run `npm run build` again';

/** The operations that a body calls, each once, in the order of first use. */
function operationsOf(variant: Variant): SystemOperation[] {
  const found = new Set<SystemOperation>();
  scratch ??= scratchFunctions();
  const { m, shared } = scratch;
  const handles = new Map<string, FunctionHandle>();
  const system = (operation: SystemOperation, params: readonly Type[], result?: Type): FunctionHandle => {
    found.add(operation);
    const key = `${params.join()}:${result ?? ''}`;
    let handle = handles.get(key);
    if (handle === undefined) {
      handle = m.importFunction('system', '', params, result);
      handles.set(key, handle);
    }
    return handle;
  };
  const f = new FunctionBuilder([I32], I32);
  const c = new InterpreterContext(f, variant, f.param(0), { ...shared, system });
  variant.row.body(c);
  return [...found];
}

let scratch: { m: ModuleBuilder; shared: Omit<SharedFunctions, 'system'> } | undefined;

/** A module that is never encoded: its functions need no bodies. */
class Declarations extends ModuleBuilder {
  override define(): void {}
}

/** Functions to emit calls of. */
function scratchFunctions() {
  const m = new Declarations();
  return { m, shared: defineAccessFunctions(m) };
}

/** Whether an import gives an i64, also when its operation throws and nothing looks at it. */
export const givesI64 = (operation: OperationImport): boolean => operation.result === I64;
