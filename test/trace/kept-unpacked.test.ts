// Unpacked payloads from run to run: found again, never believed when they are not whole, and no more than may be.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CODEC_LZMA, packPayload } from '../../src/trace/chunks.js';
import { unpackKept } from '../../src/trace/kept-unpacked.js';
import { type UnpackJob, unpackAll } from '../../src/trace/unpack-pool.js';
import { damages, entriesOf, ownCache } from './own-cache.js';

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
  const made = await ownCache(t);
  const counter = { unpacked: 0 };
  const unpack = (jobs: readonly UnpackJob[], most?: number) =>
    unpackKept(jobs, most, (missing) => {
      counter.unpacked += missing.length;
      return unpackAll(missing, undefined);
    });
  const folder = join(made, 'unpacked');
  return { made, folder, counter, unpack, entries: () => entriesOf(folder) };
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
  const { counter, unpack, folder } = await unpacker(t);
  unpack([job(2)]);
  const { path, whole, ways } = await damages(folder, () => unpack([job(3)]));
  for (const [n, change] of ways.entries()) {
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
