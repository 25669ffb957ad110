// Bundles the program of a report's page (src/report/page) and writes it, with its style, to dist/src/report/page.json:
// `vmreplay view` needs no bundler then. Runs before bundle.mjs; a file by itself, since other verbs have no use for it.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'src', 'report', 'page');
const { outputFiles } = await build({
  entryPoints: [join(folder, 'main.ts'), join(folder, 'style.css')],
  outdir: 'out',
  write: false,
  bundle: true,
  minify: true,
  format: 'iife',
  platform: 'browser',
  target: ['chrome115', 'firefox115', 'safari17'],
  legalComments: 'none',
  charset: 'utf8',
});
const text = (end) => outputFiles.find(({ path }) => path.endsWith(end)).text;
const out = join(root, 'dist', 'src', 'report');
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'page.json'), JSON.stringify({ script: text('.js'), style: text('.css') }));
