// Where the page's program and style come from: in an installed package a file that the build made of src/report/page
// (scripts/build-page.mjs), read only when a page is written; in a source tree esbuild, a development dependency, at once.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface PageSource {
  readonly script: string;
  readonly style: string;
}

const BUILT = join('dist', 'src', 'report', 'page.json');
const here = import.meta.dirname;

let source: Promise<PageSource> | undefined;

export function pageSource(): Promise<PageSource> {
  const folder = join(here, 'page');
  source ??= existsSync(join(folder, 'main.ts')) ? bundlePage(folder) : Promise.resolve(builtPage());
  return source;
}

/** Of the package that this file or its bundle lies in. */
function builtPage(): PageSource {
  let directory = here;
  while (!existsSync(join(directory, BUILT)) && directory !== dirname(directory)) directory = dirname(directory);
  return JSON.parse(readFileSync(join(directory, BUILT), 'utf8')) as PageSource;
}

/** Bundle the page's sources: here, and for the build. @param folder the sources */
export async function bundlePage(folder: string): Promise<PageSource> {
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
