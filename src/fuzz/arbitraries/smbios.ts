// SMBIOS (DMTF DSP0134 3.4): the 32-bit entry point (5.2.1) and, behind it, structures of type, length, handle, formatted
// area and strings (6.1), an end-of-table structure last (7.47). Valid: both check sums, the table's length and the count
// of structures are right, strings are numbered as they are, and every set of strings ends with a second zero.

import fc from 'fast-check';
import { ByteWriter } from '../byte-writer.js';
import { low8, low16, low32, pick, word } from '../numbers.js';
import type { StructureKind } from '../structure.js';

export interface SmbiosStructure {
  type: number;
  handle: number;
  /** Formatted area behind the header. */
  body: Uint8Array;
  strings: string[];
  /** Lies. */
  length?: number;
  unterminated?: boolean;
}

export interface Smbios {
  structures: SmbiosStructure[];
  /** Lies. */
  checksum?: number;
  count?: number;
  tableLength?: number;
  tableAt?: number;
  entryLength?: number;
  noEnd?: boolean;
}

export interface SmbiosOptions {
  readonly address?: number;
}

const ENTRY_SIZE = 31;
const TABLE_AT = 32;
const END_OF_TABLE = 127;

/**
 * An SMBIOS entry point of 32 bits with its structures (DSP0134 3.4, 5.2.1 and 6.1).
 * @param options `address`: guest physical address of the block
 */
export function smbios({ address = 0xf_0000 }: SmbiosOptions = {}): StructureKind<Smbios> {
  const one = fc.record({
    type: fc.constantFrom(0, 1, 3, 4, 11, 16, 17, 19, 32, 128),
    body: fc.uint8Array({ minLength: 4, maxLength: 32 }),
    strings: fc.array(word(20), { maxLength: 4 }),
  });
  return {
    name: 'smbios',
    specification: 'DSP0134 3.4, 5.2.1 and 6.1',
    valid: fc
      .array(one, { maxLength: 6 })
      .map((list) => ({ structures: list.map((made, i) => ({ ...made, handle: 0x100 + i })) })),
    breaks: {
      'wrong check sum': (draft, _at, value) => {
        draft.checksum = low8(value) || 1;
      },
      'more structures than there are': (draft, _at, value) => {
        draft.count = draft.structures.length + 2 + low16(value);
      },
      'table length that lies': (draft, _at, value) => {
        draft.tableLength = low16(value);
      },
      'table elsewhere': (draft, _at, value) => {
        draft.tableAt = low32(value);
      },
      'entry point of any length': (draft, _at, value) => {
        draft.entryLength = low8(value);
      },
      'structure shorter than its header': (draft, at, value) =>
        pick(draft.structures, at, (made) => {
          made.length = Number(value % 4n);
        }),
      'structure of any length': (draft, at, value) =>
        pick(draft.structures, at, (made) => {
          made.length = low8(value);
        }),
      'strings without end': (draft, at) =>
        pick(draft.structures, at, (made) => {
          made.unterminated = true;
        }),
      'same handle twice': (draft) => {
        for (const made of draft.structures) made.handle = 1;
      },
      'no end of table': (draft) => {
        draft.noEnd = true;
      },
    },
    encode: (value) => {
      const table = new ByteWriter();
      const all = [...value.structures, ...(value.noEnd ? [] : [END])];
      let largest = 0;
      for (const made of all) {
        const at = table.length;
        table
          .u8(made.type)
          .u8(made.length ?? 4 + made.body.length)
          .u16(made.handle)
          .bytes(made.body);
        for (const text of made.strings) table.text(text).u8(0);
        if (!made.unterminated) table.u8(0);
        if (made.strings.length === 0) table.u8(0);
        largest = Math.max(largest, table.length - at);
      }
      const out = new ByteWriter(TABLE_AT + table.length)
        .text('_SM_')
        .u8(0)
        .u8(value.entryLength ?? ENTRY_SIZE);
      out
        .u8(2)
        .u8(8)
        .u16(largest)
        .u8(0)
        .zerosTo(16)
        .text('_DMI_')
        .u8(0)
        .u16(value.tableLength ?? table.length);
      out
        .u32(value.tableAt ?? address + TABLE_AT)
        .u16(value.count ?? all.length)
        .u8(0x28)
        .zerosTo(ENTRY_SIZE);
      out.checksum(0x15, 0x10, 15, value.checksum ?? 0).checksum(4, 0, ENTRY_SIZE, value.checksum ?? 0);
      return out.zerosTo(TABLE_AT).bytes(table.done()).done();
    },
  };
}

const END: SmbiosStructure = { type: END_OF_TABLE, handle: 0x7f00, body: new Uint8Array(0), strings: [] };
