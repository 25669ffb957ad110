// The hand-off record in a trace: the data of a `handoff` event, its JSON form, and what differs between two of them.
// FORMAT.md, "Hand-off", has the keys. Values are compared by name, so that records of different routes compare too:
// a structure's address is a field like any other, and a table's entries have numbers.

import type { Handoff } from '../boot/handoff/handoff.js';
import { GENERAL_REGISTERS, SEGMENT_REGISTERS } from '../boot/image.js';
import type { Plain } from '../platform/device.js';
import { decodeCanonical, encodeCanonical } from './codec.js';
import { TraceError } from './error.js';
import type { TraceEvent } from './events.js';
import { list, record, text, unsigned64 } from './fields.js';
import type { TraceReader } from './reader.js';

/** JSON form of a hand-off; numbers are hexadecimal text. */
export interface HandoffView {
  readonly cycle: number;
  readonly cs: string;
  readonly rip: string;
  /** How the kernel is entered: pvh, linux16, linux32, linux64, multiboot, multiboot2, unknown. */
  readonly protocol: string;
  readonly route: string;
  readonly registers: Readonly<Record<string, string>>;
  readonly segments: Readonly<Record<string, { selector: string; base: string; limit: string; attributes: string }>>;
  readonly control: Readonly<Record<string, string>>;
  readonly memoryMap: readonly { address: string; length: string; type: string }[];
  readonly structures: readonly {
    name: string;
    address: string;
    length: string;
    fields: Readonly<Record<string, string>>;
  }[];
}

/** A field of the hand-off that is not the same; `(none)` where one of the two has no such field. */
export interface HandoffDifference {
  readonly field: string;
  readonly a: string;
  readonly b: string;
}

export const NO_FIELD = '(none)';
const CONTROL = ['cr0', 'cr3', 'cr4', 'efer'] as const;
const TABLES = ['gdtr', 'idtr'] as const;
const SEGMENT = ['selector', 'base', 'limit', 'attributes'] as const;
const RANGE = ['address', 'length', 'type'] as const;

/** The data of a hand-off's event. */
export function encodeHandoff({ protocol, route, state, memoryMap, structures }: Handoff): Uint8Array {
  const { cr0, cr3, cr4, efer, gdtr, idtr } = state;
  return encodeCanonical({
    control: { cr0, cr3, cr4, efer, gdtr: { ...gdtr }, idtr: { ...idtr } },
    memoryMap: memoryMap.map(({ address, length, type }) => ({ address, length, type })),
    protocol,
    registers: { ...state.registers, rflags: state.rflags, rip: state.rip },
    route,
    segments: Object.fromEntries(SEGMENT_REGISTERS.map((name) => [name, { ...state.segments[name] }])),
    structures: structures.map(({ name, address, length, fields }) => ({
      address,
      fields: fields.map(([field, value]) => [field, value]),
      length,
      name,
    })),
  });
}

/** @throws Error when the bytes are no record */
export function decodeHandoff(data: Uint8Array, at: { cycle: number; cs: number; rip: bigint }): HandoffView {
  const map = record(decodeCanonical(data), 'a hand-off');
  const all = record(map.registers, 'registers');
  const control = record(map.control, 'control');
  const segments = record(map.segments, 'segments');
  const part = <T extends string>(value: unknown, names: readonly T[], what: string): Record<T, string> => {
    const fields = record(value, what);
    return Object.fromEntries(names.map((name) => [name, number(fields[name], name)])) as Record<T, string>;
  };
  const tables = TABLES.flatMap((name) => {
    const { base, limit } = part(control[name], ['base', 'limit'], name);
    return [
      [`${name}.base`, base],
      [`${name}.limit`, limit],
    ];
  });
  return {
    cycle: at.cycle,
    cs: hex(at.cs),
    rip: hex(at.rip),
    protocol: text(map.protocol, 'protocol'),
    route: text(map.route, 'route'),
    registers: part(all, ['rip', 'rflags', ...GENERAL_REGISTERS], 'registers'),
    segments: Object.fromEntries(SEGMENT_REGISTERS.map((name) => [name, part(segments[name], SEGMENT, name)])),
    control: { ...part(control, CONTROL, 'control'), ...Object.fromEntries(tables) },
    memoryMap: list(map.memoryMap, 'memoryMap').map((range) => part(range, RANGE, 'a range')),
    structures: list(map.structures, 'structures').map((item) => {
      const structure = record(item, 'a structure');
      const fields = list(structure.fields, 'fields').map((field) => {
        const [name, value] = list(field, 'a field');
        return [text(name, 'a field'), typeof value === 'string' ? JSON.stringify(value) : number(value, 'a field')];
      });
      return {
        name: text(structure.name, 'a structure'),
        address: number(structure.address, 'address'),
        length: number(structure.length, 'length'),
        fields: Object.fromEntries(fields),
      };
    }),
  };
}

