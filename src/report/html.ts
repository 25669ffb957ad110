// The page as one file: style, program and data in it, nothing fetched. Its Content-Security-Policy allows what is in
// the file, by hash, and no connection at all; so even a hole in the escaping could load nothing.
// Invariant: text from a trace reaches the page's markup through `escapeHtml` or as base64, never otherwise.

import { createHash } from 'node:crypto';
import type { PageSource } from './page-source.js';

export interface PagePart {
  readonly id: string;
  /** Deflated. */
  readonly data: Uint8Array;
}

export function pageHtml(title: string, { script, style }: PageSource, parts: readonly PagePart[]): string {
  const code = inElement(script, 'script');
  const css = inElement(style, 'style');
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(code)}'`,
    `style-src '${hashOf(css)}'`,
    'img-src blob: data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const data = parts.map(
    ({ id, data }) =>
      `<script type="text/plain" id="${escapeHtml(id)}">${Buffer.from(data).toString('base64')}</script>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${escapeHtml(title)}</title>
<style>${css}</style>
</head>
<body>
<div id="app"><p class="loading" role="status">Unpacking the trace…</p></div>
<noscript><p>This report shows a recorded boot; it needs JavaScript, all of which is in this file.</p></noscript>
${data.join('\n')}
<script>${code}</script>
</body>
</html>
`;
}

const hashOf = (text: string): string => `sha256-${createHash('sha256').update(text).digest('base64')}`;

/** What stands in an element must not end it. */
function inElement(text: string, name: 'script' | 'style'): string {
  return text.replaceAll(new RegExp(`</(?=${name})`, 'gi'), '<\\/').replaceAll('<!--', '\\x3c!--');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
