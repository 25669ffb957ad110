import test from 'ava';
import fc from 'fast-check';
import { decodeCanonical, encodeCanonical } from '../../src/trace/codec.js';
import { checkMsgpack } from '../../src/trace/msgpack-check.js';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const refused: [title: string, bytes: string, said: RegExp][] = [
  ['nothing at all', '', /ends early/],
  ['a string that is shorter than it says', 'a3 61 62', /ends early/],
  ['a length that is cut off', 'c5 01', /ends early/],
  ['two values', '01 02', /bytes follow/],
  ['the byte that is never used', 'c1', /0xc1 has no place/],
  ['a timestamp (fixext 4)', 'd6 ff 00 00 00 00', /0xd6 has no place/],
  ['a record definition (fixext 1)', 'd4 72 40', /0xd4 has no place/],
  ['an extension in a map', '81 a1 61 c7 00 01', /0xc7 has no place/],
  ['a list of four thousand million', 'dd ff ff ff ff c0', /more values than there are bytes/],
  ['a map of as many', 'df ff ff ff ff c0 c0', /more values than there are bytes/],
  ['binary of as many bytes', 'c6 ff ff ff ff 00', /ends early/],
];

for (const [title, bytes, said] of refused) {
  test(`${title} is refused before it is decoded`, (t) => {
    t.throws(() => decodeCanonical(hex(bytes)), { message: said });
  });
}

test('nesting is bounded', (t) => {
  const nested = (depth: number) => Uint8Array.from([...new Array<number>(depth).fill(0x91), 0xc0]);
  t.notThrows(() => checkMsgpack(nested(64), 64));
  t.throws(() => checkMsgpack(nested(65), 64), { message: /too deeply/ });
  t.throws(() => decodeCanonical(nested(1_000_000)), { message: /too deeply/ });
});

test('what the encoder writes passes, and no part of it does', (t) => {
  const item = fc.oneof(fc.maxSafeInteger(), fc.string(), fc.uint8Array(), fc.dictionary(fc.string(), fc.nat()));
  const value = fc.array(item, { maxLength: 40 }).map(encodeCanonical);
  fc.assert(
    fc.property(value, fc.nat(), (bytes, cut) => {
      t.notThrows(() => checkMsgpack(bytes, 64));
      t.throws(() => checkMsgpack(bytes.subarray(0, cut % bytes.length), 64));
    }),
  );
});
