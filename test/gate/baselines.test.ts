// A folder of baselines is whole whatever happens to a writer: killed at any moment, out of space, not allowed to write.
// Each test ends by reading the baseline as a gate does: text and trace must be those of one accepted boot.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { execaSync } from 'execa';
import { readBaselineText } from '../../src/gate/baseline-text.js';
import { type Baseline, Baselines, type NoBaseline } from '../../src/gate/baselines.js';
import { factsOf } from '../../src/gate/facts.js';
import { TraceReader } from '../../src/trace/reader.js';
import { writeTrace } from '../trace/sample-trace.js';

interface Places {
  directory: string;
  /** Two traces with different roots. */
  traces: [string, string];
  roots: string[];
}

async function places(t: ExecutionContext): Promise<Places> {
  const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-baselines-'));
  t.teardown(() => rm(scratch, { recursive: true, force: true }));
  const traces = ['a', 'b'].map((name) => join(scratch, `${name}.vmr`)) as [string, string];
  const roots = traces.map((path, n) =>
    writeTrace(path, [
      // Incompressible, so that writing takes a while.
      ...Array.from({ length: 2000 }, (_, i) => ({
        kind: 'port-write' as const,
        cycle: i * 10,
        address: 0x3f8,
        size: 1,
        value: (Math.imul(i + 1, 0x9e3779b1 + n) >>> 13) & 0xff,
      })),
      { kind: 'end', cycle: 20_000, name: 'poweroff' },
    ]),
  );
  return { directory: join(scratch, 'baselines'), traces, roots };
}

const accept = (baselines: Baselines, trace: string, name = 'boot'): string => {
  const reader = TraceReader.open(trace);
  try {
    return baselines.accept(name, factsOf(reader), trace);
  } finally {
    reader.close();
  }
};

/** The baseline as a gate finds it: one of the accepted ones, whole. */
function assertWhole(t: ExecutionContext, found: Baseline | NoBaseline, roots: readonly string[]): void {
  if ('problem' in found) {
    t.fail(found.why);
    return;
  }
  t.true(roots.includes(found.root));
  const reader = TraceReader.open(found.trace);
  t.is(reader.root(), found.root);
  reader.close();
}

const files = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\./.test(name))
    .sort();

test('what is accepted is found, and the same again is the same text', async (t) => {
  const { directory, traces, roots } = await places(t);
  const baselines = new Baselines(directory);
  t.like(baselines.find('boot'), { problem: 'missing' });
  accept(baselines, traces[0]);
  const found = baselines.find('boot');
  assertWhole(t, found, [roots[0]!]);
  accept(baselines, traces[0]);
  t.deepEqual(baselines.find('boot'), found);
  accept(baselines, traces[1]);
  assertWhole(t, baselines.find('boot'), [roots[1]!]);
  t.is(files(directory).length, 3, 'the old trace is still there');
  baselines.clean();
  t.is(files(directory).length, 2, 'until it is cleaned away');
});

test('traces of a store are never removed', async (t) => {
  const { directory, traces } = await places(t);
  const store = join(directory, '..', 'store');
  const baselines = new Baselines(directory, store);
  for (const trace of traces) accept(baselines, trace);
  baselines.clean();
  t.is(readdirSync(store).length, 2);
  t.deepEqual(files(directory), ['boot.txt']);
});

test('every kind of damage is told from a baseline', async (t) => {
  const { directory, traces } = await places(t);
  const baselines = new Baselines(directory, undefined, directory);
  accept(baselines, traces[0]);
  const path = join(directory, 'boot.txt');
  const text = readFileSync(path, 'utf8');
  const why = (changed: string | Buffer): string => {
    writeFileSync(path, changed);
    const found = baselines.find('boot');
    return 'problem' in found ? `${found.problem}: ${found.why}` : 'found';
  };
  t.is(why(''), 'unreadable: boot.txt: is no baseline: it does not begin as one');
  t.is(why(text.slice(0, -20)), 'unreadable: boot.txt: was cut off: its last line is missing');
  t.is(why(text.replace('cycles', 'Cycles')), 'unreadable: boot.txt: was changed after it was accepted');
  t.is(
    why(text.replace('baseline 1', 'baseline 2')),
    'unreadable: boot.txt: is a baseline of version 2, and this program has 1',
  );
  t.is(why(`<<<<<<< HEAD\n${text}`), 'unreadable: boot.txt: is no baseline: it does not begin as one');
  t.is(why(text), 'found');
  mkdirSync(join(directory, 'other'));
  writeFileSync(join(directory, 'other/boot.txt'), text);
  t.like(baselines.find('other/boot'), { why: 'other/boot.txt: is the baseline of boot' });
  t.deepEqual(
    baselines.obsolete(['boot']).map(({ file }) => file),
    ['other/boot.txt'],
  );
  const trace = join(directory, `traces/${readBaselineText(text).trace}.vmr`);
  const bytes = readFileSync(trace);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(trace, bytes);
  t.regex(why(text), /traces\/\w+\.vmr: is not the trace that was accepted/);
  accept(baselines, traces[0]);
  t.is(why(text), 'found', 'accepting mends the trace too');
});

