// What state hashes count as zeros: who is told by a trace has the masks of who follows the machine, at every hash.

import test from 'ava';
import fc from 'fast-check';
import { encodeCanonical } from '../../src/trace/codec.js';
import { decodeKnown, FollowedWords, KnownLog, ToldWords } from '../../src/trace/known-words.js';

const PAGES = 6;
const LOADED = [
  [0x1000, 0x1800],
  [0x4fff, 1],
] as const;

/** Changes of a machine's masks of bytes, hash by hash. */
const steps = fc.array(
  fc.array(
    fc.record({
      page: fc.nat(PAGES - 1),
      /** All known, or from a byte on so many become unknown (copied) or known. */
      change: fc.oneof(
        fc.constant('whole' as const),
        fc.tuple(
          fc.boolean(),
          fc.nat(4095),
          fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 4096 })),
        ),
      ),
    }),
    { maxLength: 6 },
  ),
  { minLength: 1, maxLength: 8 },
);

class Machine {
  readonly masks = new Map<number, Uint8Array>([1, 2, 4].map((page) => [page, new Uint8Array(512).fill(0xff)]));
  unknownIn(page: number): Uint8Array | undefined {
    return this.masks.get(page);
  }
  change(page: number, change: 'whole' | [boolean, number, number]): void {
    if (change === 'whole') {
      this.masks.delete(page);
      return;
    }
    const [unknown, from, count] = change;
    const mask = this.masks.get(page) ?? new Uint8Array(512);
    this.masks.set(page, mask);
    for (let i = from; i < Math.min(4096, from + count); i++)
      if (unknown) mask[i >> 3]! |= 1 << (i & 7);
      else mask[i >> 3]! &= ~(1 << (i & 7));
  }
}

const words = (mask: Uint8Array | undefined): number[] => Array.from(mask ?? [], (byte) => (byte === 0 ? 0 : 0xff));

test('a word counts as zeros where a byte of it is unknown, for who follows and for who is told', (t) => {
  fc.assert(
    fc.property(steps, (hashes) => {
      const machine = new Machine();
      const followed = new FollowedWords(PAGES, LOADED, machine);
      const log = new KnownLog(() => t.fail('nothing is much here'));
      followed.log = log;
      const expected: { changed: number[]; masks: number[][] }[] = [];
      hashes.forEach((changes, n) => {
        const before = Array.from({ length: PAGES }, (_, page) => words(followed.unknownIn(page)).join());
        for (const { page, change } of changes) machine.change(page, change);
        const pages = [...new Set(changes.map(({ page }) => page))].sort((a, b) => a - b);
        t.deepEqual(followed.update(1000 * n, pages), pages);
        const masks = Array.from({ length: PAGES }, (_, page) => words(machine.unknownIn(page)));
        t.deepEqual(
          masks,
          masks.map((_, page) => words(followed.unknownIn(page))),
        );
        expected.push({ changed: pages.filter((page) => masks[page]!.join() !== before[page]), masks });
      });
      const payload = log.take();
      t.is(log.take(), undefined);
      const told = new ToldWords(PAGES, LOADED, payload ? decodeKnown(payload, PAGES) : []);
      expected.forEach(({ changed, masks }, n) => {
        t.deepEqual(
          told.update(1000 * n, [3]).filter((page) => page !== 3 || changed.includes(3)),
          changed,
        );
        t.deepEqual(
          masks,
          masks.map((_, page) => words(told.unknownIn(page))),
        );
      });
    }),
    { numRuns: 100 },
  );
});

test('changes are payloads of their own when they have become much', (t) => {
  const machine = new Machine();
  const payloads: Uint8Array[] = [];
  const followed = new FollowedWords(1, [], machine);
  followed.log = new KnownLog((payload) => payloads.push(Uint8Array.from(payload)));
  let hashes = 0;
  for (; payloads.length < 2 && hashes < 4000; hashes++) {
    for (let byte = 0; byte < 4096; byte += 16) machine.change(0, [hashes % 2 === 0, byte, 8]);
    followed.update(hashes, [0]);
  }
  t.is(payloads.length, 2);
  const rest = followed.log.take();
  const changes = [...payloads, ...(rest ? [rest] : [])].flatMap((payload) => decodeKnown(payload, 1));
  t.deepEqual(
    changes.map(({ cycle }) => cycle),
    Array.from({ length: hashes }, (_, n) => n),
  );
});

test('a payload that says what cannot be is refused', (t) => {
  const refused = (cycles: unknown[], ...bytes: number[]) =>
    t.throws(() => decodeKnown(encodeCanonical({ cycles: cycles as number[], words: Uint8Array.from(bytes) }), 4))
      ?.message;
  const [change] = decodeKnown(encodeCanonical({ cycles: [7], words: Uint8Array.of(2, 0) }), 4);
  t.deepEqual([change!.cycle, [...change!.pages]], [7, [2, 0]]);
  t.is(refused([1], 10, 0), 'page 4 is not RAM');
  t.is(refused([1], 1, 0, 0), 'words lead past the end of a page');
  t.regex(refused([1], 1, 0x81, 4, 0x80, 4) ?? '', /past the end/);
  t.is(refused([], 0), 'there are more words than cycles');
  t.is(refused([2, 1], 2, 0, 2, 0), 'the cycles are not in order');
  t.regex(refused([1, 2], 2, 0) ?? '', /ends early/);
  t.truthy(t.throws(() => decodeKnown(encodeCanonical(5), 4)));
});
