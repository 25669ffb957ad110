// Where vectors from real processors lie: a folder beside the checkout, or wherever VMREPLAY_ORACLES says. They are
// too large to be kept here; tests that need them are skipped by name without them.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

const ROOT = new URL('../../../', import.meta.url).pathname;
const FOLDER = process.env.VMREPLAY_ORACLES ?? path.resolve(ROOT, '../shared/oracles');

/** Path of a vector file or tool, or undefined when it is absent. */
export function vectorFile(name: string): string | undefined {
  const file = path.join(FOLDER, name);
  return existsSync(file) ? file : undefined;
}

/** The lines of a gzipped JSON-lines file. */
export function readVectors<T>(file: string): T[] {
  const text = gunzipSync(readFileSync(file)).toString();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}
