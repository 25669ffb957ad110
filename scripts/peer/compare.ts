// Two sides of one boot, part by part. What may differ is written down with its reason (differences.json); whatever else
// differs is a finding. A listed difference that no longer shows is one, too: lists must not outlive their reasons.

import { readFileSync } from 'node:fs';
import { diffHandoff, type HandoffView, pairHandoffs } from '../../src/trace/handoff.js';
import { type AcpiTable, acpiTables } from './acpi-memory.js';
import { type Exchange, UNSEEN } from './conversation.js';
import { comparable } from './handoff.js';
import type { Side } from './ours.js';

/** A difference that is known, and whose it is. */
export interface KnownDifference {
  part: 'fw_cfg' | 'debugcon' | 'acpi' | 'handoff';
  /** Only on this machine. */
  machine?: 'pc' | 'microvm';
  /** Only where the guest reads an item of such a name. */
  with?: string;
  /** fw_cfg: item whose fields below may differ; debugcon: lines that are left out; acpi: signature; handoff: protocol and field. */
  match: string;
  /** Fields of an exchange; of a table: `address`, `content`, `pointers`, `presence`. All when absent. */
  fields?: string[];
  reason: string;
}

export interface Finding {
  part: KnownDifference['part'];
  text: string;
}

export interface Comparison {
  findings: Finding[];
  /** Reasons of the listed differences that showed, with how often. */
  known: Map<string, number>;
  /** How much was the same. */
  same: { exchanges: number; lines: number; tables: number; handoffs: number };
}

export function knownDifferences(): KnownDifference[] {
  return JSON.parse(readFileSync(new URL('differences.json', import.meta.url), 'utf8')) as KnownDifference[];
}

const FIELDS = ['kind', 'item', 'verb', 'length', 'sha256', 'address', 'descriptor'] as const;

/** What an exchange looks like in a report. */
export function exchangeText({ kind, item, verb, length, sha256, address }: Exchange): string {
  if (kind === 'select') return `select ${item}`;
  const bytes = sha256 === '' ? '' : `, sha256 ${sha256.slice(0, 16)}`;
  if (kind === 'read') return `read ${length} of ${item}${bytes}`;
  return `DMA ${verb} ${item}, ${length} bytes at 0x${address.toString(16)}${bytes}`;
}

export function compareSides(ours: Side, qemu: Side, machine: string, known = knownDifferences()): Comparison {
  const result: Comparison = {
    findings: [],
    known: new Map(),
    same: { exchanges: 0, lines: 0, tables: 0, handoffs: 0 },
  };
  const asked = (pattern: string): boolean => qemu.exchanges.some(({ item }) => new RegExp(pattern).test(item));
  const list = known.filter(
    (one) => (one.machine === undefined || one.machine === machine) && (one.with === undefined || asked(one.with)),
  );
  compareExchanges(ours.exchanges, qemu.exchanges, list, result);
  compareLogs(ours.debugcon, qemu.debugcon, list, result);
  compareHandoffs(ours.handoffs, qemu.handoffs, list, result);
  compareTables(acpiTables(ours.memory), acpiTables(qemu.memory), list, result);
  return result;
}

function note(result: Comparison, { reason }: KnownDifference): void {
  result.known.set(reason, (result.known.get(reason) ?? 0) + 1);
}

function compareExchanges(ours: Exchange[], qemu: Exchange[], list: KnownDifference[], result: Comparison): void {
  const known = list.filter(({ part }) => part === 'fw_cfg');
  // The run ends here and there at a text, a moment later than the last exchange: one side's end is the other's.
  for (let i = 0; i < Math.max(ours.length, qemu.length); i++) {
    const [a, b] = [ours[i], qemu[i]];
    if (!a || !b) {
      const where = a ? 'only here' : 'only in QEMU';
      result.findings.push({ part: 'fw_cfg', text: `exchange ${i}, ${where}: ${exchangeText((a ?? b)!)}` });
      continue;
    }
    const fields = b.verb === UNSEEN ? (['kind', 'item', 'descriptor'] as const) : FIELDS;
    const differing = fields.filter((field) => a[field] !== b[field]);
    const unexplained = differing.filter((field) => {
      const reason = known.find(
        ({ match, fields }) => new RegExp(`^(?:${match})$`).test(b.item) && (fields?.includes(field) ?? true),
      );
      if (reason) note(result, reason);
      return !reason;
    });
    if (differing.length === 0) result.same.exchanges++;
    if (unexplained.length === 0) continue;
    const what = unexplained.join(', ');
    result.findings.push({
      part: 'fw_cfg',
      text: `exchange ${i} differs in ${what}: here ${exchangeText(a)}, in QEMU ${exchangeText(b)}`,
    });
    // What follows a different order says nothing.
    if (unexplained.includes('kind') || unexplained.includes('item')) return;
  }
}

