import test from 'ava';
import { ImageError } from '../../src/boot/boot-error.js';
import { elfNotes, elfSymbols, loadSegments, parseElf } from '../../src/boot/elf.js';
import { elfFile } from './guest-builder.js';

const code = Uint8Array.of(1, 2, 3, 4, 5);

for (const bits of [32, 64] as const) {
  const virtual = bits === 64 ? 0xffff_ffff_8010_0000n : 0xc010_0000n;
  const plan = {
    bits,
    loads: [
      {
        physical: 0x10_0000,
        virtual,
        data: code,
        memorySize: 100,
      },
      { physical: 0x20_0000, data: code },
    ],
    notes: [
      { name: 'GNU', type: 3, description: Uint8Array.of(9, 8, 7) },
      { name: 'Xen', type: 18, description: Uint8Array.of(0, 0, 0x10, 0) },
    ],
    symbols: [
      { name: 'late', address: 0x10_0004n, size: 2 },
      { name: 'early', address: 0x10_0000n, size: 4 },
    ],
  };
  const file = elfFile(plan);

  test(`the segments, notes and symbols of an ELF${bits} file are read as they were written`, (t) => {
    const elf = parseElf('k', file);
    t.is(elf.bits, bits);
    t.is(elf.entry, 0x10_0000n);
    const [first, second] = loadSegments(elf);
    t.is(first!.physicalAddress, 0x10_0000);
    t.is(first!.virtualAddress, virtual);
    t.is(first!.memorySize, 100);
    t.deepEqual(file.subarray(second!.offset, second!.offset + second!.fileSize), code);
    t.deepEqual(
      elfNotes(elf).map(({ name, type, description }) => ({ name, type, description: Uint8Array.from(description) })),
      plan.notes,
    );
    t.deepEqual(elfSymbols(elf), [
      { name: 'early', address: 0x10_0000n, size: 4 },
      { name: 'late', address: 0x10_0004n, size: 2 },
    ]);
  });

  test(`an ELF${bits} file cut off before the end of its last segment is refused with the place`, (t) => {
    const bare = elfFile({ bits, loads: plan.loads });
    for (let length = 0; length < bare.length; length++) {
      const error = t.throws(() => parseElf('k.elf', bare.slice(0, length)), { instanceOf: ImageError });
      t.regex(error!.message, /^k\.elf: .*offset (0x)?[0-9a-f]+.*; .+$/);
    }
    t.notThrows(() => parseElf('k.elf', bare));
  });
}

test('overlapping segments are refused with their numbers and the address', (t) => {
  const loads = [
    { physical: 0x20_0000, data: code },
    { physical: 0x10_0000, data: code, memorySize: 0x10_0001 },
  ];
  t.throws(() => parseElf('k', elfFile({ loads })), {
    instanceOf: ImageError,
    message:
      'k: the segments of program headers 1 and 0 overlap at physical address 0x200000; the file is damaged, fetch or build it again',
  });
});

test('a segment with more bytes in the file than in memory is refused', (t) => {
  t.throws(() => parseElf('k', elfFile({ loads: [{ physical: 0, data: code, memorySize: 4 }] })), {
    instanceOf: ImageError,
    message: /program header 0 at offset 0x40 has more bytes in the file than in memory/,
  });
});

test('a file for another machine, byte order or class is refused', (t) => {
  t.throws(() => parseElf('k', elfFile({ machine: 183 })), { instanceOf: ImageError, message: /183, not x86/ });
  const big = elfFile({});
  big[5] = 2;
  t.throws(() => parseElf('k', big), { instanceOf: ImageError, message: /not little-endian/ });
  const odd = elfFile({});
  odd[4] = 3;
  t.throws(() => parseElf('k', odd), { instanceOf: ImageError, message: /class at offset 4 is 3/ });
});

test('a note that claims more than its segment holds is refused with its offset', (t) => {
  const file = elfFile({ notes: [{ name: 'Xen', type: 18, description: new Uint8Array(4) }] });
  const note = parseElf('k', file).programs[0]!.offset;
  new DataView(file.buffer).setUint32(note + 4, 0xffff_fff0, true);
  t.throws(() => elfNotes(parseElf('k', file)), {
    instanceOf: ImageError,
    message: `k: the note at offset 0x${note.toString(16)} runs past its segment, which ends at 0x${(note + 20).toString(16)}; the file is damaged, fetch or build it again`,
  });
});

test('a broken symbol table costs the symbols and nothing else', (t) => {
  const file = elfFile({ loads: [{ physical: 0, data: code }], symbols: [{ name: 'a', address: 1n }] });
  const [, symbols] = parseElf('k', file).sections;
  const header = Number(new DataView(file.buffer).getBigUint64(40, true)) + 64;
  new DataView(file.buffer).setBigUint64(header + 24, 1n << 60n, true);
  t.is(symbols!.type, 2);
  t.deepEqual(elfSymbols(parseElf('k', file)), []);
});
