import test from 'ava';
import fc from 'fast-check';
import type { Plain } from '../../src/platform/device.js';
import { decodeCanonical, encodeCanonical } from '../../src/trace/codec.js';
import { decodeMsgpack } from './independent-msgpack.js';

const plain: fc.Arbitrary<Plain> = fc.letrec<{ value: Plain }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Number.isInteger(x)),
    fc.string({ unit: 'grapheme', maxLength: 80 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__'),
      tie('value'),
      { maxKeys: 20 },
    ),
  ),
})).value;

/** Integers as bigint, so that number and bigint forms of one integer compare equal. */
function normal(value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(normal);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, normal(item)]));
  }
  return value;
}

test('an independent decoder reads what is written, and finds it canonical', (t) => {
  fc.assert(
    fc.property(plain, (value) => {
      t.deepEqual(normal(decodeMsgpack(encodeCanonical(value))), normal(value));
    }),
  );
});

test('decoding gives back what was encoded', (t) => {
  fc.assert(
    fc.property(plain, (value) => {
      t.deepEqual(normal(decodeCanonical(encodeCanonical(value))), normal(value));
    }),
  );
});

test('the order in which keys were set does not matter', (t) => {
  const entries = fc.uniqueArray(fc.tuple(fc.string(), fc.nat()), { selector: ([name]) => name, maxLength: 10 });
  fc.assert(
    fc.property(entries, (pairs) => {
      const forwards = encodeCanonical(Object.fromEntries(pairs));
      t.deepEqual(encodeCanonical(Object.fromEntries([...pairs].reverse())), forwards);
    }),
  );
});

for (const [name, value] of [
  ['NaN', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['an integer past 2^53', 2 ** 60],
  ['a bigint past 64 bits', 1n << 64n],
  ['a lone surrogate', '\ud800'],
  ['undefined', undefined as unknown as Plain],
] as const) {
  test(`${name} is refused`, (t) => {
    t.throws(() => encodeCanonical([value]));
  });
}

test('negative zero is written as zero', (t) => {
  t.deepEqual(encodeCanonical(-0), encodeCanonical(0));
});
