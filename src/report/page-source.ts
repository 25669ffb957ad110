// Where the page's program comes from: what the build made of src/report/page, or esbuild at once in a source tree.
// esbuild is a development dependency; an installed package always has the built page.

import { join } from 'node:path';
import { builtPage, type PageSource } from './built-page.js';

let source: PageSource | undefined = builtPage;

export async function pageSource(): Promise<PageSource> {
  source ??= await bundlePage(join(import.meta.dirname, 'page'));
  return source;
}

async function bundlePage(folder: string): Promise<PageSource> {
  const { build } = await import('esbuild');
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
  const text = (end: string) => outputFiles.find(({ path }) => path.endsWith(end))!.text;
  return { script: text('.js'), style: text('.css') };
}
