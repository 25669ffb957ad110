import test from 'ava';
import fc from 'fast-check';
import { e820 } from '../../../src/fuzz/arbitraries/e820.js';
import type { Comparison } from '../../../src/fuzz/coverage/edges.js';
import { mutate } from '../../../src/fuzz/coverage/mutate.js';
import { blankTape, MOST_WORDS, randomOf, TapeArbitrary } from '../../../src/fuzz/coverage/tape.js';
import { either, type StructureKind } from '../../../src/fuzz/structure.js';

const words = fc
  .array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 60 })
  .map((list) => Uint32Array.from(list));
const comparison: fc.Arbitrary<Comparison> = fc.record({
  site: fc.nat(),
  width: fc.constantFrom(1, 2, 4, 8),
  left: fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
  right: fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
});

test('the same arguments give the same tape, which an arbitrary plays', (t) => {
  const kind = either(e820({ ramEnd: 0x100_0000 }) as StructureKind<unknown>);
  fc.assert(
    fc.property(
      fc.array(words, { minLength: 1, maxLength: 4 }),
      fc.array(comparison),
      fc.nat(),
      (parents, dictionary, seed) => {
        const made = mutate(parents, dictionary, randomOf(seed));
        t.deepEqual(mutate(parents, dictionary, randomOf(seed)), made);
        t.true(made.length > 0 && made.length <= MOST_WORDS);
        t.notThrows(() => new TapeArbitrary(kind, made).generate().value.encode());
      },
    ),
  );
});

test('parents stay as they are', (t) => {
  fc.assert(
    fc.property(fc.array(words, { minLength: 1, maxLength: 3 }), fc.nat(), (parents, seed) => {
      const before = parents.map((one) => [...one]);
      mutate(parents, [], randomOf(seed));
      t.deepEqual(
        parents.map((one) => [...one]),
        before,
      );
    }),
  );
});

test('most mutants of a tape are other structures, and many are close to it', (t) => {
  const kind = either(e820({ ramEnd: 0x100_0000 }) as StructureKind<unknown>);
  const full = new TapeArbitrary(kind, blankTape(3));
  const bytes = Buffer.from(full.generate().value.encode());
  const random = randomOf(1);
  let [other, close] = [0, 0];
  for (let i = 0; i < 300; i++) {
    const mutant = Buffer.from(new TapeArbitrary(kind, mutate([full.tape], [], random)).generate().value.encode());
    if (mutant.equals(bytes)) continue;
    other++;
    const same = mutant.filter((byte, at) => byte === bytes[at]).length;
    if (same > bytes.length / 2) close++;
  }
  t.true(other > 200, `${other}`);
  t.true(close > 50, `${close}`);
});

test('a word that was compared with another becomes that other one', (t) => {
  const parent = Uint32Array.of(0, 5, 0x1234_5678, 9);
  const dictionary: Comparison[] = [{ site: 0, width: 4, left: 0x1234_5678n, right: 0xcafe_baben }];
  const random = randomOf(2);
  let found = 0;
  for (let i = 0; i < 400; i++) if (mutate([parent], dictionary, random)[2] === 0xcafe_babe) found++;
  t.true(found > 20, `${found}`);
});

test('there must be a parent', (t) => {
  t.throws(() => mutate([], [], randomOf(1)), { instanceOf: RangeError });
});
