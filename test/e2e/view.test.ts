// vmreplay view as people run it: what it says, its exit status, and a page of Debian's boot. The page itself is tested in
// a browser in test/report.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { inflateRawSync } from 'node:zlib';
import test from 'ava';
import { packageFile } from '../../bin/package.js';
import { readSymbols } from '../../src/api/symbol-files.js';
import { cachedImage } from '../../src/fetch/cache.js';
import { TraceData } from '../../src/report/page/columns.js';
import { ranking, SampleData } from '../../src/report/page/samples.js';
import { splitPayload } from '../../src/report/payload.js';
import { scratch, vmreplay } from './vmreplay.js';

const GUEST = ['--kernel', packageFile('corpus/e820/e820.elf'), '--memory', '64M'];
const KERNEL = 'vmlinuz-cloud-amd64';
const INITRD = 'initrd-busybox.cpio';
const fetched = cachedImage(KERNEL) !== undefined && cachedImage(INITRD) !== undefined;
const withDebian = fetched ? test : test.skip;
const NEEDS = '(needs: vmreplay fetch cloud busybox)';
/** What a page of the Debian boot may take. */
const MOST_BYTES = 5_000_000;

/** What is in a page, by the number of the trace. */
function contents(html: string, n = 0) {
  const [, data] = new RegExp(`<script type="text/plain" id="trace-${n}">([^<]*)</script>`).exec(html)!;
  return splitPayload(inflateRawSync(Buffer.from(data!, 'base64')));
}

test('a page of one trace, and of two, is written and told in one line', async (t) => {
  const file = await scratch(t);
  t.is((await vmreplay('record', ...GUEST, '-o', file('a.trace'))).code, 0);
  const one = await vmreplay('view', file('a.trace'), '-o', file('a.html'));
  t.is(one.code, 0, one.stderr);
  t.regex(one.stdout, /^\S+a\.html: [\d.]+ KiB, \d+ events\n$/);
  const two = await vmreplay('view', file('a.trace'), file('a.trace'), '--no-replay', '-o', file('b.html'));
  t.is(two.code, 0, two.stderr);
  t.regex(two.stdout, /b\.html: [\d.]+ KiB, (\d+) and \1 events\n$/);
  const [first, second] = await Promise.all(['a.html', 'b.html'].map((name) => readFile(file(name), 'utf8')));
  t.true(contents(first!).head.samples!.count > 1000);
  t.is(contents(second!, 1).head.samples, null);
  t.deepEqual((await readdir(file('.'))).sort(), ['a.html', 'a.trace', 'b.html']);
});

test('what cannot be shown or written is refused in one sentence with status 2', async (t) => {
  const file = await scratch(t);
  t.is((await vmreplay('record', ...GUEST, '-o', file('a.trace'))).code, 0);
  await writeFile(file('no.trace'), 'not a trace');
  await writeFile(file('kept.html'), 'as it was');
  const cases: [string[], RegExp][] = [
    [[file('a.trace')], /^vmreplay: required option '-o, --output <file>' not specified\n$/],
    [[file('no.trace'), '-o', file('kept.html')], /^vmreplay: \S+no\.trace: is not a vmreplay trace.*\n$/],
    [
      [file('a.trace'), file('gone.trace'), '-o', file('kept.html')],
      /^vmreplay: \S+gone\.trace: there is no such file\n$/,
    ],
    [
      [file('a.trace'), '--symbols', file('no.trace'), '-o', file('kept.html')],
      /^vmreplay: \S+no\.trace: .*symbols.*\n$/,
    ],
    [
      [file('a.trace'), '-o', file('no/folder.html')],
      /^vmreplay: \S+folder\.html: cannot be written.*choose another.*\n$/,
    ],
  ];
  for (const [args, sentence] of cases) {
    const { code, stdout, stderr } = await vmreplay('view', ...args);
    t.deepEqual([code, stdout], [2, '']);
    t.regex(stderr, sentence);
  }
  t.is(await readFile(file('kept.html'), 'utf8'), 'as it was');
});

test('a recording that was cut off is shown as far as it goes, and the page says so', async (t) => {
  const file = await scratch(t);
  t.is((await vmreplay('record', ...GUEST, '-o', file('a.trace'))).code, 0);
  const whole = await readFile(file('a.trace'));
  await writeFile(file('cut.trace'), whole.subarray(0, whole.length - 64));
  const { code, stderr } = await vmreplay('view', file('cut.trace'), '-o', file('cut.html'));
  t.is(code, 0, stderr);
  const { head } = contents(await readFile(file('cut.html'), 'utf8'));
  t.true(head.events > 0);
  t.regex(head.notes.join('\n'), /cut off at offset \d+: what came before is shown\n.*cannot be replayed/);
});

withDebian(`a page of Debian's boot is small, and knows the kernel's functions ${NEEDS}`, async (t) => {
  t.timeout(600_000);
  const file = await scratch(t);
  const boot = ['--kernel', KERNEL, '--initrd', INITRD, '--memory', '256M', '--append', 'console=ttyS0 panic=-1'];
  const recorded = await vmreplay('record', ...boot, '--no-reboot', '-o', file('a.trace'));
  t.is(recorded.code, 0, recorded.stderr);
  const { code, stderr } = await vmreplay('view', file('a.trace'), '-o', file('a.html'));
  t.is(code, 0, stderr);
  const html = await readFile(file('a.html'));
  t.true(html.length <= MOST_BYTES, `${html.length} bytes`);
  const { head, columns } = contents(html.toString());
  t.deepEqual(
    head.phases.map(({ name }) => name),
    ['kernel decompression', 'kernel', 'user'],
  );
  t.is(head.samples!.source, "kallsyms in the guest's memory");
  const samples = new SampleData(head, columns);
  const rows = ranking(samples.tree(0, head.cycles));
  const share = (name: string) => (rows.find((row) => row.name === name)?.total ?? 0) / samples.count;
  t.true(share('ret_from_fork') > 0.3, 'threads of the kernel have their callers');
  t.true(share('start_kernel') > 0.02);
  const data = new TraceData(head, columns);
  t.regex(data.symbol(data.count - 20), /\+0x/);
});

withDebian(`a packed kernel is a file of symbols ${NEEDS}`, (t) => {
  const table = readSymbols(cachedImage(KERNEL)!);
  t.true(table.size > 20_000);
  t.is(table.lookup(0xffff_ffff_8100_0000n)?.name, '_stext');
});
