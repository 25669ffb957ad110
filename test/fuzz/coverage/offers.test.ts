import test from 'ava';
import fc from 'fast-check';
import { e820 } from '../../../src/fuzz/arbitraries/e820.js';
import { extensible, replaceable } from '../../../src/fuzz/coverage/offers.js';
import { TapeArbitrary } from '../../../src/fuzz/coverage/tape.js';
import { u8, u16, u32, u64, word } from '../../../src/fuzz/numbers.js';
import { hostile, lies } from '../../../src/fuzz/structure.js';

const words = fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 1, maxLength: 9 });
const number = fc.bigInt(0n, 0xffff_ffff_ffff_ffffn);
const KINDS: readonly [fc.Arbitrary<bigint | number>, number][] = [
  [u8, 8],
  [u16, 16],
  [u32, 32],
  [u64, 64],
  [lies, 64],
];

test('a number on offer is drawn, cut to its width, whatever the bias; its tape needs no offer', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), words, number, ([kind, bits], tape, offer) => {
      const pair = fc.tuple(kind, fc.array(u32, { maxLength: 3 }));
      const taking = new TapeArbitrary(pair, Uint32Array.from(tape), {
        offered: () => offer,
        more: () => false,
      });
      const [first, others] = taking.generate().value;
      t.is(BigInt(first), BigInt.asUintN(bits, offer));
      for (const other of others) t.is(BigInt(other), BigInt.asUintN(32, offer));
      t.deepEqual(new TapeArbitrary(pair, taking.tape).generate().value, [first, others]);
    }),
  );
});

test('what is drawn behind a number stays what it was when another takes its place', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), words, number, ([kind], tape, offer) => {
      const pair = fc.tuple(kind, fc.nat());
      const first = [offer, undefined];
      const offers = { offered: () => first.shift(), more: () => false };
      const [, behind] = new TapeArbitrary(pair, Uint32Array.from(tape), offers).generate().value;
      t.is(behind, new TapeArbitrary(pair, Uint32Array.from(tape)).generate().value[1]);
    }),
  );
});

test('a structure has more breaks on demand, behind those that it had', (t) => {
  const kind = e820({ ramEnd: 0x100_0000 });
  const breaks = fc.array(fc.record({ at: fc.nat(15), value: lies }), { maxLength: 3 });
  const longer = extensible(breaks, 3);
  const offers = { offered: () => undefined, more: () => true };
  fc.assert(
    fc.property(words, (tape) => {
      const before = new TapeArbitrary(breaks, Uint32Array.from(tape)).generate().value;
      const taking = new TapeArbitrary(longer, Uint32Array.from(tape), offers);
      const after = taking.generate().value;
      t.is(after.length, before.length === 0 ? 0 : 3);
      t.deepEqual(after.slice(0, before.length), before);
      t.deepEqual(new TapeArbitrary(breaks, taking.tape).generate().value, after);
      const whole = new TapeArbitrary(hostile(kind), Uint32Array.from(tape), offers);
      const structure = whole.generate().value;
      t.deepEqual(new TapeArbitrary(hostile(kind), whole.tape).generate().value.encode(), structure.encode());
    }),
    // Words that are refused, since 7 and 3 do not divide 2 ** 32 evenly: those behind them say what is drawn.
    { examples: [[[7, 0xffff_ffff, 1, 2]], [[3, 0xffff_ffff, 0, 1, 2]], [[7, 0, 0xffff_ffff, 0, 1, 2]]] },
  );
});

test('a break may have another in its place, and those behind it stay', (t) => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const one = fc.record({ name: fc.constantFrom(...names), at: fc.nat(15), value: lies }, { noNullPrototype: true });
  const [breaks, changing] = [one, replaceable(one, 2)].map((each) => fc.tuple(each, each, fc.nat()));
  fc.assert(
    fc.property(words, number, fc.nat(0xffff), fc.nat(0xffff), (tape, value, first, second) => {
      const [, ...behind] = new TapeArbitrary(breaks!, Uint32Array.from(tape)).generate().value;
      const others = [{ value, words: [first, second] as const }];
      const taking = new TapeArbitrary(changing!, Uint32Array.from(tape), {
        offered: () => undefined,
        more: () => false,
        another: () => others.shift(),
      });
      const { value: after } = taking.generate();
      t.deepEqual(after, [{ name: names[first % names.length]!, at: second % 16, value }, ...behind]);
      t.deepEqual(new TapeArbitrary(breaks!, taking.tape).generate().value, after);
    }),
  );
});

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789_-';
const numberOf = (text: string) => BigInt(`0x${Buffer.from(text, 'latin1').reverse().toString('hex') || '0'}`);
const texts = fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 1, maxLength: 8 });

test('a text on offer is drawn where it can be, whatever the bias; its tape needs no offer', (t) => {
  fc.assert(
    fc.property(texts, words, fc.nat(1), (text, tape, minLength) => {
      const pair = fc.tuple(word(12, minLength), fc.nat());
      const first = [numberOf(text)];
      const taking = new TapeArbitrary(pair, Uint32Array.from(tape), {
        offered: () => first.shift(),
        more: () => false,
      });
      const { value } = taking.generate();
      t.is(value[0], text);
      // What is drawn behind it is what it was.
      t.is(value[1], new TapeArbitrary(pair, Uint32Array.from(tape)).generate().value[1]);
      t.deepEqual(new TapeArbitrary(pair, taking.tape).generate().value, value);
    }),
    {
      examples: [
        ['a', [7, 0xffff_ffff, 1, 2], 1],
        ['abcdefgh', [3, 0xffff_ffff, 0, 1, 0xffff_ffff], 0],
      ],
    },
  );
});

test('one character of a text may be on offer; what is no text of the alphabet is left out', (t) => {
  fc.assert(
    fc.property(words, fc.constantFrom(...ALPHABET), fc.nat(11), (drawn, character, nth) => {
      // Without bias: under it some texts are drawn whole.
      const tape = [0, ...drawn];
      const plain = new TapeArbitrary(word(12), Uint32Array.from(tape)).generate().value;
      // The word itself is asked first.
      let asked = -1;
      const offers = { offered: () => (asked++ === nth ? numberOf(character) : numberOf('A')), more: () => false };
      const taking = new TapeArbitrary(word(12), Uint32Array.from(tape), offers);
      const { value } = taking.generate();
      const expected = nth < plain.length ? plain.slice(0, nth) + character + plain.slice(nth + 1) : plain;
      t.is(value, expected);
      t.is(new TapeArbitrary(word(12), taking.tape).generate().value, value);
    }),
  );
});

test('where nothing is offered, draws are what they are without', (t) => {
  for (const seed of [1, 2, 3]) {
    const options = { seed, numRuns: 200 };
    t.deepEqual(fc.sample(u32, options), fc.sample(fc.integer({ min: 0, max: 0xffff_ffff }), options));
    const plain = fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 1, maxLength: 12 });
    t.deepEqual(fc.sample(word(12), options), fc.sample(plain, options));
    t.is(fc.sample(lies, options).filter((one) => one <= 64n).length > 50, true);
  }
});
