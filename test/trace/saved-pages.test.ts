// Pages of checkpoints in groups and lists: each can be had without the others, by its last version, and what is made up
// is refused.

import { createHash } from 'node:crypto';
import test from 'ava';
import { encodeCheckpoint, type SavedPage } from '../../src/trace/checkpoint.js';
import { decodeCanonical, encodeCanonical } from '../../src/trace/codec.js';
import { decodePageList, encodeSavedPages, type ListedPages, SavedPages } from '../../src/trace/saved-pages.js';
import { pageDigest } from '../../src/trace/state-digest.js';

const STATE = { cycle: 1, event: 1, processor: new Uint8Array(), tracked: new Uint8Array(), handoff: [] };

/** What compresses badly, so that groups differ in size. */
function page(seed: number): Uint8Array {
  const bytes = new Uint8Array(4096);
  for (let at = 0; at < 4096; at += 32)
    bytes.set(
      createHash('sha256')
        .update(`${seed} ${at & 0x7ff}`)
        .digest(),
      at,
    );
  return bytes;
}

/** The payloads of some pages, and a count of what is read of the groups. */
function listed(pages: readonly SavedPage[]) {
  const pieces = [...encodeCheckpoint(STATE, pages)];
  const first = pieces[0]!;
  if (!('pages' in first)) throw new Error('there are no pages');
  const { groups, list } = encodeSavedPages(first.pages);
  const bytes = decodeCanonical(groups) as Uint8Array;
  const reads: number[] = [];
  const one: ListedPages = {
    list: decodePageList(list),
    read: (from, length) => {
      reads.push(length);
      return bytes.subarray(from, from + length);
    },
  };
  return { one, list: decodeCanonical(list) as Record<string, Uint8Array>, bytes, reads };
}

test('a page is had by unpacking its group alone, once', (t) => {
  const { one, bytes, reads } = listed(Array.from({ length: 100 }, (_, n) => ({ number: n, bytes: page(n) })));
  const saved = new SavedPages([one], 100);
  t.deepEqual(reads, []);
  for (const n of [50, 51, 48]) t.deepEqual(Buffer.from(saved.bytesOf(n)), Buffer.from(page(n)));
  t.is(reads.length, 1);
  t.true(reads[0]! < bytes.length / 10);
});

test('pages that are alike are packed once', (t) => {
  const pages = Array.from({ length: 64 }, (_, n) => ({ number: 3 * n, bytes: page(n % 2) }));
  const { one, list } = listed(pages);
  t.is(Number(list.pages), 2);
  const saved = new SavedPages([one], 200);
  for (const { number, bytes } of pages) t.deepEqual(Buffer.from(saved.bytesOf(number)), Buffer.from(bytes));
});

test('digests are those of a state hash', (t) => {
  const unknown = new Uint8Array(512).fill(0xff, 0, 100);
  const all = new Uint8Array(512).fill(0xff);
  const pages = [
    { number: 1, bytes: page(1) },
    // Alike but for what counts as zeros.
    { number: 2, bytes: page(1), unknown },
    { number: 3, bytes: page(3), unknown: all },
    { number: 4, bytes: undefined },
    { number: 5, bytes: page(5), unknown },
  ];
  const saved = new SavedPages([listed(pages).one], 6);
  for (const { number, bytes, unknown } of pages) {
    t.is(saved.isZeros(number), bytes === undefined);
    if (bytes) t.deepEqual(Buffer.from(saved.digestOf(number)), Buffer.from(pageDigest(bytes, unknown)));
    if (bytes) t.deepEqual(Buffer.from(saved.bytesOf(number)), Buffer.from(bytes));
  }
});

test('of several checkpoints the last version of a page counts', (t) => {
  const before = listed([1, 2, 3].map((number) => ({ number, bytes: page(number) }))).one;
  const behind = listed([
    { number: 1, bytes: page(9) },
    { number: 2, bytes: undefined },
  ]).one;
  const saved = new SavedPages([before, behind], 4);
  t.deepEqual([...saved.numbers()], [1, 2, 3]);
  t.deepEqual(Buffer.from(saved.bytesOf(1)), Buffer.from(page(9)));
  t.true(saved.isZeros(2));
  t.deepEqual(Buffer.from(saved.bytesOf(3)), Buffer.from(page(3)));
});

test('a list that cannot be is refused', (t) => {
  const { list } = listed(Array.from({ length: 20 }, (_, n) => ({ number: n, bytes: page(n) })));
  const decode = (wrong: object) => decodePageList(encodeCanonical({ ...list, ...wrong } as never));
  t.is(decode({}).numbers.length, 20);
  for (const wrong of [
    { groupPages: 0 },
    { groupPages: 100_000 },
    { groupPages: 4 },
    { pages: 21 },
    { pages: 19 },
    { digests: list.digests!.subarray(32) },
    { numbers: list.numbers!.subarray(4) },
    { places: list.places!.subarray(1) },
    { places: new Uint8Array(80).fill(0xff) },
    { sizes: list.sizes!.subarray(4) },
    { zeros: 1 },
  ])
    t.throws(() => decode(wrong), undefined, JSON.stringify(Object.keys(wrong)));
});

test('a group that is not whole is refused', (t) => {
  const { one } = listed(Array.from({ length: 20 }, (_, n) => ({ number: n, bytes: page(n) })));
  const empty = new Uint8Array();
  for (const read of [() => empty, (_: number, length: number) => new Uint8Array(length).fill(0xff)]) {
    const saved = new SavedPages([{ ...one, read }], 20);
    t.throws(() => saved.bytesOf(3));
  }
});
