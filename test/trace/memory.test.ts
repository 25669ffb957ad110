import test from 'ava';
import fc from 'fast-check';
import { decodeCanonical, encodeCanonical } from '../../src/trace/codec.js';
import {
  ALL_OBSERVED,
  decodeMemory,
  encodeMemory,
  MEMORY_CHUNK,
  MEMORY_SPAN,
  withoutBlanks,
} from '../../src/trace/memory.js';

const maskOf = (observed: (address: number) => boolean) => ({
  observedIn: (page: number) => {
    const mask = new Uint8Array(512);
    for (let i = 0; i < 4096; i++) if (observed(page * 4096 + i)) mask[i >> 3]! |= 1 << (i & 7);
    return mask;
  },
});

/** Bytes of which some look like branches, words that count upwards, and zeros. */
const content = fc
  .array(
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.integer({ min: -0x200_0000, max: 0x200_0000 }).map((d) => Uint8Array.of(0xe8, d, d >> 8, d >> 16, d >> 24)),
      fc.integer({ min: 0, max: 0xff }).map((d) => Uint8Array.of(0x0f, 0x84, d, d, 0, 0)),
      fc.integer({ min: 0, max: 0xff }).map((d) => Uint8Array.from({ length: 400 }, (_, i) => (i & 3 ? 0 : d - i))),
      fc.integer({ min: 1, max: 100 }).map((n) => new Uint8Array(n)),
    ),
    { minLength: 1, maxLength: 60 },
  )
  .map((parts) => Uint8Array.from(Buffer.concat(parts)));

test('observed bytes come back, all others as zero', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9000 }), content, fc.func(fc.boolean()), (address, data, observed) => {
      const found = new Uint8Array(data.length);
      for (const payload of encodeMemory({ address, data }, maskOf(observed))) {
        for (const piece of decodeMemory(payload)) found.set(piece.data, piece.address - address);
      }
      t.deepEqual(
        found,
        data.map((byte, i) => (observed(address + i) ? byte : 0)),
      );
    }),
    { numRuns: 30 },
  );
});

test('memory that was observed whole comes back, whatever filters it gets', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9000 }), content, (address, data) => {
      const found = new Uint8Array(data.length);
      for (const payload of encodeMemory({ address, data }, ALL_OBSERVED)) {
        for (const piece of decodeMemory(payload)) found.set(piece.data, piece.address - address);
      }
      t.deepEqual(found, data);
    }),
  );
});

test('calls get the branch filter and tables of places theirs', (t) => {
  const code = Buffer.concat(
    Array.from({ length: 100 }, (_, i) => {
      const call = Buffer.from([0xe8, 0, 0, 0, 0, 0x90, 0x90]);
      call.writeInt32LE(0x50_0000 - i * 7, 1);
      return call;
    }),
  );
  const places = Buffer.alloc(4096);
  for (let at = 0; at < 4096; at += 4) places.writeInt32LE(-0x1c5_d000 + at * 7 + ((at * at) % 89), at);
  const filtersOf = (data: Uint8Array) =>
    [...encodeMemory({ address: 0x10_0000, data }, ALL_OBSERVED)].map((payload) => [
      ...(decodeCanonical(payload) as { filters: Uint8Array }).filters,
    ]);
  t.deepEqual(filtersOf(code), [[1]]);
  t.deepEqual(filtersOf(places), [[2]]);
  t.deepEqual(filtersOf(Buffer.from('no branch, no table, just text. '.repeat(64))), [[0]]);
});

