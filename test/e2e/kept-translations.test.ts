// The built program keeps what it translated in the cache directory and begins the next run of the same boot with it:
// the file appears, is used (its time says so), and is done without where it is damaged, of another boot, or switched off. What
// the guest does is the same in all cases.

import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { unpackKept } from '../../src/cpu/jit/kept.js';
import { readKept } from '../../src/start/kept-file.js';
import { pvhKernel } from '../boot/guest-builder.js';
import { scratch, vmreplayWith } from './vmreplay.js';

/** Counts for ever in two blocks; 40 million cycles are enough for tier 1 to come in. */
const LOOP = Uint8Array.of(0x40, 0xeb, 0x00, 0x43, 0xeb, 0xfa);

test('a second run of a boot begins with the translations of the first', async (t) => {
  const place = await scratch(t);
  const kernel = place('loop.elf');
  await writeFile(kernel, pvhKernel(LOOP));
  const translated = join(place('cache'), 'translated');
  const boot = ['--kernel', kernel, '--boot', 'pvh', '--max-cycles', '40000000', '--memory', '16M'];
  const env = { VMREPLAY_CACHE: place('cache'), NODE_DISABLE_COMPILE_CACHE: '' };
  const record = async (name: string, environment: Record<string, string> = env) => {
    const trace = place(name);
    const { code, stderr } = await vmreplayWith({ env: environment }, 'record', ...boot, '--quiet', '-o', trace);
    t.is(stderr, '');
    return { code, trace: await readFile(trace, 'hex') };
  };

  const off = await record('off.trace', { ...env, NODE_DISABLE_COMPILE_CACHE: '1' });
  await t.throwsAsync(readdir(translated), { code: 'ENOENT' });

  t.deepEqual(await record('first.trace'), off);
  const [name, ...others] = await readdir(translated);
  t.deepEqual(others, []);
  const file = join(translated, name!);
  const used = async () => (await stat(file)).mtimeMs;
  const long = new Date(2001, 1, 1);
  await utimes(file, long, long);
  t.deepEqual(await record('again.trace'), off);
  t.not(await used(), long.getTime());

  const data = await readFile(file);
  data[data.length >> 1]! ^= 1;
  await writeFile(file, data);
  t.deepEqual(await record('damaged.trace'), off);
  // A new one has taken its place.
  t.notDeepEqual(await readFile(file), data);
});

/** Reads 16 pages byte by byte, for ever: mov esi, …; mov ecx, …; movzx eax, [esi]; inc esi; dec ecx; jnz; jmp. */
const READER = Buffer.alloc(17 * 4096, 0x55);
READER.set([0xbe, 0x00, 0x10, 0x10, 0x00, 0xb9, 0x00, 0x00, 0x01, 0x00, 0x0f, 0xb6, 0x06, 0x46, 0x49, 0x75, 0xf9]);
READER.set([0xeb, 0xed], 17);

test('a recording makes anew what runs translated and its reads left, once', async (t) => {
  const place = await scratch(t);
  const kernel = place('reader.elf');
  await writeFile(kernel, pvhKernel(READER));
  const translated = join(place('cache'), 'translated');
  const boot = ['--kernel', kernel, '--boot', 'pvh', '--max-cycles', '40000000', '--memory', '16M', '--quiet'];
  const env = { VMREPLAY_CACHE: place('cache'), NODE_DISABLE_COMPILE_CACHE: '' };
  const boots = async (...args: string[]) => {
    await vmreplayWith({ env }, ...args, ...boot);
    const [name] = await readdir(translated);
    const kept = unpackKept(readKept(join(translated, name!))!)!;
    const notes = kept.modules.flatMap(({ regions }) => regions.map(({ notes }) => notes));
    return { settled: kept.settled, slots: kept.slots, notes: notes.includes(true) };
  };
  const record = async (name: string) => ({
    kept: await boots('record', '-o', place(name)),
    trace: await readFile(place(name), 'hex'),
  });
  await boots('run');
  const run = await boots('run');
  t.like(run, { settled: true, notes: false });
  const first = await record('first.trace');
  t.like(first.kept, { settled: false, notes: true });
  t.true(first.kept.slots > run.slots);
  const second = await record('second.trace');
  t.deepEqual(second, { ...first, kept: { ...first.kept, settled: true } });
});

test('a cache that cannot be written is no error', async (t) => {
  const place = await scratch(t);
  const kernel = place('loop.elf');
  await writeFile(kernel, pvhKernel(LOOP));
  await mkdir(place('cache'));
  await writeFile(join(place('cache'), 'translated'), 'a file where the directory would be');
  const env = { VMREPLAY_CACHE: place('cache') };
  const { stderr } = await vmreplayWith(
    { env },
    ...['run', '--kernel', kernel, '--boot', 'pvh', '--max-cycles', '40000000', '--memory', '16M', '--quiet'],
  );
  t.is(stderr, '');
});
