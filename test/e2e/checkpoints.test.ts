// Checkpoints in a trace, and sealed replays of its parts on several threads: the outcome is that of one thread.

import { readFile, writeFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { packageFile } from '../../bin/package.js';
import { decodeCanonical, encodeCanonical } from '../../src/trace/codec.js';
import type { IndexEntry } from '../../src/trace/header.js';
import { type Payload, payloadsOf, sealTrace } from '../trace/forged-trace.js';
import { scratch, vmreplayWith } from './vmreplay.js';

// These parts are too short to be worth their threads.
const vmreplay = (...args: string[]) => vmreplayWith({ env: { VMREPLAY_PARTS: 'all' } }, ...args);

interface State {
  readonly cycle: number | bigint;
  readonly event: number;
  readonly processor?: Uint8Array;
}

// It prints a line, and then counts for as long as it is let.
const boot = ['--kernel', packageFile('corpus/endless-loop/endless-loop.elf'), '--memory', '64M'];
const LONG = ['--until-cycle', '450000000'];

async function recorded(t: ExecutionContext): Promise<{ file: (name: string) => string; root: string }> {
  const file = await scratch(t);
  const { code, stdout, stderr } = await vmreplay(
    'record',
    ...boot,
    ...LONG,
    '--checkpoint-every',
    '100000000',
    '-o',
    file('parts'),
  );
  t.is(code, 0, stderr);
  return { file, root: /root ([0-9a-f]{64})/.exec(stdout)![1]! };
}

/** Change payloads of a trace; its hashes are right again. */
async function forge(from: string, to: string, change: (payloads: Payload[]) => Payload[]): Promise<void> {
  await writeFile(to, sealTrace(change(payloadsOf(await readFile(from)))));
}

test('a trace with checkpoints says the same as without, and its parts replay as the whole', async (t) => {
  const { file, root } = await recorded(t);
  const plain = await vmreplay('record', ...boot, ...LONG, '-o', file('plain'));
  t.true(plain.stdout.includes(`root ${root}`));
  const types = payloadsOf(await readFile(file('parts'))).map(({ type }) => type);
  const of = types.filter((type) => ['PAGE', 'LIST', 'CHKP'].includes(type));
  t.is(of.join(), Array(3).fill('PAGE,LIST,CHKP').join(), 'at three state hashes, pages and state');
  const [one, two, many] = await Promise.all(
    ['1', '2', '9'].map((jobs) => vmreplay('replay', file('parts'), '--jobs', jobs, '--console')),
  );
  t.is(one!.code, 0, one!.stderr);
  t.regex(one!.stdout, /OK endless-loop/);
  t.deepEqual(two, one);
  t.deepEqual(many, one);
  t.true(one!.stderr.includes(`no difference, root ${root}`));
  const without = await vmreplay('replay', file('plain'), '--jobs', '2');
  t.is(without.code, 0, without.stderr);
});

test('a difference is reported as by one thread, wherever it is', async (t) => {
  const { file } = await recorded(t);
  for (const last of [false, true]) {
    await forge(file('parts'), file('forged'), (payloads) => {
      const blocks = payloads.filter(({ type }) => type === 'EVTS');
      const target = blocks.at(last ? -1 : 0)!;
      const map = decodeCanonical(target.raw) as Record<string, Uint8Array>;
      const data = Uint8Array.from(map.data!);
      // State hashes are all that this guest has data of: the first one, or the last.
      data[last ? data.length - 1 : 0]! ^= 1;
      const raw = encodeCanonical({ ...map, data } as Parameters<typeof encodeCanonical>[0]);
      return payloads.map((payload) => (payload === target ? { ...payload, raw } : payload));
    });
    const one = await vmreplay('replay', file('forged'), '--console');
    const two = await vmreplay('replay', file('forged'), '--jobs', '2', '--console');
    t.is(one.code, 1, one.stderr);
    t.deepEqual(two, one);
  }
});

test('a checkpoint that is no good is told in one sentence, and is nothing to a replay on one thread', async (t) => {
  const { file } = await recorded(t);
  const spoil: Record<string, (map: Record<string, Uint8Array>) => Record<string, unknown>> = {
    'another state': (map) => {
      const processor = Uint8Array.from(map.processor!);
      processor[0]! ^= 1;
      return { ...map, processor };
    },
    'a processor of another size': (map) => ({ ...map, processor: new Uint8Array(10) }),
    'pages that there are not': (map) => ({ ...map, tracked: new Uint8Array(536).fill(0xff) }),
    'more pages than there are': (map) => ({ ...map, pageChunks: 4000 }),
    'code that cannot be decoded so': (map) => ({
      ...map,
      decoded: { modes: [[64, 15, 0, 0]], pages: new Uint8Array(7), stop: 0 },
    }),
    'ways of decoding that there are not': (map) => ({
      ...map,
      decoded: { modes: [[20, 0, 0, 0]], pages: new Uint8Array(4), stop: 0 },
    }),
  };
  for (const [name, change] of Object.entries(spoil)) {
    // What was decoded is looked at where nobody says what state hashes count as zeros.
    const isSilent = name.includes('decod');
    await forge(file('parts'), file('forged'), (payloads) =>
      payloads
        .filter(({ type }) => !(isSilent && type === 'KNOW'))
        .map((payload) => {
          const map = payload.type === 'CHKP' ? (decodeCanonical(payload.raw) as Record<string, Uint8Array>) : {};
          if (!map.processor) return payload;
          return { ...payload, raw: encodeCanonical(change(map) as Parameters<typeof encodeCanonical>[0]) };
        }),
    );
    const { code, stdout, stderr } = await vmreplay('replay', file('forged'), '--jobs', '2');
    t.is(code, 2, name);
    t.is(stdout, '');
    t.regex(
      stderr,
      /^vmreplay: \S+: .*(checkpoint).*: (record the boot again|replay with --jobs 1, or record again)\n$/,
    );
    t.is((await vmreplay('replay', file('forged'))).code, 0, name);
  }
});

test('an index that says something else than a checkpoint is told of', async (t) => {
  const { file } = await recorded(t);
  const payloads = payloadsOf(await readFile(file('parts')));
  const stateAt = (n: number) => decodeCanonical(payloads[n]!.raw) as State;
  const checkpoints = payloads.filter(({ type }) => ['PAGE', 'LIST', 'CHKP'].includes(type));
  const sealed = (change: (state: State) => Partial<IndexEntry>) =>
    sealTrace(payloads, (payload) => {
      if (!checkpoints.includes(payload)) return {};
      // Of pages what the state behind them says.
      const at = payloads.indexOf(payload);
      return change(stateAt(payloads.findIndex(({ type }, n) => n >= at && type === 'CHKP')));
    });
  const said = ({ cycle, event }: State) => ({ cycle: Number(cycle), event, code: 1 });
  await writeFile(file('honest'), sealed(said));
  const { code, stderr } = await vmreplay('replay', file('honest'), '--jobs', '4');
  t.is(code, 0, stderr);
  await writeFile(
    file('forged'),
    sealed((state) => ({ ...said(state), cycle: Number(state.cycle) + 1 })),
  );
  const wrong = await vmreplay('replay', file('forged'), '--jobs', '4');
  t.is(wrong.code, 2);
  t.regex(
    wrong.stderr,
    /the checkpoint at cycle \d+ cannot be used \(.*index.*\): replay with --jobs 1, or record again/,
  );
  // One that leaves some out is not gone by.
  await writeFile(
    file('forged'),
    sealed((state) => ({ ...said(state), event: 0 })),
  );
  t.is((await vmreplay('replay', file('forged'), '--jobs', '4')).code, 0);
});

test('options that make no sense are refused', async (t) => {
  const { code, stderr } = await vmreplay('replay', packageFile('corpus/e820/e820.trace'), '--jobs', '0');
  t.is(code, 2);
  t.regex(stderr, /--jobs.*at least 1/);
  t.is((await vmreplay('record', ...boot, '--checkpoint-every', 'often', '-o', 'x')).code, 2);
});
