// Every guest of the corpus through the command line: what it prints, how it ends, and that the recording of it
// replays from the trace alone and comes out the same a second time and in the other execution tier.

import { readFile } from 'node:fs/promises';
import test from 'ava';
import { corpusGuests } from '../../bin/corpus.js';
import { corpusArguments, scratch, vmreplay } from './vmreplay.js';

const guests = await corpusGuests();

test('the corpus has at least fourteen guests', (t) => {
  t.true(guests.length >= 14);
});

for (const guest of guests) {
  const args = corpusArguments(guest);
  const { expected } = guest;

  test(`${guest.name} runs as expected`, async (t) => {
    const { code, stdout } = await vmreplay('run', ...args);
    t.is(stdout, guest.serial);
    t.is(code, expected.exitCode);
  });

  test(`${guest.name} records, replays and records the same again`, async (t) => {
    const file = await scratch(t);
    const [a, b] = [file('a.trace'), file('b.trace')];
    const recorded = await vmreplay('record', ...args, '-o', a);
    t.is(recorded.code, expected.exitCode, recorded.stderr);
    const { code, stdout, stderr } = await vmreplay('replay', a, '--console', '--quiet');
    t.is(stdout, guest.serial, 'the console comes out of a sealed replay too');
    t.is(code, 0, stderr);
    t.is((await vmreplay('replay', a, '--live')).code, 0);

    t.is((await vmreplay('record', ...args, '--engine', 'interp', '-o', b)).code, expected.exitCode);
    t.is((await vmreplay('diff', a, b)).code, 0);
    t.deepEqual(await readFile(b), await readFile(a), 'byte for byte');

    const { end, cycles, root, events } = JSON.parse((await vmreplay('inspect', '--json', a)).stdout);
    t.is(end.reason, expected.end.reason);
    t.is(end.code ?? undefined, expected.end.code);
    t.regex(root, /^[0-9a-f]{64}$/);
    t.true(events.total > 0);
    if (expected.end.reason === 'max-cycles') t.is(cycles, expected.boot.maxCycles);
  });

  if (guest.trace) {
    test(`the committed trace of ${guest.name} replays`, async (t) => {
      const { code, stdout } = await vmreplay('replay', guest.trace!);
      t.is(code, 0, stdout);
    });
  }
}

test('another command line is found by diff, with status 1', async (t) => {
  const file = await scratch(t);
  const args = corpusArguments(guests.find(({ name }) => name === 'pvh-start-info')!);
  await vmreplay('record', ...args, '-o', file('a.trace'));
  await vmreplay('record', ...args, '--append', 'something else', '-o', file('b.trace'));
  const { code, stdout } = await vmreplay('diff', file('a.trace'), file('b.trace'));
  t.is(code, 1);
  t.true(stdout.length > 0);
  const asJson = await vmreplay('diff', '--json', file('a.trace'), file('b.trace'));
  t.is(asJson.code, 1);
  t.is(JSON.parse(asJson.stdout).same, false);
  const quiet = await vmreplay('diff', '--quiet', file('a.trace'), file('b.trace'));
  t.deepEqual([quiet.code, quiet.stdout], [1, '']);
});

test('a debug-exit code that was not asked for is a failed guest', async (t) => {
  const guest = guests.find(({ name }) => name === 'debug-exit')!;
  const args = corpusArguments(guest);
  const at = args.indexOf('--success-code');
  args.splice(at, 2);
  t.is((await vmreplay('run', ...args)).code, 3);
});

test('--until-serial and --until-cycle end a run with success', async (t) => {
  const file = await scratch(t);
  const args = corpusArguments(guests.find(({ name }) => name === 'endless-loop')!);
  args.splice(args.indexOf('--max-cycles'), 2);
  const serial = await vmreplay('record', ...args, '--until-serial', 'OK endless', '-o', file('a.trace'));
  t.is(serial.code, 0, serial.stderr);
  const cycle = await vmreplay('record', ...args, '--until-cycle', '100000', '-o', file('b.trace'));
  t.is(cycle.code, 0, cycle.stderr);
  t.is(JSON.parse((await vmreplay('inspect', '--json', file('b.trace'))).stdout).cycles, 100000);
  const replayed = await vmreplay('replay', file('b.trace'));
  t.is(replayed.code, 0, replayed.stderr);
});

test('events are listed by cycle and kind', async (t) => {
  const file = (await scratch(t))('a.trace');
  await vmreplay('record', ...corpusArguments(guests.find(({ name }) => name === 'e820')!), '-o', file);
  const { code, stdout } = await vmreplay('inspect', '--events', '--json', '--kind', 'port-write', file);
  t.is((await vmreplay('inspect', '--json', '--kind', 'port-write', file)).stdout, stdout);
  t.is(code, 0);
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.true(events.length > 100);
  t.true(events.every(({ kind }) => kind === 'port-write'));
  t.true(events.every(({ cycle }, i) => i === 0 || cycle >= events[i - 1].cycle));
  const middle = events[50].cycle;
  const some = await vmreplay(
    'inspect',
    '--events',
    '--kind',
    'port-write',
    '--from',
    `${middle}`,
    '--to',
    `${middle}`,
    file,
  );
  t.is(some.stdout.trimEnd().split('\n').length, 1);
});

test('demo finds everything as expected', async (t) => {
  const { code, stdout } = await vmreplay('demo');
  t.is(code, 0, stdout);
  t.regex(stdout, /all as expected/);
});
