// E820 memory maps (ACPI 6.4, 15.1 and 15.4): entries of address, length and type, 20 bytes each as etc/e820 and
// boot_params have them. A valid map is sorted, has no empty entry, none that overlaps another and none past the address
// space. It begins with conventional memory, so that a kernel that believes it can work.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low32, pick } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface MapEntry {
  address: bigint;
  length: bigint;
  /** 1 RAM, 2 reserved, 3 ACPI, 4 NVS, 5 unusable. */
  type: number;
}

export interface E820Map {
  entries: MapEntry[];
}

export interface E820Options {
  /** No entry of RAM ends above this. Default 16 MiB. */
  readonly ramEnd?: number;
  /** Most entries. Default 16. */
  readonly most?: number;
  /**
   * Bytes from 1 MiB on that are RAM in every valid map, in one entry with those below, as etc/e820 has it: what a loader
   * is going to fill. Default none, and no RAM below 1 MiB behind 0x9efff.
   */
  readonly filled?: number;
}

const PAGE = 0x1000n;
const MIB = 0x10_0000n;
const END_OF_ADDRESSES = 1n << 64n;
const OTHER_TYPES = [2, 3, 4, 5];

/** Sorted, disjoint entries. */
export function mapEntries({ ramEnd = 16 << 20, most = 16, filled = 0 }: E820Options = {}): fc.Arbitrary<MapEntry[]> {
  const step = fc.record({
    gap: fc.constantFrom(0n, 0n, 1n, 16n),
    pages: fc.bigInt(1n, 0x200n),
    type: fc.constantFrom(1, 1, ...OTHER_TYPES),
  });
  return fc.array(step, { maxLength: most - 1 }).map((steps) => {
    const first = filled > 0 ? MIB + BigInt(Math.ceil(filled / 4096)) * PAGE : 0x9_f000n;
    const entries: MapEntry[] = [{ address: 0n, length: first, type: 1 }];
    let next = filled > 0 ? first : MIB;
    for (const { gap, pages, type } of steps) {
      const address = next + gap * PAGE;
      const length = pages * PAGE;
      next = address + length;
      entries.push({ address, length, type: type === 1 && next > BigInt(ramEnd) ? 2 : type });
    }
    return entries;
  });
}

/** Ways in which a list of entries goes wrong, whatever it is part of. */
export const MAP_BREAKS: Readonly<Record<string, (entries: MapEntry[], at: number, value: bigint) => void>> = {
  'overlapping entries': (entries, at, value) =>
    pick(entries, at, ({ address, length, type }) => {
      entries.push({ address: address + (value % (length || 1n)), length: length + PAGE, type: type === 1 ? 2 : 1 });
    }),
  'unsorted entries': (entries) => entries.reverse(),
  'entry of no length': (entries, at) =>
    pick(entries, at, (entry) => {
      entry.length = 0n;
    }),
  'entry that wraps': (entries, at, value) =>
    pick(entries, at, (entry) => {
      entry.length = END_OF_ADDRESSES - entry.address + (value % 0x100_0000n);
    }),
  'hole between entries': (entries, at) => {
    if (entries.length > 0) entries.splice(at % entries.length, 1);
  },
  'unknown type': (entries, at, value) =>
    pick(entries, at, (entry) => {
      entry.type = value % 2n === 0n ? 0 : low32(value) || 6;
    }),
  'same entry twice': (entries, at) => pick(entries, at, (entry) => entries.push({ ...entry })),
  'odd address': (entries, at, value) =>
    pick(entries, at, (entry) => {
      entry.address += (value % 0xfffn) + 1n;
    }),
  'any length': (entries, at, value) =>
    pick(entries, at, (entry) => {
      entry.length = value;
    }),
  'no entries': (entries) => {
    entries.length = 0;
  },
};

/** The breaks of a list as those of a structure that holds it. */
export function mapBreaks<T>(
  entriesOf: (draft: T) => MapEntry[],
): Record<string, (draft: T, at: number, value: bigint) => void> {
  return Object.fromEntries(
    Object.entries(MAP_BREAKS).map(([name, change]) => [
      name,
      (draft: T, at: number, value: bigint) => change(entriesOf(draft), at, value),
    ]),
  );
}

/** A map of 20-byte entries. */
export function e820(options: E820Options = {}): StructureKind<E820Map> {
  return {
    name: 'e820',
    specification: 'ACPI 6.4, 15.1: INT 15H, E820H',
    valid: mapEntries(options).map((entries) => ({ entries })),
    breaks: mapBreaks(({ entries }) => entries),
    encode: ({ entries }) => {
      const out = new ByteWriter();
      for (const { address, length, type } of entries) out.u64(address).u64(length).u32(type);
      return out.done();
    },
  };
}
