import test from 'ava';
import { sentence, usageSentence } from '../../bin/print/errors.js';
import { json } from '../../bin/print/output.js';
import { endText } from '../../bin/print/run.js';
import { grouped, sizeText } from '../../src/figures.js';

test('what commander says becomes one sentence', (t) => {
  t.is(
    usageSentence("error: option '--memory <size>' argument '5X' is invalid. a size is needed\n"),
    "--memory '5X': a size is needed",
  );
  t.is(
    usageSentence("error: option '-o, --output <file>' argument '' is invalid. it must not be empty\n"),
    "-o '': it must not be empty",
  );
  t.is(usageSentence("error: unknown option '--a'\n(Did you mean --b?)\n"), "unknown option '--a' (Did you mean --b?)");
  t.is(
    usageSentence("error: too many arguments for 'replay'. Expected 1 argument but got 2.\n"),
    "too many arguments for 'replay': 1 expected, 2 given",
  );
});

test("errors of the library bring their sentence, the system's are put into words", (t) => {
  const told = new Error('x.trace: not a trace');
  told.name = 'TraceError';
  t.is(sentence(told), 'x.trace: not a trace');
  t.is(sentence(Object.assign(new Error('ENOENT: …'), { code: 'ENOENT', path: '/a' })), '/a: there is no such file');
  t.regex(sentence(new TypeError('x is\nundefined')), /^internal error: x is undefined \(/);
  t.regex(sentence('odd'), /^internal error: odd/);
});

test('numbers and sizes do not depend on the locale', (t) => {
  t.is(grouped(1234567), '1,234,567');
  t.is(sizeText(0), '0 B');
  t.is(sizeText(1023), '1023 B');
  t.is(sizeText(1536), '1.5 KiB');
  t.is(sizeText(128 * 1024 ** 2), '128 MiB');
});

test('JSON has bigint and bytes as hexadecimal text', (t) => {
  const value = {
    rip: 0x1_0000_0000n,
    data: new Uint8Array([1, 255]),
    buffer: Buffer.from([2]),
    plain: [1, 'a', null],
  };
  t.deepEqual(JSON.parse(json(value)), { rip: '0x100000000', data: '01ff', buffer: '02', plain: [1, 'a', null] });
});

test('an end is its reason, with the code when there is one', (t) => {
  t.is(endText({ reason: 'poweroff', code: null }), 'poweroff');
  t.is(endText({ reason: 'debug-exit', code: 0 }), 'debug-exit 0');
});
