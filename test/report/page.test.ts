// The page in a real browser: made from recorded guests of the corpus and from made-up traces.

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { diff, inspectEvents, record, renderDiff, view } from '../../src/index.js';
import { scratch } from '../e2e/vmreplay.js';
import { closeBrowser, NEEDS_CHROMIUM, openPage, until, withChromium } from './chromium.js';
import { HOSTILE, syntheticEvents, syntheticPage, syntheticPayload } from './synthetic.js';

const GUEST = 'corpus/e820/e820.elf';
const boot = { kernel: join(import.meta.dirname, '..', '..', GUEST), memory: 64 << 20 };

test.after.always(closeBrowser);

/** A recorded guest and its page. */
async function recordedPage(t: ExecutionContext) {
  const file = await scratch(t);
  await record({ ...boot, output: file('a.trace') });
  await view([file('a.trace')], { output: file('a.html') });
  return file;
}

const rowTexts = (page: Awaited<ReturnType<typeof openPage>>['page']) =>
  page.$$eval('.rows .row:not([hidden])', (rows) =>
    rows.map((row) => [...row.children].map((cell) => cell.textContent ?? '')),
  );

withChromium(`a page asks the network for nothing and has nothing to complain of${NEEDS_CHROMIUM}`, async (t) => {
  const file = await recordedPage(t);
  const { page, requests, errors } = await openPage(file('a.html'));
  for (const tab of await page.$$('[role=tab]')) await tab.click();
  const fetched = await page.evaluate("fetch('https://example.org/').then(() => 'fetched', () => 'refused')");
  t.is(fetched, 'refused');
  t.deepEqual(requests, []);
  t.deepEqual(
    errors.filter((text) => !text.includes('example.org')),
    [],
  );
});

withChromium(`the table shows the events that inspect lists${NEEDS_CHROMIUM}`, async (t) => {
  const file = await recordedPage(t);
  const { page } = await openPage(file('a.html'));
  const expected: string[] = [];
  for await (const { text } of inspectEvents(file('a.trace'))) expected.push(text);
  const seen = new Map<number, string>();
  await page.focus('#events');
  await page.keyboard.press('Home');
  for (let n = 0; n < expected.length && seen.size < expected.length; n++) {
    for (const [number, , , , , words] of await rowTexts(page)) seen.set(Number(number!.replaceAll(',', '')), words!);
    await page.keyboard.press('PageDown');
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
  }
  t.deepEqual(
    expected.map((_, n) => seen.get(n)),
    expected,
  );
});

withChromium(`the search box filters by words and by properties${NEEDS_CHROMIUM}`, async (t) => {
  const file = await recordedPage(t);
  const { page } = await openPage(file('a.html'));
  const all: { kind: string; device: string; text: string }[] = [];
  for await (const event of inspectEvents(file('a.trace'))) all.push(event);
  const count = async (query: string): Promise<string> => {
    await page.fill('#search', query);
    await page.press('#search', 'Enter');
    await until(page, `new URLSearchParams(location.hash.slice(1)).get('q') === ${JSON.stringify(query)}`);
    return (await page.textContent('#search-status')) ?? '';
  };
  const expect = (wanted: (event: (typeof all)[number]) => boolean) =>
    `${all.filter(wanted).length} of ${all.length} events`;
  t.is(
    await count('kind:port-write device:uart0'),
    expect((e) => e.kind === 'port-write' && e.device === 'uart0'),
  );
  t.is(
    await count('-device:uart0'),
    expect((e) => e.device !== 'uart0'),
  );
  t.is(
    await count('thr'),
    expect((e) => /thr/i.test(`${e.text}`)),
  );
  t.is(await count('"no such words"'), `0 of ${all.length} events`);
  t.is(await count('cycle:soon'), 'cycle: a number or a range such as 10..20 is needed');
});

