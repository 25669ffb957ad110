// A real browser for the page: Debian's chromium, driven without any download. Where there is none, tests that need it
// are skipped by name.

import { pathToFileURL } from 'node:url';
import test, { type TestFn } from 'ava';
import type { Browser, Page } from 'playwright-core';
import { chromiumPath } from './chromium-path.js';

export const NEEDS_CHROMIUM = chromiumPath === undefined ? ' (needs: chromium)' : '';
export const withChromium = (chromiumPath === undefined ? test.skip : test) as TestFn;

export interface OpenPage {
  readonly page: Page;
  /** Requests for anything but the file itself, and what went wrong in the page. */
  readonly requests: string[];
  readonly errors: string[];
}

let browser: Promise<Browser> | undefined;

/** One browser for a test file; closed by `closeBrowser`. */
export async function openPage(file: string, hash = '', size = { width: 1280, height: 800 }): Promise<OpenPage> {
  const { chromium } = await import('playwright-core');
  // The sandbox needs rights that a container's root has not; the pages are ours.
  browser ??= chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] });
  const page = await (await browser).newPage({ viewport: size });
  const requests: string[] = [];
  const errors: string[] = [];
  const url = pathToFileURL(file).href;
  page.on('request', (request) => {
    const wanted = request.url();
    if (!wanted.startsWith(url) && !wanted.startsWith('blob:')) requests.push(wanted);
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(url + hash);
  await until(page, "'ready' in document.documentElement.dataset");
  return { page, requests, errors };
}

/** Wait for an expression to hold in the page, whose policy lets no string be compiled there. */
export async function until(page: Page, expression: string): Promise<void> {
  for (let n = 0; n < 1200; n++) {
    if (await page.evaluate(expression)) return;
    await page.waitForTimeout(50);
  }
  throw new Error(`it never came to ${expression}`);
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
  browser = undefined;
}
