import { createHash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { bitHistories } from '../../src/trace/bit-history.js';
import { mix, unmix } from '../../src/trace/mixing-coder.js';

/** Bytes with repetitions of all distances, so that matches begin, go on and break. */
const content = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.nat(1000), fc.nat(200)), { minLength: 1, maxLength: 40 })
  .map((parts) => {
    const bytes: number[] = [];
    for (const [fresh, back, length] of parts) {
      bytes.push(...fresh);
      for (let i = 0; i < length && bytes.length > 0; i++) bytes.push(bytes[Math.max(0, bytes.length - 1 - back)]!);
    }
    return Uint8Array.from(bytes);
  });

/** The same bytes on every host, half structure and half noise. */
const sample = Uint8Array.from({ length: 20_000 }, (_, i) =>
  i % 4 === 0 ? (Math.imul(i, 0x9e3779b1) >>> 28) + 64 : (i >> 9) & 0xff,
);

const { states, nextState, stateProbability } = bitHistories();

test('what is mixed comes back', (t) => {
  fc.assert(
    fc.property(content, (raw) => {
      const coded = mix(raw);
      if (coded) {
        t.true(coded.length < raw.length);
        t.deepEqual(unmix(coded, raw.length), raw);
      }
    }),
    { numRuns: 40 },
  );
});

test('structure is found, and noise is left as it is', (t) => {
  t.true(mix(sample)!.length < sample.length / 6);
  t.true(mix(new Uint8Array(100_000))!.length < 100);
  const noise = createHash('shake256', { outputLength: 10_000 }).update('noise').digest();
  t.is(mix(noise), undefined);
  t.is(mix(new Uint8Array()), undefined);
  // Noise that goes on is given up, whatever may follow.
  const long = createHash('shake256', { outputLength: 150_000 }).update('noise').digest();
  t.is(mix(Buffer.concat([long, new Uint8Array(200_000)])), undefined);
});

test('the coder is the one of the format', (t) => {
  // Hash of the coded sample: a coder with another constant, table or rounding writes other bytes.
  t.is(
    createHash('sha256').update(mix(sample)!).digest('hex'),
    '819d61b7b59e1d676e55130dd1ae43875e6570b3dc7d2fab5b93fec833e0127e',
  );
});

test('data that was cut off or goes on is refused', (t) => {
  const coded = mix(sample)!;
  t.throws(() => unmix(coded.subarray(0, coded.length - 1), sample.length), { message: /ends too early/ });
  t.throws(() => unmix(coded.subarray(0, 2), sample.length), { message: /ends too early/ });
  t.throws(() => unmix(new Uint8Array([...coded, 0]), sample.length), { message: /longer than what it makes/ });
});

test('any bytes are decoded to what was asked for, or refused', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(5000), (coded, length) => {
      try {
        t.is(unmix(coded, length).length, length);
      } catch (error) {
        t.regex((error as Error).message, /ends too early|longer than what it makes/);
      }
    }),
    { numRuns: 40 },
  );
});

test('a bit history leans to what was seen, and more so the more was seen', (t) => {
  t.true(states <= 256);
  for (const bit of [0, 1]) {
    let state = 0;
    let before = stateProbability(0);
    for (let i = 0; i < 5; i++) {
      state = nextState[state * 2 + bit]!;
      const p = stateProbability(state);
      t.true(bit === 1 ? p > before : p < before);
      before = p;
    }
  }
  for (let state = 0; state < states; state++) {
    t.true(nextState[state * 2]! < states && nextState[state * 2 + 1]! < states);
    t.true(stateProbability(nextState[state * 2 + 1]!) >= stateProbability(nextState[state * 2]!), `${state}`);
  }
});
