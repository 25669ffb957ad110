// Where in the guest's program something happened, for reports: address, instruction, symbol.
// Instruction bytes come from the trace (EVTS `code`), symbols from tables of the user's and from the kernel's ELF file
// as the recording kept them; what is missing is left out of the report.

import type { TraceReader } from '../trace/reader.js';
import type { SiteCode } from '../trace/sink.js';
import type { SymbolTable } from '../trace/symbols.js';
import { type Disassembly, disassemble } from './disassemble.js';

/** An instruction that made an event. */
export interface ReportSite {
  /** cs:rip as hexadecimal text. */
  readonly at: string;
  readonly instruction?: Disassembly;
  /** Symbol and offset, where the trace has symbols. */
  readonly symbol?: string;
}

/** More than the trace knows. */
export interface SiteNames {
  /** Tables of linear addresses; the first that has a name for an address gives it. */
  readonly symbols: readonly SymbolTable[];
  /** Of the code segment; of a real-mode segment 16 times its selector when absent. */
  readonly base?: bigint;
}

/** @param code the instruction's bytes; those that the trace has for the site when absent */
export function reportSite(
  reader: TraceReader,
  site: { cs: number; rip: bigint },
  code?: SiteCode,
  names: SiteNames = { symbols: [] },
): ReportSite {
  const known = code ?? reader.code(site.cs, site.rip);
  const symbol = symbolAt(reader, site, known, names);
  return {
    at: `0x${site.cs.toString(16)}:0x${site.rip.toString(16)}`,
    ...(known ? { instruction: disassemble(known, site.rip) } : {}),
    ...(symbol ? { symbol } : {}),
  };
}

function symbolAt(
  reader: TraceReader,
  { cs, rip }: { cs: number; rip: bigint },
  code: SiteCode | undefined,
  { symbols, base }: SiteNames,
): string | undefined {
  const isReal = code?.bits === 16 && cs >= 0x100;
  const linear = rip + (base ?? (isReal ? BigInt(cs * 16) : 0n));
  for (const table of [...symbols, ...(reader.symbols ? [reader.symbols] : [])]) {
    const found = table.lookup(linear) ?? (linear === rip ? undefined : table.lookup(rip));
    if (found) return `${found.name}+0x${found.offset.toString(16)}`;
  }
  return undefined;
}

export function siteText({ at, instruction, symbol }: ReportSite): string {
  const name = symbol === undefined ? '' : ` <${symbol}>`;
  return `at ${at}${name}${instruction ? `  ${instruction.bytes}  ${instruction.text}` : ''}`;
}
