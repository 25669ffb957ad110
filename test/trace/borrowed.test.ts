// Payloads that leave bytes to images come back whole, and leave out what images have.

import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Borrower, fillBorrowed, type SourceBytes } from '../../src/trace/borrowed.js';
import { encodeCanonical } from '../../src/trace/codec.js';
import { ALL_OBSERVED, encodeMemory } from '../../src/trace/memory.js';
import { bzImage } from '../boot/guest-builder.js';

/** What is seen in a kernel: code with near branches, tables of places, text, zeros. */
const piece = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 300 }),
  fc
    .integer({ min: -0x200_0000, max: 0x200_0000 })
    .map((d) => Uint8Array.from({ length: 80 }, (_, i) => [0xe8, d + 5 * i, d >> 8, d >> 16, d >> 24][i % 5]!)),
  fc.integer({ min: 0, max: 0xffff }).map((d) => {
    const words = new DataView(new ArrayBuffer(1600));
    for (let i = 0; i < 1600; i += 4) words.setInt32(i, d - 2 * i, true);
    return new Uint8Array(words.buffer);
  }),
  fc.integer({ min: 1, max: 5000 }).map((n) => new Uint8Array(n)),
);
const image = fc.array(piece, { minLength: 1, maxLength: 12 }).map((all) => new Uint8Array(Buffer.concat(all)));

const lent = (images: readonly Uint8Array[], unpacked?: number) => new Borrower({ images, unpacked, name: '' });
const plain =
  (images: readonly Uint8Array[]): SourceBytes =>
  (source) =>
    images[source / 2]!;

/** Kinds of arrays aside. */
const same = (t: ExecutionContext, a: Uint8Array, b: Uint8Array) => t.is(Buffer.compare(a, b), 0);

/** Which bytes were seen: runs of some length in turn with what was not. */
const seenBy = (lengths: readonly number[]) => ({
  observedIn: (page: number) => {
    const mask = new Uint8Array(512);
    for (let i = 0, n = page; i < 4096; n++) {
      const end = Math.min(4096, i + lengths[n % lengths.length]!);
      if (n % 2 === 0) for (let b = i; b < end; b++) mask[b >> 3]! |= 1 << (b & 7);
      i = end;
    }
    return mask;
  },
});

test('memory of loaded images comes back, whatever was seen of it, whatever changed, and under every filter', (t) => {
  const filters = new Set<number>();
  let borrowed = 0;
  fc.assert(
    fc.property(
      fc.array(image, { minLength: 1, maxLength: 3 }),
      fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 0, max: 0x1_0000_0000 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }),
      fc.boolean(),
      (images, lengths, address, changes, all) => {
        const borrower = lent(images);
        // As a loader does it: one image behind the other, and some bytes changed.
        const data = new Uint8Array(Buffer.concat(images));
        for (const [at, value] of changes) data[at % data.length] = value;
        for (const raw of encodeMemory({ address, data }, all ? ALL_OBSERVED : seenBy(lengths))) {
          const left = borrower.borrow('MEMO', raw);
          if (!left) continue;
          borrowed++;
          same(t, fillBorrowed('MEMO', left, raw.length, plain(images)), raw);
          for (const filter of filtersOf(raw)) filters.add(filter);
        }
      },
    ),
  );
  t.true(borrowed > 50);
  t.deepEqual([...filters].sort(), [0, 1, 2]);
});

function filtersOf(raw: Uint8Array): Uint8Array {
  const at = Buffer.from(raw).indexOf('filters') + 'filters'.length;
  return raw.subarray(at + 2, at + 2 + raw[at + 1]!);
}

test('bytes of events come back, wherever images lie among them', (t) => {
  let borrowed = 0;
  fc.assert(
    fc.property(
      fc.array(image, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(2), fc.nat(), fc.nat(4000), fc.uint8Array({ maxLength: 100 })), { maxLength: 10 }),
      (images, parts) => {
        const raw = new Uint8Array(
          Buffer.concat(
            parts.flatMap(([n, from, length, own]) => {
              const bytes = images[n % images.length]!;
              const start = from % bytes.length;
              return [own, bytes.subarray(start, start + length)];
            }),
          ),
        );
        const left = lent(images).borrow('EVTS', raw);
        if (!left) return;
        borrowed++;
        same(t, fillBorrowed('EVTS', left, raw.length, plain(images)), raw);
      },
    ),
  );
  t.true(borrowed > 20);
});

/** Bytes without a pattern, the same always. */
const noise = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from(createHash('shake256', { outputLength: length }).update(`${seed}`).digest());

