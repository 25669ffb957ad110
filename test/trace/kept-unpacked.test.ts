// Unpacked payloads from run to run: found again, never believed when they are not whole, and no more than may be.

import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CODEC_LZMA, packPayload } from '../../src/trace/chunks.js';
import { unpackKept } from '../../src/trace/kept-unpacked.js';
import { type UnpackJob, unpackAll } from '../../src/trace/unpack-pool.js';

const LENGTH = 100_000;
const rawOf = (seed: number) => Uint8Array.from({ length: LENGTH }, (_, i) => (i * seed) >> 5);

/** A payload through LZMA. */
function job(seed: number, length = LENGTH): UnpackJob {
  const { codec, stored } = packPayload('MEMO', rawOf(seed).subarray(0, length), 1);
  return {
    header: { type: 'MEMO', codec, flags: 0, storedLength: stored.length, rawLength: length },
    stored: Uint8Array.from(stored),
  };
}

/** The reader's way, with a place of its own; counts what it unpacks. */
async function unpacker(t: ExecutionContext) {
  const made = await mkdtemp(join(tmpdir(), 'vmreplay-test-'));
  const before = process.env.VMREPLAY_CACHE;
  process.env.VMREPLAY_CACHE = made;
  t.teardown(async () => {
    if (before === undefined) delete process.env.VMREPLAY_CACHE;
    else process.env.VMREPLAY_CACHE = before;
    await rm(made, { recursive: true, force: true });
  });
  const counter = { unpacked: 0 };
  const unpack = (jobs: readonly UnpackJob[], most?: number) =>
    unpackKept(jobs, most, (missing) => {
      counter.unpacked += missing.length;
      return unpackAll(missing, undefined);
    });
  const folder = join(made, 'unpacked');
  return { made, folder, counter, unpack, entries: async () => (await readdir(folder)).sort() };
}

const equal = (t: ExecutionContext, found: readonly (Uint8Array | undefined)[], seeds: readonly number[]) =>
  t.true(seeds.every((seed, n) => Buffer.compare(found[n]!, rawOf(seed)) === 0));

test.serial('what was unpacked once is found again, in its place', async (t) => {
  const { counter, unpack, entries } = await unpacker(t);
  const [one, two, three] = [job(1), job(2), job(3)] as const;
  t.is(one.header.codec, CODEC_LZMA);
  equal(t, unpack([one, two]), [1, 2]);
  t.is(counter.unpacked, 2);
  equal(t, unpack([two, three, one]), [2, 3, 1]);
  t.is(counter.unpacked, 3);
  t.is((await entries()).length, 3);
  t.is(unpack([job(4, 1000)])[0]!.length, 1000);
  t.is((await entries()).length, 3, 'what is unpacked sooner is not kept');
});

test.serial('what cannot be unpacked is not kept, whatever stands beside it', async (t) => {
  const { unpack, entries } = await unpacker(t);
  const damaged = job(5);
  damaged.stored.fill(0xff, 20);
  for (let n = 0; n < 2; n++) {
    const [bad, good] = unpack([damaged, job(1)]);
    t.is(bad, undefined);
    equal(t, [good], [1]);
  }
  t.is((await entries()).length, 1);
});

test.serial('an entry that is cut, damaged or of another payload is unpacked anew, and mended', async (t) => {
  const { counter, unpack, folder, entries } = await unpacker(t);
  unpack([job(2)]);
  const path = join(folder, (await entries())[0]!);
  const whole = await readFile(path);
  const spoil: (() => Promise<void>)[] = [
    () => writeFile(path, whole.subarray(0, 20)),
    () => writeFile(path, new Uint8Array(0)),
    () =>
      writeFile(
        path,
        Uint8Array.from(whole, (byte, i) => (i === whole.length - 5 ? byte ^ 1 : byte)),
      ),
    async () => {
      unpack([job(3)]);
      const other = (await entries()).find((name) => join(folder, name) !== path)!;
      await copyFile(join(folder, other), path);
    },
  ];
  for (const [n, change] of spoil.entries()) {
    await change();
    const { unpacked } = counter;
    equal(t, unpack([job(2)]), [2]);
    t.is(counter.unpacked, unpacked + 1, `${n}`);
    t.true((await readFile(path)).equals(whole), `${n}`);
  }
});

test.serial('there is never more kept than may be', async (t) => {
  const { unpack, entries } = await unpacker(t);
  for (const seed of [1, 2, 3, 4]) unpack([job(seed)], 2.5 * LENGTH);
  t.is((await entries()).length, 2);
});

test.serial('where nothing can be kept, and where nothing is to be kept, it is unpacked all the same', async (t) => {
  const { unpack, made, counter } = await unpacker(t);
  process.env.NODE_DISABLE_COMPILE_CACHE = '1';
  t.teardown(() => {
    delete process.env.NODE_DISABLE_COMPILE_CACHE;
  });
  equal(t, unpack([job(7)]), [7]);
  t.deepEqual(await readdir(made), []);
  delete process.env.NODE_DISABLE_COMPILE_CACHE;
  await writeFile(join(made, 'file'), '');
  process.env.VMREPLAY_CACHE = join(made, 'file');
  equal(t, unpack([job(7)]), [7]);
  t.is(counter.unpacked, 2);
});
