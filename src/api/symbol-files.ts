// Symbols that the user gives for a report: an ELF file, a kernel's System.map (nm's output: address, type, name), or a
// Linux kernel as it is booted, packed and stripped, from the table that it carries for its own messages.
// Sizes are bounded before anything is read; a file that has no symbols is refused by name.

import { readFileSync, statSync } from 'node:fs';
import { ImageError } from '../boot/boot-error.js';
import { parseLinuxImage, unpackKernel } from '../boot/bzimage.js';
import { systemReason } from '../trace/error.js';
import { kallsymsIn } from '../trace/kallsyms.js';
import { SymbolTable } from '../trace/symbols.js';
import { UserError } from './user-error.js';

/** A kernel with everything in it. */
const MOST_KERNEL = 256 * 1024 ** 2;
/** `HdrS` in a bzImage's setup header. */
const SETUP_MAGIC = 0x5372_6448;
const MOST_BYTES = 1024 ** 3;
const LINE = /^([0-9a-fA-F]{8,16})\s+([a-zA-Z])\s+(\S+)/gm;
/** Types of nm that are code: text, weak. */
const CODE = /[tTwW]/;

/** @throws UserError when the file cannot be read or has no symbols */
export function readSymbols(file: string): SymbolTable {
  let bytes: Buffer;
  try {
    const stat = statSync(file);
    if (!stat.isFile())
      throw new UserError(`${file}: this is no regular file; give an ELF file or a System.map with --symbols`);
    if (stat.size > MOST_BYTES)
      throw new UserError(`${file}: ${stat.size} bytes are too many for symbols (most: 1 GiB)`);
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${file}: cannot be read: ${systemReason(error)}; check --symbols`);
  }
  const table = SymbolTable.fromElf(bytes) ?? fromKernel(file, bytes) ?? fromMap(bytes.toString('latin1'));
  if (!table)
    throw new UserError(
      `${file}: there are no symbols of code in it; give an ELF file that is not stripped, or a System.map`,
    );
  return table;
}

function fromKernel(file: string, bytes: Buffer): SymbolTable | undefined {
  if (bytes.length > MOST_KERNEL) return undefined;
  try {
    const isPacked = bytes.length > 0x206 && bytes.readUInt32LE(0x202) === SETUP_MAGIC;
    return kallsymsIn(isPacked ? unpackKernel(parseLinuxImage(file, bytes)) : bytes);
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

function fromMap(text: string): SymbolTable | undefined {
  const found: [bigint, string][] = [];
  for (const [, address, type, name] of text.matchAll(LINE)) {
    if (CODE.test(type!)) found.push([BigInt(`0x${address}`), name!]);
  }
  return found.length > 0 ? SymbolTable.of(found) : undefined;
}
