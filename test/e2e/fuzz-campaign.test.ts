// Campaigns that are kept on disk, killed without warning at moments nobody chose, and started again: nothing is lost,
// and the end is that of a campaign that was left alone.

import test from 'ava';
import { execa } from 'execa';
import { campaignOf, filesOf } from './campaigns.js';
import { program, scratch, vmreplay } from './vmreplay.js';

const KILLS = 6;

test('a campaign that is killed again and again loses no finding and no input', async (t) => {
  t.timeout(400_000);
  const file = await scratch(t);
  const options = (name: string, jobs: string) =>
    ['fuzz', ...campaignOf(8000), '--jobs', jobs].concat(
      '--corpus',
      file(`${name}-corpus`),
      '--out',
      file(`${name}-findings`),
    );
  const whole = await vmreplay(...options('whole', '1'));
  t.is(whole.code, 1, whole.stderr);
  const [summary] = whole.stdout.match(/^8,000 cases .*$/m)!;
  const findings = filesOf(file('whole-findings'));
  t.true(Object.keys(findings).some((name) => name.endsWith('boot.trace')));

  let kills = 0;
  for (;;) {
    const child = execa(process.execPath, [program, ...options('killed', '2')], { reject: false });
    const delay = 300 + Math.random() * 2000;
    const timer = kills < KILLS ? setTimeout(() => child.kill('SIGKILL'), delay) : undefined;
    const { exitCode, signal, stderr } = await child;
    clearTimeout(timer);
    if (signal === undefined) {
      t.is(exitCode, 1, stderr);
      break;
    }
    t.log(`killed after ${Math.round(delay)} ms`);
    kills++;
  }
  t.true(kills > 0);
  t.deepEqual(filesOf(file('killed-corpus')), filesOf(file('whole-corpus')));
  t.deepEqual(filesOf(file('killed-findings')), findings);
  // All of it is known now: nothing is run, and the same is told.
  t.is((await vmreplay(...options('killed', '1'))).stdout.trim(), summary);
});
