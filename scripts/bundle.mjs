// Joins the modules of dist into few files: loading 300 small ones takes longer than a short boot. Entry points keep
// their places, what they share lies in dist/chunks, and verbs are still loaded when they run. Types stay as tsc wrote
// them. Packages are left outside.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const dist = join(import.meta.dirname, '..', 'dist');
const names = () => readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
// What is run or imported from outside, and what worker threads are started from.
const entries = [
  'bin/vmreplay.js',
  'src/index.js',
  'src/fuzz/index.js',
  ...names().filter((name) => name.endsWith('-worker.js')),
];

const result = await build({
  absWorkingDir: dist,
  entryPoints: entries,
  outdir: '.',
  outbase: '.',
  allowOverwrite: true,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  chunkNames: 'chunks/[name]-[hash]',
  keepNames: false,
  minifyWhitespace: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});
const written = new Set(Object.keys(result.metafile.outputs));
for (const name of names()) {
  rmSync(join(dist, `${name}.map`), { force: true });
  if (!written.has(name)) rmSync(join(dist, name));
}
