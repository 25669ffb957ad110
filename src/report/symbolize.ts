// Names of functions for a page: from files that were named, from the trace, or from what the guest has in its memory.

import { readFileSync } from 'node:fs';
import { UserError } from '../api/user-error.js';
import { systemReason } from '../trace/error.js';
import { SymbolTable } from '../trace/symbols.js';
import type { FunctionAt } from './stack-guess.js';

export interface Symbols {
  /** Where the names come from, for people. */
  readonly source: string;
  functionAt(address: bigint, user?: boolean): FunctionAt | undefined;
  /** `name+0x12` for an address. */
  nameAt(address: bigint): string | undefined;
}

/** Symbols out of tables; the first that knows an address names it. */
export function symbolsOf(tables: readonly SymbolTable[], source: string): Symbols {
  const lookup = (address: bigint) => {
    for (const table of tables) {
      const found = table.lookup(address);
      if (found) return found;
    }
    return undefined;
  };
  return {
    source: tables.length === 0 ? 'address ranges: no symbols were found' : source,
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

/** A line of System.map or of nm: address, type, name. */
const MAP_LINE = /^([0-9a-f]{8,16}) [TtWw] (\S+)$/;

/** An ELF file or a System.map. @throws UserError when it is neither */
export function readSymbolFile(path: string): SymbolTable {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UserError(`${path}: cannot be read: ${systemReason(error)}; check --symbols`);
  }
  const elf = SymbolTable.fromElf(bytes);
  if (elf) return elf;
  const found: [bigint, string][] = [];
  for (const line of Buffer.from(bytes).toString('latin1').split('\n')) {
    const match = MAP_LINE.exec(line);
    if (match) found.push([BigInt(`0x${match[1]}`), match[2]!]);
  }
  if (found.length === 0)
    throw new UserError(`${path}: neither an ELF file with symbols nor a System.map; check --symbols`);
  return SymbolTable.of(found);
}
