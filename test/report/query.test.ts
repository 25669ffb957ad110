// The language of the page's search box, and addresses of events.

import test from 'ava';
import fc from 'fast-check';
import { type Address, formatAddress, parseAddress } from '../../src/report/page/address.js';
import { TraceData } from '../../src/report/page/columns.js';
import { Filter, parseQuery, rangeOf } from '../../src/report/page/query.js';
import { splitPayload } from '../../src/report/payload.js';
import type { TraceEvent } from '../../src/trace/events.js';
import { syntheticEvents, syntheticPayload } from './synthetic.js';

const parsed = splitPayload(syntheticPayload(syntheticEvents(600)));
const data = new TraceData(parsed.head, parsed.columns);

function found(query: string): number[] {
  const run = new Filter(data, parseQuery(query)).run(100);
  for (;;) {
    const { value, done } = run.next();
    if (done) return [...(value as Uint32Array)];
  }
}

const all = Array.from({ length: data.count }, (_, i) => i);

test('words and properties, quoted and negated, are told apart', (t) => {
  t.deepEqual(parseQuery('kind:port-write -device:uart0 "two words" -no 00:01.3').clauses, [
    { key: 'kind', value: 'port-write', negated: false },
    { key: 'device', value: 'uart0', negated: true },
    { key: '', value: 'two words', negated: false },
    { key: '', value: 'no', negated: true },
    { key: '', value: '00:01.3', negated: false },
  ]);
  t.regex(parseQuery('value:many').problem!, /^value: a number/);
});

test('ranges are numbers in either base, open where an end is missing', (t) => {
  t.deepEqual(rangeOf('0x10'), [16, 16]);
  t.deepEqual(rangeOf('1_000..2,000'), [1000, 2000]);
  t.deepEqual(rangeOf('5..'), [5, Number.POSITIVE_INFINITY]);
  t.deepEqual(rangeOf('..5'), [0, 5]);
  t.is(rangeOf('1..2..3'), undefined);
  t.is(rangeOf('x'), undefined);
});

test('each property selects what it names', (t) => {
  const where = (is: (i: number) => boolean) => all.filter(is);
  t.deepEqual(found(''), all);
  t.deepEqual(
    found('kind:interrupt'),
    where((i) => data.classOf(i).kind === 'interrupt'),
  );
  t.deepEqual(
    found('-kind:interrupt'),
    where((i) => data.classOf(i).kind !== 'interrupt'),
  );
  t.deepEqual(
    found('addr:0x3f8'),
    where((i) => data.address(i) === 0x3f8),
  );
  t.deepEqual(found('event:10..12'), [10, 11, 12]);
  t.deepEqual(
    found('cycle:..5000'),
    where((i) => data.cycle[i]! <= 5000),
  );
  t.deepEqual(
    found('at:ffffffff81000abc'),
    where((i) => data.place(i).includes('ffffffff81000abc')),
  );
  t.deepEqual(
    found('value:10'),
    where((i) => data.value[i] === 10),
  );
  t.deepEqual(
    found('dma-write'),
    where((i) => data.words(i).includes('dma-write')),
  );
  t.deepEqual(
    found('"THR: port"'),
    where((i) => data.words(i).includes('THR: port')),
  );
  t.deepEqual(
    found('device:uart0 event:0..60'),
    where((i) => data.classOf(i).device === 'uart0' && i <= 60),
  );
});

test('a value of 64 bits is found by all of them', (t) => {
  const values = [0x1000n, 0xffff_ffff_8200_1000n, 0xffff_ffff_8200_1001n, 0x1_0000_1000n];
  const events = values.map(
    (value, index): TraceEvent => ({
      ...[...syntheticEvents(1)][0]!,
      ...{ index, cycle: index, kind: 'msr-write', address: 0xc000_0100, size: 0 },
      ...{ value: Number(value & 0xffff_ffffn), valueHigh: Number(value >> 32n) },
    }),
  );
  const { head, columns } = splitPayload(syntheticPayload(events));
  const wide = new TraceData(head, columns);
  const matches = (query: string) => {
    const filter = new Filter(wide, parseQuery(query));
    return values.flatMap((_, i) => (filter.matches(i) ? [i] : []));
  };
  t.deepEqual(matches('value:0x1000'), [0]);
  t.deepEqual(matches('value:0xffffffff82001000'), [1]);
  t.deepEqual(matches('value:0xffffffff82001001'), [2]);
  t.deepEqual(matches('value:0x1001..0xffffffff82001000'), [1, 3]);
  t.deepEqual(matches('value:0xffffffff82001001..'), [2]);
  t.deepEqual(matches('-value:..0x100001000'), [1, 2]);
});

test('an address comes back from the link that it makes', (t) => {
  const place = fc.option(fc.nat(1e9), { nil: undefined });
  const address = fc
    .record({
      trace: fc.option(fc.constantFrom(0, 1), { nil: undefined }),
      event: place,
      tab: fc.option(fc.constantFrom('flame', 'boot'), { nil: undefined }),
      query: fc.option(fc.string({ minLength: 1, unit: 'binary' }), { nil: undefined }),
      axis: fc.option(fc.constantFrom('time' as const, 'events' as const), { nil: undefined }),
      from: fc.nat(1e6),
      length: fc.option(fc.integer({ min: 1, max: 1e6 }), { nil: undefined }),
    })
    .map(({ from, length, ...rest }): Address => {
      const fields = { ...rest, ...(length !== undefined && { from, to: from + length }) };
      return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
    });
  fc.assert(fc.property(address, (one) => t.deepEqual(parseAddress(formatAddress(one)), one)));
});

test('an address that cannot be read is none', (t) => {
  t.deepEqual(parseAddress('#t=c&e=-1&v=9-3&tab=<b>&x=up'), {});
  t.deepEqual(parseAddress(''), {});
});
