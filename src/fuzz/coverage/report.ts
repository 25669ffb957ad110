// Coverage by symbol, as JSON and in lcov's tracefile format (geninfo(1)). A guest has no source lines here: a line of
// the tracefile is an address, in a listing that is written beside it: the first address of each function, and those
// of branches and where they went. A function that no branch led to, or away from, was not reached; between two branches
// all is straight code, so that no address in between could say more.
//
// Left out: functions without a name, whose branches stand under the address of their page.

import type { SymbolTable } from '../../trace/symbols.js';
import type { CoveredBranch } from '../options.js';

export interface CoveredFunction {
  readonly name: string;
  /** Linear address, hexadecimal. */
  readonly address: string;
  /** Branches out of the function's instructions, by address. */
  readonly branches: readonly { readonly from: string; readonly to: string; readonly inputs: number }[];
  /** Most inputs that any of its branches, or branches into it, has; 0: never reached. */
  readonly inputs: number;
}

export interface CoverageReport {
  readonly format: 'vmreplay-coverage-1';
  readonly functions: { readonly total: number; readonly reached: number };
  readonly branches: number;
  readonly list: readonly CoveredFunction[];
}

const hex = (address: bigint | number): string => `0x${address.toString(16)}`;
/** Kernel addresses have their upper 16 bits set; edges have the low 48. */
const whole = (address: number): bigint => BigInt.asUintN(64, BigInt.asIntN(48, BigInt(address)));

interface Entry {
  readonly address: bigint;
  readonly branches: { from: string; to: string; inputs: number }[];
  inputs: number;
}

/** @param symbols of the guest; without them branches stand under their pages */
export function coverageReport(branches: readonly CoveredBranch[], symbols?: SymbolTable): CoverageReport {
  const entries = new Map<string, Entry>();
  for (const [address, name] of symbols?.entries() ?? [])
    if (!entries.has(name)) entries.set(name, { address, branches: [], inputs: 0 });
  const entryAt = (address: bigint): Entry => {
    const symbol = symbols?.lookup(address);
    const start = symbol ? address - BigInt(symbol.offset) : address & ~0xfffn;
    const name = symbol?.name ?? hex(start);
    let entry = entries.get(name);
    if (!entry) {
      entry = { address: start, branches: [], inputs: 0 };
      entries.set(name, entry);
    }
    return entry;
  };
  for (const { from, to, inputs } of branches) {
    const [source, target] = [whole(from), whole(to)];
    const entry = entryAt(source);
    entry.branches.push({ from: hex(source), to: hex(target), inputs });
    for (const one of [entry, entryAt(target)]) one.inputs = Math.max(one.inputs, inputs);
  }
  const list = [...entries]
    .map(([name, { address, branches, inputs }]) => ({ name, address: hex(address), branches, inputs }))
    .sort((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1));
  return {
    format: 'vmreplay-coverage-1',
    functions: { total: list.length, reached: list.filter(({ inputs }) => inputs > 0).length },
    branches: branches.length,
    list,
  };
}

/**
 * The report in lcov's format, and the listing whose lines it counts.
 * @param listing name of the file that the listing will have
 */
export function lcovOf(report: CoverageReport, listing: string): { info: string; listing: string } {
  const counts = new Map<bigint, number>();
  const count = (address: string, inputs: number) =>
    counts.set(BigInt(address), Math.max(counts.get(BigInt(address)) ?? 0, inputs));
  for (const { address, branches } of report.list) {
    count(address, 0);
    for (const { from, to, inputs } of branches) {
      count(from, inputs);
      count(to, inputs);
    }
  }
  const addresses = [...counts.keys()].sort((a, b) => (a < b ? -1 : 1));
  const lines = new Map(addresses.map((address, i) => [address, i + 1]));
  const lineOf = (address: string) => lines.get(BigInt(address))!;
  const info = ['TN:', `SF:${listing}`];
  for (const { name, address } of report.list) info.push(`FN:${lineOf(address)},${name}`);
  for (const { name, inputs } of report.list) info.push(`FNDA:${inputs},${name}`);
  info.push(`FNF:${report.functions.total}`, `FNH:${report.functions.reached}`);
  const seen = new Map<string, number>();
  for (const { branches } of report.list)
    for (const { from, inputs } of branches) {
      const number = seen.get(from) ?? 0;
      seen.set(from, number + 1);
      info.push(`BRDA:${lineOf(from)},0,${number},${inputs}`);
    }
  info.push(`BRF:${report.branches}`, `BRH:${report.branches}`);
  for (const address of addresses) info.push(`DA:${lines.get(address)},${counts.get(address)}`);
  const hit = [...counts.values()].filter((inputs) => inputs > 0).length;
  info.push(`LF:${addresses.length}`, `LH:${hit}`, 'end_of_record');
  return { info: `${info.join('\n')}\n`, listing: listingOf(report, addresses) };
}

/** One address a line: its function with the offset, and where it branched to. */
function listingOf(report: CoverageReport, addresses: readonly bigint[]): string {
  const targets = new Map<bigint, string[]>();
  for (const { branches } of report.list)
    for (const { from, to } of branches) targets.set(BigInt(from), [...(targets.get(BigInt(from)) ?? []), to]);
  let at = 0;
  const text = addresses.map((address) => {
    while (at + 1 < report.list.length && BigInt(report.list[at + 1]!.address) <= address) at++;
    const { name, address: start } = report.list[at]!;
    const to = targets.get(address);
    return `${hex(address)} ${name}+${hex(address - BigInt(start))}${to ? ` -> ${to.join(', ')}` : ''}`;
  });
  return `${text.join('\n')}\n`;
}
