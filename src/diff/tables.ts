// Tables side by side: memory maps, the structures that a loader hands over, ACPI tables. A table in which nothing
// differs is left out; rows that differ are marked. Entries are compared by their place, so that one more entry shows
// as what it is: rows are paired by the longest common subsequence.

import { type HandoffView, handoffsOf, pairHandoffs } from '../trace/handoff.js';
import type { TraceReader } from '../trace/reader.js';
import { e820Text } from '../trace/semantic/fw-cfg-items.js';
import type { ComparedTable } from './explanation.js';
import { firmwareTables } from './firmware-tables.js';

type Rows = readonly (readonly string[])[];

/** Rows of a table that are paired; a loader's tables are far smaller. */
const MOST_ROWS = 512;

/** What two boots told their kernels, where it differs. @throws TraceError */
export function comparedTables(
  a: TraceReader,
  b: TraceReader,
  [left, right] = [firmwareTables(a), firmwareTables(b)],
): ComparedTable[] {
  const tables: ComparedTable[] = [];
  const add = (title: string, columns: readonly string[], x: Rows, y: Rows, keyed = false): void => {
    const rows = (keyed ? pairByName : pairRows)(x.slice(0, MOST_ROWS), y.slice(0, MOST_ROWS));
    if (rows.some(({ mark }) => mark !== '=')) tables.push({ title, columns, rows });
  };
  add('fw_cfg etc/e820', ['entry'], e820Rows(left.e820), e820Rows(right.e820));
  add('fw_cfg files', ['name', 'bytes'], left.files, right.files, true);
  add('ACPI tables', ['signature', 'bytes', 'checksum', 'sha256'], left.acpi, right.acpi, true);
  for (const [x, y] of pairHandoffs(handoffsOf(a), handoffsOf(b))) {
    const name = x.protocol === y.protocol ? x.protocol : `${x.protocol} and ${y.protocol}`;
    add(`memory map at the hand-off (${name})`, ['address', 'length', 'type'], mapRows(x), mapRows(y));
    const structures = new Set([...x.structures, ...y.structures].map((structure) => structure.name));
    for (const structure of structures)
      add(`${structure} at the hand-off`, ['field', 'value'], fieldRows(x, structure), fieldRows(y, structure), true);
    const registers = ({ registers, control }: HandoffView): Rows => Object.entries({ ...registers, ...control });
    add('registers at the hand-off', ['register', 'value'], registers(x), registers(y), true);
  }
  return tables;
}

const mapRows = ({ memoryMap }: HandoffView): Rows =>
  memoryMap.map(({ address, length, type }) => [address, length, type]);

function fieldRows({ structures }: HandoffView, name: string): Rows {
  const found = structures.find((structure) => structure.name === name);
  return found ? [['(address)', found.address], ...Object.entries(found.fields)] : [];
}

function e820Rows(item: Uint8Array | undefined): Rows {
  const rows: string[][] = [];
  for (let at = 0; item && at + 20 <= item.length; at += 20) rows.push([e820Text(item.subarray(at, at + 20))]);
  return rows;
}

/** Rows by their first cell, in the order of A, then what only B has; an order that differs is a difference, too. */
function pairByName(x: Rows, y: Rows): ComparedTable['rows'] {
  const left = [...y];
  const rows = x.map((a): ComparedTable['rows'][number] => {
    const at = left.findIndex((b) => b[0] === a[0]);
    const [b] = at < 0 ? [] : left.splice(at, 1);
    return { mark: b === undefined ? '-' : same(a, b) ? '=' : '!', a, b: b ?? null };
  });
  const all = [...rows, ...left.map((b) => ({ mark: '+' as const, a: null, b }))];
  const reordered = all.every(({ mark }) => mark === '=') && x.some((a, i) => a[0] !== y[i]![0]);
  return reordered ? x.map((a, i) => ({ mark: same(a, y[i]!) ? '=' : '!', a, b: y[i]! })) : all;
}

/** Rows in their order: what both have is paired, what stands between is changed, as far as it goes, or is lone. */
function pairRows(x: Rows, y: Rows): ComparedTable['rows'] {
  const lengths = Array.from({ length: x.length + 1 }, () => new Uint16Array(y.length + 1));
  for (let i = x.length - 1; i >= 0; i--)
    for (let j = y.length - 1; j >= 0; j--)
      lengths[i]![j] = same(x[i]!, y[j]!)
        ? lengths[i + 1]![j + 1]! + 1
        : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
  const rows: ComparedTable['rows'][number][] = [];
  let loneA: Rows = [];
  let loneB: Rows = [];
  const flush = (): void => {
    for (let n = 0; n < Math.max(loneA.length, loneB.length); n++) {
      const [a, b] = [loneA[n], loneB[n]];
      rows.push({ mark: a && b ? '!' : a ? '-' : '+', a: a ?? null, b: b ?? null });
    }
    [loneA, loneB] = [[], []];
  };
  let [i, j] = [0, 0];
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && same(x[i]!, y[j]!)) {
      flush();
      rows.push({ mark: '=', a: x[i++]!, b: y[j++]! });
    } else if (j >= y.length || (i < x.length && lengths[i + 1]![j]! >= lengths[i]![j + 1]!))
      loneA = [...loneA, x[i++]!];
    else loneB = [...loneB, y[j++]!];
  }
  flush();
  return rows;
}

const same = (a: readonly string[], b: readonly string[]): boolean => a.every((cell, i) => cell === b[i]);
