// The page of `vmreplay view` in Chromium: its size for a boot of Debian's cloud kernel and the time from navigation to
// a usable page, and frames a second while a page of a million events is scrolled, zoomed and panned without a pause.
// Frames are counted by requestAnimationFrame, each after a step of the motion, so a frame is one that was drawn anew.

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { cachedImage } from '../src/fetch/cache.js';
import { record, view } from '../src/index.js';
import { chromiumPath } from '../test/report/chromium-path.js';
import { syntheticEvents, syntheticPage, syntheticPayload } from '../test/report/synthetic.js';
import { writeResults } from './results.js';

const [KERNEL, INITRD] = ['vmlinuz-cloud-amd64', 'initrd-busybox.cpio'];
const EVENTS = 1_000_000;
/** Frames of each motion. */
const FRAMES = 180;

/** What is done before each frame: expressions over `n`, the number of the frame. */
const MOTIONS: Readonly<Record<string, string>> = {
  'scroll the table':
    "(() => { const s = document.querySelector('.scroller'); s.scrollTop = (s.scrollTop + 1700) % s.scrollHeight; })()",
  'scroll row by row':
    "document.querySelector('.scroller').dispatchEvent(new WheelEvent('wheel', { deltaY: 110, cancelable: true, bubbles: true }))",
  'zoom the timeline':
    "document.querySelector('canvas.lanes').dispatchEvent(new WheelEvent('wheel', { deltaY: n % 90 < 45 ? -60 : 60, cancelable: true }))",
  'pan the timeline':
    "document.querySelector('canvas.lanes').dispatchEvent(new WheelEvent('wheel', { deltaX: n % 90 < 45 ? 40 : -40, cancelable: true }))",
};

interface Motion {
  /** Frames a second over the whole motion. */
  readonly perSecond: number;
  /** The longest time between two frames, in ms. */
  readonly longest: number;
}

export async function benchView(runs: number, output: string | undefined): Promise<void> {
  if (!chromiumPath) throw new Error('view needs chromium');
  const [kernel, initrd] = [cachedImage(KERNEL), cachedImage(INITRD)];
  if (!kernel || !initrd) throw new Error(`view needs ${KERNEL}, ${INITRD}; vmreplay fetch brings them`);
  const scratch = await mkdtemp(join(tmpdir(), 'vmreplay-bench-'));
  const browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox'] });
  try {
    const [trace, page, million] = ['boot.trace', 'boot.html', 'million.html'].map((name) => join(scratch, name));
    const append = 'console=ttyS0 panic=-1';
    await record({ kernel, initrd, memory: 256 << 20, append, noReboot: true, output: trace! });
    const { events } = await view([trace!], { output: page! });
    await syntheticPage(million!, syntheticPayload(syntheticEvents(EVENTS)));
    const debian = { events: events[0], bytes: (await stat(page!)).size, ...(await loads(browser, page!, runs)) };
    const large = { events: EVENTS, bytes: (await stat(million!)).size, ...(await loads(browser, million!, runs)) };
    const motions = await measureMotions(browser, million!);
    console.log(`Debian boot: ${debian.events} events, ${debian.bytes} bytes, usable after ${debian.ready} ms`);
    console.log(`made up: ${large.events} events, ${large.bytes} bytes, usable after ${large.ready} ms`);
    for (const [name, { perSecond, longest }] of Object.entries(motions)) {
      console.log(
        `  ${name.padEnd(20)} ${perSecond.toFixed(1)} frames a second, longest frame ${longest.toFixed(0)} ms`,
      );
    }
    await writeResults('view', output, { chromium: browser.version() }, { runs, debian, large, motions });
  } finally {
    await browser.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

const open = (browser: Browser): Promise<Page> => browser.newPage({ viewport: { width: 1440, height: 900 } });

/** Time from navigation until the page answers, in ms: median and all. */
async function loads(browser: Browser, file: string, runs: number): Promise<{ ready: number; all: number[] }> {
  const all: number[] = [];
  for (let n = 0; n < runs; n++) {
    const page = await open(browser);
    await page.goto(pathToFileURL(file).href);
    while (!(await page.evaluate("'ready' in document.documentElement.dataset"))) await page.waitForTimeout(5);
    all.push(Math.round((await page.evaluate('performance.getEntriesByName("ready")[0].startTime')) as number));
    await page.close();
  }
  const ready = [...all].sort((a, b) => a - b)[all.length >> 1]!;
  return { ready, all };
}

async function measureMotions(browser: Browser, file: string): Promise<Record<string, Motion>> {
  const page = await open(browser);
  await page.goto(pathToFileURL(file).href);
  while (!(await page.evaluate("'ready' in document.documentElement.dataset"))) await page.waitForTimeout(5);
  const motions: Record<string, Motion> = {};
  for (const [name, step] of Object.entries(MOTIONS)) {
    const times = (await page.evaluate(`new Promise((done) => {
      const times = [];
      let n = 0;
      const frame = (time) => {
        times.push(time);
        if (n++ === ${FRAMES}) return done(times);
        ${step};
        requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    })`)) as number[];
    const gaps = times.slice(1).map((time, n) => time - times[n]!);
    const whole = times.at(-1)! - times[0]!;
    motions[name] = { perSecond: (1000 * gaps.length) / whole, longest: Math.max(...gaps) };
  }
  await page.close();
  return motions;
}
