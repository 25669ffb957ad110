// Campaigns with and without what cases have in common being passed over: nothing but time tells them apart.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { BootOptions } from '../../../src/api/options.js';
import { cachedImage } from '../../../src/fetch/cache.js';
import { CaseRunner } from '../../../src/fuzz/case-runner.js';
import type { RunnerOptions } from '../../../src/fuzz/options.js';
import { writeBusyGuest } from './busy-guest.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-skip-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const COUNT = 400_000;
const guest = (name: string, count: number): string => {
  const file = join(directory, name);
  writeBusyGuest(file, count);
  return file;
};

/** The same cases on two machines. */
function compare(
  t: import('ava').ExecutionContext,
  [target, boot, options]: readonly [string, BootOptions, RunnerOptions],
  cases: number,
): CaseRunner {
  const [skipping, full] = [
    new CaseRunner(target, boot, options),
    new CaseRunner(target, boot, { ...options, skip: false }),
  ];
  const hash = skipping.hash();
  t.is(hash, full.hash());
  const structures = fc.sample(full.target.arbitrary, { seed: 7, numRuns: cases });
  structures.forEach((structure, i) => {
    const ours = { verdict: skipping.run(structure), cycles: skipping.cycles };
    t.deepEqual(ours, { verdict: full.run(structure), cycles: full.cycles }, `case ${i}`);
  });
  t.is(skipping.hash(), hash);
  t.is(full.skipped, 0);
  return skipping;
}

test('a guest that is busy for long has the same verdicts in the same cycles, and is executed less', (t) => {
  const kernel = guest('busy.elf', COUNT);
  const runner = compare(t, ['start-info', { kernel, memory: 8 << 20, append: 'a' }, {}], 120);
  t.true(runner.skipped > 20 * COUNT);
});

test('a guest that is not busy for long is executed', (t) => {
  const kernel = guest('short.elf', 1000);
  t.is(compare(t, ['start-info', { kernel, memory: 8 << 20, append: 'a' }, {}], 60).skipped, 0);
});

const linux = cachedImage('vmlinuz-cloud-amd64');
(linux ? test : test.skip)(
  `Linux past its memory map: the same verdicts in the same cycles${linux ? '' : ' (needs: vmreplay fetch)'}`,
  (t) => {
    t.timeout(300_000);
    const boot: BootOptions = {
      kernel: 'vmlinuz-cloud-amd64',
      memory: 128 << 20,
      boot: 'pvh',
      append: 'console=ttyS0',
    };
    const runner = compare(t, ['start-info', boot, { until: 'e820__memory_setup' }], 90);
    t.true(runner.skipped > 100_000_000);
  },
);
