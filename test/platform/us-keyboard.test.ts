import test from 'ava';
import { translateToSet1 } from '../../src/platform/devices/ps2/ps2-scancodes.js';
import { keyStrokes } from '../../src/platform/us-keyboard.js';

/** Set 1 codes from left to right, row by row, as on every PC keyboard. */
const FIRST_CODES = [
  ['1234567890-=', 0x02],
  ['qwertyuiop[]', 0x10],
  ["asdfghjkl;'`", 0x1e],
  ['zxcvbnm,./', 0x2c],
] as const;

test('the keys of a row follow each other in scan code set 1', (t) => {
  for (const [row, first] of FIRST_CODES) {
    const codes = keyStrokes(row).map(({ code }) => translateToSet1(code));
    t.deepEqual(
      codes,
      [...row].map((_, i) => first + i),
      row,
    );
  }
});

test('every printable ASCII character has a key, and capitals hold Shift', (t) => {
  const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
  const strokes = keyStrokes(printable);
  t.is(new Set(strokes.map(({ code, with: held }) => `${code} ${held}`)).size, 95);
  t.deepEqual(keyStrokes('aA'), [
    { code: 0x1c, with: undefined },
    { code: 0x1c, with: 0x12 },
  ]);
});

test('escape sequences are keys, and a lone escape is Esc', (t) => {
  const codes = keyStrokes('\x1b[A\x1b\x1b[24~x\x1bOP\x03').map(({ code }) => code);
  t.deepEqual(codes, [0xe075, 0x76, 0x07, 0x22, 0x05, 0x21]);
  t.is(keyStrokes('\x03')[0]!.with, 0x14);
});

test('what has no key is refused by name', (t) => {
  t.throws(() => keyStrokes('aé'), { instanceOf: RangeError, message: /no key of a US keyboard types "é"/ });
  t.throws(() => keyStrokes('\x1b[99~'), { instanceOf: RangeError });
});
