// The mixing coder on worker threads, which only the built program has.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import test from 'ava';
import { mix } from '../../src/trace/mixing-coder.js';
import { mixAll } from '../../src/trace/mixing-pool.js';

const WORKER = new URL('../../dist/src/trace/mixing-worker.js', import.meta.url);

test('payloads that threads share out are those that one thread makes', (t) => {
  t.true(existsSync(WORKER), 'npm run build');
  const inputs = [300_000, 500_000, 200_000, 1000].map((length) => {
    const words = randomBytes(64);
    return Uint8Array.from({ length }, (_, i) => words[(i * 7 + (i >> 6)) & 63]!);
  });
  const coded = mixAll(
    inputs.map((input) => ({ input })),
    WORKER,
  );
  t.deepEqual(
    coded,
    inputs.map((input) => mix(input)),
  );
  const damaged = Uint8Array.from(coded[1]!.subarray(0, coded[1]!.length - 1));
  const jobs = inputs.map(({ length }, i) => ({ input: i === 1 ? damaged : coded[i]!, length }));
  t.deepEqual(
    mixAll(jobs, WORKER),
    inputs.map((input, i) => (i === 1 ? undefined : input)),
  );
});
