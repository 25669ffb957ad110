// Kept translations as bytes: what was packed comes back, and no damage to the bytes is an exception or leads out of
// the bounds within which the translator puts records and regions.

import test from 'ava';
import fc from 'fast-check';
import { KEPT_END, KEPT_SLOTS, type KeptTranslations, packKept, unpackKept } from '../../../src/cpu/jit/kept.js';
import { UOP_SIZE, UOPS } from '../../../src/cpu/layout.js';

const bytes = (size?: number) =>
  fc.uint8Array(size === undefined ? { maxLength: 40 } : { minLength: size, maxLength: size });
const block = fc.record({
  header: fc.integer({ min: 0, max: 1000 }).map((n) => UOPS + n * UOP_SIZE),
  page: fc.integer({ min: 0, max: 0xf_ffff }),
  records: fc.integer({ min: 2, max: 5 }).chain((n) => bytes(n * UOP_SIZE)),
});
const region = fc.array(block, { maxLength: 3 }).chain((blocks) =>
  fc.record({
    slot: fc.integer({ min: 0, max: 99 }),
    bits: fc.constantFrom(16, 32, 64),
    flat: fc.integer({ min: 0, max: 63 }),
    entries: fc.nat({ max: blocks.length }),
    notes: fc.boolean(),
    blocks: fc.constant(blocks),
  }),
);
const kept: fc.Arbitrary<KeptTranslations> = fc.record({
  settled: fc.boolean(),
  slots: fc.integer({ min: 100, max: KEPT_SLOTS }),
  modules: fc.array(fc.record({ bytes: bytes(), code: bytes(), regions: fc.array(region, { maxLength: 3 }) })),
});

test('what was packed comes back', (t) => {
  fc.assert(
    fc.property(kept, (value) => t.deepEqual(unpackKept(new Uint8Array(Buffer.concat(packKept(value)))), value)),
  );
});

test('a part of it is nothing', (t) => {
  fc.assert(
    fc.property(kept, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (value, part) => {
      const whole = new Uint8Array(Buffer.concat(packKept(value)));
      t.is(unpackKept(whole.subarray(0, Math.floor(part * whole.length))), undefined);
    }),
  );
});

test('damage leads nowhere', (t) => {
  fc.assert(
    fc.property(kept, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, place, change) => {
      const data = new Uint8Array(Buffer.concat(packKept(value)));
      data[place % data.length]! ^= change;
      const found = unpackKept(data);
      for (const { slot, blocks } of found?.modules.flatMap(({ regions }) => regions) ?? []) {
        t.true(slot < found!.slots);
        for (const { header, records } of blocks) t.true(header >= UOPS && header + records.length <= KEPT_END);
      }
    }),
  );
});
