// Campaigns on disk: one that goes on comes to what an unbroken one comes to; what is wrong with the files is told.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { packageFile } from '../../../bin/package.js';
import { fuzz } from '../../../src/fuzz/fuzz.js';
import type { FuzzOptions, FuzzResult } from '../../../src/fuzz/options.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-corpus-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const options: FuzzOptions = {
  target: 'start-info',
  boot: { kernel: packageFile('corpus/defects/map-type-index.elf'), memory: 8 << 20, append: 'a b' },
  guided: true,
};
const told = ({ cases, verdicts, start, findings, guided }: FuzzResult) => ({
  cases,
  verdicts,
  start,
  guided,
  findings: findings.map((one) => [one.cause, one.seed, one.path, one.tape, one.cases, String(one.structure)]),
});
/** All files of a campaign, by name. */
const filesOf = (folder: string) =>
  Object.fromEntries(
    readdirSync(join(directory, folder), { recursive: true, encoding: 'utf8' })
      .sort()
      .filter((name) => name.includes('.'))
      .map((name) => [name, readFileSync(join(directory, folder, name), 'latin1')]),
  );
const into = (folder: string, more: Partial<FuzzOptions>) =>
  fuzz({ ...options, ...more, corpus: join(directory, folder) });

test.serial('a campaign that was stopped, and run on by threads, comes to what an unbroken one comes to', async (t) => {
  t.timeout(240_000);
  const unbroken = await into('unbroken', { runs: 6000 });
  t.is(unbroken.cases, 6000);
  t.true(unbroken.guided!.corpus > 2 && unbroken.guided!.edges > 20);
  // Whole generations: 2,000 cases.
  t.is((await into('broken', { runs: 1 })).cases, 2000);
  let cases = 0;
  await into('broken', {
    runs: 6000,
    onProgress: (now) => {
      cases = now.cases;
    },
    // In the middle of the second generation.
    signal: {
      get aborted() {
        return cases > 2500;
      },
    },
  });
  const known: [string, boolean][] = [];
  const onFinding = ({ cause }: { cause: string }, before: boolean) => {
    known.push([cause, before]);
  };
  t.deepEqual(told(await into('broken', { runs: 6000, jobs: 2, onFinding })), told(unbroken));
  t.deepEqual(filesOf('broken'), filesOf('unbroken'));
  t.is(known.length, unbroken.findings.length);
  t.true(known[0]![1]);
  // Nothing is left to do.
  t.deepEqual(told(await into('broken', { runs: 6000 })), told(unbroken));
});

test.serial('the case of a tape is had again from seed, tape and path', async (t) => {
  // Only changed inputs come to its defect.
  const boot = { ...options.boot, kernel: packageFile('corpus/defects/magic-chain.elf'), memory: 16 << 20 };
  const { findings } = await fuzz({ ...options, boot, runs: 6000 });
  const found = findings.find(({ tape }) => tape !== undefined)!;
  const { seed, path, tape } = found;
  const again = await fuzz({ ...options, boot, seed, path, tape: tape! });
  t.deepEqual(
    again.findings.map(({ cause, structure }) => [cause, String(structure)]),
    [[found.cause, String(found.structure)]],
  );
  await t.throwsAsync(fuzz({ ...options, tape: 'xyz' }), { message: /^--tape xyz: hexadecimal digits are needed/ });
});

test.serial('a plain campaign is kept, too', async (t) => {
  const plain = await into('plain', { guided: false, runs: 2500 });
  t.is(plain.cases, 3000);
  t.deepEqual(told(await into('plain', { guided: false, runs: 3000 })), told(plain));
});

test.serial('files that were damaged, or are of another campaign, are told in a sentence', async (t) => {
  const folder = join(directory, 'damaged');
  await into('damaged', { runs: 1 });
  const file = join(folder, 'campaign.json');
  const text = readFileSync(file, 'utf8');
  const refuses = async (message: RegExp, more: Partial<FuzzOptions> = {}) => {
    const error = await t.throwsAsync(into('damaged', { runs: 1, ...more }), { message });
    t.notRegex(error!.message, /\n/);
  };
  await refuses(/damaged: its campaign was begun with seed 1, not 2; go on with that, or choose another --corpus$/, {
    seed: 2,
  });
  await refuses(/begun with append a b, not c; /, { boot: { ...options.boot, append: 'c' } });
  const other = { ...options.boot, kernel: packageFile('corpus/defects/map-all-types.elf') };
  await refuses(/begun with images kernel [0-9a-f]{64}, not kernel [0-9a-f]{64}; /, { boot: other });
  writeFileSync(file, text.slice(0, text.length / 2));
  await refuses(/campaign\.json: is no JSON: .*; restore it, or begin anew in another folder$/);
  writeFileSync(file, text.replace('"cases": 2000', '"cases": 1999'));
  await refuses(/campaign\.json: was changed: its sum is not that of its content; restore it, /);
  writeFileSync(file, '{}');
  await refuses(/campaign\.json: is no campaign of format vmreplay-campaign-1; /);
  writeFileSync(file, text);
  const inputs = join(folder, 'inputs');
  const [input] = readdirSync(inputs).filter((name) => name.endsWith('.tape'));
  const words = readFileSync(join(inputs, input!));
  writeFileSync(join(inputs, input!), words.subarray(1));
  await refuses(/\.tape: was changed: its SHA-256 is not the one that was written; restore it, /);
  rmSync(join(inputs, input!));
  await refuses(/\.tape: there is no such file, and campaign\.json names it; restore it, /);
  writeFileSync(join(inputs, input!), words);
  writeFileSync(join(folder, 'campaign.lock'), `${process.ppid} ${(await import('node:os')).hostname()}\n`);
  await refuses(/campaign\.lock: process \d+ on \S+ works on this campaign; /);
  rmSync(join(folder, 'campaign.lock'));
  t.is((await into('damaged', { runs: 1 })).cases, 2000);
});
