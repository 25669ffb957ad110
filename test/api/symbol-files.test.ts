import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readSymbols } from '../../src/api/symbol-files.js';
import { UserError } from '../../src/api/user-error.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-symbols-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
}

test('a System.map names code and leaves data out', (t) => {
  const table = readSymbols(
    file('System.map', 'ffffffff81000000 T _stext\nffffffff81000040 t helper\nffffffff82000000 D data\n'),
  );
  t.is(table.size, 2);
  t.deepEqual(table.lookup(0xffff_ffff_8100_0044n), { name: 'helper', offset: 4 });
});

test('a file without symbols, a folder and no file at all are named in a sentence', (t) => {
  const texts = [file('empty', ''), directory, join(directory, 'none')].map((path) => {
    const error = t.throws(() => readSymbols(path), { instanceOf: UserError })!;
    t.true(error.message.startsWith(path), error.message);
    return error.message;
  });
  t.regex(texts[0]!, /no symbols of code/);
  t.regex(texts[1]!, /no regular file/);
  t.regex(texts[2]!, /cannot be read/);
});
