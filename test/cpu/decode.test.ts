// The decoder against one that others wrote: iced-x86 on random bytes. Where both know the instruction, the length
// must be the same; what is an instruction for one of them only must belong to an extension that the model lacks.

import test from 'ava';
import fc from 'fast-check';
import { Code, DecoderOptions, Decoder as IcedDecoder } from 'iced-x86';
import { X86_64_V2 } from '../../src/cpu/cpuid.js';
import { DECODE_OK, Decoder } from '../../src/cpu/decode.js';
import { VariantTable } from '../../src/cpu/interp/variants.js';
import { allRows } from '../../src/cpu/isa/rows.js';
import { OpcodeTable } from '../../src/cpu/isa/table.js';

const variants = new VariantTable(allRows);
const decoder = new Decoder(new OpcodeTable(allRows, (f) => X86_64_V2.has(f as never)), variants);

test('lengths agree with iced-x86 in every mode', (t) => {
  let both = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(16 as const, 32 as const, 64 as const),
      fc.uint8Array({ minLength: 15, maxLength: 15 }),
      (bits, bytes) => {
        const status = decoder.decode(bytes, 0, 15, { bits, flat: 15 }, 0, false);
        const ours = status === DECODE_OK && decoder.out.row !== undefined ? decoder.out : undefined;
        const iced = new IcedDecoder(bits, bytes, DecoderOptions.None);
        const theirs = iced.decode();
        try {
          if (ours === undefined || theirs.code === Code.INVALID) return;
          both++;
          t.is(
            ours.length,
            theirs.length,
            `${bits}-bit ${Buffer.from(bytes).toString('hex')}: ${ours.row!.encoding} ${ours.row!.mnemonic}`,
          );
        } finally {
          theirs.free();
          iced.free();
        }
      },
    ),
    { numRuns: 20_000 },
  );
  t.true(both > 5000, 'most random bytes are instructions');
});

test('an instruction of more than 15 bytes is none', (t) => {
  const bytes = Uint8Array.from([...new Array(14).fill(0x66), 0x05, 1, 2, 3]);
  t.not(decoder.decode(bytes, 0, bytes.length, { bits: 32, flat: 15 }, 0, false), DECODE_OK);
});

test('LOCK needs a lockable instruction with a memory operand', (t) => {
  const row = (...bytes: number[]) => {
    decoder.decode(Uint8Array.from([...bytes, ...new Array(15).fill(0)]), 0, 15, { bits: 32, flat: 15 }, 0, false);
    return decoder.out.row?.mnemonic;
  };
  t.is(row(0xf0, 0x01, 0x00), 'ADD');
  t.is(row(0xf0, 0x01, 0xc0), undefined);
  t.is(row(0xf0, 0x8b, 0x00), undefined);
  t.is(row(0xf0, 0x39, 0x00), undefined);
});
