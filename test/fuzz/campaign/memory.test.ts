// What a campaign holds does not grow with its cases: an hour of it must fit where its first minute did.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { packageFile } from '../../../bin/package.js';
import { fuzz } from '../../../src/fuzz/fuzz.js';
import type { FuzzOptions } from '../../../src/fuzz/options.js';

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;

const MIB = 2 ** 20;
const guest = (name: string): FuzzOptions => ({
  target: 'start-info',
  boot: { kernel: packageFile(name), memory: 8 << 20, append: 'a b' },
});

/** Bytes that are held after some of a campaign's cases, and after many. */
async function heldAfter(options: FuzzOptions, few: number, many: number): Promise<[number, number]> {
  const held: number[] = [];
  let cases = 0;
  const predicate = (): undefined => {
    cases++;
    // The first collection finds what making the machine left behind.
    if (cases === 1) collect();
    if (cases !== few && cases !== many) return;
    collect();
    const { heapUsed, external } = process.memoryUsage();
    held.push(heapUsed + external);
  };
  await fuzz({ ...options, predicate });
  return [held[0]!, held[1]!];
}

for (const [what, options] of [
  ['', {}],
  [', guided,', { guided: true }],
  [' with findings', { ...guest('corpus/defects/map-type-index.elf') }],
] as const)
  test.serial(`a campaign${what} holds no more after thousands of cases than after a thousand`, async (t) => {
    t.timeout(240_000);
    const [few, many] = await heldAfter(
      { ...guest('corpus/pvh-start-info/pvh-start-info.elf'), ...options, runs: 8000 },
      1000,
      7000,
    );
    t.log(`${(few / MIB).toFixed(1)} MiB, then ${(many / MIB).toFixed(1)} MiB`);
    // Collections differ by some MiB; 3 KiB kept of each case would be 17.
    t.true(many - few < 16 * MIB, `${many - few} bytes more`);
  });
