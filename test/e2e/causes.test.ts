// One thing is changed, and the comparison of the two recordings names it, on the first screen and in the JSON.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { corpusGuests } from '../../bin/corpus.js';
import { scratch, vmreplay } from './vmreplay.js';

const { image, directory } = (await corpusGuests()).find(({ name }) => name === 'pvh-start-info')!;
const SCREEN = 24;

interface Changes {
  initrd?: string;
  append?: string;
  memory?: string;
}

/** Record the guest as it is and changed. @returns the first screen of the comparison, and its JSON */
async function compare(t: ExecutionContext, change: (file: (name: string) => string) => Promise<Changes>) {
  const file = await scratch(t);
  const record = async (output: string, { initrd, append, memory }: Changes) => {
    const files = ['--kernel', image, '--initrd', initrd ?? join(directory, 'module.txt')];
    const rest = ['--append', append ?? 'console=ttyS0 quiet', '--memory', memory ?? '64M'];
    const { code, stderr } = await vmreplay('record', ...files, ...rest, '-o', file(output));
    t.is(code, 0, stderr);
  };
  await record('a', {});
  await record('b', await change(file));
  const { code, stdout } = await vmreplay('diff', file('a'), file('b'));
  t.is(code, 1);
  const asJson = await vmreplay('diff', '--json', file('a'), file('b'));
  t.is(asJson.code, 1);
  return { screen: stdout.split('\n').slice(0, SCREEN).join('\n'), report: JSON.parse(asJson.stdout) };
}

test('one byte of the initrd is named with its offset in the file', async (t) => {
  const { screen, report } = await compare(t, async (file) => {
    const bytes = await readFile(join(directory, 'module.txt'));
    bytes[7]! ^= 0x20;
    await writeFile(file('initrd'), bytes);
    return { initrd: file('initrd') };
  });
  t.regex(screen, /image initrd:\n +A sha256 [0-9a-f]{64}, \d+ bytes\n +B sha256/);
  t.regex(screen, /first differing byte of memory at entry: initrd at offset 7 \(guest 0x[0-9a-f]+\)/);
  t.regex(screen, /First divergence, after [\d,]+ events that agree:\n.* uart0 THR/);
  t.deepEqual(
    report.header.map(({ field }: { field: string }) => field),
    ['image initrd'],
  );
  t.deepEqual(report.memory.image, { role: 'initrd', offset: 7 });
});

test('one character of the command line is named with its place', async (t) => {
  const { screen, report } = await compare(t, async () => ({ append: 'console=ttyS1 quiet' }));
  t.regex(screen, /command line: console=ttyS0 quiet in A, console=ttyS1 quiet in B \(from character 12\)/);
  t.like(report.header[0], { field: 'command line', a: 'console=ttyS0 quiet', b: 'console=ttyS1 quiet' });
  t.is(report.header.length, 1);
});

test('a MiB of memory more is named', async (t) => {
  const { screen, report } = await compare(t, async () => ({ memory: '65M' }));
  t.regex(screen, /memory: 64 MiB in A, 65 MiB in B/);
  t.like(report.header[0], { field: 'memory', a: '64 MiB', b: '65 MiB' });
});
