// Names of functions for a page: from files that were named, from the trace, or from what the guest has in its memory.

import type { SymbolTable } from '../trace/symbols.js';
import type { FunctionAt } from './stack-guess.js';

export interface Symbols {
  /** Where the names come from, for people. */
  readonly source: string;
  functionAt(address: bigint, user?: boolean): FunctionAt | undefined;
  /** `name+0x12` for an address. */
  nameAt(address: bigint): string | undefined;
}

/** A table and where it is from, in a few words. */
export type SymbolSource = readonly [table: SymbolTable, from: string];

/** Symbols out of tables; the first that knows an address names it. */
export function symbolsOf(sources: readonly SymbolSource[]): Symbols {
  const tables = sources.map(([table]) => table);
  const lookup = (address: bigint) => {
    for (const table of tables) {
      const found = table.lookup(address);
      if (found) return found;
    }
    return undefined;
  };
  return {
    source: sources.length === 0 ? 'address ranges' : [...new Set(sources.map(([, from]) => from))].join(', '),
    functionAt(address, user = false) {
      const found = user ? undefined : lookup(address);
      return found && { name: found.name, start: address - BigInt(found.offset) };
    },
    nameAt(address) {
      const found = lookup(address);
      return found && `${found.name}+0x${found.offset.toString(16)}`;
    },
  };
}
