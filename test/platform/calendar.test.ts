import test from 'ava';
import fc from 'fast-check';
import { civilTimeOf, parseIsoTime, secondsOf } from '../../src/platform/calendar.js';

test('dates agree with the host library over 8,000 years', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: -62_135_596_800, max: 190_000_000_000 }), (seconds) => {
      const date = new Date(seconds * 1000);
      t.deepEqual(civilTimeOf(seconds), {
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
        weekday: date.getUTCDay() + 1,
        hour: date.getUTCHours(),
        minute: date.getUTCMinutes(),
        second: date.getUTCSeconds(),
      });
      t.is(secondsOf(civilTimeOf(seconds)), seconds);
    }),
  );
});

test('a field that is too large carries over', (t) => {
  const overflown = secondsOf({ year: 2023, month: 2, day: 29, hour: 24, minute: 60, second: 60 });
  t.is(overflown, secondsOf({ year: 2023, month: 3, day: 2, hour: 1, minute: 1, second: 0 }));
});

test('ISO 8601 texts give seconds since 1970', (t) => {
  t.is(parseIsoTime('1970-01-01T00:00:00Z'), 0);
  t.is(parseIsoTime('2020-01-01'), 1_577_836_800);
  t.is(parseIsoTime('2020-02-29T12:34:56+01:30'), Date.UTC(2020, 1, 29, 11, 4, 56) / 1000);
});

for (const text of ['', 'yesterday', '2020-13-01', '2021-02-29', '2020-01-01T24:00:00Z', '2020-01-01T00:00:00.5Z']) {
  test(`"${text}" is no ISO 8601 time`, (t) => {
    t.throws(() => parseIsoTime(text), { instanceOf: RangeError });
  });
}
