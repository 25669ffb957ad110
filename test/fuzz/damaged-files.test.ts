// Every reader of bytes that others wrote, under structures of both strengths and under damage: it understands, or it
// refuses with one sentence (or the clause of one); it ends; and it asks for no more memory than the bytes are worth.
// A row is a reader; a file of src/boot or src/trace without one is named here with the reason.
//
// FUZZ_RUNS=N multiplies the cases, FUZZ_SEED=N draws others: for long runs by hand.

import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { rows } from './parsers/rows.js';
import type { Shared } from './parsers/run-parser.js';

/** Seconds of the clock without a new case after which a reader hangs: thousands of times what one takes. */
const PATIENCE = 120;
const HEAP_MIB = 1024;
const MODULE = new URL('./parsers/run-parser.ts', import.meta.url).href;
const times = Number(process.env.FUZZ_RUNS ?? 1);
const seed = Number(process.env.FUZZ_SEED ?? 7);

const shared: Shared = {
  control: new Int32Array(new SharedArrayBuffer(8)),
  bytes: new Uint8Array(new SharedArrayBuffer(1 << 16)),
};
let worker: Worker | undefined;
test.after.always(() => worker?.terminate());

/** What is wrong with a row; undefined when nothing is. */
function run(name: string, runs: number): Promise<string | undefined> {
  // A thread does not take over how TypeScript is loaded.
  worker ??= new Worker(
    `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(MODULE)})))`,
    {
      eval: true,
      execArgv: [],
      workerData: shared,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
    },
  );
  const mine = worker;
  return new Promise((resolve) => {
    let [cases, idle] = [-1, 0];
    const end = (failure: string | undefined, dead: boolean) => {
      clearInterval(timer);
      mine.off('message', onMessage).off('error', onError).off('exit', onExit);
      if (dead) {
        worker = undefined;
        void mine.terminate();
      }
      resolve(failure);
    };
    const at = () => {
      const length = shared.control[1]!;
      return `at ${length} bytes ${Buffer.from(shared.bytes.slice(0, Math.min(length, 2048))).toString('hex')}`;
    };
    const timer = setInterval(() => {
      idle = shared.control[0] === cases ? idle + 1 : 0;
      cases = shared.control[0]!;
      if (idle > PATIENCE) end(`hangs ${at()}`, true);
    }, 1000);
    const onMessage = ({ failure }: { failure?: string }) => end(failure, false);
    const onError = (error: Error) => end(`${error.message} ${at()}`, true);
    const onExit = (code: number) => end(`the thread ended with ${code} ${at()}`, true);
    mine.once('message', onMessage).once('error', onError).once('exit', onExit);
    mine.postMessage({ name, seed, runs });
  });
}

for (const { name, runs = 300 } of rows) {
  test.serial(`${name} is understood or refused, whatever it holds`, async (t) => {
    t.timeout(1_000_000 * times);
    const failure = await run(name, runs * times);
    t.is(failure, undefined);
  });
}

/** Files of src/boot and src/trace that read nothing which others wrote. */
const NOT_READERS: Readonly<Record<string, string>> = {
  'src/boot/descriptors.ts': 'makes descriptor tables',
  'src/boot/protected-entry.ts': 'makes an entry state',
  'src/boot/route.ts': 'has names only',
  'src/boot/real-mode/bios-code.ts': 'is code of our own',
  'src/trace/event-batch.ts': 'writes',
  'src/trace/event-packer.ts': 'writes',
  'src/trace/event-stream.ts': 'writes',
  'src/trace/image-index.ts': 'looks for what is written',
  'src/trace/job-state.ts': 'is words that threads share',
  'src/trace/lzma-encoder.ts': 'writes',
  'src/trace/lzma-layout.ts': 'says where things are',
  'src/trace/lzma-matches.ts': 'writes',
  'src/trace/lzma-plan.ts': 'writes',
  'src/trace/lzma-prices.ts': 'writes',
  'src/trace/lzma-range-encoder.ts': 'writes',
  'src/trace/press.ts': 'writes',
  'src/trace/press-jobs.ts': 'writes',
  'src/trace/press-thread.ts': 'writes',
  'src/trace/late-hash.ts': 'writes',
  'src/trace/mask-count.ts': 'writes',
  'src/trace/mask-difference.ts': 'writes',
  'src/trace/memory-stream.ts': 'writes',
  'src/trace/page-packer.ts': 'writes',
  'src/trace/prebuilt-packer.ts': 'is code of our own',
  'src/trace/press-worker.ts': 'writes',
  'src/trace/state-digest.ts': 'writes',
  'src/trace/sink.ts': 'has types only',
  'src/trace/unpack-worker.ts': 'does what unpack-pool.ts says, on a thread',
  'src/trace/writer.ts': 'writes',
};

test('every file of src/boot, src/trace and src/platform/block has a row', (t) => {
  const files = ['src/boot', 'src/trace', 'src/platform/block'].flatMap((folder) =>
    readdirSync(packageFile(folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => `${folder}/${file}`),
  );
  const covered = new Set(rows.flatMap(({ covers }) => covers));
  const missing = files.filter((file) => !covered.has(file) && !Object.hasOwn(NOT_READERS, file));
  t.deepEqual(missing, [], 'give each a row in test/fuzz/parsers, or say in NOT_READERS why it reads nothing');
  const gone = [...covered, ...Object.keys(NOT_READERS)].filter(
    (file) => /^src\/(boot|trace|platform\/block)\//.test(file) && !files.includes(file),
  );
  t.deepEqual(gone, []);
});
