import test from 'ava';
import fc from 'fast-check';
import { e820 } from '../../../src/fuzz/arbitraries/e820.js';
import { startInfo } from '../../../src/fuzz/arbitraries/start-info.js';
import { blankTape, TapeArbitrary, TapedArbitrary } from '../../../src/fuzz/coverage/tape.js';
import { either, type Structure, type StructureKind } from '../../../src/fuzz/structure.js';

const KINDS = [e820({ ramEnd: 0x100_0000 }), startInfo({ address: 0x9000, ramEnd: 0x100_0000, rsdp: 0xe0000 })].map(
  (kind) => either(kind as StructureKind<unknown>),
);
const kinds = fc.constantFrom(...KINDS);
const words = fc
  .array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 200 })
  .map((list) => Uint32Array.from(list));
const bytesOf = (structure: Structure<unknown>): string => Buffer.from(structure.encode()).toString('hex');
const play = (kind: fc.Arbitrary<Structure<unknown>>, tape: Uint32Array) => {
  const arbitrary = new TapeArbitrary(kind, tape);
  const value = arbitrary.generate();
  return { value, bytes: bytesOf(value.value), drawn: arbitrary.tape, arbitrary };
};

test('the same tape gives the same structure, whatever its words are', (t) => {
  fc.assert(
    fc.property(kinds, words, (kind, tape) => {
      t.is(play(kind, tape).bytes, play(kind, tape).bytes);
    }),
  );
});

test('what a tape drew is a tape of the same structure, and draws itself', (t) => {
  fc.assert(
    fc.property(kinds, words, (kind, tape) => {
      const { bytes, drawn } = play(kind, tape);
      const again = play(kind, drawn);
      t.is(again.bytes, bytes);
      t.deepEqual(again.drawn, drawn);
    }),
  );
});

test('a tape taken from a seeded draw plays to the structure that was drawn, and the draw is the inner one’s', (t) => {
  fc.assert(
    fc.property(kinds, fc.nat(), fc.nat(300), (kind, seed, at) => {
      const taped = new TapedArbitrary(kind);
      const options = { seed, path: String(at), numRuns: 1 };
      const [drawn] = fc.sample(taped, options);
      t.is(bytesOf(drawn!), bytesOf(fc.sample(kind, options)[0]!));
      t.is(play(kind, taped.tape).bytes, bytesOf(drawn!));
    }),
  );
});

test('a tape shrinks step by step to what the inner arbitrary shrinks the same structure to', (t) => {
  fc.assert(
    fc.property(kinds, fc.nat(), fc.nat(40), fc.nat(5), (kind, seed, at, most) => {
      const taped = new TapedArbitrary(kind);
      const fails = (structure: Structure<unknown>) =>
        structure.breaks.length === 0 && structure.encode().length <= most;
      const inner = fc.check(fc.property(taped, fails), { seed, path: String(at), numRuns: 1 });
      const tape = taped.tape;
      const outer = fc.check(fc.property(new TapeArbitrary(kind, tape), fails), { seed: 1, numRuns: 1 });
      t.is(outer.failed, inner.failed);
      if (!inner.failed) return;
      t.is(bytesOf(outer.counterexample![0]), bytesOf(inner.counterexample![0]));
      const path = outer.counterexamplePath!;
      t.is(path.split(':').slice(1).join(), inner.counterexamplePath!.split(':').slice(1).join());
      const named = fc.check(fc.property(new TapeArbitrary(kind, tape), fails), { seed: 7, path, endOnFailure: true });
      t.is(bytesOf(named.counterexample![0]), bytesOf(outer.counterexample![0]));
    }),
  );
});

test('a number of 32 bits is its word, smaller ones are their word within the range', (t) => {
  const pair = fc.tuple(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 0xff }));
  const { value } = new TapeArbitrary(pair, Uint32Array.of(0, 0xfee1_dead, 0x1234)).generate();
  t.deepEqual(value, [0xfee1_dead, 0x34]);
});

test('blank tapes of different seeds give different structures', (t) => {
  for (const kind of KINDS) {
    const made = new Set(Array.from({ length: 50 }, (_, seed) => play(kind, blankTape(seed)).bytes));
    t.true(made.size > 40);
  }
});
