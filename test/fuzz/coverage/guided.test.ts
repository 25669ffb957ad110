// A defect behind two numbers that the guest compares with: a guided campaign comes through, one that only draws does not.

import test from 'ava';
import { packageFile } from '../../../bin/package.js';
import { fuzz } from '../../../src/fuzz/fuzz.js';
import type { FuzzOptions } from '../../../src/fuzz/options.js';

const options: FuzzOptions = {
  target: 'start-info',
  boot: { kernel: packageFile('corpus/defects/magic-chain.elf'), memory: 16 << 20, append: 'a b' },
};
const CASES = 8000;

test('the default seed finds magic-chain when it is guided, and not when it is not', async (t) => {
  t.timeout(120_000);
  const guided = await fuzz({ ...options, guided: true, runs: CASES });
  t.deepEqual(
    guided.findings.map(({ cause }) => cause),
    ['execution outside loaded images at 0x100265'],
  );
  const drawn = await fuzz({ ...options, runs: CASES });
  t.deepEqual(drawn.findings, []);
});

test('a campaign that is stopped in its first generation tells the branches that it reached', async (t) => {
  let cases = 0;
  const signal = {
    get aborted() {
      return cases > 100;
    },
  };
  const onProgress = (now: { cases: number }) => {
    cases = now.cases;
  };
  const { branches, guided } = await fuzz({ ...options, guided: true, coverage: true, signal, onProgress });
  t.is(guided!.corpus, 0);
  t.true(branches!.length > 10);
  t.true(branches!.every(({ inputs }) => inputs > 0));
});
