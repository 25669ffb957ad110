// Defects behind numbers, and behind words, that the guest compares with: a guided campaign comes through, one that only
// draws does not.

import test from 'ava';
import { packageFile } from '../../../bin/package.js';
import { fuzz } from '../../../src/fuzz/fuzz.js';
import type { FuzzOptions } from '../../../src/fuzz/options.js';

const of = (target: string, name: string): FuzzOptions => ({
  target,
  boot: { kernel: packageFile(`corpus/defects/${name}.elf`), memory: 16 << 20, append: 'a b' },
});
const options = of('start-info', 'magic-chain');

/** Where each is seen, and within how many cases. */
const GUIDED = [
  [options, 'magic-chain', 0x10_0265, 8000],
  [of('cmdline', 'magic-words'), 'magic-words', 0x10_0277, 20_000],
] as const;
const DRAWN = 8000;

for (const [guest, name, site, runs] of GUIDED)
  test.serial(`the default seed finds ${name} when it is guided, and not when it is not`, async (t) => {
    t.timeout(120_000);
    const guided = await fuzz({ ...guest, guided: true, most: 1, runs });
    t.deepEqual(
      guided.findings.map(({ cause }) => cause),
      [`execution outside loaded images at 0x${site.toString(16)}`],
    );
    const drawn = await fuzz({ ...guest, runs: DRAWN });
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
