import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readKept, writeKept } from '../../src/start/kept-file.js';

async function folder(t: { teardown(fn: () => unknown): void }): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'vmreplay-test-'));
  t.teardown(() => rm(made, { recursive: true, force: true }));
  return made;
}
const data = Uint8Array.from({ length: 1000 }, (_, i) => i * i);

test('what is kept is read, with nothing left beside it', async (t) => {
  const made = join(await folder(t), 'a', 'b');
  writeKept(join(made, 'x'), data);
  t.deepEqual(readKept(join(made, 'x')), Buffer.from(data));
  t.deepEqual(await readdir(made), ['x']);
});

test('what is not there, cut or damaged is not read', async (t) => {
  const path = join(await folder(t), 'x');
  t.is(readKept(path), undefined);
  writeKept(path, data);
  const whole = await readFile(path);
  for (const length of [0, 5, 8, whole.length - 1]) {
    await writeFile(path, whole.subarray(0, length));
    t.is(readKept(path), undefined, `${length} bytes`);
  }
  for (const at of [0, 5, 8, whole.length - 1]) {
    const damaged = Uint8Array.from(whole);
    damaged[at]! ^= 0x10;
    await writeFile(path, damaged);
    t.is(readKept(path), undefined, `byte ${at}`);
  }
});

test('what cannot be kept is left', async (t) => {
  const made = await folder(t);
  await writeFile(join(made, 'file'), '');
  t.notThrows(() => writeKept(join(made, 'file', 'x'), data));
  t.notThrows(() => writeKept(join(made, 'x\0'), data));
  t.deepEqual(await readdir(made), ['file']);
});
