// Where in the guest's program something happened, for reports: address, instruction, symbol.
// Instruction bytes come from the trace (EVTS `code`), symbols from the kernel's ELF file as the recording kept them;
// what is missing is left out of the report.

import type { TraceReader } from '../trace/reader.js';
import type { SiteCode } from '../trace/sink.js';
import { type Disassembly, disassemble } from './disassemble.js';

/** An instruction that made an event. */
export interface ReportSite {
  /** cs:rip as hexadecimal text. */
  readonly at: string;
  readonly instruction?: Disassembly;
  /** Symbol and offset, where the trace has symbols. */
  readonly symbol?: string;
}

/** @param code the instruction's bytes; those that the trace has for the site when absent */
export function reportSite(reader: TraceReader, site: { cs: number; rip: bigint }, code?: SiteCode): ReportSite {
  const known = code ?? reader.code(site.cs, site.rip);
  const symbol = reader.symbols?.lookup(site.rip);
  return {
    at: `0x${site.cs.toString(16)}:0x${site.rip.toString(16)}`,
    ...(known ? { instruction: disassemble(known, site.rip) } : {}),
    ...(symbol ? { symbol: `${symbol.name}+0x${symbol.offset.toString(16)}` } : {}),
  };
}

export function siteText({ at, instruction, symbol }: ReportSite): string {
  const name = symbol === undefined ? '' : ` <${symbol}>`;
  return `at ${at}${name}${instruction ? `  ${instruction.bytes}  ${instruction.text}` : ''}`;
}
