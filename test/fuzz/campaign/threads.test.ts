// Campaigns on threads: the same cases, verdicts and findings as on one, and what happens when a thread dies.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { packageFile } from '../../../bin/package.js';
import { fuzz } from '../../../src/fuzz/fuzz.js';
import type { FuzzOptions, FuzzResult } from '../../../src/fuzz/options.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-threads-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const options: FuzzOptions = {
  target: 'start-info',
  boot: { kernel: packageFile('corpus/defects/map-type-index.elf'), memory: 8 << 20, append: 'a b' },
};
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};
const told = ({ cases, verdicts, start, findings }: FuzzResult) => ({
  cases,
  verdicts,
  start,
  findings: findings.map((one) => [one.cause, one.verdict, one.seed, one.path, one.cases, String(one.structure)]),
});

test.serial('four threads come to what one comes to, and what the caller alone comes to', async (t) => {
  t.timeout(240_000);
  const alone = await fuzz({ ...options, runs: 3500 });
  t.is(alone.cases, 3500);
  t.true(alone.findings.length > 0);
  const order: string[] = [];
  const onFinding = ({ cause }: { cause: string }) => {
    order.push(cause);
  };
  t.deepEqual(told(await fuzz({ ...options, runs: 3500, jobs: 4, onFinding })), told(alone));
  t.deepEqual(
    order,
    alone.findings.map(({ cause }) => cause),
  );
  t.deepEqual(told(await fuzz({ ...options, runs: 3500, jobs: 1 })), told(alone));
  // Ended by the findings that were wanted: at the same case.
  const few = { ...options, runs: 3500, most: alone.findings.length };
  const ended = await fuzz(few);
  t.true(ended.cases < 3500);
  t.deepEqual(told(await fuzz({ ...few, jobs: 2 })), told(ended));
});

test.serial('a thread that dies is told of, and its batch is run once more', async (t) => {
  const warnings: string[] = [];
  const once = file(
    'once.mjs',
    `
    import { existsSync, writeFileSync } from 'node:fs';
    const mark = ${JSON.stringify(join(directory, 'mark'))};
    export default ({ structure }) => {
      if (existsSync(mark)) return undefined;
      writeFileSync(mark, '');
      process.exit(7);
    };
  `,
  );
  const onWarning = (text: string) => warnings.push(text);
  const result = await fuzz({ ...options, runs: 300, jobs: 1, predicateFile: once, onWarning });
  t.deepEqual(warnings, ['the thread of batch 0 ended: exit status 7; the batch is run once more']);
  t.deepEqual(told(result), told(await fuzz({ ...options, runs: 300 })));
  const always = file('always.mjs', 'export default () => process.exit(7);');
  await t.throwsAsync(fuzz({ ...options, runs: 300, jobs: 1, predicateFile: always }), {
    message: /^batch 0 \(seed 1\) ended its thread twice: exit status 7; /,
  });
});

test.serial('a predicate in a file judges in threads, a function is refused there', async (t) => {
  const predicateFile = file(
    'predicate.mjs',
    "export default ({ breaks }) => (breaks.includes('wrong magic') ? 'magic' : undefined);",
  );
  const { findings } = await fuzz({ ...options, runs: 200, jobs: 1, predicateFile });
  t.true(findings.some(({ cause }) => cause === 'predicate: magic'));
  const predicate = () => undefined;
  await t.throwsAsync(fuzz({ ...options, runs: 10, jobs: 1, predicate }), {
    message: /give predicateFile, or no jobs$/,
  });
  await t.throwsAsync(fuzz({ ...options, runs: 10, jobs: 1, target: 'initrd' }), { message: /^initrd: this boot has/ });
});

test.serial('a campaign that is stopped gives what it has come to', async (t) => {
  const controller = new AbortController();
  const { cases } = await fuzz({
    ...options,
    jobs: 2,
    runs: 1_000_000,
    signal: controller.signal,
    onProgress: ({ cases }) => {
      if (cases > 0) controller.abort();
    },
  });
  t.true(cases > 0 && cases < 1_000_000);
});
