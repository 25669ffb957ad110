import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import test from 'ava';
import { compile, dropOthers, keep } from '../../bin/compile-cache.js';
import { builtPath } from '../../src/start/kept-file.js';

const SOURCE = '(function () { return 6 * 7; })';
const CONTENT = 'test';

async function program(t: { teardown(fn: () => unknown): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vmreplay-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'program.cjs');
}
const answer = (script: Script): unknown => (script.runInThisContext() as () => unknown)();

test('a kept form is used', async (t) => {
  const filename = await program(t);
  keep(new Script(SOURCE, { filename }), builtPath(filename, CONTENT));
  const script = compile(SOURCE, filename, CONTENT);
  t.is(script.cachedDataRejected, false);
  t.is(answer(script), 42);
});

test('without one, or with another, the program is compiled', async (t) => {
  const filename = await program(t);
  // Nothing is to be kept by this process.
  process.env.VMREPLAY_CACHE = join(filename, 'no folder');
  // V8 knows a source that it has compiled in this process: each is another.
  const compiled = (mark: string) => {
    const script = compile(`${SOURCE} // ${mark}`, filename, CONTENT);
    t.is(script.cachedDataRejected, undefined);
    t.is(answer(script), 42);
  };
  compiled('none');
  keep(new Script(`${SOURCE} // another length`, { filename }), builtPath(filename, CONTENT));
  compiled('another');
  await writeFile(builtPath(filename, CONTENT), 'damaged');
  compiled('damaged');
});

test('a new build takes the place of the one before, for its Node and flags', async (t) => {
  const folder = dirname(await program(t));
  const names = ['a-v1-x64-7.cache', 'b-v1-x64-7.cache', 'a-v1-x64-8.cache', 'a-v2-x64-7.cache'];
  for (const name of names) await writeFile(join(folder, name), '');
  dropOthers(join(folder, names[1]!));
  t.deepEqual((await readdir(folder)).sort(), names.slice(1).sort());
  t.notThrows(() => dropOthers(join(folder, 'nowhere', names[0]!)));
});
