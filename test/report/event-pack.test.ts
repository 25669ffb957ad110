// Events that are packed for the page come out as they went in, and read as inspect prints them.

import test from 'ava';
import fc from 'fast-check';
import { TraceData } from '../../src/report/page/columns.js';
import { splitPayload } from '../../src/report/payload.js';
import { EMPTY, KIND_NAMES, KINDS, type TraceEvent } from '../../src/trace/events.js';
import { Semantics } from '../../src/trace/semantic/semantics.js';
import { syntheticEvents, syntheticPayload } from './synthetic.js';

const number = (most: number) => fc.nat({ max: most });
const wide = fc.oneof(number(0xffff), number(0xffff_ffff), fc.maxSafeNat());

const anyEvent: fc.Arbitrary<Omit<TraceEvent, 'index'>> = fc
  .record({
    kind: fc.constantFrom(...KIND_NAMES),
    cycle: fc.maxSafeNat().map((n) => Math.floor(n / 4)),
    cs: number(0xffff),
    rip: fc.bigInt(0n, (1n << 64n) - 1n),
    address: fc.oneof(fc.constantFrom(0x3f8, 0x510, 0x511, 0x514, 0x518, 0xcf8, 0xcfc, 0x70, 0x40), number(0xffff)),
    physical: fc.maxSafeNat().map((n) => n % 2 ** 40),
    size: fc.constantFrom(1, 2, 4),
    value: number(0xffff_ffff),
    late: wide,
    valueHigh: number(0xffff_ffff),
    name: fc.string({ maxLength: 12 }),
    data: fc.uint8Array({ maxLength: 200 }),
  })
  .map(({ physical, late, ...event }) => {
    const row = KINDS[event.kind];
    return {
      ...event,
      address: row.address === 'none' ? 0 : row.address === 'physical' ? physical : event.address,
      size: row.size ? event.size : 0,
      value: row.value === 'none' ? 0 : row.value === 'nanoseconds' ? late : event.value,
      valueHigh: row.value === 'u64' ? event.valueHigh : 0,
      name: row.name ? event.name : '',
      data: row.data === 'none' ? EMPTY : event.data,
    };
  });

test('every field of every kind survives, and the words are those of inspect', (t) => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (fields) => {
      const events = fields.map((event, index): TraceEvent => ({ ...event, index }));
      const { head, columns } = splitPayload(syntheticPayload(events));
      const data = new TraceData(head, columns);
      const semantics = new Semantics();
      for (const [i, event] of events.entries()) {
        const { index: _, data: bytes, ...rest } = event;
        const { data: shown, dataLength, ...found } = data.fields(i);
        t.deepEqual(found, rest);
        t.deepEqual([...shown], [...bytes.subarray(0, 64)]);
        t.is(dataLength, bytes.length);
        const { device, register, text } = semantics.next(event);
        t.is(data.words(i), text);
        t.like(data.classOf(i), { device, register });
      }
    }),
    { numRuns: 200 },
  );
});

test('a further event takes a few bytes', (t) => {
  const size = (count: number) => syntheticPayload(syntheticEvents(count)).length;
  const each = (size(60_000) - size(30_000)) / 30_000;
  t.true(each < 24, `${each} bytes`);
});
