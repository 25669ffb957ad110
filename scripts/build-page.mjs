// Bundles the program of a report's page (src/report/page) and writes it, with its style, as texts over dist's
// `built-page.js`: the command needs no bundler then.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
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
const page = JSON.stringify({ script: text('.js'), style: text('.css') });
writeFileSync(
  pathToFileURL(join(root, 'dist', 'src', 'report', 'built-page.js')),
  `export const builtPage = ${page};\n`,
);
