// Files that are whole or not there: what happens to what lies under the name already.

import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { writeWhole } from '../src/whole-file.js';

function scratch(t: ExecutionContext): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'vmreplay-whole-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => join(folder, name);
}

test('a file is replaced and keeps its mode, and nothing else is left', (t) => {
  const file = scratch(t);
  writeWhole(file('a'), 'old');
  chmodSync(file('a'), 0o640);
  writeWhole(file('a'), Uint8Array.of(1, 2, 3));
  t.deepEqual([...readFileSync(file('a'))], [1, 2, 3]);
  t.is(statSync(file('a')).mode & 0o777, 0o640);
  t.deepEqual(readdirSync(file('.')), ['a']);
});

test('a link stays one, and the file that it names is replaced', (t) => {
  const file = scratch(t);
  writeFileSync(file('a'), 'old');
  symlinkSync('a', file('link'));
  writeWhole(file('link'), 'new');
  t.is(readFileSync(file('a'), 'utf8'), 'new');
  t.deepEqual(
    readdirSync(file('.'), { withFileTypes: true }).map((one) => [one.name, one.isSymbolicLink()]),
    [
      ['a', false],
      ['link', true],
    ],
  );
});

test('what is no file is written to, and not replaced', (t) => {
  const file = scratch(t);
  symlinkSync('/dev/null', file('link'));
  writeWhole(file('link'), 'text');
  t.true(statSync('/dev/null').isCharacterDevice());
  t.deepEqual(readdirSync(file('.')), ['link']);
  t.throws(() => writeWhole(file('.'), 'text'), { code: 'EISDIR' });
});

test('a file that may not be written stays as it is', (t) => {
  const file = scratch(t);
  writeFileSync(file('a'), 'old', { mode: 0o444 });
  // To root every file is writable.
  if (process.getuid?.() === 0) t.notThrows(() => writeWhole(file('a'), 'new'));
  else {
    t.throws(() => writeWhole(file('a'), 'new'), { code: 'EACCES' });
    t.is(readFileSync(file('a'), 'utf8'), 'old');
  }
  t.throws(() => writeWhole(file('none/a'), 'new'), { code: 'ENOENT' });
  t.deepEqual(readdirSync(file('.')), ['a']);
});
