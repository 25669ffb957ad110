// Packed payloads from run to run: found again, never believed when they are not whole, and no more than may be.

import { createHash } from 'node:crypto';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type PackedPayload, packPayload } from '../../src/trace/chunks.js';
import { PACKER, packKept } from '../../src/trace/kept-payloads.js';
import { damages, entriesOf, ownCache } from './own-cache.js';

/** Every payload goes through LZMA. */
const LEAST = 1;

const digestOf = ({ codec, stored }: PackedPayload): string =>
  createHash('sha256').update(Uint8Array.of(codec)).update(stored).digest('hex');

/** Bytes that can be packed, different for each seed. */
function sample(seed: number, length = 300_000): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, (_, i) => {
    if (i % 5 === 0) state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) & (i & 64 ? 0x0f : 0xff);
  });
}

/** The packer with an own place for what it keeps; counts what it packs. */
async function packer(t: ExecutionContext) {
  const made = await ownCache(t);
  const folder = join(made, 'packed');
  const counter = { packed: 0 };
  const pack = (raw: Uint8Array, most?: number) =>
    digestOf(
      packKept('MEMO', raw, LEAST, most, (...args) => {
        counter.packed++;
        return packPayload(...args);
      }),
    );
  const entries = () => entriesOf(folder);
  return { made, folder, counter, pack, entries };
}

test.serial('what was packed once is found again, the same', async (t) => {
  const { counter, pack, entries } = await packer(t);
  const raw = sample(1);
  const first = pack(raw);
  t.is(pack(raw), first);
  t.is(counter.packed, 1);
  t.is(digestOf(packPayload('MEMO', raw, LEAST)), first);
  raw[7]! ^= 1;
  pack(raw);
  t.is(counter.packed, 2);
  t.is((await entries()).length, 2);
});

test.serial('an entry that is cut, damaged or of another payload is packed anew, and mended', async (t) => {
  const { counter, pack, folder } = await packer(t);
  const raw = sample(2);
  const right = pack(raw);
  const { path, whole, ways } = await damages(folder, () => pack(sample(3)));
  for (const [n, change] of ways.entries()) {
    await change();
    const { packed } = counter;
    t.is(pack(raw), right, `${n}`);
    t.is(counter.packed, packed + 1, `${n}`);
    t.true((await readFile(path)).equals(whole), `${n}`);
  }
});

test.serial('what was used longest ago goes when there is too much', async (t) => {
  const { pack, folder, entries } = await packer(t);
  pack(sample(4));
  const [oldest] = await entries();
  pack(sample(5));
  const { size } = await stat(join(folder, oldest!));
  for (const name of await entries()) await utimes(join(folder, name), 1000, name === oldest ? 1000 : 2000);
  pack(sample(6), size * 2.5);
  t.is((await entries()).length, 2);
  t.false((await entries()).includes(oldest!));
});

test.serial('where nothing can be kept, and where nothing is to be kept, it is packed all the same', async (t) => {
  const { pack, made, counter } = await packer(t);
  const raw = sample(7);
  process.env.NODE_DISABLE_COMPILE_CACHE = '1';
  t.teardown(() => {
    delete process.env.NODE_DISABLE_COMPILE_CACHE;
  });
  const right = pack(raw);
  t.deepEqual(await readdir(made), []);
  delete process.env.NODE_DISABLE_COMPILE_CACHE;
  await writeFile(join(made, 'file'), '');
  process.env.VMREPLAY_CACHE = join(made, 'file');
  t.is(pack(raw), right);
  t.is(counter.packed, 2);
});

test.serial('the packer gives what its number stands for', (t) => {
  const digest = digestOf(packPayload('MEMO', sample(8), LEAST)).slice(0, 16);
  t.deepEqual({ PACKER, digest }, { PACKER: 2, digest: 'c782756db8dfc4b2' }, 'other bytes need another PACKER');
});