/** Bits that addresses and lengths of a memory map had in earlier traces. */
const EARLIER_RANGE = 53;

/** Whether a hand-off was recorded as what this one is but for the upper bits of its memory map, which were left out. */
export function isEarlierForm(recorded: Uint8Array, data: Uint8Array): boolean {
  const map = record(decodeCanonical(data), 'a hand-off') as Record<string, Plain>;
  const narrow = (value: unknown): bigint => BigInt.asUintN(EARLIER_RANGE, unsigned64(value, 'a range'));
  const memoryMap = list(map.memoryMap, 'memoryMap').map((item) => {
    const { address, length, type } = record(item, 'a range') as Record<string, Plain>;
    return { address: narrow(address), length: narrow(length), type: type! };
  });
  return Buffer.compare(encodeCanonical({ ...map, memoryMap }), recorded) === 0;
}

/** The hand-offs of a trace, in order. @throws TraceError */
export function handoffsOf(reader: TraceReader): HandoffView[] {
  const found: HandoffView[] = [];
  for (const event of handoffEvents(reader)) {
    try {
      found.push(decodeHandoff(event.data, event));
    } catch (error) {
      const { message } = error as Error;
      throw new TraceError(reader.path, `event ${event.index} is no hand-off (${message}): record the boot again`);
    }
  }
  return found;
}

/** The events themselves. Chunks without one are passed as they are. */
function* handoffEvents(reader: TraceReader): Generator<TraceEvent> {
  for (const block of reader.blocks()) {
    const { symbols, symbol } = block.columns;
    if (!symbols.some(({ layout }) => layout.row.kind === 'handoff')) continue;
    for (let i = 0; i < block.count; i++) {
      if (symbols[symbol[i]!]!.layout.row.kind === 'handoff') yield block.at(i);
    }
  }
}

/** Every field by its path, in the order of a report. */
export function handoffFields(view: HandoffView): Map<string, string> {
  const fields = new Map<string, string>([
    ['protocol', view.protocol],
    ['route', view.route],
  ]);
  const group = (name: string, values: Readonly<Record<string, string>>) => {
    for (const [field, value] of Object.entries(values)) fields.set(`${name}.${field}`, value);
  };
  group('registers', view.registers);
  for (const [name, segment] of Object.entries(view.segments)) group(name, segment);
  group('control', view.control);
  for (const [i, range] of view.memoryMap.entries()) group(`memory map ${i}`, range);
  for (const { name, address, length, fields: own } of view.structures) {
    group(name, { address, length });
    group(name, own);
  }
  return fields;
}

/** Fields that differ, in the order of the report. */
export function diffHandoff(a: HandoffView, b: HandoffView): HandoffDifference[] {
  const [left, right] = [handoffFields(a), handoffFields(b)];
  const names = [...left.keys(), ...[...right.keys()].filter((name) => !left.has(name))];
  return names
    .map((field) => ({ field, a: left.get(field) ?? NO_FIELD, b: right.get(field) ?? NO_FIELD }))
    .filter(({ a: x, b: y }) => x !== y);
}

/** The hand-offs of two traces that belong together: those by the same protocol, else the last of each. */
export function pairHandoffs(
  a: readonly HandoffView[],
  b: readonly HandoffView[],
): (readonly [HandoffView, HandoffView])[] {
  const rest = [...b];
  const pairs = a.flatMap((x) => {
    const at = rest.findIndex(({ protocol }) => protocol === x.protocol);
    return at < 0 ? [] : [[x, rest.splice(at, 1)[0]!] as const];
  });
  const [x, y] = [a.at(-1), b.at(-1)];
  return pairs.length > 0 || !x || !y ? pairs : [[x, y]];
}

/** A hand-off for people. */
export function handoffText(view: HandoffView): string {
  const pairs = (values: Readonly<Record<string, string>>) =>
    Object.entries(values).map(([name, value]) => `${name} ${value}`);
  const lines = [
    `handoff ${view.protocol} at ${view.cs}:${view.rip}, cycle ${view.cycle}, route ${view.route}`,
    ...rows('registers', pairs(view.registers)),
    ...Object.entries(view.segments).map(([name, segment]) => label(name, pairs(segment).join(', '))),
    ...rows('control', pairs(view.control)),
    ...view.memoryMap.map((range, i) => label(`memory map ${i}`, pairs(range).join(', '))),
    ...view.structures.flatMap(({ name, address, length, fields }) => [
      label(name, `at ${address}, length ${length}`),
      ...rows('', pairs(fields)),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

const label = (name: string, words: string): string => `  ${name.padEnd(18)} ${words}`.trimEnd();

/** Words in lines of at most 120 characters. */
function rows(name: string, words: readonly string[]): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + word.length > 95) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : `, ${word}`;
  }
  if (line !== '') lines.push(line);
  return lines.map((words, i) => label(i === 0 ? name : '', words));
}

const number = (value: unknown, field: string): string => hex(unsigned64(value, field));
const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
