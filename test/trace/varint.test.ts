import test from 'ava';
import fc from 'fast-check';
import { readVarints, unzigzag, VarintReader, VarintWriter, zigzag } from '../../src/trace/varint.js';

test('whole numbers below 2^53 survive', (t) => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.maxSafeNat(), fc.nat(300))), (values) => {
      const writer = new VarintWriter();
      for (const value of values) writer.write(value);
      const reader = new VarintReader(writer.bytes());
      t.deepEqual(
        values.map(() => reader.read()),
        values,
      );
      t.true(reader.done);
    }),
  );
});

test('the bytes are those of LEB128', (t) => {
  const writer = new VarintWriter();
  for (const value of [0, 127, 128, 300, 0x8000_0000, Number.MAX_SAFE_INTEGER]) writer.write(value);
  t.is(Buffer.from(writer.bytes()).toString('hex'), '007f8001ac028080808008ffffffffffffff0f');
});

test('zigzag puts small distances first', (t) => {
  t.deepEqual([0, -1, 1, -2, 2].map(zigzag), [0, 1, 2, 3, 4]);
  fc.assert(
    fc.property(fc.integer({ min: -(2 ** 51), max: 2 ** 51 }), (value) => {
      t.is(unzigzag(zigzag(value)), value);
    }),
  );
});

test('a column that ends early or runs past 2^53 is refused', (t) => {
  t.throws(() => new VarintReader(Uint8Array.of(0x80)).read(), { message: 'a column ends early' });
  t.throws(() => new VarintReader(new Uint8Array(9).fill(0xff)).read(), { message: 'a varint is past 2^53' });
});

test('a column of varints below 2^32 is read at once', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 0xffff_ffff })), (values) => {
      const writer = new VarintWriter();
      for (const value of values) writer.write(value);
      t.deepEqual([...readVarints(writer.bytes())], values);
    }),
  );
  t.throws(() => readVarints(Uint8Array.of(1, 0x80)), { message: /ends early/ });
  t.throws(() => readVarints(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x10)), { message: /past 2\^32/ });
  t.throws(() => readVarints(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0)), { message: /past 2\^32/ });
});
