// Ctrl-C in the middle of a recording: exit status 130, and what was recorded so far is a trace like any other.

import { setTimeout } from 'node:timers/promises';
import test from 'ava';
import { execa } from 'execa';
import { corpusGuests } from '../../bin/corpus.js';
import { corpusArguments, program, scratch, vmreplay } from './vmreplay.js';

test('an interrupted recording ends with status 130 and replays', async (t) => {
  const file = (await scratch(t))('a.trace');
  const args = corpusArguments((await corpusGuests()).find(({ name }) => name === 'endless-loop')!);
  args.splice(args.indexOf('--max-cycles'), 2);
  const child = execa(process.execPath, [program, 'record', ...args, '--console', '-o', file], { reject: false });
  // The guest has printed its line: the run is under way, and would go on for ever.
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  await setTimeout(300);
  child.kill('SIGINT');
  t.is((await child).exitCode, 130);

  const { code, stdout } = await vmreplay('inspect', '--json', file);
  t.is(code, 0);
  const { end, cycles } = JSON.parse(stdout);
  t.is(end.reason, 'interrupted');
  t.true(cycles > 100_000);
  const replayed = await vmreplay('replay', file);
  t.is(replayed.code, 0, replayed.stdout + replayed.stderr);
});
