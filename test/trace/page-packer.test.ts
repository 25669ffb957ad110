import test from 'ava';
import fc from 'fast-check';
import { packPage } from '../../src/trace/page-packer.js';
import { packPlainly } from './plain-page-packer.js';

const word = (value: number): Uint8Array => Uint8Array.of(value, value >> 8, value >> 16, value >> 24);
const near = fc
  .tuple(fc.constantFrom([0xe8], [0x0f, 0x80]), fc.integer({ min: -0x200_0000, max: 0x200_0000 }))
  .map(([opcode, d]) => Uint8Array.of(...opcode, ...word(d), 0x90));
/** Pieces of pages: code with branches near and far, tables of places and of other words, zeros, anything. */
const piece = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 40 }),
  fc.integer({ min: 1, max: 100 }).map((n) => new Uint8Array(n)),
  fc
    .tuple(fc.constantFrom([0xe8], [0xe9], [0x0f, 0x85], [0x0f, 0x8f]), fc.integer())
    .map(([opcode, d]) => Uint8Array.of(...opcode, ...word(d))),
  near,
  fc
    .tuple(fc.integer(), fc.integer({ min: -64, max: 64 }), fc.integer({ min: 1, max: 300 }))
    .map(([from, step, n]) => Uint8Array.from(Array.from({ length: n }, (_, i) => [...word(from + step * i)]).flat())),
);
const piecesOf = (piece: fc.Arbitrary<Uint8Array>) => fc.array(piece, { minLength: 1, maxLength: 120 });
/** A page, or a part of one; now and then of near branches alone, which have a filter of theirs. */
const page = fc
  .tuple(
    fc.oneof({ weight: 9, arbitrary: piecesOf(piece) }, { weight: 1, arbitrary: piecesOf(near) }),
    fc.integer({ min: 0, max: 2 ** 40 }),
    fc.nat(4095),
    fc.boolean(),
  )
  .map(([parts, number, offset, whole]) => {
    const from = whole ? 0 : offset;
    const bytes = Uint8Array.from(Buffer.concat(parts)).subarray(0, 4096 - from);
    return { address: number * 4096 + from, bytes };
  });
/** Bits of a page: all, most or few of them, in stretches. */
const mask = fc.option(
  fc
    .array(fc.tuple(fc.constantFrom(0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xfe), fc.integer({ min: 1, max: 200 })), {
      minLength: 1,
      maxLength: 20,
    })
    .map((runs) => {
      const bits = new Uint8Array(512).fill(0xff);
      let at = 0;
      for (const [byte, n] of runs) {
        bits.fill(byte, at, at + n);
        at += n;
      }
      return bits;
    }),
  { nil: undefined },
);

test('a page is packed as byte by byte', (t) => {
  const filters = new Map<number | undefined, number>();
  fc.assert(
    fc.property(page, mask, ({ address, bytes }, bits) => {
      const before = bytes.slice();
      const packed = packPage(address, bytes, bits);
      t.deepEqual(bytes, before);
      filters.set(packed?.filter, (filters.get(packed?.filter) ?? 0) + 1);
      const plain = packPlainly(address, bytes, bits);
      t.is(packed?.filter, plain?.filter);
      if (!packed || !plain) return;
      t.deepEqual([...packed.taken], plain.taken);
      t.deepEqual([...packed.bytes], plain.bytes);
    }),
    { numRuns: 2000 },
  );
  t.deepEqual([...filters.keys()].sort(), [0, 1, 2, undefined], 'all outcomes were met');
});

test('what comes before leaves no trace', (t) => {
  const short = Uint8Array.of(0xe8, 1, 2, 3);
  const first = packPage(0x1000, short, undefined);
  const told = [first!.filter, [...first!.taken], [...first!.bytes]];
  packPage(0x2000, new Uint8Array(4096).fill(0xe8), undefined);
  const again = packPage(0x1000, short, undefined)!;
  t.deepEqual([again.filter, [...again.taken], [...again.bytes]], told);
  t.is(packPage(0x1000, new Uint8Array(0), undefined), undefined);
  t.is(packPage(0x1000, new Uint8Array(4096), undefined), undefined);
});
