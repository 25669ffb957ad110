// A cache directory for one test alone, and what can befall an entry in it.

import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** Makes VMREPLAY_CACHE an empty directory until the test is over; gives its path. */
export async function ownCache(t: ExecutionContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'vmreplay-test-'));
  const before = process.env.VMREPLAY_CACHE;
  process.env.VMREPLAY_CACHE = made;
  t.teardown(async () => {
    if (before === undefined) delete process.env.VMREPLAY_CACHE;
    else process.env.VMREPLAY_CACHE = before;
    await rm(made, { recursive: true, force: true });
  });
  return made;
}

/** Names of a directory's entries, in order. */
export const entriesOf = async (folder: string): Promise<string[]> => (await readdir(folder)).sort();

/**
 * Ways to spoil a directory's only entry: cut short, empty, a flipped bit, another entry's bytes.
 * @param addOther puts a second entry there
 */
export async function damages(folder: string, addOther: () => void) {
  const path = join(folder, (await entriesOf(folder))[0]!);
  const whole = await readFile(path);
  const ways: (() => Promise<void>)[] = [
    () => writeFile(path, whole.subarray(0, 20)),
    () => writeFile(path, new Uint8Array(0)),
    () =>
      writeFile(
        path,
        Uint8Array.from(whole, (byte, i) => (i === whole.length - 5 ? byte ^ 1 : byte)),
      ),
    async () => {
      addOther();
      const other = (await entriesOf(folder)).find((name) => join(folder, name) !== path)!;
      await copyFile(join(folder, other), path);
    },
  ];
  return { path, whole, ways };
}
