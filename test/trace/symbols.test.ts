import test from 'ava';
import fc from 'fast-check';
import { SymbolTable } from '../../src/trace/symbols.js';

/** An ELF image with sections null, .text, .symtab, .strtab and the given symbols: [name, address, type, section]. */
function elf(bits: 32 | 64, symbols: readonly [string, bigint, number, number][]): Uint8Array {
  const wide = bits === 64;
  const names = Buffer.from(`\0${symbols.map(([name]) => `${name}\0`).join('')}`, 'latin1');
  const entrySize = wide ? 24 : 16;
  const table = Buffer.alloc((symbols.length + 1) * entrySize);
  let nameAt = 1;
  symbols.forEach(([name, address, type, section], i) => {
    const at = (i + 1) * entrySize;
    table.writeUInt32LE(nameAt, at);
    nameAt += name.length + 1;
    if (wide) table.writeBigUInt64LE(address, at + 8);
    else table.writeUInt32LE(Number(address), at + 4);
    table[at + (wide ? 4 : 12)] = 0x10 | type;
    table.writeUInt16LE(section, at + (wide ? 6 : 14));
  });
  const header = Buffer.alloc(64);
  header.write('\x7fELF', 'latin1');
  header[4] = wide ? 2 : 1;
  header[5] = 1;
  const sectionsAt = 64 + table.length + names.length;
  if (wide) header.writeBigUInt64LE(BigInt(sectionsAt), 0x28);
  else header.writeUInt32LE(sectionsAt, 0x20);
  const sectionSize = wide ? 64 : 40;
  header.writeUInt16LE(sectionSize, wide ? 0x3a : 0x2e);
  header.writeUInt16LE(4, wide ? 0x3c : 0x30);
  const section = (type: number, flags: number, offset: number, size: number, link: number) => {
    const bytes = Buffer.alloc(sectionSize);
    bytes.writeUInt32LE(type, 4);
    if (wide) {
      bytes.writeBigUInt64LE(BigInt(flags), 8);
      bytes.writeBigUInt64LE(BigInt(offset), 24);
      bytes.writeBigUInt64LE(BigInt(size), 32);
      bytes.writeUInt32LE(link, 40);
    } else {
      bytes.writeUInt32LE(flags, 8);
      bytes.writeUInt32LE(offset, 16);
      bytes.writeUInt32LE(size, 20);
      bytes.writeUInt32LE(link, 24);
    }
    return bytes;
  };
  return Buffer.concat([
    header,
    table,
    names,
    section(0, 0, 0, 0, 0),
    section(1, 6, 0, 0, 0),
    section(2, 0, 64, table.length, 3),
    section(3, 0, 64 + table.length, names.length, 0),
  ]);
}

const TEXT = 1;
const FUNC = 2;
const OBJECT = 1;

for (const bits of [32, 64] as const) {
  test(`functions of a ${bits}-bit ELF are found, data and undefined symbols are not`, (t) => {
    const table = SymbolTable.fromElf(
      elf(bits, [
        ['start_kernel', 0xc100_1000n, FUNC, TEXT],
        ['startup', 0xc100_0000n, 0, TEXT],
        ['jiffies', 0xc100_0800n, OBJECT, TEXT],
        ['undefined', 0xc100_0900n, FUNC, 0],
      ]),
    )!;
    t.is(table.size, 2);
    t.deepEqual(table.lookup(0xc100_0ffen), { name: 'startup', offset: 0xffe });
    t.deepEqual(table.lookup(0xc100_1000n), { name: 'start_kernel', offset: 0 });
    t.is(table.lookup(0xc0ff_ffffn), undefined);
    t.is(table.lookup(0xffff_0000n), undefined);
  });
}

test('what is no ELF, or a broken one, has no symbols', (t) => {
  const good = elf(64, [['f', 1n, FUNC, TEXT]]);
  t.is(SymbolTable.fromElf(Buffer.from('MZ and so on')), undefined);
  fc.assert(
    fc.property(fc.nat(good.length), fc.nat(255), (at, byte) => {
      const broken = Uint8Array.from(good.subarray(0, Math.max(at, 8)));
      broken[at % broken.length] = byte;
      const table = SymbolTable.fromElf(broken);
      t.true(table === undefined || table.size <= 1);
    }),
  );
});

test('a table survives its chunk', (t) => {
  const table = SymbolTable.of([
    [0xffff_ffff_8100_0000n, 'b'],
    [0x10_0000n, 'pvh_start'],
    [0xffff_ffff_8100_0000n, 'a'],
  ]);
  const copy = SymbolTable.decode(table.encode());
  t.is(copy.size, 2);
  t.deepEqual(copy.lookup(0xffff_ffff_8100_0004n), { name: 'a', offset: 4 });
});