test('a long region is split by what is stored and by what is covered', (t) => {
  const data = new Uint8Array(2 * MEMORY_CHUNK).fill(1);
  const pieces = [...encodeMemory({ address: 0x1000, data }, ALL_OBSERVED)].flatMap((payload) => decodeMemory(payload));
  t.deepEqual(
    pieces.map(({ address, data: { length } }) => [address, length]),
    [
      [0x1000, MEMORY_CHUNK],
      [0x1000 + MEMORY_CHUNK, MEMORY_CHUNK],
    ],
  );
  const sparse = new Uint8Array(2 * MEMORY_SPAN);
  sparse[10] = 1;
  sparse[MEMORY_SPAN + 10] = 2;
  const chunks = [...encodeMemory({ address: 0, data: sparse }, ALL_OBSERVED)].map((payload) => decodeMemory(payload));
  t.deepEqual(
    chunks.map((found) => found.map(({ address, data: bytes }) => [address, bytes.indexOf(1), bytes.indexOf(2)])),
    [[[0, 10, -1]], [[MEMORY_SPAN, -1, 10]]],
  );
});

test('pages of zeros are left out of regions, and nothing else', (t) => {
  const page = fc.oneof(
    fc.constant(new Uint8Array(4096)),
    fc.nat(4095).map((at) => new Uint8Array(4096).fill(1, at, at + 1)),
  );
  fc.assert(
    fc.property(fc.nat(5000), fc.array(page, { maxLength: 8 }), fc.nat(4095), (address, pages, cut) => {
      const data = Uint8Array.from(Buffer.concat(pages)).subarray(0, Math.max(0, pages.length * 4096 - cut));
      const kept = new Uint8Array(data.length);
      for (const region of withoutBlanks([{ address, data }])) {
        t.true(region.data.length > 0);
        kept.fill(1, region.address - address, region.address - address + region.data.length);
        t.deepEqual(region.data, data.subarray(region.address - address).subarray(0, region.data.length));
      }
      const ofPage = (at: number) => Math.floor((address + at) / 4096);
      const used = new Set([...data.keys()].filter((at) => data[at] !== 0).map(ofPage));
      t.deepEqual(
        kept,
        data.map((_, at) => (used.has(ofPage(at)) ? 1 : 0)),
      );
    }),
    { numRuns: 50 },
  );
});

test('memory that nobody observed takes no chunk', (t) => {
  const data = new Uint8Array(1000).fill(1);
  t.is(
    [
      ...encodeMemory(
        { address: 0, data },
        maskOf(() => false),
      ),
    ].length,
    0,
  );
  t.is([...encodeMemory({ address: 0, data: new Uint8Array(1000) }, ALL_OBSERVED)].length, 0);
});

test('a payload whose streams do not fit together is refused', (t) => {
  const good = { address: 0, data: Uint8Array.of(1, 2), filters: Uint8Array.of(0), length: 8 };
  const lists = { gaps: Uint8Array.of(1), lengths: Uint8Array.of(2) };
  t.is(decodeMemory(encodeCanonical({ ...good, ...lists })).length, 1);
  const bad: [Record<string, unknown>, RegExp][] = [
    [{ ...lists, data: Uint8Array.of(1) }, /out of range/],
    [{ ...lists, data: Uint8Array.of(1, 2, 3) }, /longer than its runs/],
    [{ ...lists, length: 2 }, /out of range/],
    [{ ...lists, filters: Uint8Array.of() }, /no known filter/],
    [{ ...lists, filters: Uint8Array.of(9) }, /no known filter/],
    [{ ...lists, filters: Uint8Array.of(0, 0) }, /more filters/],
    [{ ...lists, gaps: Uint8Array.of(1, 1) }, /varint|ends/],
    [{ gaps: Uint8Array.of(0, 0), lengths: Uint8Array.of(1, 1) }, /out of range/],
    [{ gaps: Uint8Array.of(0), lengths: Uint8Array.of(0) }, /out of range/],
    [{ gaps: Uint8Array.of(0), lengths: Uint8Array.of(2, 1) }, /longer than its runs/],
  ];
  for (const [change, message] of bad) {
    t.throws(() => decodeMemory(encodeCanonical({ ...good, ...change } as never)), { message });
  }
});