withChromium(`keys select, filter, zoom and change views${NEEDS_CHROMIUM}`, async (t) => {
  const file = await recordedPage(t);
  const { page } = await openPage(file('a.html'));
  const selected = () => page.textContent('.detail h2');
  await page.keyboard.press('e');
  await page.keyboard.press('ArrowDown');
  t.regex((await selected())!, /Event #0$/);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('.');
  t.regex((await selected())!, /Event #2$/);
  await page.keyboard.press('End');
  t.regex((await page.textContent('.rows .row.selected'))!, /end/);
  await page.keyboard.press('/');
  t.is(await page.evaluate('document.activeElement?.id'), 'search');
  await page.keyboard.type('device:uart0');
  await page.keyboard.press('Enter');
  t.is(await page.evaluate('document.activeElement?.id'), 'events');
  const span = await page.textContent('.timeline-status');
  await page.keyboard.press('+');
  await until(page, `document.querySelector('.timeline-status').textContent !== ${JSON.stringify(span)}`);
  await page.keyboard.press('2');
  t.is(await page.getAttribute('#tab-flame', 'aria-selected'), 'true');
  await page.keyboard.press('?');
  t.true(await page.isVisible('dialog'));
  await page.keyboard.press('Escape');
  const theme = () => page.evaluate('document.documentElement.dataset.theme');
  const before = await theme();
  await page.keyboard.press('t');
  t.not(await theme(), before);
});

withChromium(`a link leads to the same event, view and filter${NEEDS_CHROMIUM}`, async (t) => {
  const file = await recordedPage(t);
  const first = await openPage(file('a.html'));
  await first.page.fill('#search', 'kind:port-write');
  await first.page.press('#search', 'Enter');
  await first.page.keyboard.press('ArrowDown');
  await first.page.keyboard.press('ArrowDown');
  // The address follows the selection a moment later.
  await first.page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
  await until(
    first.page,
    `location.hash.includes('q=') && Number(new URLSearchParams(location.hash.slice(1)).get('e')) ===
      Number(document.querySelector('.row.selected').children[0].textContent.replaceAll(',', ''))`,
  );
  const hash = (await first.page.evaluate('location.hash')) as string;
  const words = await first.page.textContent('.detail .words');
  const second = await openPage(file('a.html'), hash);
  t.is(await second.page.textContent('.detail .words'), words);
  t.is(await second.page.inputValue('#search'), 'kind:port-write');
  t.is(await second.page.evaluate('location.hash'), hash);
});

withChromium(`a million events need no more rows than fit the window${NEEDS_CHROMIUM}`, async (t) => {
  t.timeout(300_000);
  const file = await scratch(t);
  await syntheticPage(file('m.html'), syntheticPayload(syntheticEvents(1_000_000)));
  const { page, errors } = await openPage(file('m.html'));
  t.is(await page.textContent('#search-status'), '1,000,000 events');
  const rows = () => page.$$eval('.rows .row', (all) => all.length);
  await page.focus('#events');
  await page.keyboard.press('End');
  await until(page, "document.querySelector('.row.selected')?.textContent.includes('999,999')");
  await page.$eval('.scroller', (element) => {
    element.scrollTop = element.scrollHeight / 2;
  });
  await until(page, "!document.querySelector('.row.selected')");
  t.true((await rows()) < 100, `${await rows()} rows`);
  const texts = await rowTexts(page);
  const middle = Number(texts[0]![0]!.replaceAll(',', ''));
  t.true(Math.abs(middle - 500_000) < 2_000, texts[0]![0]!);
  t.deepEqual(errors, []);
});

withChromium(`the difference of two traces is what diff says${NEEDS_CHROMIUM}`, async (t) => {
  const file = await scratch(t);
  const guest = { ...boot, kernel: boot.kernel.replaceAll('e820', 'pvh-start-info') };
  await record({ ...guest, append: 'one', output: file('a.trace') });
  await record({ ...guest, append: 'two', output: file('b.trace') });
  await view([file('a.trace'), file('b.trace')], { output: file('ab.html') });
  const { page, requests, errors } = await openPage(file('ab.html'));
  const result = await diff(file('a.trace'), file('b.trace'), { context: 8 });
  t.true(await page.isVisible('.difference'), 'it is what is shown first');
  t.is(await page.textContent('.difference .report'), renderDiff(result).trimEnd());
  const sides = await page.$$eval('.side', (all) => all.map((side) => side.querySelector('.words')!.textContent));
  t.deepEqual(sides, [result.first!.a!.text, result.first!.b!.text]);
  t.is(await page.locator('.side .listing').count(), 2);
  t.deepEqual(
    await page.locator('.side .registers').evaluateAll((all) => all.map((one) => one.children.length >= 40)),
    [true, true],
  );
  await page.keyboard.press('d');
  t.regex((await page.textContent('.detail h2'))!, new RegExp(`#${result.first!.a!.index}$`));
  t.deepEqual([requests, errors], [[], []]);
});

withChromium(`text from a trace never becomes markup${NEEDS_CHROMIUM}`, async (t) => {
  const file = await scratch(t);
  const [first] = syntheticEvents(1);
  const hostile = { ...first!, kind: 'milestone' as const, address: 0, size: 0, value: 0, name: HOSTILE };
  const payload = syntheticPayload([hostile, { ...hostile, index: 1, kind: 'line' as const, name: `${HOSTILE}2` }], {
    file: HOSTILE,
    commandLine: HOSTILE,
    route: HOSTILE,
    notes: [HOSTILE],
    phases: [{ name: HOSTILE, from: 0, to: 10 }],
    items: [{ name: HOSTILE, length: 1, data: '3c', entries: [HOSTILE] }],
  });
  await syntheticPage(file('h.html'), payload, HOSTILE);
  const { page, errors } = await openPage(file('h.html'), `#e=0&q=${encodeURIComponent(HOSTILE)}`);
  for (const tab of await page.$$('[role=tab]')) await tab.click();
  t.is(await page.title(), HOSTILE);
  t.is(await page.locator('img').count(), 0);
  t.true((await page.textContent('.detail .words'))!.includes(HOSTILE));
  t.deepEqual(errors, []);
});

test('a page is one file under its name, with nothing beside it', async (t) => {
  const file = await recordedPage(t);
  const html = await readFile(file('a.html'), 'utf8');
  t.regex(html, /^<!doctype html>/);
  t.regex(html, /Content-Security-Policy" content="default-src &#39;none&#39;; script-src &#39;sha256-/);
  t.notRegex(html.replace(/<script type="text\/plain"[^<]*<\/script>/, ''), /https?:\/\/|<link|src="/);
  const error = await t.throwsAsync(view([file('a.trace')], { output: file('no/such/folder.html') }));
  t.regex(error!.message, /^\S+folder\.html: cannot be written: .*choose another place with -o$/);
  await t.throwsAsync(stat(file('no')));
});
