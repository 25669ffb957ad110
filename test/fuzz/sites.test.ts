// Names of sites: a guest whose functions call each other, with its symbols in the file, in a file of its own, or where the
// kernel will map itself to.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { fuzz, writeFindings } from '../../src/fuzz/fuzz.js';
import type { FuzzOptions } from '../../src/fuzz/options.js';
import { elfFile, pvhEntryNote } from '../boot/guest-builder.js';

const directory = mkdtempSync(join(tmpdir(), 'vmreplay-sites-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const BASE = 0x10_0000;
/** start: mov esp, 0x101000; call setup; hlt. setup: call count; ret. count: more than eight entries are too many. */
const CODE = Uint8Array.from(
  Buffer.from(`bc00101000${'e801000000'}f4${'e801000000'}c3${'8b4330'}${'83f808'}${'7701'}c3${'0f0b'}`, 'hex'),
);
const FUNCTIONS = { start: 0, setup: 11, count_entries: 17 };
const CAUSE = 'triple fault at count_entries+0x9, called from setup, start';

/** @param virtual where the file says that the code will run @param named the file has symbols */
function guest(name: string, virtual: bigint, named: boolean): string {
  const path = join(directory, name);
  const symbols = Object.entries(FUNCTIONS).map(([name, at]) => ({ name, address: virtual + BigInt(at) }));
  const loads = [{ physical: BASE, virtual, data: CODE, memorySize: 0x1000 }];
  writeFileSync(path, elfFile({ loads, notes: [pvhEntryNote(BASE)], ...(named && { symbols }) }));
  return path;
}

const causesOf = async (kernel: string, options: Partial<FuzzOptions> = {}) => {
  const result = await fuzz({
    target: 'start-info',
    boot: { kernel, memory: 16 << 20 },
    runs: 300,
    most: 1,
    ...options,
  });
  return result.findings.map(({ cause }) => cause);
};

test('a site is called by the ELF file’s own symbols, with its callers', async (t) => {
  t.deepEqual(await causesOf(guest('named.elf', BigInt(BASE), true)), [CAUSE]);
});

test('code that runs before the kernel maps itself is called by where its symbols will be', async (t) => {
  t.deepEqual(await causesOf(guest('high.elf', 0xffff_ffff_8010_0000n, true)), [CAUSE]);
});

test('a file of symbols names what the kernel does not', async (t) => {
  const kernel = guest('bare.elf', BigInt(BASE), false);
  t.deepEqual(await causesOf(kernel), ['triple fault at 0x10001a']);
  const symbols = join(directory, 'System.map');
  const lines = Object.entries(FUNCTIONS).map(
    ([name, at]) => `${(BASE + at).toString(16).padStart(16, '0')} T ${name}`,
  );
  writeFileSync(symbols, `${lines.join('\n')}\n`);
  t.deepEqual(await causesOf(kernel, { symbols }), [CAUSE]);
  await t.throwsAsync(causesOf(kernel, { symbols: kernel }), { message: /there are no symbols of code in it/ });
});

test('a finding’s folder tells site and stack by their names', async (t) => {
  const kernel = guest('folder.elf', BigInt(BASE), true);
  const options = { target: 'start-info', boot: { kernel, memory: 16 << 20 }, runs: 300, most: 1 };
  const [folder] = await writeFindings(directory, options, await fuzz(options));
  t.true(folder!.endsWith('start-info-triple-fault-at-count-entries-0x9-called-from-setup-start'));
  t.like(JSON.parse(readFileSync(join(folder!, 'finding.json'), 'utf8')), {
    cause: CAUSE,
    site: '0x10001a',
    symbol: 'count_entries+0x9',
    stack: ['count_entries', 'setup', 'start'],
  });
});