test('what images have is left out to the last page', (t) => {
  const images = [noise(70_001, 2), noise(300_000, 3)];
  const data = images[1]!.subarray(1234, 250_000);
  const [raw] = encodeMemory({ address: 0x10_0abc, data }, ALL_OBSERVED);
  const left = lent(images).borrow('MEMO', raw!)!;
  t.true(left.length < 200, `${left.length} bytes for ${raw!.length}`);
  same(t, fillBorrowed('MEMO', left, raw!.length, plain(images)), raw!);
  // A changed byte costs a page.
  const changed = Uint8Array.from(data);
  changed[100_000]! ^= 1;
  const [other] = encodeMemory({ address: 0x10_0abc, data: changed }, ALL_OBSERVED);
  const kept = lent(images).borrow('MEMO', other!)!;
  t.true(kept.length > 4096 && kept.length < 4096 + 200, `${kept.length} bytes`);
  same(t, fillBorrowed('MEMO', kept, other!.length, plain(images)), other!);
});

test('what no image has is not worth the form', (t) => {
  const images = [noise(50_000)];
  const [raw] = encodeMemory({ address: 0, data: noise(50_000, 9) }, ALL_OBSERVED);
  t.is(lent(images).borrow('MEMO', raw!), undefined);
  t.is(lent(images).borrow('EVTS', noise(100_000, 10)), undefined);
  t.is(lent([]).borrow('MEMO', raw!), undefined);
  t.is(lent([new Uint8Array(40_000)]).borrow('EVTS', new Uint8Array(100_000)), undefined, 'zeros are everywhere');
});

test('images of more than the index has windows for are borrowed from all the same', (t) => {
  const large = new Uint8Array(80 << 20);
  for (let at = 0; at < large.length; at += 1 << 20) large.set(noise(1 << 16, at + 5), at + 7);
  const raw = Buffer.concat([noise(99), large.subarray(40 << 20, (40 << 20) + 60_000)]);
  const left = lent([large]).borrow('EVTS', raw)!;
  t.true(left.length < 400, `${left.length} bytes`);
  same(t, fillBorrowed('EVTS', left, raw.length, plain([large])), raw);
});

test('a packed kernel lends what it unpacks to, where the loader unpacks it', (t) => {
  // Of digits, which gzip does not leave as they are.
  const kernel = new Uint8Array(Buffer.from(Buffer.from(noise(50_000, 4)).toString('hex')));
  const payload = gzipSync(kernel);
  // Nobody unpacks what is not the kernel, and so nothing says that it can be.
  const module = bzImage({ payload: payload.subarray(0, 9000) });
  const images = [module, bzImage({ payload })];
  const [raw] = encodeMemory({ address: 0x100_0000, data: kernel.subarray(4096) }, ALL_OBSERVED);
  t.is(lent(images).borrow('MEMO', raw!), undefined);
  const left = lent(images, 1).borrow('MEMO', raw!)!;
  t.true(left.length < 200);
  const bytesOf: SourceBytes = (source) => {
    t.is(source, 3);
    return kernel;
  };
  same(t, fillBorrowed('MEMO', left, raw!.length, bytesOf), raw!);
});

test('what breaks the format is refused', (t) => {
  const images = [noise(5000)];
  const give = (type: string, value: Parameters<typeof encodeCanonical>[0], length = 100) =>
    fillBorrowed(type, encodeCanonical(value), length, plain(images));
  const refused = (type: string, value: Parameters<typeof encodeCanonical>[0], message: RegExp) =>
    t.throws(() => give(type, value), { message });
  const copies = (...values: number[]) => Uint8Array.from(values);
  same(t, give('EVTS', { copies: copies(0, 0, 9, 100), rest: copies() }), images[0]!.slice(9, 109));
  refused('EVTS', { copies: copies(0, 0, 9, 101), rest: copies() }, /a copy is out of range/);
  refused('EVTS', { copies: copies(0, 0, 0xff, 0x7f, 100), rest: copies() }, /a copy is out of range/);
  refused('EVTS', { copies: copies(1, 0, 9, 99), rest: copies() }, /what is not borrowed ends early/);
  refused('EVTS', { copies: copies(0, 0, 9, 99), rest: copies() }, /payload is 99 bytes, not 100/);
  refused('EVTS', { copies: copies(0, 0, 9), rest: copies() }, /a column ends early/);
  refused('EVTS', { copies: copies() }, /rest is not binary/);
  const memory = {
    address: 0,
    filters: copies(0),
    gaps: copies(0),
    length: 50,
    lengths: copies(50),
    rest: copies(),
    sources: copies(1, 1, 0),
  };
  t.true(give('MEMO', memory).includes(images[0]![49]!));
  refused('MEMO', { ...memory, sources: copies(0, 1, 0) }, /a source has no parts/);
  refused('MEMO', { ...memory, sources: copies(2, 1, 0) }, /more sources than memory/);
  refused('MEMO', { ...memory, sources: copies(1, 1, 1) }, /borrowed memory is out of range/);
  refused('MEMO', { ...memory, sources: copies(1, 0) }, /borrowed memory is out of range/);
  refused('MEMO', { ...memory, rest: copies(1) }, /more sources than memory/);
  refused('MEMO', { ...memory, lengths: copies(51) }, /a run of memory is out of range/);
});
