import test from 'ava';
import fc from 'fast-check';
import { Random } from '../../src/platform/random.js';

const seeds = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

test('equal seeds give equal numbers, different seeds different ones', (t) => {
  fc.assert(
    fc.property(seeds, seeds, (a, b) => {
      const series = (seed: bigint): string => {
        const random = new Random(seed);
        return [random.next(), random.next(), random.next(), random.next()].join();
      };
      t.is(series(a), series(a));
      if (a !== b) t.not(series(a), series(b));
    }),
  );
});

test('bytes are the numbers in little-endian order', (t) => {
  const word = new Random(5).next();
  t.deepEqual([...new Random(5).bytes(3)], [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff]);
});

test('a saved generator goes on with the same numbers', (t) => {
  const random = new Random(123n);
  random.bytes(100);
  const copy = new Random(0);
  copy.load(structuredClone(random.save()));
  t.deepEqual(copy.bytes(50), random.bytes(50));
});

test('all 32 bits take part', (t) => {
  const random = new Random(0);
  let ones = 0;
  let zeros = 0;
  for (let i = 0; i < 64; i++) {
    const word = random.next();
    ones |= word;
    zeros |= ~word;
  }
  t.deepEqual([ones >>> 0, zeros >>> 0], [0xffff_ffff, 0xffff_ffff]);
});
