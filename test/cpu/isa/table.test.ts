// Every slot of the opcode maps is a row, or #UD for a reason that is written down (empty-slots.ts).

import test from 'ava';
import { DECODE_OK, Decoder } from '../../../src/cpu/decode.js';
import { VariantTable } from '../../../src/cpu/interp/variants.js';
import type { Row } from '../../../src/cpu/isa/row.js';
import { allRows } from '../../../src/cpu/isa/rows.js';
import { ModrmChoice, OpcodeTable, type PrefixClass } from '../../../src/cpu/isa/table.js';
import { EMPTY_SLOTS } from './empty-slots.js';

const MAPS = ['--', '0F', '0F38', '0F3A'];
const PREFIXES = ['NP', '66', 'F3', 'F2'];
const table = new OpcodeTable(allRows, () => true);

/** All that a slot can be, as a number: long mode, map, opcode, prefix class, ModRM byte. */
const key = (long: boolean, map: number, opcode: number, prefix: number, modrm: number): number =>
  (((long ? 4 : 0) + map) << 18) | (opcode << 10) | (prefix << 8) | modrm;
const text = (slot: number): string =>
  `${slot >> 20 ? 64 : 32}-bit ${MAPS[(slot >> 18) & 3]} ${hex((slot >> 10) & 0xff)} ${PREFIXES[(slot >> 8) & 3]} ModRM ${hex(slot & 0xff)}`;
const hex = (n: number): string => n.toString(16).toUpperCase().padStart(2, '0');

function rowAt(long: boolean, map: number, opcode: number, prefix: number, modrm: number): Row | undefined {
  const slot = table.slot(long, map, opcode, prefix as PrefixClass);
  if (!(slot instanceof ModrmChoice)) return slot;
  const entry = slot.entries[(modrm >= 0xc0 ? 8 : 0) | ((modrm >> 3) & 7)];
  return Array.isArray(entry) ? entry[modrm & 7] : entry;
}

const range = (span: string, base: number): number[] => {
  const [first, last = first] = span.split('-').map((n) => Number.parseInt(n, base));
  return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
};

/** ModRM bytes that a list of forms names. */
function* modrmBytes(forms: readonly string[]): Generator<number> {
  for (const form of forms) {
    const listed = form.slice(form.startsWith('=') ? 1 : 2).split(',');
    for (let modrm = 0; modrm < 256; modrm++) {
      const kind = modrm >= 0xc0 ? 'r' : 'm';
      if (form.startsWith('=')) {
        if (listed.includes(hex(modrm))) yield modrm;
      } else if (form === 'all' || form === kind) yield modrm;
      else if (form.startsWith(`${kind}/`) && listed.some((n) => range(n, 10).includes((modrm >> 3) & 7))) yield modrm;
    }
  }
}

/** The slots that a line of empty-slots.ts names. */
function* slotsOf(line: string): Generator<number> {
  const [head, tail] = line.split(' | ');
  const [map, modes, ...opcodes] = head!.split(/ +/);
  for (const part of tail!.split('; ')) {
    const [prefixes, ...forms] = part.split(' ');
    const classes = prefixes === 'any' ? [0, 1, 2, 3] : prefixes!.split(',').map((name) => PREFIXES.indexOf(name));
    for (const long of modes === 'both' ? [false, true] : [modes === '64'])
      for (const opcode of opcodes.flatMap((span) => range(span, 16)))
        for (const prefix of classes)
          for (const modrm of modrmBytes(forms)) yield key(long, MAPS.indexOf(map!), opcode, prefix, modrm);
  }
}

test('every slot of the opcode maps is a row, or #UD for a stated reason', (t) => {
  const stated = new Map<number, string>();
  for (const { slots, why } of EMPTY_SLOTS) {
    t.not(why, '');
    for (const slot of slotsOf(slots)) {
      if (stated.has(slot)) t.fail(`${text(slot)} is stated twice: ${slots}`);
      stated.set(slot, slots);
    }
  }
  const unstated: string[] = [];
  const filled: string[] = [];
  for (const long of [false, true])
    for (let map = 0; map < 4; map++)
      for (let opcode = 0; opcode < 256; opcode++)
        for (let prefix = 0; prefix < 4; prefix++)
          for (let modrm = 0; modrm < 256; modrm++) {
            const slot = key(long, map, opcode, prefix, modrm);
            const row = rowAt(long, map, opcode, prefix, modrm);
            if (row === undefined && !stated.has(slot)) unstated.push(text(slot));
            if (row !== undefined && stated.has(slot))
              filled.push(`${text(slot)} is ${row.mnemonic}: ${stated.get(slot)}`);
          }
  t.deepEqual(unstated.slice(0, 10), [], 'empty, and no reason given');
  t.deepEqual(filled.slice(0, 10), [], 'said to be empty');
});

test('an empty slot decodes to #UD', (t) => {
  const decoder = new Decoder(table, new VariantTable(allRows));
  const bytes: readonly (readonly number[])[] = [
    [0x0f, 0x0b],
    [0x0f, 0xff, 0xc0],
    [0xff, 0xff],
    [0xd9, 0xd1],
    [0x0f, 0x38, 0x0c, 0xc0],
    [0xf3, 0x0f, 0x14, 0xc0],
  ];
  for (const code of bytes) {
    const window = Uint8Array.from([...code, ...new Array(15).fill(0)]);
    t.is(decoder.decode(window, 0, 15, { bits: 64, flat: 15 }, 0, false), DECODE_OK);
    t.is(decoder.out.row, undefined, Buffer.from(code).toString('hex'));
  }
});
