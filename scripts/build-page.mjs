// Writes the program of a report's page (src/report/page), with its style, to dist/src/report/page.json: `vmreplay view`
// needs no bundler then. Runs between tsc and bundle.mjs; a file by itself, since other verbs have no use for it. How the
// page is bundled is said in src/report/page-source.ts.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundlePage } from '../dist/src/report/page-source.js';

const root = join(import.meta.dirname, '..');
const out = join(root, 'dist', 'src', 'report');
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'page.json'), JSON.stringify(await bundlePage(join(root, 'src', 'report', 'page'))));