test('nothing is cleaned away while a text cannot be read', async (t) => {
  const { directory, traces } = await places(t);
  const baselines = new Baselines(directory);
  for (const trace of traces) accept(baselines, trace);
  writeFileSync(join(directory, 'broken.txt'), 'x');
  baselines.clean();
  t.is(readdirSync(join(directory, 'traces')).length, 2);
});

test('a writer that is killed at any moment leaves the old baseline or the new one', async (t) => {
  t.timeout(300_000);
  const { directory, traces, roots } = await places(t);
  const seen = new Set<string>();
  for (let round = 0; round < 10; round++) {
    const store = round % 2 === 0 ? '-' : join(directory, '..', 'store');
    const folder = store === '-' ? directory : `${directory}-with-store`;
    const program = join(import.meta.dirname, 'accepting-process.ts');
    const child = spawn(process.execPath, ['--import', 'tsx', program, folder, store, ...traces], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, (round * 7) % 23));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const found = new Baselines(folder, store === '-' ? undefined : store).find('boot');
    assertWhole(t, found, roots);
    if (!('problem' in found)) seen.add(found.root);
  }
  t.log(`${seen.size} of 2 baselines were there when the process was killed`);
});

/** A file system of 256 KiB, where this process may make one. */
function smallDisk(directory: string): boolean {
  mkdirSync(directory, { recursive: true });
  return execaSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory], { reject: false }).exitCode === 0;
}

function unmount(directory: string): void {
  execaSync('umount', ['-l', directory], { reject: false });
}

const trial = join(tmpdir(), `vmreplay-mount-${process.pid}`);
const mounts = smallDisk(trial);
if (mounts) unmount(trial);
rmSync(trial, { recursive: true, force: true });
const withMounts = mounts ? test : test.skip;

withMounts('a disk that is full leaves the old baseline, and it is said so (needs: mount)', async (t) => {
  const { directory, traces, roots } = await places(t);
  t.true(smallDisk(directory));
  t.teardown(() => unmount(directory));
  const baselines = new Baselines(directory, undefined, directory);
  accept(baselines, traces[0]);
  const before = files(directory);
  const filler = join(directory, 'filler');
  t.throws(() => writeFileSync(filler, Buffer.alloc(1 << 20)), { code: 'ENOSPC' });
  const message =
    /^(boot\.txt|traces\/.*): cannot be written: no space left on the device; make room or let it be written; the baselines are as they were$/;
  t.throws(() => accept(baselines, traces[1]), { message });
  assertWhole(t, baselines.find('boot'), [roots[0]!]);
  t.deepEqual(files(directory), before, 'and no remnants');
  // From no room at all to enough, a page at a time: what fits first is the trace, and then the text too.
  let left = readFileSync(filler).length;
  for (;;) {
    try {
      accept(baselines, traces[1]);
      break;
    } catch (error) {
      t.regex((error as Error).message, message);
      assertWhole(t, baselines.find('boot'), [roots[0]!]);
    }
    left -= 4096;
    truncateSync(filler, left);
  }
  assertWhole(t, baselines.find('boot'), [roots[1]!]);
});

const root = process.getuid?.() === 0;
const withReadOnly = mounts || !root ? test : test.skip;
withReadOnly('a folder that must not be written to stays as it is (needs: mount, or not to be root)', async (t) => {
  const { directory, traces, roots } = await places(t);
  if (root) {
    t.true(smallDisk(directory));
    t.teardown(() => unmount(directory));
  }
  const baselines = new Baselines(directory, undefined, directory);
  accept(baselines, traces[0]);
  if (root) execaSync('mount', ['-o', 'remount,ro', directory]);
  else for (const folder of [directory, join(directory, 'traces')]) chmodSync(folder, 0o555);
  t.throws(() => accept(baselines, traces[1]), {
    message: /cannot be written: (the file system is read-only|permission denied); /,
  });
  t.throws(() => accept(baselines, traces[0], 'another'), { message: /cannot be written: / });
  t.notThrows(() => baselines.clean());
  assertWhole(t, baselines.find('boot'), [roots[0]!]);
  if (!root) for (const folder of [directory, join(directory, 'traces')]) chmodSync(folder, 0o755);
});

test('a file in the way of the folder is said so', async (t) => {
  const { directory, traces } = await places(t);
  writeFileSync(directory, 'x');
  const baselines = new Baselines(directory, undefined, join(directory, '..'));
  t.throws(() => accept(baselines, traces[0]), { message: /cannot be written: / });
  t.like(baselines.find('boot'), { problem: 'missing' });
  t.true(existsSync(directory));
});