function compareLogs(ours: string[], qemu: string[], list: KnownDifference[], result: Comparison): void {
  const known = list.filter(({ part }) => part === 'debugcon').map((one) => ({ one, pattern: new RegExp(one.match) }));
  const rest = (lines: string[]): string[] =>
    lines.filter((line) => {
      const reason = known.find(({ pattern }) => pattern.test(line));
      if (reason) note(result, reason.one);
      return line !== '' && !reason;
    });
  const [a, b] = [rest(ours), rest(qemu)];
  // The text that ends the run may be in the middle of a line; lines behind it are nobody's.
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const last = i === length - 1;
    if (a[i] === b[i] || (last && (b[i]!.startsWith(a[i]!) || a[i]!.startsWith(b[i]!)))) result.same.lines++;
    else {
      result.findings.push({ part: 'debugcon', text: `line ${i}: here "${a[i]}", in QEMU "${b[i]}"` });
      return;
    }
  }
  if (Math.abs(a.length - b.length) > 1) {
    const [where, line] = a.length > b.length ? ['only here', a[length]] : ['only in QEMU', b[length]];
    result.findings.push({ part: 'debugcon', text: `line ${length}, ${where}: "${line}"` });
  }
}

function compareHandoffs(
  ours: readonly HandoffView[],
  qemu: readonly HandoffView[],
  list: KnownDifference[],
  result: Comparison,
): void {
  const known = list.filter(({ part }) => part === 'handoff');
  for (const [a, b] of pairHandoffs(ours, qemu)) {
    const differing = diffHandoff(comparable(a), comparable(b)).filter(({ field }) => {
      const reason = known.find(({ match }) => new RegExp(`^(?:${match})$`).test(`${a.protocol} ${field}`));
      if (reason) note(result, reason);
      return !reason;
    });
    if (differing.length === 0) result.same.handoffs++;
    for (const { field, a: x, b: y } of differing)
      result.findings.push({ part: 'handoff', text: `${a.protocol} ${field}: here ${x}, in QEMU ${y}` });
  }
}

function compareTables(ours: AcpiTable[], qemu: AcpiTable[], list: KnownDifference[], result: Comparison): void {
  const known = list.filter(({ part }) => part === 'acpi');
  const names = new Set([...ours, ...qemu].map(({ signature }) => signature));
  for (const name of names) {
    const [a, b] = [ours, qemu].map((tables) => tables.find(({ signature }) => signature === name));
    const differing = !a || !b ? { presence: a ? 'only here' : 'only in QEMU' } : differences(a, b);
    const unexplained = Object.entries(differing).filter(([field]) => {
      const reason = known.find(
        ({ match, fields }) => new RegExp(`^(?:${match})$`).test(name) && (fields?.includes(field) ?? true),
      );
      if (reason) note(result, reason);
      return !reason;
    });
    if (Object.keys(differing).length === 0) result.same.tables++;
    for (const [, text] of unexplained) result.findings.push({ part: 'acpi', text: `${name}: ${text}` });
  }
}

/** Where a table lies, what it says, and, where those are the same, the pointers that it has. */
function differences(a: AcpiTable, b: AcpiTable): Record<string, string> {
  const hex = (value: number | undefined): string => `0x${(value ?? 0).toString(16)}`;
  const found: Record<string, string> = {};
  if (a.address !== b.address) found.address = `at ${hex(a.address)} here, at ${hex(b.address)} in QEMU`;
  const at = a.content.findIndex((byte, i) => byte !== b.content[i]);
  if (a.bytes.length !== b.bytes.length) found.content = `${a.bytes.length} bytes here, ${b.bytes.length} in QEMU`;
  else if (at >= 0) found.content = `byte ${at} is ${hex(a.content[at])} here, ${hex(b.content[at])} in QEMU`;
  const pointer = a.bytes.findIndex((byte, i) => byte !== b.bytes[i]);
  if (found.content === undefined && pointer >= 0)
    found.pointers = `byte ${pointer} is ${hex(a.bytes[pointer])} here, ${hex(b.bytes[pointer])} in QEMU`;
  return found;
}
