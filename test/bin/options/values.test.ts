import test from 'ava';
import { InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import {
  collectAddresses,
  collectFwCfg,
  collectModule,
  collectNames,
  collectScreenshots,
  collectTyping,
  parseCount,
  parsePositive,
  parseSize,
  parseText,
  parseTime,
} from '../../../bin/options/values.js';

const refused = { instanceOf: InvalidArgumentError };

test('sizes take K, M, G and B, and a bare number is MiB as in QEMU', (t) => {
  t.is(parseSize('256M'), 256 * 1024 ** 2);
  t.is(parseSize('1G'), 1024 ** 3);
  t.is(parseSize('640k'), 640 * 1024);
  t.is(parseSize('1048576B'), 1048576);
  t.is(parseSize('64'), 64 * 1024 ** 2);
});

test('sizes that no guest can have are refused', (t) => {
  for (const text of [
    '',
    '0',
    '0M',
    '-1M',
    '1.5G',
    '5X',
    'M',
    '1T',
    '4096G',
    '9'.repeat(40),
    '1e9',
    '0x10M',
    'Infinity',
  ]) {
    t.throws(() => parseSize(text), refused, text);
  }
});

test('every whole number of MiB below a TiB comes back as bytes', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1024 ** 2 - 1 }), (mib) => {
      t.is(parseSize(`${mib}M`), mib * 1024 ** 2);
    }),
  );
  t.pass();
});

test('counts are exact whole numbers', (t) => {
  t.is(parseCount('0'), 0);
  t.is(parseCount('1_000_000'), 1000000);
  t.is(parseCount('0x10'), 16);
  t.is(parseCount('9007199254740991'), Number.MAX_SAFE_INTEGER);
  for (const text of ['', '-1', '1.5', '9007199254740992', 'ten', '0x', 'NaN', '1e3']) {
    t.throws(() => parseCount(text), refused, text);
  }
  t.throws(() => parsePositive('0'), refused);
  t.throws(() => parseText(''), refused);
});

test('addresses have up to 64 bits', (t) => {
  t.deepEqual(collectAddresses('0xffffffff_81000001'), ['0xffffffff81000001']);
  t.deepEqual(collectAddresses('18446744073709551615', ['0x0']), ['0x0', '0xffffffffffffffff']);
  fc.assert(
    fc.property(
      fc.bigInt(0n, (1n << 64n) - 1n),
      (address) => collectAddresses(`${address}`)[0] === `0x${address.toString(16)}`,
    ),
  );
  for (const text of ['', '-1', '0x', '0x10000000000000000', '18446744073709551616', 'startup_64'])
    t.throws(() => collectAddresses(text), refused, text);
});

test('times are ISO 8601, UTC unless they name a zone', (t) => {
  t.is(parseTime('2020-01-01T00:00:00Z'), '2020-01-01T00:00:00Z');
  t.is(parseTime('2020-01-01'), '2020-01-01T00:00:00Z');
  t.is(parseTime('2020-02-29T12:30'), '2020-02-29T12:30:00Z');
  t.is(parseTime('2020-01-01T01:00:00+01:00'), '2020-01-01T00:00:00Z');
  for (const text of ['', 'now', '2020-13-01', '2021-02-29', '2020-01-01T25:00', '1577836800', '01/02/2020']) {
    t.throws(() => parseTime(text), refused, text);
  }
});

test('a module is a file with an optional command line, commas and all', (t) => {
  const first = collectModule('a.bin');
  t.deepEqual(collectModule('b.bin,x=1,y', first), [{ path: 'a.bin' }, { path: 'b.bin', cmdline: 'x=1,y' }]);
  t.throws(() => collectModule(',x'), refused);
});

test('an fw_cfg item has a name and a file or a string', (t) => {
  const first = collectFwCfg('name=opt/a,string=x,y=z');
  t.deepEqual(first, [{ name: 'opt/a', string: 'x,y=z' }]);
  t.deepEqual(collectFwCfg('opt/b,file=f', first)[1], { name: 'opt/b', file: 'f' });
  t.throws(() => collectFwCfg('name=opt/a,string=again', first), refused);
  for (const text of [
    'opt/a',
    'name=,string=x',
    'name=opt/a,data=x',
    `name=${'x'.repeat(56)},string=`,
    'name=a b,string=',
  ]) {
    t.throws(() => collectFwCfg(text), refused, text);
  }
});

test('typed text has escapes and a cycle', (t) => {
  t.deepEqual(collectTyping('root\\n@90_000'), [{ text: 'root\n', cycle: 90000 }]);
  t.deepEqual(collectTyping('a@b\\x03\\\\@5'), [{ text: 'a@b\x03\\', cycle: 5 }]);
  for (const text of ['root', '@5', 'root@', 'root@-1', 'root@soon'])
    t.throws(() => collectTyping(text), refused, text);
});

test('names are separated by commas and gathered', (t) => {
  t.deepEqual(collectNames('a,b', collectNames('c')), ['c', 'a', 'b']);
  t.throws(() => collectNames('a,,b'), refused);
});

test('a screenshot has a file and, behind the last @, a cycle', (t) => {
  const first = collectScreenshots('a.png@1_000');
  t.deepEqual(first, [{ file: 'a.png', cycle: 1000 }]);
  t.deepEqual(collectScreenshots('b.png', first)[1], { file: 'b.png' });
  t.deepEqual(collectScreenshots('me@home/c.png'), [{ file: 'me@home/c.png' }]);
  t.throws(() => collectScreenshots('@5'), refused);
});
